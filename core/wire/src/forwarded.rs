//! Who is behind a proxy that forwards requests of HTTP: `Forwarded` (RFC 7239), or `X-Forwarded-For`, which stands for it in
//! the field.
//!
//! Anybody can write either. Each proxy adds whom it was connected to at the end, so what stands there is true if the proxy is
//! one of ours, and what stands further ahead only as far as those behind it are ours too.

use std::net::{IpAddr, SocketAddr};

/// The field in which proxies write. The other one is never read: a proxy passes on what a client wrote there.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Field {
    /// Addresses alone, with or without a port.
    #[default]
    XForwardedFor,
    /// Pairs, of which `for` is the one.
    Forwarded,
}

/// The proxies that are believed, and where they write.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Proxies {
    field: Field,
    addresses: Vec<IpAddr>,
}

impl Field {
    /// As the field is called.
    pub const fn name(self) -> &'static str {
        match self {
            Field::XForwardedFor => "X-Forwarded-For",
            Field::Forwarded => "Forwarded",
        }
    }
}

impl Proxies {
    /// Without addresses nobody is believed.
    pub fn new(field: Field, addresses: impl IntoIterator<Item = IpAddr>) -> Proxies {
        let addresses = addresses.into_iter().map(|address| address.to_canonical()).collect();
        Proxies { field, addresses }
    }

    /// The field to be read.
    pub fn field(&self) -> Field {
        self.field
    }

    /// Whether it is one of them.
    pub fn include(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address.to_canonical())
    }

    /// Who asks by a connection from `remote`: itself, or the last one in these values of the field, in the order of the
    /// message, that is no proxy of ours. A port that nobody names is that of the connection.
    pub fn client<'a>(&self, remote: SocketAddr, values: impl Iterator<Item = &'a [u8]>) -> SocketAddr {
        if !self.include(remote.ip()) {
            return remote;
        }
        let hops: Vec<Option<SocketAddr>> =
            values.flat_map(elements).map(|element| self.hop(element, remote.port())).collect();
        let mut client = remote;
        // Whoever is hidden, or written so that nobody can read it, hides those before it.
        for hop in hops.into_iter().rev().map_while(|hop| hop) {
            client = hop;
            if !self.include(client.ip()) {
                break;
            }
        }
        client
    }

    fn hop(&self, element: &[u8], port: u16) -> Option<SocketAddr> {
        let element = std::str::from_utf8(element).ok()?.trim();
        let node = match self.field {
            Field::XForwardedFor => element,
            Field::Forwarded => whose(element)?,
        };
        address(node, port)
    }
}

/// What stands between commas, of which those in quotes divide nothing. A quote that nobody closes is a client's, to hide what a
/// proxy adds behind it: then every comma counts.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let closed = value.iter().filter(|byte| **byte == b'"').count() % 2 == 0;
    divided(value, b',', closed).filter(|element| !element.trim_ascii().is_empty())
}

fn divided(text: &[u8], at: u8, heeds_quotes: bool) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    text.split(move |byte| {
        quoted ^= heeds_quotes && *byte == b'"';
        *byte == at && !quoted
    })
}

/// The value of `for` in an element (RFC 7239, 4); twice is never.
fn whose(element: &str) -> Option<&str> {
    let mut nodes = divided(element.as_bytes(), b';', true).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let node = nodes.next()?;
    let quoted = node.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    nodes.next().is_none().then_some(quoted.unwrap_or(node))
}

/// With a port or without, of IPv6 in brackets or without.
fn address(node: &str, port: u16) -> Option<SocketAddr> {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let alone = || bare.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, port));
    let found: SocketAddr = node.parse().ok().or_else(alone)?;
    Some(SocketAddr::new(found.ip().to_canonical(), found.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.7:4000";

    /// Who asks, by the values of the field.
    fn client(field: Field, remote: &str, values: &[&str]) -> String {
        let proxies =
            Proxies::new(field, ["10.0.0.7", "10.0.0.8", "fd00::7"].map(|text| text.parse().unwrap()));
        let values = values.iter().map(|value| value.as_bytes());
        proxies.client(remote.parse().unwrap(), values).to_string()
    }

    #[test]
    fn the_last_one_that_is_no_proxy_of_ours_asks() {
        for (values, asks) in [
            (&["192.0.2.1"][..], "192.0.2.1:4000"),
            (&["192.0.2.1:77"], "192.0.2.1:77"),
            (&["2001:db8::1"], "[2001:db8::1]:4000"),
            (&["[2001:db8::1]"], "[2001:db8::1]:4000"),
            (&["[2001:db8::1]:77"], "[2001:db8::1]:77"),
            (&["::ffff:192.0.2.1"], "192.0.2.1:4000"),
            // What a client wrote itself stands ahead of what the proxy has added.
            (&["203.0.113.9, 192.0.2.1"], "192.0.2.1:4000"),
            (&["203.0.113.9", "192.0.2.1"], "192.0.2.1:4000"),
            (&["\", 192.0.2.1"], "192.0.2.1:4000"),
            (&["203.0.113.9,192.0.2.1 , 10.0.0.8"], "192.0.2.1:4000"),
            (&["10.0.0.7, 10.0.0.8"], "10.0.0.7:4000"),
            // Nobody that can be read: the last that is known.
            (&[], PROXY),
            (&["", " , "], PROXY),
            (&["192.0.2.1, unknown"], PROXY),
            (&["192.0.2.1, unknown, 10.0.0.8"], "10.0.0.8:4000"),
            (&["192.0.2.1, 300.1.1.1"], PROXY),
        ] {
            assert_eq!(client(Field::XForwardedFor, PROXY, values), asks, "{values:?}");
        }
    }

    #[test]
    fn who_is_no_proxy_of_ours_is_believed_nothing() {
        for remote in ["192.0.2.66:1", "[2001:db8::66]:1"] {
            assert_eq!(client(Field::XForwardedFor, remote, &["198.51.100.1"]), remote);
            assert_eq!(client(Field::Forwarded, remote, &["for=198.51.100.1"]), remote);
        }
        let seen_by_a_socket_of_both = "[::ffff:10.0.0.7]:4000";
        assert_eq!(client(Field::XForwardedFor, seen_by_a_socket_of_both, &["192.0.2.1"]), "192.0.2.1:4000");
        let nobody = Proxies::default().client(PROXY.parse().unwrap(), [&b"192.0.2.1"[..]].into_iter());
        assert_eq!(nobody.to_string(), PROXY);
    }

    #[test]
    fn pairs_are_read_as_the_rfc_writes_them() {
        for (value, asks) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60:4000"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17:4000"),
            ("for=192.0.2.43;host=\"a,for=10.0.0.8;b\"", "192.0.2.43:4000"),
            ("for=192.0.2.43, for=\"[fd00::7]\"", "192.0.2.43:4000"),
            ("for=_hidden, for=192.0.2.43, by=10.0.0.8", PROXY),
            ("for=192.0.2.43;for=192.0.2.44", PROXY),
            ("for=\"_gazonk\"", PROXY),
            ("for=\"192.0.2.1", PROXY),
            ("for=\", for=192.0.2.43", "192.0.2.43:4000"),
            ("for=\", for=\"[2001:db8::1]\"", "[2001:db8::1]:4000"),
            ("192.0.2.43", PROXY),
        ] {
            assert_eq!(client(Field::Forwarded, PROXY, &[value]), asks, "{value}");
        }
    }
}
