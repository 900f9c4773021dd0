//! The branch of our Via: finds the transaction again, and tells a loop from a spiral.

use carillon_wire::sip::{Name, Via};

use crate::incoming::Incoming;
use crate::secret::{Secret, usage};

const COOKIE: &str = "z9hG4bK-";

/// A branch of ours, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Branch {
    /// Where the client transaction is; `None` in requests that were sent on without one.
    pub(crate) place: Option<u32>,
    /// What nobody can guess.
    pub(crate) nonce: u64,
    /// Hash of all that decides where the request goes.
    pub(crate) path: u64,
}

impl Branch {
    pub(crate) fn text(&self) -> String {
        let place = self.place.map_or("s".to_owned(), |place| format!("{place:x}"));
        format!("{COOKIE}{place}-{:016x}-{:016x}", self.nonce, self.path)
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Branch> {
        let mut parts = std::str::from_utf8(text).ok()?.strip_prefix(COOKIE)?.split('-');
        let place = match parts.next()? {
            "s" => None,
            place => Some(u32::from_str_radix(place, 16).ok()?),
        };
        let nonce = u64::from_str_radix(parts.next()?, 16).ok()?;
        let path = u64::from_str_radix(parts.next()?, 16).ok()?;
        parts.next().is_none().then_some(Branch { place, nonce, path })
    }
}

/// The hash of RFC 3261, 16.6, step 8, without the Via, so that it comes out the same the second time (RFC 5393, 4.2).
/// It differs for a spiral: a request that returns with another Request-URI or Route goes elsewhere.
pub(crate) fn path(secret: &Secret, request: &Incoming<'_>) -> u64 {
    let routing = &request.routing;
    let number = routing.cseq.number.to_be_bytes();
    let uri = routing.uri.map_or(&[][..], |uri| uri.raw);
    let mut parts = Vec::with_capacity(8);
    parts.extend([uri, routing.call_id, &number, routing.from.tag.unwrap_or_default()]);
    parts.push(routing.to.tag.unwrap_or_default());
    parts.extend(request.message.all(Name::ProxyRequire));
    parts.extend(request.message.all(Name::Route));
    secret.hash(usage::LOOP, &parts)
}

/// Whether this same request was here before.
pub(crate) fn is_loop(request: &Incoming<'_>, path: u64) -> bool {
    let vias = request.message.vias().map_while(Result::ok);
    vias.filter_map(|via: Via<'_>| Branch::parse(via.branch?)).any(|branch| branch.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_decides_the_way_makes_another_path() {
        let secret = Secret::new(&[0; 32]);
        let text = "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n\
            To: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nRoute: <sip:p>\r\nProxy-Require: r\r\n\r\n";
        let of = |text: &str| {
            let message = carillon_wire::sip::Message::parse(text.as_bytes()).unwrap();
            let local = "192.0.2.1:5060".parse().unwrap();
            let transport = carillon_wire::sip::Transport::Udp;
            let flow = carillon_wire::sip::Flow { transport, id: 1, local, remote: local };
            path(&secret, &Incoming { flow, message: &message, routing: message.routing().unwrap() })
        };
        let one = of(text);
        for (old, new) in [("UDP h", "UDP other"), ("z9hG4bK1", "z9hG4bK2"), ("1 INVITE", "1  INVITE")] {
            assert_eq!(of(&text.replace(old, new)), one, "{new}");
        }
        for (old, new) in [
            ("INVITE sip:b@x", "INVITE sip:c@x"),
            ("tag=1", "tag=3"),
            ("tag=2", "tag=3"),
            ("Call-ID: c", "Call-ID: d"),
            ("1 INVITE", "2 INVITE"),
            ("<sip:p>", "<sip:q>"),
            ("Require: r", "Require: s"),
        ] {
            assert_ne!(of(&text.replace(old, new)), one, "{new}");
        }
    }

    #[test]
    fn a_branch_is_read_as_it_was_written() {
        for branch in [
            Branch { place: Some(0xabc), nonce: 1, path: u64::MAX },
            Branch { place: None, nonce: u64::MAX, path: 0 },
        ] {
            assert_eq!(Branch::parse(branch.text().as_bytes()), Some(branch));
        }
        for foreign in ["z9hG4bK-1-2", "z9hG4bK-x-1-2", "z9hG4bK-1-2-3-4", "z9hG4bKnashds8", ""] {
            assert_eq!(Branch::parse(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
