//! Why a call is over: one table of words for records, exports, documents and `carillon records`.

use carillon_wire::sip::{Message, Name};

use crate::dialect;

/// How a call ended, or why it was never set up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ending {
    /// One of the two hung up.
    HungUp,
    /// The caller gave up before anybody answered.
    Cancelled,
    /// 486 or 600.
    Busy,
    /// 603 or 607: somebody pressed the key.
    Declined,
    /// It rang, and nobody answered.
    NoAnswer,
    /// The phone said 480 without ringing: not to be disturbed, as a rule.
    Unavailable,
    /// Nobody of that name or number.
    NotFound,
    /// The user is known and has no phone that is signed in.
    NotRegistered,
    /// Not allowed: 403 and what is like it.
    Refused,
    /// The phones have no codec, or no way to encrypt, in common.
    NoCommonMedia,
    /// A link between sites has no bandwidth left for it.
    OverBudget,
    /// The server takes on no more.
    Overloaded,
    /// Whoever was called failed: 5xx.
    ServerError,
    /// Nothing was heard from whom it was sent to.
    Timeout,
    /// The connection of a phone was lost.
    ConnectionLost,
    /// Signaling worked and media found no way, as a phone says.
    MediaFailed,
    /// Nothing was heard of the call for longer than its session timer allows.
    WentSilent,
    /// The server itself was lost while the call was open.
    ServerLost,
    /// Sent elsewhere: 3xx.
    Redirected,
    /// Something else was wrong with the request: 4xx.
    Rejected,
}

impl Ending {
    /// All, in the order in which documents list them.
    pub const ALL: [Ending; 20] = [
        Ending::HungUp,
        Ending::Cancelled,
        Ending::Busy,
        Ending::Declined,
        Ending::NoAnswer,
        Ending::Unavailable,
        Ending::NotFound,
        Ending::NotRegistered,
        Ending::Refused,
        Ending::NoCommonMedia,
        Ending::OverBudget,
        Ending::Overloaded,
        Ending::ServerError,
        Ending::Timeout,
        Ending::ConnectionLost,
        Ending::MediaFailed,
        Ending::WentSilent,
        Ending::ServerLost,
        Ending::Redirected,
        Ending::Rejected,
    ];

    /// The word in records.
    pub const fn name(self) -> &'static str {
        match self {
            Ending::HungUp => "hung-up",
            Ending::Cancelled => "cancelled",
            Ending::Busy => "busy",
            Ending::Declined => "declined",
            Ending::NoAnswer => "no-answer",
            Ending::Unavailable => "unavailable",
            Ending::NotFound => "not-found",
            Ending::NotRegistered => "not-registered",
            Ending::Refused => "refused",
            Ending::NoCommonMedia => "no-common-media",
            Ending::OverBudget => "over-budget",
            Ending::Overloaded => "overloaded",
            Ending::ServerError => "server-error",
            Ending::Timeout => "timeout",
            Ending::ConnectionLost => "connection-lost",
            Ending::MediaFailed => "media-failed",
            Ending::WentSilent => "went-silent",
            Ending::ServerLost => "server-lost",
            Ending::Redirected => "redirected",
            Ending::Rejected => "rejected",
        }
    }

    /// What a final answer other than 2xx to an INVITE means.
    pub(crate) fn of_refusal(code: u16, how: Refused) -> Ending {
        match code {
            _ if how.caller_lost => Ending::ConnectionLost,
            _ if how.cancelled => Ending::Cancelled,
            486 | 600 => Ending::Busy,
            603 | 607 | 608 => Ending::Declined,
            480 if how.own => Ending::ConnectionLost,
            503 if how.own => Ending::Overloaded,
            // Also 487: we have cancelled what rang for too long.
            408 | 480 | 487 if how.rang => Ending::NoAnswer,
            408 | 487 => Ending::Timeout,
            430 => Ending::ConnectionLost,
            480 => Ending::Unavailable,
            404 | 410 | 416 | 484 | 485 | 604 => Ending::NotFound,
            401 | 402 | 403 | 407 | 433 => Ending::Refused,
            488 if how.own => Ending::OverBudget,
            415 | 488 | 606 => Ending::NoCommonMedia,
            300..=399 => Ending::Redirected,
            500.. => Ending::ServerError,
            _ => Ending::Rejected,
        }
    }

    /// What it means that we ourselves refuse an INVITE, before it is sent to anybody.
    pub(crate) fn of_reply(code: u16) -> Ending {
        match code {
            480 => Ending::NotRegistered,
            503 => Ending::Overloaded,
            _ => Ending::of_refusal(code, Refused::default()),
        }
    }

    /// What a BYE or CANCEL says of the reason (RFC 3326), if it says more than that somebody hung up.
    pub(crate) fn of_reason(message: &Message<&[u8]>) -> Option<Ending> {
        if dialect::diagnostics::is_media_failure(message) {
            return Some(Ending::MediaFailed);
        }
        message.values(Name::Reason).find_map(|value| reason(&String::from_utf8_lossy(value)))
    }
}

