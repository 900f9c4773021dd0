//! Names, looked up as every program of this machine does: hosts file and DNS.

use std::net::{IpAddr, ToSocketAddrs};

use carillon_qos::check::{Name, Side};

/// Looks a name up that must lead to one of these.
pub(super) fn look_up(name: &str, side: Side, wanted: Vec<IpAddr>) -> Name {
    Name { name: name.to_owned(), side, wanted, found: addresses(name) }
}

/// Every address of a name, once.
pub(super) fn addresses(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = (name, 0).to_socket_addrs().map_err(|error| format!("it is not resolved: {error}"))?;
    let mut addresses: Vec<IpAddr> = found.map(|found| found.ip().to_canonical()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Whether it is a name at all, and no address.
pub(super) fn is_name(text: &str) -> bool {
    text.parse::<IpAddr>().is_err()
}
