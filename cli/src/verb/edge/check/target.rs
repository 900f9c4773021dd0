//! What is to be looked at: machines with their doors, and the means to open them.

use carillon_media::ice::turn::Credential;
use carillon_net::tls::CertificateDer;
use carillon_qos::TrafficClass;
use carillon_qos::check::{Door, Grant, Knock, Machine, Side, Transport};
use carillon_wire::ip::Dscp;
use std::net::SocketAddr;

use super::ends::Ends;

/// What is looked at, from where, and how.
pub(super) struct View {
    /// From where, for who reads the report.
    pub(super) seen_from: &'static str,
    pub(super) targets: Vec<Target>,
    pub(super) ends: Ends,
    /// The mark of what the check itself says.
    pub(super) mark: Dscp,
}

/// A machine: what is known of it already, and the doors to knock at.
#[derive(Default)]
pub(super) struct Target {
    /// Its doors are filled in from `doors`.
    pub(super) machine: Machine,
    pub(super) doors: Vec<Wanted>,
    /// What opens the relay.
    pub(super) credential: Option<Credential>,
    /// By which name testers of 2013 would ask.
    pub(super) legacy: Option<String>,
}

/// A door to knock at.
pub(super) struct Wanted {
    pub(super) door: Door,
    /// The class of what is relayed by it, if it is only one.
    pub(super) class: Option<TrafficClass>,
    /// What it must show.
    pub(super) certificate: Option<Expected>,
}

/// A certificate that must be shown.
pub(super) struct Expected {
    pub(super) side: Side,
    pub(super) name: String,
    /// Who must have made it; `None`: nobody says.
    pub(super) trusted: Option<Vec<CertificateDer<'static>>>,
}

impl Wanted {
    /// Not knocked at yet.
    pub(super) fn new(service: &str, transport: Transport, address: SocketAddr) -> Wanted {
        let door = Door {
            service: service.to_owned(),
            transport,
            address,
            is_relay: false,
            only_inside: false,
            optional: false,
            by_name: false,
            knock: Knock::NotTried("its address is not known".to_owned()),
            lent: None,
            relayed: None,
        };
        Wanted { door, class: None, certificate: None }
    }

    /// One of a relay.
    pub(super) fn of_relay(self, class: Option<TrafficClass>) -> Wanted {
        Wanted { door: Door { is_relay: true, ..self.door }, class, ..self }
    }

    /// One that shows a certificate.
    pub(super) fn shows(self, expected: Expected) -> Wanted {
        Wanted { certificate: Some(expected), ..self }
    }
}

/// A credential that was made here with a secret.
pub(super) fn made_here(by: &str) -> Grant {
    Grant { by: by.to_owned(), door: None, shown: true, refused: None }
}