/// What is known of a call that was not answered besides the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Refused {
    /// A phone rang.
    pub(crate) rang: bool,
    /// The caller gave up.
    pub(crate) cancelled: bool,
    /// The caller's connection was lost.
    pub(crate) caller_lost: bool,
    /// The answer is our own, for want of another.
    pub(crate) own: bool,
}

fn reason(value: &str) -> Option<Ending> {
    let lower = value.to_ascii_lowercase();
    let cause =
        lower.split(';').find_map(|param| param.trim().strip_prefix("cause=")?.trim().parse::<u16>().ok());
    let says = |word: &str| lower.contains(word);
    if says("rtp timeout") || says("media timeout") || says("ice fail") || says("dtls") {
        return Some(Ending::MediaFailed);
    }
    match (lower.split(';').next()?.trim(), cause?) {
        ("sip", 408) => Some(Ending::WentSilent),
        ("sip", 488 | 606) => Some(Ending::NoCommonMedia),
        ("sip", 500..600) => Some(Ending::ServerError),
        // Network out of order, temporary failure, resource unavailable (ITU-T Q.850).
        ("q.850", 38 | 41 | 47) => Some(Ending::ServerError),
        ("q.850", 58 | 65 | 79 | 88) => Some(Ending::NoCommonMedia),
        ("q.850", 102) => Some(Ending::WentSilent),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_a_word_of_its_own() {
        let mut names = Ending::ALL.map(Ending::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Ending::ALL.len());
    }

    #[test]
    fn a_code_means_what_phones_mean_by_it() {
        let quiet = Refused::default();
        let rang = Refused { rang: true, ..quiet };
        for (code, how, expected) in [
            (486, rang, "busy"),
            (600, quiet, "busy"),
            (603, rang, "declined"),
            (480, rang, "no-answer"),
            (480, quiet, "unavailable"),
            (480, Refused { own: true, ..quiet }, "connection-lost"),
            (480, Refused { own: true, ..rang }, "connection-lost"),
            (408, Refused { own: true, ..rang }, "no-answer"),
            (503, Refused { own: true, ..quiet }, "overloaded"),
            (503, quiet, "server-error"),
            (408, quiet, "timeout"),
            (408, rang, "no-answer"),
            (487, rang, "no-answer"),
            (487, Refused { cancelled: true, ..rang }, "cancelled"),
            (487, Refused { cancelled: true, caller_lost: true, ..rang }, "connection-lost"),
            (430, quiet, "connection-lost"),
            (404, quiet, "not-found"),
            (604, quiet, "not-found"),
            (403, quiet, "refused"),
            (488, quiet, "no-common-media"),
            (488, Refused { own: true, ..quiet }, "over-budget"),
            (606, quiet, "no-common-media"),
            (302, quiet, "redirected"),
            (500, quiet, "server-error"),
            (504, quiet, "server-error"),
            (482, quiet, "rejected"),
        ] {
            assert_eq!(Ending::of_refusal(code, how).name(), expected, "{code} {how:?}");
        }
    }

    #[test]
    fn a_bye_may_say_why() {
        for (fields, expected) in [
            ("", None),
            ("Reason: Q.850;cause=16;text=\"Normal call clearing\"\r\n", None),
            ("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n", None),
            ("Reason: SIP ;cause=408 ;text=\"Session expired\"\r\n", Some("went-silent")),
            ("Reason: SIP;text=\"RTP Timeout\"\r\n", Some("media-failed")),
            ("Reason: Q.850;cause=41\r\n", Some("server-error")),
            ("Reason: Q.850;cause=16, SIP;cause=503\r\n", Some("server-error")),
            ("ms-client-diagnostics: 22; reason=\"media connectivity failure\"\r\n", Some("media-failed")),
            ("ms-client-diagnostics: 51004; reason=\"Action initiated by user\"\r\n", None),
        ] {
            let text = format!("BYE sip:b@x SIP/2.0\r\n{fields}\r\n");
            let message = Message::parse(text.as_bytes()).unwrap();
            assert_eq!(Ending::of_reason(&message).map(Ending::name), expected, "{fields}");
        }
    }
}
