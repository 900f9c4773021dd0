//! What became of the question to one port.

use std::net::IpAddr;

use carillon_wire::icmp::Reason;
use carillon_wire::ip::Dscp;
use serde::Serialize;

use super::control::{mark, mark_word};

/// What became of the question to one port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Question and answer passed.
    Open {
        /// The mark that the question arrived with; `None` if that cannot be told.
        #[serde(serialize_with = "crate::dscp::number::serialize_option")]
        arrived: Option<Dscp>,
        /// The mark that the answer came back with.
        #[serde(serialize_with = "crate::dscp::number::serialize_option")]
        returned: Option<Dscp>,
    },
    /// The question arrived, the answer did not come back.
    OneWay {
        /// The mark that the question arrived with.
        #[serde(serialize_with = "crate::dscp::number::serialize_option")]
        arrived: Option<Dscp>,
    },
    /// Nothing listens there, says the host or somebody in its name.
    Refused,
    /// Nothing came back, or somebody on the way says that it may not pass.
    Filtered {
        /// Who says so, if anybody does.
        by: Option<IpAddr>,
    },
    /// Something answers, but not the listener.
    Foreign(Service),
    /// It was not asked: the port to ask from could not be opened.
    Untested,
}

/// What answers instead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// A web server.
    Http,
    /// TLS.
    Tls,
    /// SIP.
    Sip,
    /// A secure shell.
    Ssh,
    /// STUN or TURN.
    Stun,
    /// It holds the port, takes what comes and says nothing.
    Silent,
    /// Something else.
    Other,
}

impl Outcome {
    /// What an error of ICMP means for the port that was asked. A host that refuses has been reached; a filter that
    /// says so, or a router without a route to a host that is known to be there, has kept the question back.
    pub fn of_error(reason: Reason, by: Option<IpAddr>) -> Option<Outcome> {
        match reason {
            Reason::Port => Some(Outcome::Refused),
            Reason::Prohibited | Reason::Route => Some(Outcome::Filtered { by }),
            Reason::TimeExceeded | Reason::TooBig | Reason::Other(..) => None,
        }
    }

    /// What the other side's report adds: what was never answered may have arrived all the same.
    pub fn with_arrival(self, arrived: Option<Option<Dscp>>) -> Outcome {
        match (self, arrived) {
            (Outcome::Filtered { by: None }, Some(arrived)) => Outcome::OneWay { arrived },
            (outcome, _) => outcome,
        }
    }

    /// What it means for a port that another program holds: an answer of ours cannot come from there, and silence is
    /// that program's.
    pub fn of_taken(self) -> Outcome {
        match self {
            Outcome::Filtered { by: None } => Outcome::Foreign(Service::Silent),
            outcome => outcome,
        }
    }

    pub(super) fn word(&self) -> String {
        match self {
            Outcome::Open { arrived, returned } => {
                format!("open,{},{}", mark_word(*arrived), mark_word(*returned))
            }
            Outcome::OneWay { arrived } => format!("one-way,{}", mark_word(*arrived)),
            Outcome::Refused => "refused".to_owned(),
            Outcome::Filtered { by: None } => "filtered".to_owned(),
            Outcome::Filtered { by: Some(by) } => format!("filtered,{by}"),
            Outcome::Foreign(service) => format!("foreign,{}", service.name()),
            Outcome::Untested => "untested".to_owned(),
        }
    }

    pub(super) fn read(word: &str) -> Option<Outcome> {
        let (kind, rest) = word.split_once(',').unwrap_or((word, ""));
        Some(match (kind, rest) {
            ("open", marks) => {
                let (arrived, returned) = marks.split_once(',')?;
                Outcome::Open { arrived: mark(arrived)?, returned: mark(returned)? }
            }
            ("one-way", arrived) => Outcome::OneWay { arrived: mark(arrived)? },
            ("refused", "") => Outcome::Refused,
            ("filtered", "") => Outcome::Filtered { by: None },
            ("filtered", by) => Outcome::Filtered { by: Some(by.parse().ok()?) },
            ("foreign", name) => Outcome::Foreign(Service::ALL.into_iter().find(|of| of.name() == name)?),
            ("untested", "") => Outcome::Untested,
            _ => return None,
        })
    }
}

impl Service {
    const ALL: [Service; 7] = [
        Service::Http,
        Service::Tls,
        Service::Sip,
        Service::Ssh,
        Service::Stun,
        Service::Silent,
        Service::Other,
    ];

    /// Told by the first bytes of what it says.
    pub fn of(bytes: &[u8]) -> Service {
        match bytes {
            [] => Service::Silent,
            [b'S', b'I', b'P', b'/', ..] => Service::Sip,
            [b'H', b'T', b'T', b'P', b'/', ..] => Service::Http,
            [b'S', b'S', b'H', b'-', ..] => Service::Ssh,
            // An alert or a handshake record (RFC 8446, 5.1).
            [0x15 | 0x16, 3, 0..=4, ..] => Service::Tls,
            [first, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..] if *first < 4 => Service::Stun,
            _ if bytes
                .to_ascii_lowercase()
                .windows(5)
                .take(512)
                .any(|part| [&b"<html"[..], b"http/", b"<!doc"].contains(&part)) =>
            {
                Service::Http
            }
            _ => Service::Other,
        }
    }

    /// Stable kebab-case name.
    pub fn name(self) -> &'static str {
        match self {
            Service::Http => "http",
            Service::Tls => "tls",
            Service::Sip => "sip",
            Service::Ssh => "ssh",
            Service::Stun => "stun",
            Service::Silent => "silent",
            Service::Other => "other",
        }
    }

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Service::Http => "a web server",
            Service::Tls => "TLS",
            Service::Sip => "SIP",
            Service::Ssh => "a secure shell",
            Service::Stun => "STUN or TURN",
            Service::Silent => "a service that says nothing",
            Service::Other => "something unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_refuses_is_told_from_a_filter() {
        let by = Some("192.0.2.1".parse().unwrap());
        assert_eq!(Outcome::of_error(Reason::Port, by), Some(Outcome::Refused));
        assert_eq!(Outcome::of_error(Reason::Prohibited, by), Some(Outcome::Filtered { by }));
        assert_eq!(Outcome::of_error(Reason::Route, by), Some(Outcome::Filtered { by }));
        assert_eq!(Outcome::of_error(Reason::TooBig, by), None);
    }

    #[test]
    fn what_arrived_without_an_answer_is_open_one_way() {
        let silent = Outcome::Filtered { by: None };
        assert_eq!(silent.with_arrival(Some(Some(Dscp::EF))), Outcome::OneWay { arrived: Some(Dscp::EF) });
        assert_eq!(silent.with_arrival(None), silent);
        assert_eq!(Outcome::Refused.with_arrival(Some(None)), Outcome::Refused);
    }

    #[test]
    fn what_answers_instead_is_told_by_its_first_bytes() {
        for (bytes, service) in [
            (&b""[..], Service::Silent),
            (b"HTTP/1.0 400 Bad request", Service::Http),
            (b"<!DOCTYPE HTML>\n<html lang", Service::Http),
            (b"\x15\x03\x01\0\x02\x02\x46", Service::Tls),
            (b"SIP/2.0 400 Bad Request", Service::Sip),
            (b"SSH-2.0-OpenSSH_9.2", Service::Ssh),
            (b"\x01\x11\0\0\x21\x12\xa4\x42", Service::Stun),
            (b"220 mail.example.com ESMTP", Service::Other),
        ] {
            assert_eq!(Service::of(bytes), service);
        }
    }
}
