//! What happened to packets, counted under stable names.

/// A thing that is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Count {
    /// A packet was forwarded to a peer by a rule.
    ToPeer,
    /// A packet was forwarded to a client by a rule.
    ToClient,
    /// A packet of a client was handed to the caller: no rule holds for it.
    UnknownFromClient,
    /// A packet of a peer was handed to the caller: no rule holds for it.
    UnknownFromPeer,
    /// Dropped: by its first bytes neither STUN nor ChannelData.
    NotTurn,
    /// Dropped: ChannelData whose length is not that of its datagram.
    BadChannelData,
    /// Dropped: the rule's budget is spent.
    OverBudget,
    /// Dropped: its source, which is not trusted, sends too much that no rule is for.
    SourceLimited,
    /// Dropped: all sources that are not trusted together send too much that no rule is for.
    Flooded,
    /// Could not be sent.
    Unsent,
    /// Dropped: its client comes over a stream and does not read, or has gone.
    StreamFull,
    /// Packets that belonged together had to be sent one by one: the way does not take them at once.
    Segmented,
}

impl Count {
    /// All of them.
    pub const ALL: [Count; 12] = [
        Count::ToPeer,
        Count::ToClient,
        Count::UnknownFromClient,
        Count::UnknownFromPeer,
        Count::NotTurn,
        Count::BadChannelData,
        Count::OverBudget,
        Count::SourceLimited,
        Count::Flooded,
        Count::Unsent,
        Count::StreamFull,
        Count::Segmented,
    ];

    /// For metrics: lower case, words joined by `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Count::ToPeer => "to_peer",
            Count::ToClient => "to_client",
            Count::UnknownFromClient => "unknown_from_client",
            Count::UnknownFromPeer => "unknown_from_peer",
            Count::NotTurn => "not_turn",
            Count::BadChannelData => "bad_channel_data",
            Count::OverBudget => "over_budget",
            Count::SourceLimited => "source_limited",
            Count::Flooded => "flooded",
            Count::Unsent => "unsent",
            Count::StreamFull => "stream_full",
            Count::Segmented => "segmented",
        }
    }
}

/// How often each thing happened.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counts([u64; Count::ALL.len()]);

impl Counts {
    /// How often it happened.
    pub fn of(&self, count: Count) -> u64 {
        self.0.get(count as usize).copied().unwrap_or_default()
    }

    /// Everything that is counted, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Count, u64)> + '_ {
        Count::ALL.into_iter().map(|count| (count, self.of(count)))
    }

    pub(super) fn add(&mut self, count: Count) {
        self.add_many(count, 1);
    }

    pub(super) fn add_many(&mut self, count: Count, times: usize) {
        if let Some(number) = self.0.get_mut(count as usize) {
            *number += times as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_own_place_and_name() {
        let mut counts = Counts::default();
        for (place, count) in Count::ALL.into_iter().enumerate() {
            assert_eq!(count as usize, place);
            counts.add(count);
        }
        assert!(counts.iter().all(|(_, number)| number == 1));
        let names: std::collections::BTreeSet<_> = Count::ALL.map(Count::name).into();
        assert_eq!(names.len(), Count::ALL.len());
    }
}
