//! What is known about one hop: what was asked, and who answered what.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use carillon_wire::icmp::Reason;
use carillon_wire::ip::{Dscp, Ecn};
use serde::Serialize;

/// One place on the path: so many steps from the sender.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hop {
    /// Steps from the sender, from 1.
    pub ttl: u8,
    /// Probes sent.
    pub asked: u8,
    /// What came back, in the order of arrival. Several routers may share a place.
    pub answers: Vec<Answer>,
}

/// One answer to one probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Who sent it.
    pub from: IpAddr,
    /// What became of the probe; `None` if the host itself answered with a datagram.
    pub reason: Option<Reason>,
    /// How long it took.
    pub after: Duration,
    /// What it says of the probe's header.
    pub quoted: Option<Quoted>,
}

/// The header of a probe as a hop received it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Quoted {
    /// Its mark.
    #[serde(with = "crate::dscp::number")]
    pub mark: Dscp,
    /// Its ECN bits.
    #[serde(serialize_with = "ecn_as_number")]
    pub ecn: Ecn,
    /// Whether addresses or ports differ from what was sent: somebody translates addresses on the way.
    pub translated: bool,
}

impl Hop {
    /// Who answered, each once.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.answers.iter().map(|answer| answer.from).collect()
    }

    /// The marks that probes arrived with, each once.
    pub fn marks(&self) -> BTreeSet<Dscp> {
        self.quotes().map(|quoted| quoted.mark).collect()
    }

    /// The ECN bits that probes arrived with, each once.
    pub fn ecn(&self) -> BTreeSet<Ecn> {
        self.quotes().map(|quoted| quoted.ecn).collect()
    }

    /// What answers quote.
    pub fn quotes(&self) -> impl Iterator<Item = &Quoted> {
        self.answers.iter().filter_map(|answer| answer.quoted.as_ref())
    }

    /// Whether the path ends here: the probe arrived, or is refused. Errors of other kinds end nothing.
    pub fn ends_path(&self) -> bool {
        let ends = |reason| matches!(reason, None | Some(Reason::Port | Reason::Prohibited | Reason::Route));
        self.answers.iter().any(|answer| ends(answer.reason))
    }
}

fn ecn_as_number<S: serde::Serializer>(ecn: &Ecn, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*ecn as u8)
}
