//! What was exchanged with a partner, and which ways there are by that.

use std::time::Duration;

use super::contract::Reach;
use super::link::{Link, PATIENCE};

/// How many of the partner's questions may be missed before it counts as silent.
const MISSED: u32 = 3;
/// A request that came so long ago still says that there is a way.
const RECENT: Duration = Duration::from_secs(600);

/// The books of one partner.
#[derive(Clone, Default, Debug)]
pub(super) struct Traffic {
    pub(super) incoming: u64,
    pub(super) refused: u64,
    pub(super) outgoing: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// When something was last asked by it.
    last: Option<Duration>,
    /// How often it has asked whether we are there: then it is expected to go on.
    questions: u64,
    /// Since when a NOTIFY must come (RFC 6665, 4.2.1.2): a SUBSCRIBE of ours was accepted.
    expected: Option<Duration>,
    pub(super) state: Reach,
    pub(super) since: Duration,
}

impl Traffic {
    /// Nothing was exchanged yet.
    pub(super) fn new(now: Duration) -> Traffic {
        Traffic { since: now, ..Traffic::default() }
    }

    /// It has asked something.
    pub(super) fn asked(&mut self, now: Duration, is_question: bool) {
        self.incoming += 1;
        self.last = Some(now);
        self.expected = None;
        self.questions += u64::from(is_question);
    }

    /// It has accepted a SUBSCRIBE of ours.
    pub(super) fn subscribed(&mut self, now: Duration) {
        self.expected.get_or_insert(now);
    }

    /// When the state may change by time alone.
    pub(super) fn due(&self, probe: Duration) -> Option<Duration> {
        let silence = self.last.filter(|_| self.questions > 1).map(|last| last + probe * MISSED);
        [silence, self.expected.map(|since| since + PATIENCE)].into_iter().flatten().min()
    }

    /// The state by what is known now; `None` if it is the same as before.
    pub(super) fn judge<'a>(
        &mut self,
        now: Duration,
        probe: Duration,
        links: impl Iterator<Item = &'a Link> + Clone,
    ) -> Option<Reach> {
        let reached = links.clone().any(Link::answers);
        let failed = links.clone().next().is_some() && links.clone().all(|link| link.failed.is_some());
        let comes = self.last.is_some_and(|last| now < last + RECENT);
        let missed = self.due(probe).is_some_and(|due| due <= now);
        let state = match (reached, failed) {
            (true, _) if missed => Reach::OutgoingOnly,
            (true, _) => Reach::Works,
            (false, true) if comes && !missed => Reach::IncomingOnly,
            (false, true) => Reach::Unreachable,
            (false, false) => Reach::Untried,
        };
        if state == self.state {
            return None;
        }
        (self.state, self.since) = (state, now);
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use carillon_wire::sip::Transport;

    use super::super::link::Whose;
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const PROBE: Duration = Duration::from_secs(15);
    const SECOND: Duration = Duration::from_secs(1);

    fn link() -> Link {
        Link::new(Whose::Partner(0), Transport::Tls, "192.0.2.1:5061".parse().unwrap(), NOW)
    }

    #[test]
    fn who_asks_and_cannot_be_asked_is_heard_in_one_direction() {
        let (mut traffic, mut link) = (Traffic::default(), link());
        assert_eq!(traffic.judge(NOW, PROBE, [&link].into_iter()), None);
        link.fail(NOW);
        assert_eq!(traffic.judge(NOW, PROBE, [&link].into_iter()), Some(Reach::Unreachable));
        traffic.asked(NOW + SECOND, false);
        assert_eq!(traffic.judge(NOW + SECOND, PROBE, [&link].into_iter()), Some(Reach::IncomingOnly));
        link.hear(NOW + SECOND * 2);
        assert_eq!(traffic.judge(NOW + SECOND * 2, PROBE, [&link].into_iter()), Some(Reach::Works));
        assert_eq!(traffic.due(PROBE), None, "one that asks only sometimes is not missed");
    }

    #[test]
    fn who_answers_and_no_longer_asks_is_missed_after_three_questions() {
        let (mut traffic, mut link) = (Traffic::default(), link());
        link.hear(NOW);
        traffic.asked(NOW, true);
        traffic.asked(NOW + PROBE, true);
        let last = NOW + PROBE;
        assert_eq!(traffic.judge(last, PROBE, [&link].into_iter()), Some(Reach::Works));
        let due = last + PROBE * 3;
        assert_eq!(traffic.due(PROBE), Some(due));
        assert_eq!(traffic.judge(due - SECOND, PROBE, [&link].into_iter()), None);
        assert_eq!(traffic.judge(due, PROBE, [&link].into_iter()), Some(Reach::OutgoingOnly));
        traffic.asked(due, true);
        assert_eq!(traffic.judge(due, PROBE, [&link].into_iter()), Some(Reach::Works));
    }

    #[test]
    fn a_subscription_without_its_notification_tells_that_nothing_comes() {
        let (mut traffic, mut link) = (Traffic::default(), link());
        link.hear(NOW);
        traffic.subscribed(NOW);
        traffic.subscribed(NOW + SECOND);
        assert_eq!(traffic.judge(NOW, PROBE, [&link].into_iter()), Some(Reach::Works));
        assert_eq!(traffic.judge(NOW + PATIENCE, PROBE, [&link].into_iter()), Some(Reach::OutgoingOnly));
        traffic.asked(NOW + PATIENCE, false);
        assert_eq!(traffic.judge(NOW + PATIENCE, PROBE, [&link].into_iter()), Some(Reach::Works));
    }
}
