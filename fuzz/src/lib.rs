//! One function per decoder: what must hold on any input, beyond that nothing panics. `fuzz/run` feeds them
//! with the fuzzer's inputs, `tests/replay.rs` with the committed corpora; a decoder without a function here
//! is not fuzzed.

mod access;
mod agents;
mod authentication;
mod captures;
mod directories;
mod files;
mod front_end;
mod ice;
mod imports;
mod legs;
mod media;
mod packets;
mod plans;
mod probes;
mod relay;
mod sdp;
mod shell;
mod sip;
mod sockets;
mod traffic;
mod verify;
mod web;

pub use access::access_edge;
pub use agents::agent;
pub use authentication::authentication;
pub use captures::{capture, fragment, stream};
pub use directories::directory;
pub use files::{configuration, user_list};
pub use front_end::{front_end, message, presence, provisioning};
pub use ice::ice;
pub use imports::import;
pub use legs::{bridge, crypto, jitter, leg, negotiate, srtp};
pub use media::{payload, rtcp, rtp, stun, stun_stream};
pub use packets::{frame, icmp};
pub use plans::{plan, queues};
pub use probes::probe;
pub use relay::relay;
pub use sdp::sdp;
pub use shell::shell;
pub use sip::{sip, sip_stream};
pub use sockets::listening;
pub use verify::{verify, verify_packets};
pub use web::{forwarded, websocket};

/// A decoder under test: the name of its corpus, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("access_edge", access_edge),
    ("agent", agent),
    ("authentication", authentication),
    ("bridge", bridge),
    ("capture", capture),
    ("configuration", configuration),
    ("crypto", crypto),
    ("directory", directory),
    ("forwarded", forwarded),
    ("fragment", fragment),
    ("frame", frame),
    ("front_end", front_end),
    ("ice", ice),
    ("icmp", icmp),
    ("import", import),
    ("jitter", jitter),
    ("leg", leg),
    ("listening", listening),
    ("message", message),
    ("negotiate", negotiate),
    ("payload", payload),
    ("plan", plan),
    ("provisioning", provisioning),
    ("presence", presence),
    ("probe", probe),
    ("queues", queues),
    ("relay", relay),
    ("rtcp", rtcp),
    ("rtp", rtp),
    ("sdp", sdp),
    ("shell", shell),
    ("sip", sip),
    ("sip_stream", sip_stream),
    ("srtp", srtp),
    ("stream", stream),
    ("stun", stun),
    ("stun_stream", stun_stream),
    ("user_list", user_list),
    ("verify", verify),
    ("verify_packets", verify_packets),
    ("websocket", websocket),
];
