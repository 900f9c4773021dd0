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
/// Slots that are looked at for a flow to forget when the shard is full.
const EVICTION_LOOKS: usize = 16;

/// Flows whose conversation hash falls into one sixteenth.
#[derive(Debug)]
pub(super) struct Shard {
    index: HashTable<u32>,
    pub(super) flows: Vec<Flow>,
    pub(super) facts: Facts,
    pub(super) run_budget: u32,
    limit: usize,
    hand: usize,
    /// Frames of flows that were forgotten or never kept.
    pub(super) beyond_limit: u64,
}

impl Shard {
    pub(super) fn new(limit: usize) -> Shard {
        Shard {
            index: HashTable::new(),
            flows: Vec::new(),
            facts: Facts::default(),
            run_budget: RUN_BUDGET,
            limit: limit.max(1),
            hand: 0,
            beyond_limit: 0,
        }
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
        for _ in 0..EVICTION_LOOKS.min(self.flows.len()) {
            self.hand = (self.hand + 1) % self.flows.len();
            let flow = &self.flows[self.hand];
            if flow.expendable() {
                self.beyond_limit += flow.frames;
                let (hand, hash) = (self.hand, flow.key.hash().flow);
                if let Ok(entry) = self.index.find_entry(hash, |&n| n as usize == hand) {
                    entry.remove();
                }
                return Some(hand);
            }
        }
        self.beyond_limit += 1;
        None
    }
}
