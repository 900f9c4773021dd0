//! Media legs of the server's own, as signaling sees them: a bridge between two ends of a call that speak different media is a
//! number that turns descriptions of one end into such for the other. How it does that, and from which ports it then
//! speaks, is the host's.

use std::net::IpAddr;

use carillon_wire::sdp::Profile;
use carillon_wire::sip::Answer;

/// Something that a bridge is to do. What has a description is answered by [`crate::FrontEnd::handle_bridged`] before anything else
/// is handed to the Front End: a message waits for it, and must not be overtaken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BridgeWish {
    /// Which. Numbers are never given twice.
    pub bridge: u64,
    /// What.
    pub what: Bridging,
}

/// What a bridge is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bridging {
    /// One end offers this: what is offered to the other?
    Offer {
        /// Which end.
        from: Profile,
        /// As it came.
        sdp: Vec<u8>,
        /// With the first offer: the bridge begins here.
        opening: Option<Opening>,
    },
    /// One end answers this to what it was offered: what is the other answered?
    Answer {
        /// Which end.
        from: Profile,
        /// As it came.
        sdp: Vec<u8>,
        /// Whether it is final: after early media another one may come, from elsewhere.
        last: bool,
    },
    /// It is over: ports come back. Nothing is answered.
    Close,
}

/// How a bridge begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// Our address as the browser reaches it.
    pub web: IpAddr,
    /// Our address as the phone reaches it.
    pub phone: IpAddr,
    /// The phone has refused media without keys, and is offered nothing else.
    pub keys: bool,
}

/// Why there is no description for the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotBridged {
    /// What was described is nothing that the server speaks.
    Unacceptable,
    /// There are no ports.
    NoPorts,
}

impl NotBridged {
    /// What an offer is answered for it.
    pub(crate) const fn answer(self) -> Answer {
        match self {
            NotBridged::Unacceptable => Answer { code: 488, reason: "Media Cannot Be Bridged" },
            NotBridged::NoPorts => Answer { code: 503, reason: "Service Unavailable" },
        }
    }
}
