//! How the stream of a connection becomes messages, and messages its stream: as they follow each other, or by a WebSocket.

use carillon_wire::sip::Limits;

use super::Protocol;
use super::framer::{Framed, Framer, Reading};
use super::websocket::WebSocket;

/// The way of one connection.
pub(super) enum Cutter {
    /// Message behind message.
    Stream(Framer),
    /// A WebSocket; a box, because most connections are none.
    Web(Box<WebSocket>),
}

impl Cutter {
    pub(super) fn stream(protocol: Protocol) -> Cutter {
        Cutter::Stream(Framer::new(protocol))
    }

    /// What it cuts.
    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Cutter::Stream(framer) => framer.protocol(),
            Cutter::Web(_) => Protocol::Sip,
        }
    }

    /// Bytes of a message that is not whole.
    pub(super) fn held(&self) -> usize {
        match self {
            Cutter::Stream(framer) => framer.held(),
            Cutter::Web(web) => web.held(),
        }
    }

    /// Whether something must come before messages may.
    pub(super) fn is_opening(&self) -> bool {
        match self {
            Cutter::Stream(_) => false,
            Cutter::Web(web) => web.is_opening(),
        }
    }

    /// Takes what came and shows what is whole.
    pub(super) fn feed(&mut self, bytes: &[u8], limits: Limits, see: &mut impl FnMut(Framed<'_>)) -> Reading {
        match self {
            Cutter::Stream(framer) => framer.feed(bytes, limits, see),
            Cutter::Web(web) => web.feed(bytes, limits, see),
        }
    }

    /// A message as it is sent.
    pub(super) fn wrap(&self, message: Vec<u8>) -> Vec<u8> {
        match self {
            Cutter::Stream(_) => message,
            Cutter::Web(web) => web.wrap(&message),
        }
    }

    /// Forgets what is held; returns what still has to be said.
    pub(super) fn end(&mut self) -> Option<Vec<u8>> {
        match self {
            Cutter::Stream(framer) => {
                *framer = Framer::default();
                None
            }
            Cutter::Web(web) => web.end(),
        }
    }
}
