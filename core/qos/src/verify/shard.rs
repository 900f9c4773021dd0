//! A share of all flows. There are always sixteen shards, whatever the number of workers: so limits strike
//! at the same packets and the result cannot depend on the number of cores.

use hashbrown::HashTable;

use super::facts::Facts;
use super::flow::{Flow, Seen};
use super::key::{FlowKey, KeyHash};

/// Shards in all.
pub(super) const SHARDS: usize = 16;
/// Runs of sequence numbers that the streams of one shard may keep beside their first ones.
const RUN_BUDGET: u32 = 1 << 16;
/// Senders of a shard that wait for their second packet, beside the first few of each flow.
const CANDIDATE_BUDGET: usize = 1 << 12;
/// Flows per RTP sender that is kept: one costs several times as much as a flow, with its timeline in the report.
const FLOWS_PER_STREAM: usize = 4;
/// Bytes of TCP streams that wait for more in one shard.
const BYTE_BUDGET: usize = 4 << 20;
/// Slots that are looked at for a flow to forget when the shard is full.
const EVICTION_LOOKS: usize = 16;

/// What the flows of a shard may still keep, together.
#[derive(Debug)]
pub(super) struct Budget {
    /// Runs of sequence numbers.
    pub(super) runs: u32,
    /// RTP senders.
    pub(super) streams: usize,
    /// Senders that wait for their second packet, beside a flow's first few.
    pub(super) candidates: usize,
    /// Bytes of TCP streams.
    pub(super) bytes: usize,
}

/// Flows whose conversation hash falls into one sixteenth.
#[derive(Debug)]
pub(super) struct Shard {
    index: HashTable<u32>,
    pub(super) flows: Vec<Flow>,
    pub(super) facts: Facts,
    pub(super) budget: Budget,
    limit: usize,
    hand: usize,
    /// Frames of flows that were forgotten or never kept.
    beyond_limit: u64,
}

impl Shard {
    pub(super) fn new(limit: usize) -> Shard {
        Shard {
            index: HashTable::new(),
            flows: Vec::new(),
            facts: Facts::default(),
            budget: Budget {
                runs: RUN_BUDGET,
                streams: limit.div_ceil(FLOWS_PER_STREAM),
                candidates: CANDIDATE_BUDGET,
                bytes: BYTE_BUDGET,
            },
            limit: limit.max(1),
            hand: 0,
            beyond_limit: 0,
        }
    }

    /// Frames that were only counted.
    pub(super) fn beyond_limit(&self) -> u64 {
        self.beyond_limit + self.flows.iter().map(|flow| flow.forgotten).sum::<u64>()
    }

    /// The number of the flow with this key; opens it if there is room.
    #[inline]
    pub(super) fn flow(
        &mut self,
        key: &FlowKey,
        hash: KeyHash,
        vlan: Option<u16>,
        seen: &Seen,
    ) -> Option<usize> {
        let flows = &self.flows;
        let same = |&number: &u32| flows.get(number as usize).is_some_and(|flow| flow.key == *key);
        let number = match self.index.find(hash.flow, same) {
            Some(&number) => number as usize,
            None => self.open(*key, hash, vlan, *seen)?,
        };
        let flow = self.flows.get_mut(number)?;
        flow.frames += 1;
        flow.last_time = seen.time;
        Some(number)
    }

    #[cold]
    fn open(&mut self, key: FlowKey, hash: KeyHash, vlan: Option<u16>, seen: Seen) -> Option<usize> {
        let flow = Flow::new(key, vlan, &seen);
        let number = if self.flows.len() < self.limit {
            self.flows.push(flow);
            self.flows.len() - 1
        } else {
            let number = self.forget_one()?;
            self.flows[number] = flow;
            number
        };
        let flows = &self.flows;
        let rehash = |&n: &u32| flows.get(n as usize).map_or(0, |flow| flow.key.hash().flow);
        self.index.insert_unique(hash.flow, number as u32, rehash);
        Some(number)
    }

    /// Frees the slot of a flow that is nothing of ours; a scan must not push real calls out.
    fn forget_one(&mut self) -> Option<usize> {
        let Some(place) = self.expendable() else {
            self.beyond_limit += 1;
            return None;
        };
        let flow = &self.flows[place];
        self.beyond_limit += flow.frames;
        flow.release(&mut self.budget);
        if let Ok(entry) = self.index.find_entry(flow.key.hash().flow, |&n| n as usize == place) {
            entry.remove();
        }
        Some(place)
    }

    /// The next flow that may be forgotten; one that looks like the beginning of a call only if need be.
    fn expendable(&mut self) -> Option<usize> {
        let mut second_best = None;
        for _ in 0..EVICTION_LOOKS.min(self.flows.len()) {
            self.hand = (self.hand + 1) % self.flows.len();
            match self.flows[self.hand].expendable() {
                Some(false) => return Some(self.hand),
                Some(true) => second_best = second_best.or(Some(self.hand)),
                None => {}
            }
        }
        second_best
    }
}
