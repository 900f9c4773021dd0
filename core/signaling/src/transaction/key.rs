//! What makes two requests the same transaction (RFC 3261, 17.2.3).

use std::hash::{BuildHasherDefault, Hasher};

use carillon_wire::sip::{Host, Method, Routing};

use crate::secret::{Secret, usage};

/// A keyed hash of all that is compared: nobody outside can make two collide.
pub(crate) type Key = u128;

/// For tables whose keys are hashes already.
pub(crate) type Plain = BuildHasherDefault<Folded>;

/// Folds a key that is spread evenly.
#[derive(Default)]
pub(crate) struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = (key >> 64) as u64 ^ key as u64;
    }
}

/// What kind of transaction is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind<'a> {
    /// That of an INVITE: asked for by the INVITE itself, by its ACK and by its CANCEL.
    Invite,
    /// Of any other method.
    Other(Method<'a>),
}

/// The key under which `routing` belongs to a transaction of that kind.
pub(crate) fn key(secret: &Secret, routing: &Routing<'_>, kind: Kind<'_>) -> Key {
    let method = match kind {
        Kind::Invite => Method::Invite.as_bytes(),
        Kind::Other(method) => method.as_bytes(),
    };
    match routing.via.transaction() {
        Some(branch) => by_branch(secret, routing, branch, method),
        None => by_fields(secret, routing, method),
    }
}

fn by_branch(secret: &Secret, routing: &Routing<'_>, branch: &[u8], method: &[u8]) -> Key {
    let port = routing.via.port.unwrap_or_default().to_be_bytes();
    match routing.via.host {
        Host::Name(name) => {
            let mut lower = [0; 64];
            let short = lower.get_mut(..name.len());
            let name = short.map_or(name, |lower| {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                lower
            });
            secret.wide(usage::TRANSACTION, &[branch, method, &port, name])
        }
        Host::Ip(std::net::IpAddr::V4(ip)) => {
            secret.wide(usage::TRANSACTION, &[branch, method, &port, &ip.octets()])
        }
        Host::Ip(std::net::IpAddr::V6(ip)) => {
            secret.wide(usage::TRANSACTION, &[branch, method, &port, &ip.octets()])
        }
    }
}

/// Clients of RFC 2543, and those that leave the branch out: the To tag of an ACK is that of our answer, so it cannot be
/// compared here; the number in CSeq tells requests of one dialog apart.
fn by_fields(secret: &Secret, routing: &Routing<'_>, method: &[u8]) -> Key {
    let number = routing.cseq.number.to_be_bytes();
    let uri = routing.uri.map_or(&[][..], |uri| uri.raw);
    let parts =
        [uri, routing.from.tag.unwrap_or_default(), routing.call_id, &number, routing.via.raw, method];
    secret.wide(usage::TRANSACTION, &parts)
}

#[cfg(test)]
mod tests {
    use carillon_wire::sip::Message;

    use super::*;

    fn of(method: &str, cseq: u32, uri: &str, via: &str, to: &str, kind: Kind<'_>) -> Key {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>{to}\r\n\
             Call-ID: c\r\nCSeq: {cseq} {method}\r\n\r\n"
        );
        let message = Message::parse(text.as_bytes()).unwrap();
        key(&Secret::new(&[0; 32]), &message.routing().unwrap(), kind)
    }

    #[test]
    fn an_ack_and_a_cancel_find_their_invite() {
        for via in ["SIP/2.0/UDP h;branch=z9hG4bK1", "SIP/2.0/UDP h"] {
            let invite = of("INVITE", 1, "sip:b@x", via, "", Kind::Invite);
            assert_eq!(invite, of("ACK", 1, "sip:b@x", via, ";tag=2", Kind::Invite));
            assert_eq!(invite, of("CANCEL", 1, "sip:b@x", via, "", Kind::Invite));
            let cancel = of("CANCEL", 1, "sip:b@x", via, "", Kind::Other(Method::Cancel));
            assert_ne!(invite, cancel);
        }
    }

    #[test]
    fn branch_and_sent_by_tell_transactions_apart() {
        let one = of("INVITE", 1, "sip:b@x", "SIP/2.0/UDP Host:5060;branch=z9hG4bK1", "", Kind::Invite);
        assert_eq!(
            one,
            of("INVITE", 2, "sip:c@x", "SIP/2.0/TCP hosT:5060;branch=z9hG4bK1", "", Kind::Invite)
        );
        for via in ["SIP/2.0/UDP host:5060;branch=z9hG4bK2", "SIP/2.0/UDP host;branch=z9hG4bK1"] {
            assert_ne!(one, of("INVITE", 1, "sip:b@x", via, "", Kind::Invite));
        }
    }

    #[test]
    fn addresses_in_sent_by_count_with_their_ports() {
        let of = |host: &str| {
            of("BYE", 1, "sip:b@x", &format!("SIP/2.0/UDP {host};branch=z9hG4bK1"), "", Kind::Invite)
        };
        let hosts = [
            "192.0.2.1",
            "192.0.2.1:5070",
            "192.0.2.2",
            "[2001:db8::1]",
            "[2001:db8::1]:5070",
            "[2001:db8::2]",
        ];
        let keys: std::collections::BTreeSet<_> = hosts.iter().map(|host| of(host)).collect();
        assert_eq!(keys.len(), hosts.len());
    }

    #[test]
    fn without_a_branch_the_fields_of_rfc_2543_tell_them_apart() {
        let via = "SIP/2.0/TLS 10.0.0.5:49152";
        let one = of("INVITE", 1, "sip:b@x", via, "", Kind::Invite);
        assert_eq!(one, of("INVITE", 1, "sip:b@x", via, "", Kind::Invite));
        assert_ne!(one, of("INVITE", 2, "sip:b@x", via, "", Kind::Invite));
        assert_ne!(one, of("INVITE", 1, "sip:c@x", via, "", Kind::Invite));
        assert_ne!(one, of("INVITE", 1, "sip:b@x", "SIP/2.0/TLS 10.0.0.6:49152", "", Kind::Invite));
    }
}
