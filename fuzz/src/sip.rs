//! SIP messages.

use carillon_wire::sip::{self, Decoded, Edits, Limits, Message};

/// A datagram of SIP. What is valid can be routed; a message that nobody edits keeps every byte; an answer is
/// given for nothing but requests.
pub fn sip(data: &[u8]) {
    match sip::decode(data, Limits::default()) {
        Decoded::Valid(message) => {
            assert!(message.routing().is_ok());
            read_all(&message, data.len());
        }
        Decoded::Wrong(message, _) => {
            assert!(message.method().is_some());
            read_all(&message, data.len());
        }
        Decoded::Garbage(_) | Decoded::KeepAlive => {}
    }
}

fn read_all(message: &Message<&[u8]>, len: usize) {
    assert!(message.bytes().len() <= len);
    let held: usize = message.headers().count() + message.body().len();
    assert!(held <= len);
    let _ = (message.vias().count(), message.from(), message.to(), message.cseq(), message.content_type());
    let _ = (message.max_forwards(), message.expires(), message.event(), message.sdp(), message.start());
    // A datagram may hold more than its message; that is not forwarded (RFC 3261, 18.3).
    let untouched = Edits::new(message).finish().unwrap_or_default();
    assert!(!untouched.is_empty() && message.bytes().starts_with(&untouched));
    assert!(untouched.ends_with(message.body()));
}
