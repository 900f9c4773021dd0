//! What happened to packets, counted under stable names.

crate::counted::counted! { pub Counts:
    /// A packet was forwarded to a peer by a rule.
    ToPeer => "to_peer",
    /// A packet was forwarded to a client by a rule.
    ToClient => "to_client",
    /// Of these, by the kernel's program.
    ToPeerInKernel => "to_peer_in_kernel",
    /// Of these, by the kernel's program.
    ToClientInKernel => "to_client_in_kernel",
    /// A packet of a client was handed to the caller: no rule holds for it.
    UnknownFromClient => "unknown_from_client",
    /// A packet of a peer was handed to the caller: no rule holds for it.
    UnknownFromPeer => "unknown_from_peer",
    /// A packet of a client was more than a stranger may send, but its sender was here before: it was handed over.
    Recognised => "recognised",
    /// Dropped: by its first bytes neither STUN nor ChannelData.
    NotTurn => "not_turn",
    /// Dropped: ChannelData whose length is not that of its datagram.
    BadChannelData => "bad_channel_data",
    /// Dropped: the rule's budget is spent.
    OverBudget => "over_budget",
    /// Dropped: its source, which is not trusted, sends too much that no rule is for.
    SourceLimited => "source_limited",
    /// Dropped: all sources that are not trusted together send too much that no rule is for.
    Flooded => "flooded",
    /// Could not be sent.
    Unsent => "unsent",
    /// Dropped: its client comes over a stream and does not read, or has gone.
    StreamFull => "stream_full",
    /// Packets that belonged together had to be sent one by one: the way does not take them at once.
    Segmented => "segmented",
}
