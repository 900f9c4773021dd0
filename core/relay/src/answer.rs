//! Answers: errors with their codes, and how an answer is sealed and sent.

use std::net::SocketAddr;

use carillon_wire::stun::{Builder, Class, Family, kind};

use crate::contract::{Flow, Output, Quota};
use crate::integrity::Seal;
use crate::relay::{Asked, Relay};

/// The errors that the relay gives (RFC 8489, 14.8; RFC 8656, 19; RFC 6062, 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    BadRequest,
    Unauthenticated,
    Forbidden,
    AllocationMismatch,
    StaleNonce,
    FamilyNotSupported,
    WrongCredentials,
    UnsupportedTransport,
    PeerFamilyMismatch,
    ConnectionExists,
    ConnectionFailed,
    Quota,
    SiteQuota,
    Capacity,
}

/// Why a request is not granted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Code(Code),
    /// Attributes that have to be understood and are not: 420.
    Unknown(Vec<u16>),
    /// Another Edge takes on what this one does not any more: 300.
    Alternate(SocketAddr),
}

impl Code {
    pub(crate) const fn number(self) -> u16 {
        match self {
            Code::BadRequest => 400,
            Code::Unauthenticated => 401,
            Code::Forbidden => 403,
            Code::AllocationMismatch => 437,
            Code::StaleNonce => 438,
            Code::FamilyNotSupported => 440,
            Code::WrongCredentials => 441,
            Code::UnsupportedTransport => 442,
            Code::PeerFamilyMismatch => 443,
            Code::ConnectionExists => 446,
            Code::ConnectionFailed => 447,
            Code::Quota | Code::SiteQuota => 486,
            Code::Capacity => 508,
        }
    }

    /// For humans. A challenge has none: anybody can have it sent to anybody, so it is kept short.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Code::BadRequest => "Bad Request",
            Code::Unauthenticated | Code::StaleNonce => "",
            Code::Forbidden => "Forbidden",
            Code::AllocationMismatch => "Allocation Mismatch",
            Code::FamilyNotSupported => "Address Family not Supported",
            Code::WrongCredentials => "Wrong Credentials",
            Code::UnsupportedTransport => "Unsupported Transport Protocol",
            Code::PeerFamilyMismatch => "Peer Address Family Mismatch",
            Code::ConnectionExists => "Connection Already Exists",
            Code::ConnectionFailed => "Connection Timeout or Failure",
            Code::Quota => "Allocation Quota Reached",
            Code::SiteQuota => "Allocation Quota of the Site Reached",
            Code::Capacity => "Insufficient Capacity",
        }
    }
}

impl From<Quota> for Code {
    fn from(quota: Quota) -> Code {
        match quota {
            Quota::User => Code::Quota,
            Quota::Site => Code::SiteQuota,
            Quota::Relay => Code::Capacity,
        }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Refusal {
        Refusal::Code(code)
    }
}

impl Refusal {
    pub(crate) fn number(&self) -> u16 {
        match self {
            Refusal::Code(code) => code.number(),
            Refusal::Unknown(_) => 420,
            Refusal::Alternate(_) => 300,
        }
    }

    pub(crate) fn write(&self, answer: Builder) -> Builder {
        match self {
            Refusal::Code(code) => answer.error_code(code.number(), code.reason()),
            Refusal::Unknown(kinds) => {
                let list: Vec<u8> = kinds.iter().flat_map(|kind| kind.to_be_bytes()).collect();
                answer.error_code(420, "Unknown Attribute").attribute(kind::UNKNOWN_ATTRIBUTES, &list)
            }
            Refusal::Alternate(address) => {
                answer.error_code(300, "Try Alternate").address(kind::ALTERNATE_SERVER, *address)
            }
        }
    }
}

impl Relay {
    /// Answers a proven request.
    pub(crate) fn conclude(&mut self, asked: &Asked<'_>, seal: Seal, outcome: Result<Builder, Refusal>) {
        let answer = match outcome {
            Ok(answer) => {
                self.counts.success(asked.method_name());
                answer
            }
            Err(refusal) => self.refusal(asked, &refusal),
        };
        self.answer(asked, Some(seal), answer);
    }

    pub(crate) fn refusal(&mut self, asked: &Asked<'_>, refusal: &Refusal) -> Builder {
        self.counts.error(refusal.number());
        refusal.write(asked.answer(Class::Error))
    }

    /// Answers a request of before.
    pub(crate) fn answer_later(&mut self, flow: Flow, seal: Seal, fingerprint: bool, answer: Builder) {
        let answer = seal.put(answer);
        let answer = if fingerprint { answer.fingerprint() } else { answer };
        answer.finish().into_iter().for_each(|bytes| self.transmit(flow, bytes));
    }

    /// Sends an answer; it has a fingerprint if the request had one (RFC 8489, 7.3.1.1).
    pub(crate) fn answer(&mut self, asked: &Asked<'_>, seal: Option<Seal>, answer: Builder) {
        let answer = match seal {
            Some(seal) => seal.put(answer),
            None => answer,
        };
        let answer = if asked.has_fingerprint() { answer.fingerprint() } else { answer };
        if let Some(bytes) = answer.finish() {
            // What it was is remembered, if this answers the request that ended it.
            let is_there = self.table.of_flow(&asked.flow).is_some();
            let class = if is_there { self.class_to(&asked.flow) } else { asked.class };
            self.out.push_back(Output::Transmit { flow: asked.flow, class, bytes });
        }
    }
}

/// The family of an address.
pub(crate) fn family_of(address: SocketAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}
