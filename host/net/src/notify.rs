//! Tells the service manager how far the service is (sd_notify(3)); without a manager, nothing happens.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends a state such as `READY=1` to the manager's socket, the value of `NOTIFY_SOCKET`.
pub fn notify(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        // A name without a file, written with an @ in the environment.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// The state of a service that begins to reload: systemd compares the time with that of its own signal.
pub fn reloading() -> String {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec; this clock is there on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    format!(
        "RELOADING=1\nMONOTONIC_USEC={}",
        i128::from(time.tv_sec) * 1_000_000 + i128::from(time.tv_nsec) / 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(address: &SocketAddr, name: &str) -> String {
        let manager = UnixDatagram::bind_addr(address).unwrap();
        notify(OsStr::new(name), "READY=1\nSTATUS=x").unwrap();
        let mut bytes = [0; 64];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_with_a_file_and_one_with_a_name_are_told() {
        let path = std::env::temp_dir().join(format!("carillon-notify-{}", std::process::id()));
        let address = SocketAddr::from_pathname(&path).unwrap();
        assert_eq!(received(&address, path.to_str().unwrap()), "READY=1\nSTATUS=x");
        std::fs::remove_file(path).unwrap();
        let name = format!("carillon-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        assert_eq!(received(&address, &format!("@{name}")), "READY=1\nSTATUS=x");
    }
}
