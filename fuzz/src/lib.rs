//! One function per decoder: what must hold on any input, beyond that nothing panics. `fuzz/run` feeds them
//! with the fuzzer's inputs, `tests/replay.rs` with the committed corpora; a decoder without a function here
//! is not fuzzed.

mod captures;
mod media;
mod packets;
mod plans;
mod sip;

pub use captures::{capture, fragment, stream};
pub use media::{payload, rtcp, rtp, stun, stun_stream};
pub use packets::frame;
pub use plans::plan;
pub use sip::sip;

/// A decoder under test: the name of its corpus, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("capture", capture),
    ("fragment", fragment),
    ("frame", frame),
    ("payload", payload),
    ("plan", plan),
    ("rtcp", rtcp),
    ("rtp", rtp),
    ("sip", sip),
    ("stream", stream),
    ("stun", stun),
    ("stun_stream", stun_stream),
];
