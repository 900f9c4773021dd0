//! The three outcomes of decoding: valid, wrong with the answer to send, garbage with the name of a counter.

use std::fmt;

/// What to answer to a request that was understood but must not be processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Status code, 400 to 699.
    pub code: u16,
    /// Reason phrase, naming what is wrong.
    pub reason: &'static str,
}

impl Answer {
    /// 400 with the reason.
    pub const fn bad_request(reason: &'static str) -> Answer {
        Answer { code: 400, reason }
    }

    /// 416 (RFC 3261, 21.4.14).
    pub const UNSUPPORTED_SCHEME: Answer = Answer { code: 416, reason: "Unsupported URI Scheme" };
    /// 483 (RFC 3261, 21.4.21).
    pub const TOO_MANY_HOPS: Answer = Answer { code: 483, reason: "Too Many Hops" };
    /// 505 (RFC 3261, 21.5.6).
    pub const VERSION: Answer = Answer { code: 505, reason: "Version Not Supported" };
    /// 513 (RFC 3261, 21.5.7).
    pub const TOO_LARGE: Answer = Answer { code: 513, reason: "Message Too Large" };
}

/// Bytes to drop without an answer, and under which count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Garbage {
    /// No SIP start line.
    NotSip,
    /// A carriage return or line feed alone between the lines of the head.
    LineEnd,
    /// A head larger than allowed, or with too many lines.
    HeadTooLarge,
    /// A status line with another version or a code outside 100 to 699.
    BadStatus,
    /// A response that must not be processed; responses are never answered.
    BadResponse(&'static str),
    /// An ACK that must not be processed; an ACK is never answered.
    BadAck(&'static str),
}

impl Garbage {
    /// The counter to increase.
    pub const fn counter(self) -> &'static str {
        match self {
            Garbage::NotSip => "sip_not_sip",
            Garbage::LineEnd => "sip_bare_line_end",
            Garbage::HeadTooLarge => "sip_head_too_large",
            Garbage::BadStatus => "sip_bad_status_line",
            Garbage::BadResponse(_) => "sip_bad_response",
            Garbage::BadAck(_) => "sip_bad_ack",
        }
    }
}

/// Why a message must not be processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A request: send this.
    Answer(Answer),
    /// Drop and count.
    Drop(Garbage),
}

/// A field that does not follow its grammar; the text is fit for a reason phrase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for Answer {
    fn from(malformed: Malformed) -> Answer {
        Answer::bad_request(malformed.0)
    }
}
