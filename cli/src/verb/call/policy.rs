//! Which ports and marks the phone uses: what it was provisioned with, unless it is told to break that.

use carillon_net::lease::{ClassPorts, Policy};
use carillon_qos::PortRange;
use carillon_wire::ip::Dscp;

/// A fault that is made on purpose: to see it found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misbehaviour {
    /// Audio from these ports, whatever the plan says.
    Ports(PortRange),
    /// No packet of media is marked.
    NoMarks,
    /// What was provisioned is received and not followed: any port, no mark.
    IgnoreProvisioning,
}

impl Misbehaviour {
    /// Reads `ports=40000-40019`, `no-marks` or `ignore-provisioning`.
    pub fn parse(text: &str) -> Result<Misbehaviour, String> {
        let unknown = || format!("`{text}` is none of ports=A-B, no-marks, ignore-provisioning");
        match text.split_once('=') {
            Some(("ports", range)) => PortRange::parse(range)
                .map(Misbehaviour::Ports)
                .ok_or_else(|| format!("`{range}` is no range of ports such as 40000-40019")),
            None if text == "no-marks" => Ok(Misbehaviour::NoMarks),
            None if text == "ignore-provisioning" => Ok(Misbehaviour::IgnoreProvisioning),
            _ => Err(unknown()),
        }
    }
}

/// What holds where nothing was provisioned: any port, no mark.
pub(super) fn unplanned() -> Policy {
    let any = ClassPorts { range: None, mark: Dscp::DEFAULT };
    Policy { audio: any, video: any, sharing: any, file_transfer: any }
}

/// The policy that is followed: the planned one with the faults in it.
pub(super) fn spoiled(planned: Policy, faults: &[Misbehaviour]) -> Policy {
    let mut followed = planned;
    for fault in faults {
        match fault {
            Misbehaviour::Ports(range) => followed.audio.range = Some(*range),
            Misbehaviour::NoMarks => followed.audio.mark = Dscp::DEFAULT,
            Misbehaviour::IgnoreProvisioning => followed = unplanned(),
        }
    }
    followed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_in_one_way() {
        let range = PortRange::from_ends(40_000, 40_019).unwrap();
        assert_eq!(Misbehaviour::parse("ports=40000-40019"), Ok(Misbehaviour::Ports(range)));
        assert_eq!(Misbehaviour::parse("no-marks"), Ok(Misbehaviour::NoMarks));
        assert_eq!(Misbehaviour::parse("ignore-provisioning"), Ok(Misbehaviour::IgnoreProvisioning));
        assert!(Misbehaviour::parse("ports=9-1").unwrap_err().contains("40000-40019"));
        assert!(Misbehaviour::parse("no-sleep").unwrap_err().contains("ports=A-B, no-marks"));
    }

    #[test]
    fn a_fault_changes_what_it_names_and_nothing_else() {
        let audio = ClassPorts { range: PortRange::from_ends(20_000, 20_039), mark: Dscp::EF };
        let planned = Policy { audio, ..unplanned() };
        let other = PortRange::from_ends(40_000, 40_019).unwrap();
        let moved = spoiled(planned, &[Misbehaviour::Ports(other)]);
        assert_eq!(moved.audio, ClassPorts { range: Some(other), mark: Dscp::EF });
        let bare = spoiled(planned, &[Misbehaviour::NoMarks]);
        assert_eq!(bare.audio, ClassPorts { mark: Dscp::DEFAULT, ..audio });
        assert_eq!(spoiled(planned, &[]), planned);
        assert_eq!(spoiled(planned, &[Misbehaviour::IgnoreProvisioning]), unplanned());
    }
}
