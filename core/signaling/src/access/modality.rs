//! An Edge for messages and presence only: what would be media is refused before anybody rings for it.

use carillon_wire::sdp::{Media, Session};
use carillon_wire::sip::Method;

use super::AccessEdge;
use crate::incoming::Incoming;
use crate::reply::Reply;

impl AccessEdge {
    /// Lets sessions of messages through, and nothing that asks for media; nor an INVITE that leaves the offer to the other end,
    /// for an offer in its answer nobody could refuse any more (RFC 3261, 13.2.1).
    pub(super) fn check_modality(&self, incoming: &Incoming<'_>) -> Result<(), Reply> {
        if self.config.media {
            return Ok(());
        }
        let body = incoming.message.body();
        match incoming.method() {
            Method::Invite if body.is_empty() => {
                Err(self.no_media("what a session is for has to be said in its INVITE"))
            }
            Method::Invite | Method::Update | Method::Prack if !body.is_empty() => {
                self.check_offer(incoming, body)
            }
            _ => Ok(()),
        }
    }

    fn check_offer(&self, incoming: &Incoming<'_>, body: &[u8]) -> Result<(), Reply> {
        let is_sdp = incoming.message.content_type().is_some_and(|media| {
            media.kind.eq_ignore_ascii_case(b"application") && media.subtype.eq_ignore_ascii_case(b"sdp")
        });
        let session = Session::parse(body).filter(|_| is_sdp);
        let session = session.ok_or_else(|| self.no_media("what cannot be read here is not passed on"))?;
        let asks = |media: &Media<'_>| !media.is_refused() && !is_messages(media.kind);
        match session.media().any(|media| asks(&media)) {
            true => Err(self.no_media("this Edge carries messages and presence, and no media")),
            false => Ok(()),
        }
    }

    /// RFC 3261, 20.43: 304 is for a kind of media that there is not.
    fn no_media(&self, why: &str) -> Reply {
        Reply::new(488, "Not Acceptable Here").field("Warning", format!("304 {} \"{why}\"", self.config.name))
    }
}

/// MSRP (RFC 4975), and the sessions of messages of Lync clients.
fn is_messages(kind: &str) -> bool {
    ["message", "x-ms-message"].iter().any(|known| kind.eq_ignore_ascii_case(known))
}
