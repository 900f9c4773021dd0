//! Asterisk: marks of transports and endpoints, the RTP range of the host.

use carillon_wire::ip::Dscp;

use super::super::{Fact, Note, Read, What};
use super::keys::Stated;
use super::lines::pairs;
use super::{Outcome, has_line, note, outcome, text};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;

const MARKS: [(&str, TrafficClass); 4] = [
    ("tos", TrafficClass::Signaling),
    ("tos_sip", TrafficClass::Signaling),
    ("tos_audio", TrafficClass::Audio),
    ("tos_video", TrafficClass::Video),
];

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(bytes, &["tos_audio", "tos_video", "tos_sip", "rtpstart", "rtpend"])
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let stated = pairs(text(bytes)?, ';');
    let (mut found, mut wrong) = (Read::default(), Vec::new());
    for one in &stated {
        let Some((_, class)) = MARKS.iter().find(|(key, _)| *key == one.key) else { continue };
        match mark(&one.value) {
            Ok(mark) => {
                let what = What::Mark { role: Role::Gateway, class: *class, mark };
                found.facts.push(Fact::new(format!("line {}", one.line), what));
            }
            Err(error) => wrong.push(note(one.line, format!("{}: {error}", one.key))),
        }
    }
    match range(&stated) {
        Ok(Some(fact)) => found.facts.push(fact),
        Ok(None) => {}
        Err(error) => wrong.push(error),
    }
    outcome(found, wrong)
}

/// A name is a DSCP; a number is the whole byte.
fn mark(text: &str) -> Result<Dscp, String> {
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text
            .parse()
            .map(Dscp::from_traffic_byte)
            .map_err(|_| format!("{text:?} is no TOS byte (0 to 255)")),
        false => super::decimal_mark(text),
    }
}

fn range(stated: &[Stated]) -> Result<Option<Fact>, Note> {
    let find = |key: &str| stated.iter().rev().find(|one| one.key == key);
    let (start, end) = match (find("rtpstart"), find("rtpend")) {
        (None, None) => return Ok(None),
        (Some(start), Some(end)) => (start, end),
        (Some(one), None) | (None, Some(one)) => {
            return Err(note(
                one.line,
                format!("{} stands alone: rtpstart and rtpend make a range", one.key),
            ));
        }
    };
    let port = |one: &Stated| super::port(&one.value).map_err(|error| note(one.line, error));
    let (first, last) = (port(start)?, port(end)?);
    let Some(ports) = PortRange::from_ends(first, last) else {
        return Err(note(end.line, format!("rtpend {last} lies before rtpstart {first}")));
    };
    let what = What::Ports {
        scope: "global".to_owned(),
        role: Role::Gateway,
        class: Some(TrafficClass::Audio),
        ports,
    };
    Ok(Some(Fact::new(format!("lines {}, {}", start.line, end.line), what)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dscp;

    #[test]
    fn names_are_marks_and_numbers_are_bytes() {
        assert_eq!(
            [mark("ef"), mark("184"), mark("0xb8").or(mark("EF"))],
            [Ok(Dscp::EF), Ok(Dscp::EF), Ok(Dscp::EF)]
        );
        assert_eq!(mark("46").unwrap(), Dscp::new(11).unwrap());
        assert_eq!(dscp::name(mark("96").unwrap()), "CS3");
    }
}
