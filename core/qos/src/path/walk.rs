//! Which probe to send when: a few hops at once, one probe per hop at a time, so that routers that limit their errors
//! are asked gently.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hop::{Answer, Hop};

/// How far and how patiently to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The last hop to ask.
    pub max_hops: u8,
    /// Probes per hop.
    pub queries: u8,
    /// How long an answer is waited for.
    pub wait: Duration,
}

/// A probe to send now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Its time to live.
    pub ttl: u8,
    /// Its number, which no other probe of this walk has.
    pub number: u16,
}

/// A walk along the path.
#[derive(Clone, Debug)]
pub struct Walk {
    limits: Limits,
    hops: Vec<Hop>,
    /// By number: its hop, when it was sent, and whether it is still waited for.
    sent: BTreeMap<u16, Sent>,
    /// Hops that are complete, all before them too.
    complete: usize,
    /// The last hop, once it is known.
    end: u8,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    ttl: u8,
    at: Duration,
    waiting: bool,
}

/// Hops that are asked at the same time.
const AHEAD: usize = 4;
/// After so many hops without an answer nothing is expected from those behind.
const SILENCE: usize = 8;

impl Walk {
    /// Nothing is sent yet. Zero hops or queries are taken as one.
    pub fn new(limits: Limits) -> Walk {
        let limits =
            Limits { max_hops: limits.max_hops.max(1), queries: limits.queries.max(1), wait: limits.wait };
        Walk { limits, hops: Vec::new(), sent: BTreeMap::new(), complete: 0, end: limits.max_hops }
    }

    /// The next probe to send now, if any.
    pub fn poll_probe(&mut self, now: Duration) -> Option<Probe> {
        self.expire(now);
        let ttl = (self.complete + 1..=self.complete + AHEAD)
            .filter_map(|ttl| u8::try_from(ttl).ok())
            .find(|ttl| *ttl <= self.end && self.may_ask(*ttl))?;
        while self.hops.len() < usize::from(ttl) {
            let ttl = (self.hops.len() + 1) as u8;
            self.hops.push(Hop { ttl, ..Hop::default() });
        }
        let number = u16::try_from(self.sent.len()).ok()?;
        self.hops.get_mut(usize::from(ttl) - 1)?.asked += 1;
        self.sent.insert(number, Sent { ttl, at: now, waiting: true });
        Some(Probe { ttl, number })
    }

