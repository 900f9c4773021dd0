//! ChannelBind (RFC 8656, 12.2) and the rules that carry bound channels.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::stun::{Builder, is_channel, is_channel_of_rfc5766};

use crate::allocation::{Allocation, Channel};
use crate::answer::{Code, Refusal};
use crate::contract::{Output, Rule, RuleId};
use crate::proofs::Proven;
use crate::relay::{Asked, Relay};
use crate::table::Slot;

/// RFC 8656, 12.
const LIFETIME: Duration = Duration::from_secs(600);

impl Relay {
    /// Binds, or refreshes; either way the peer is permitted too.
    pub(crate) fn channel_bind(&mut self, asked: &Asked<'_>, proven: &Proven) -> Result<Builder, Refusal> {
        let slot = self.owned(asked, proven)?;
        if self.table.get(slot).is_some_and(|allocation| allocation.streams) {
            return Err(Code::BadRequest.into());
        }
        let number = asked.message.channel_number().filter(|number| self.is_channel(*number));
        let number = number.ok_or(Code::BadRequest)?;
        let peer = asked.message.xor_peer_address().ok_or(Code::BadRequest)?;
        self.check_family(slot, peer)?;
        let allocation = self.table.get(slot).ok_or(Code::AllocationMismatch)?;
        let goes_on =
            allocation.channel(number).is_some_and(|channel| channel.peer == peer) && self.keeps(peer);
        if !goes_on && !self.reaches(peer) {
            return Err(self.forbid(asked, peer));
        }
        let is_bound = match (allocation.channel(number), allocation.channel_to(peer)) {
            (None, None) => false,
            (Some(one), Some(other)) if one == other => true,
            _ => return Err(Code::BadRequest.into()),
        };
        if !is_bound && allocation.channels.len() >= self.config.limits.channels {
            return Err(Code::Capacity.into());
        }
        self.permit(asked.now, slot, &[peer])?;
        self.bind(asked.now, slot, number, peer);
        Ok(Relay::done(asked))
    }

    /// Whether a number may be bound: 0x4000 to 0x4fff, and up to 0x7fff where clients of RFC 5766 are to be served.
    pub(crate) fn is_channel(&self, number: u16) -> bool {
        is_channel(number) || self.config.channels_of_rfc5766 && is_channel_of_rfc5766(number)
    }

    /// Installs the rule of each channel that may be carried and has none, removes those of others; `again`: issues those
    /// anew that are there. Those of a stream are: what one of them carries may say the mark of all.
    pub(crate) fn issue_rules(&mut self, slot: Slot, again: bool) {
        let Some(allocation) = self.table.get(slot) else { return };
        let (channels, again) = (allocation.channels.len(), again || allocation.flow.transport.is_stream());
        for at in 0..channels {
            let Some(allocation) = self.table.get(slot) else { return };
            let Some(channel) = allocation.channels.get(at).copied() else { return };
            let id = channel.rule.unwrap_or(RuleId(self.last_rule + 1));
            let rule = self.rule(allocation, &channel, id);
            match (rule, channel.rule) {
                (Some(rule), None) => {
                    self.last_rule += 1;
                    self.counts.rules += 1;
                    self.out.push_back(Output::Install(rule));
                }
                (Some(rule), Some(_)) if again => self.out.push_back(Output::Install(rule)),
                (None, Some(id)) => self.remove_rule(id),
                _ => {}
            }
            let channel = self.table.get_mut(slot).and_then(|allocation| allocation.channels.get_mut(at));
            channel.into_iter().for_each(|channel| channel.rule = rule.map(|rule| rule.id));
        }
    }

    pub(crate) fn remove_rule(&mut self, id: RuleId) {
        self.counts.rules = self.counts.rules.saturating_sub(1);
        self.out.push_back(Output::Remove(id));
    }

    fn bind(&mut self, now: Duration, slot: Slot, number: u16, peer: SocketAddr) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let until = now + LIFETIME;
        match allocation.channels.iter_mut().find(|channel| channel.number == number) {
            Some(channel) => channel.until = until,
            None => {
                allocation.channels.reserve_exact(1);
                allocation.channels.push(Channel { number, peer, until, rule: None });
                self.counts.channels += 1;
            }
        }
        self.issue_rules(slot, false);
        self.schedule(now, slot);
    }

    /// The rule of a channel: only while the peer is permitted, for a rule carries both ways. Without it the client's packets
    /// still come here, and pass; the peer's do not.
    fn rule(&self, allocation: &Allocation, channel: &Channel, id: RuleId) -> Option<Rule> {
        let leg = allocation.leg_to(channel.peer).filter(|_| allocation.permits(channel.peer.ip()))?;
        let marking = &self.config.marking;
        let class = allocation.class.or_else(|| self.class_of_listener(&allocation.flow));
        let client = allocation.flow;
        Some(Rule {
            id,
            client,
            channel: channel.number,
            port: leg.port,
            peer: channel.peer,
            to_client: self.class_to_client(allocation, channel.peer),
            to_peer: marking.class(class, channel.peer, client.remote),
        })
    }
}
