//! `ss -tulpn` of Linux, with or without its head.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::Row;

pub(super) fn rows(text: &str) -> Vec<Row> {
    text.lines().enumerate().filter_map(|(at, line)| row(at + 1, line)).collect()
}

/// `tcp LISTEN 0 128 10.0.0.5:5061 0.0.0.0:* users:(("carillon",pid=7,fd=9))`.
fn row(line: usize, text: &str) -> Option<Row> {
    let mut words = text.split_ascii_whitespace();
    let is_stream = match words.next()? {
        "tcp" => true,
        "udp" => false,
        _ => return None,
    };
    let waits = match words.next()? {
        "LISTEN" | "UNCONN" => true,
        "ESTAB" => false,
        _ => return None,
    };
    let mut words = words.skip(2);
    let local = address(words.next()?)?;
    words.next()?;
    let program = words.next().and_then(|users| users.strip_prefix("users:((\"")?.split_once('"'));
    let program = program.map(|(name, _)| name.chars().filter(|c| !c.is_control()).take(100).collect());
    Some(Row { line, is_stream, local, waits, program })
}

/// `*:443` is every address of both families; `127.0.0.53%lo:53` is bound to an interface.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.split_once('%').map_or(host, |(host, _)| host).trim_end_matches(']');
    let ip = if host == "*" { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { host.parse().ok()? };
    Some(SocketAddr::new(ip, port.parse().ok()?))
}
