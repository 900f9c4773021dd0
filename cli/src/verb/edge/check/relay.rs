//! A packet through a relay to another end, and its answer back.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use carillon_qos::check::{Packet, Relayed};

use super::ends::End;
use super::line::{Line, PAUSE};

/// How often the packet is sent until it is answered: a permission may be younger than it.
const AGAIN: Duration = Duration::from_millis(200);

/// Sends and waits until the answer is there, or the time is over. `relayed`: the address that was lent.
pub(super) fn there_and_back(line: &mut Line, relayed: SocketAddr, end: &mut End, until: Instant) -> Relayed {
    let (class, planned) = (end.class(), end.planned());
    let mut outcome = Relayed { there: Packet::Lost, back: Packet::Lost, class, planned };
    let (to, question) = (end.address(), end.question());
    line.permit(to);
    end.expect(relayed);
    let mut next = Instant::now();
    while outcome.back == Packet::Lost && Instant::now() < until {
        if Instant::now() >= next {
            line.send(to, &question);
            next = Instant::now() + AGAIN;
        }
        // The mark of the first that arrived holds.
        if let Some(mark) = end.turn(relayed)
            && outcome.there == Packet::Lost
        {
            outcome.there = Packet::Arrived(mark);
        }
        let Ok(came) = line.turn() else { break };
        let answer = came.iter().filter(|(from, _)| *from == to).find_map(|(_, data)| end.read(data));
        if let Some(mark) = answer {
            outcome.back = Packet::Arrived(None);
            if outcome.there == Packet::Lost {
                outcome.there = Packet::Arrived(mark);
            }
        }
        sleep(PAUSE);
    }
    outcome
}
