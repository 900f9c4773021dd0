//! Effects: capture files, live capture, and the sockets of SIP, each marked before its first packet.
//!
//! Captures end up as one stream of capture bytes, so that `carillon_wire::capture` decodes them all the same way.
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(target_os = "linux")]
pub mod addresses;
#[cfg(target_os = "linux")]
pub mod admin_socket;
pub mod authority;
#[cfg(target_os = "linux")]
pub mod bind_error;
pub mod capture;
pub mod common_name;
#[cfg(target_os = "linux")]
mod counted;
#[cfg(target_os = "linux")]
pub mod forward;
#[cfg(target_os = "linux")]
pub mod icmp;
#[cfg(target_os = "linux")]
pub mod lease;
#[cfg(target_os = "linux")]
pub mod live;
#[cfg(target_os = "linux")]
pub mod mark;
#[cfg(target_os = "linux")]
pub mod names;
#[cfg(target_os = "linux")]
pub mod notify;
#[cfg(target_os = "linux")]
pub mod open_sockets;
#[cfg(target_os = "linux")]
mod packet_socket;
pub mod peers;
#[cfg(target_os = "linux")]
pub mod presented;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
pub mod relay_stream;
pub mod route;
#[cfg(target_os = "linux")]
pub mod routes;
#[cfg(target_os = "linux")]
pub mod secured;
#[cfg(target_os = "linux")]
mod syscall;
pub mod tls;
#[cfg(target_os = "linux")]
pub mod tracer;
#[cfg(target_os = "linux")]
pub mod transports;
#[cfg(target_os = "linux")]
pub mod udp;
