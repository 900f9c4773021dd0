//! One value of the Via field (RFC 3261, 20.42; RFC 3581).

use std::net::IpAddr;

use super::lex::{Cursor, Params, trim};
use super::outcome::Malformed;
use super::uri::{self, Host};

/// A hop that the request has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via<'a> {
    /// The whole value.
    pub raw: &'a [u8],
    /// Transport as written: `UDP`, `TCP`, `TLS`, `WS` and others.
    pub transport: &'a [u8],
    /// Sent-by host.
    pub host: Host<'a>,
    /// Sent-by port, if written.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
    /// The `branch` parameter: the transaction's name.
    pub branch: Option<&'a [u8]>,
    /// The `received` parameter as written; see [`Via::received_ip`].
    pub received: Option<&'a [u8]>,
    /// The `rport` parameter: `Some(None)` asks for it, `Some(Some(port))` answers.
    pub rport: Option<Option<u16>>,
}

const MALFORMED: Malformed = Malformed("Malformed Via");

impl<'a> Via<'a> {
    /// Reads one value.
    #[inline]
    pub fn parse(raw: &'a [u8]) -> Result<Via<'a>, Malformed> {
        read(trim(raw)).ok_or(MALFORMED)
    }

    /// The address in `received`; IPv6 with or without brackets (RFC 5118, 4.5).
    pub fn received_ip(&self) -> Option<IpAddr> {
        uri::ip(self.received?)
    }

    /// The branch, if it follows RFC 3261: it begins with the magic cookie and goes on after it.
    pub fn transaction(&self) -> Option<&'a [u8]> {
        let branch = self.branch?;
        let cookie = branch.get(..7)?;
        (cookie.eq_ignore_ascii_case(b"z9hG4bK") && branch.len() > 7).then_some(branch)
    }
}

#[inline]
fn read(raw: &[u8]) -> Option<Via<'_>> {
    let mut cursor = Cursor(raw);
    let _protocol = cursor.token()?;
    let _version = cursor.sign(b'/').then(|| cursor.token())??;
    let transport = cursor.sign(b'/').then(|| cursor.token())??;
    let spaced = cursor.0;
    cursor.skip_space();
    if spaced.len() == cursor.0.len() {
        return None;
    }
    let (sent_by, params) = cursor.0.split_at(memchr::memchr(b';', cursor.0).unwrap_or(cursor.0.len()));
    let (host, port) = uri::host_port(trim(sent_by))?;
    let params = Params(params);
    let (mut branch, mut received, mut rport) = (None, None, None);
    for param in params {
        let param = param.ok()?;
        match param.name.len() {
            6 if branch.is_none() && param.name.eq_ignore_ascii_case(b"branch") => {
                branch = Some(param.value?)
            }
            8 if received.is_none() && param.name.eq_ignore_ascii_case(b"received") => {
                received = Some(param.value?)
            }
            5 if rport.is_none() && param.name.eq_ignore_ascii_case(b"rport") => {
                rport = Some(port_value(param.value)?)
            }
            _ => {}
        }
    }
    Some(Via { raw, transport, host, port, params, branch, received, rport })
}

fn port_value(value: Option<&[u8]>) -> Option<Option<u16>> {
    match value {
        Some(text) => Some(Some(super::lex::number(text, 65535)? as u16)),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(text: &str) -> Via<'_> {
        Via::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn white_space_and_folding_are_allowed_everywhere() {
        let v = via("SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5070 ;  branch  =\r\n z9hG4bK30239 ;rport");
        assert_eq!((v.transport, v.port, v.rport), (&b"UDP"[..], Some(5070), Some(None)));
        assert_eq!((v.host.ip(), v.transaction()), ("192.0.2.2".parse().ok(), Some(&b"z9hG4bK30239"[..])));
    }

    #[test]
    fn received_takes_ipv6_with_and_without_brackets() {
        let expected = "2001:db8::9:255".parse().ok();
        assert_eq!(
            via("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=b").received_ip(),
            expected
        );
        assert_eq!(via("SIP/2.0/UDP [2001:db8::9:1]:5061;received=2001:db8::9:255").received_ip(), expected);
        assert_eq!(via("SIP/2.0/UDP a;received=192.0.2.7;rport=9").rport, Some(Some(9)));
    }

    #[test]
    fn a_bare_cookie_names_no_transaction() {
        assert_eq!(via("SIP/2.0/UDP a;branch=z9hG4bK").transaction(), None);
        assert_eq!(via("SIP/2.0/UDP a;branch=1").transaction(), None);
    }

    #[test]
    fn malformed_vias_are_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 a",
            "SIP/2.0/UDP a;;",
            "SIP/2.0/UDP a;branch",
            "SIP/2.0/UDP a b",
            ";",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP a;rport=x",
            "SIP/2.0/UDP a:b",
            "SIP/2.0/UDP[::1]",
        ] {
            assert!(Via::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
