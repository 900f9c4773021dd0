//! The ports that this machine gives to programs that do not choose one (`ip-sysctl` in the kernel's pages).

use carillon_qos::PortRange;

/// The parts of a range that the kernel may give to anybody.
pub(super) fn inside(range: PortRange) -> Vec<PortRange> {
    let setting =
        |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
    overlap(range, &setting("ip_local_port_range"), &setting("ip_local_reserved_ports"))
}

/// From `32768 60999` and `50000-50019,8080`.
fn overlap(range: PortRange, given: &str, reserved: &str) -> Vec<PortRange> {
    let mut ends = given.split_ascii_whitespace().filter_map(|end| end.parse().ok());
    let given = ends.next().zip(ends.next()).and_then(|(start, end)| PortRange::from_ends(start, end));
    let mut parts: Vec<PortRange> = given.and_then(|given| given.intersection(range)).into_iter().collect();
    for kept in reserved.trim().split(',').filter_map(PortRange::parse) {
        parts = parts.into_iter().flat_map(|part| part.minus(kept).collect::<Vec<_>>()).collect();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_that_anybody_may_get_overlap() {
        let told = |range: &str, given: &str, reserved: &str| {
            let parts = overlap(PortRange::parse(range).unwrap(), given, reserved);
            parts.iter().map(PortRange::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told("50000-50019", "32768\t60999\n", "\n"), "50000-50019");
        assert_eq!(told("6000-6024", "32768\t60999\n", ""), "");
        assert_eq!(told("30000-40000", "32768\t60999\n", ""), "32768-40000");
        assert_eq!(told("50000-50019", "32768\t60999\n", "50000-50019,50040\n"), "");
        assert_eq!(told("50000-50019", "32768\t60999\n", "50005-50007,50019\n"), "50000-50004 50008-50018");
        assert_eq!(told("50000-50019", "", ""), "");
    }
}
