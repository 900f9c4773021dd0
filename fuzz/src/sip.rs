//! SIP messages, in datagrams and in streams.

use carillon_wire::sip::{self, Decoded, Edits, Framing, Limits, Message, Transport};

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

/// A stream of SIP. Every step uses bytes or ends; a message that is there is found with the same end, however
/// the stream was cut; what is needed is more than there is, and never more than the limits.
pub fn sip_stream(data: &[u8]) {
    let limits = Limits { head: 1024, body: 512 };
    let mut rest = data;
    loop {
        let used = match sip::frame(rest, Transport::Tcp, limits) {
            Framing::Message { len, message } => {
                assert_eq!(message.bytes().len(), len);
                assert_eq!(message.content_length().ok().flatten(), Some(message.body().len()));
                ends_only_there(&rest[..len], limits);
                let _ = message.check();
                read_all(&message, len);
                len
            }
            Framing::KeepAlive { len } => len,
            Framing::More { needed } => {
                assert!(rest.len() < needed && needed <= limits.head + limits.body);
                return;
            }
            Framing::Wrong { message, answer } => {
                assert!((400..700).contains(&answer.code) && !answer.reason.is_empty());
                return assert!(message.bytes().len() <= rest.len());
            }
            Framing::Garbage(garbage) => return assert!(!garbage.counter().is_empty()),
        };
        assert!((1..=rest.len()).contains(&used));
        rest = &rest[used..];
    }
}

/// Whatever came of a message before its end asks for more, and for no more than the whole.
fn ends_only_there(message: &[u8], limits: Limits) {
    for len in (0..message.len()).step_by(1 + message.len() / 16) {
        match sip::frame(&message[..len], Transport::Tcp, limits) {
            Framing::More { needed } => assert!(needed <= message.len()),
            other => panic!("{len} of {} bytes are {other:?}", message.len()),
        }
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