    /// When `poll_probe` should be called again, if nothing comes before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.sent.values().filter(|sent| sent.waiting).map(|sent| sent.at + self.limits.wait).min()
    }

    /// When the probe of that number was sent: an answer is so much later.
    pub fn sent_at(&self, number: u16) -> Option<Duration> {
        self.sent.get(&number).map(|sent| sent.at)
    }

    /// An answer about the probe of that number; late ones count too, second ones do not.
    pub fn handle_answer(&mut self, now: Duration, number: u16, answer: Answer) {
        let Some(sent) = self.sent.get_mut(&number) else { return };
        let Some(hop) = self.hops.get_mut(usize::from(sent.ttl).saturating_sub(1)) else { return };
        if hop.answers.len() >= usize::from(hop.asked) {
            return;
        }
        sent.waiting = false;
        hop.answers.push(answer);
        if hop.ends_path() {
            self.end = self.end.min(hop.ttl);
        }
        self.expire(now);
    }

    /// An answer that does not say which probe it is about: it is taken for the only one waited for, or not at all.
    pub fn handle_unnumbered(&mut self, now: Duration, answer: impl FnOnce(Duration) -> Answer) -> bool {
        let mut waiting = self.sent.iter().filter(|(_, sent)| sent.waiting);
        let (Some((number, sent)), None) = (waiting.next(), waiting.next()) else { return false };
        let (number, after) = (*number, now.saturating_sub(sent.at));
        self.handle_answer(now, number, answer(after));
        true
    }

    /// The hops of which nothing more is expected, in order from the first.
    pub fn complete(&self) -> &[Hop] {
        self.hops.get(..self.complete).unwrap_or_default()
    }

    /// Whether all is known that will be.
    pub fn is_done(&self) -> bool {
        let silent = self.complete().iter().rev().take_while(|hop| hop.answers.is_empty()).count();
        self.complete >= usize::from(self.end) || silent >= SILENCE
    }

    fn may_ask(&self, ttl: u8) -> bool {
        let asked = self.hops.get(usize::from(ttl) - 1).map_or(0, |hop| hop.asked);
        asked < self.limits.queries && !self.waits_for(ttl)
    }

    fn waits_for(&self, ttl: u8) -> bool {
        self.sent.values().any(|sent| sent.waiting && sent.ttl == ttl)
    }

    fn expire(&mut self, now: Duration) {
        let wait = self.limits.wait;
        self.sent.values_mut().filter(|sent| sent.at + wait <= now).for_each(|sent| sent.waiting = false);
        while let Some(hop) = self.hops.get(self.complete) {
            if hop.ttl > self.end || hop.asked < self.limits.queries || self.waits_for(hop.ttl) {
                break;
            }
            self.complete += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use carillon_wire::icmp::Reason;

    use super::*;

    const LIMITS: Limits = Limits { max_hops: 30, queries: 2, wait: Duration::from_secs(1) };

    /// Walks a path whose last hop is `end`, on which the hops of `silent` say nothing; each answer takes 10 ms.
    fn walk(limits: Limits, end: u8, silent: &[u8]) -> (Walk, Duration, usize) {
        let (mut walk, mut now, mut probes) = (Walk::new(limits), Duration::ZERO, 0);
        while !walk.is_done() {
            while let Some(Probe { ttl, number }) = walk.poll_probe(now) {
                probes += 1;
                let reason = if ttl >= end { Reason::Port } else { Reason::TimeExceeded };
                let answer = Answer {
                    from: [10, 0, 0, ttl.min(end)].into(),
                    reason: Some(reason),
                    after: Duration::from_millis(10),
                    quoted: None,
                };
                if !silent.contains(&ttl.min(end)) {
                    walk.handle_answer(now + answer.after, number, answer);
                }
            }
            now = walk.poll_timeout().unwrap_or(now);
            assert!(probes < 1000 && now < Duration::from_secs(600));
        }
        (walk, now, probes)
    }

    #[test]
    fn a_path_is_walked_to_its_end_and_no_further() {
        let (walk, _, probes) = walk(LIMITS, 6, &[]);
        assert_eq!(walk.complete().iter().map(|hop| hop.ttl).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert!(walk.complete().iter().all(|hop| hop.answers.len() == 2 && hop.addresses().len() == 1));
        assert_eq!(probes, 12);
    }

    #[test]
    fn silent_hops_are_waited_for_side_by_side_and_given_up_behind_the_last_that_speaks() {
        let (known, took, _) = walk(LIMITS, 6, &[2, 3]);
        assert_eq!(known.complete().len(), 6);
        assert_eq!(known.complete()[1].answers.len() + known.complete()[2].answers.len(), 0);
        assert!(took <= Duration::from_secs(2), "{took:?}");
        let (deaf, ..) = walk(LIMITS, 9, &[5, 6, 7, 8, 9]);
        assert_eq!(deaf.complete().len(), 4 + SILENCE);
        let (short, ..) = walk(Limits { max_hops: 3, ..LIMITS }, 9, &[]);
        assert_eq!(short.complete().len(), 3);
    }

    #[test]
    fn one_probe_of_a_hop_waits_for_the_one_before_and_four_hops_are_asked_at_once() {
        let mut walk = Walk::new(LIMITS);
        let first: Vec<_> = std::iter::from_fn(|| walk.poll_probe(Duration::ZERO)).collect();
        assert_eq!(first.iter().map(|probe| probe.ttl).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(walk.poll_timeout(), Some(LIMITS.wait));
        let second: Vec<_> = std::iter::from_fn(|| walk.poll_probe(LIMITS.wait)).collect();
        assert_eq!(second.iter().map(|probe| probe.number).collect::<Vec<_>>(), [4, 5, 6, 7]);
    }

    #[test]
    fn late_answers_count_and_more_answers_than_probes_do_not() {
        let mut walk = Walk::new(LIMITS);
        let answer = Answer { from: [10, 0, 0, 1].into(), reason: None, after: Duration::ZERO, quoted: None };
        let probe = walk.poll_probe(Duration::ZERO).unwrap();
        walk.handle_answer(Duration::from_secs(5), probe.number, answer);
        walk.handle_answer(Duration::from_secs(5), probe.number, answer);
        walk.handle_answer(Duration::from_secs(5), 999, answer);
        assert_eq!(walk.hops[0].answers.len(), 1);
    }

    #[test]
    fn an_answer_without_a_number_is_taken_only_if_it_can_be_about_one_probe() {
        let answer = |after| Answer { from: [10, 0, 0, 1].into(), reason: None, after, quoted: None };
        let mut walk = Walk::new(Limits { max_hops: 1, ..LIMITS });
        assert!(!walk.handle_unnumbered(Duration::ZERO, answer), "nothing was sent");
        walk.poll_probe(Duration::ZERO).unwrap();
        assert!(walk.handle_unnumbered(Duration::from_millis(7), answer));
        assert_eq!(walk.hops[0].answers[0].after, Duration::from_millis(7));
        let mut two = Walk::new(LIMITS);
        two.poll_probe(Duration::ZERO).unwrap();
        two.poll_probe(Duration::ZERO).unwrap();
        assert!(!two.handle_unnumbered(Duration::from_millis(7), answer));
    }
}
