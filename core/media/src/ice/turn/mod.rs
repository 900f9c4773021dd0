//! The client of a relay (RFC 8656): one allocation, its permissions and channels, over datagrams or a stream.
//!
//! Knows what to say and when; how it gets there and what the packets of peers mean is its owner's to know. Messages of a
//! stream come whole: `stream` cuts them out.

mod request;
mod stream;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_wire::stun::{Builder, ChannelData, Class, Family, Message, Method, kind};

use super::seal::{is_sealed, long_term_key};
use crate::random::Random;
use request::{Ask, Pending};

pub use stream::Frames;

/// The most peers of one allocation.
const MOST_PEERS: usize = 64;
/// Permissions last five minutes (RFC 8656, 9) and channels ten (12): both are renewed after this.
const RENEW: Duration = Duration::from_secs(240);
/// How long before its end an allocation is prolonged.
const EARLY: Duration = Duration::from_secs(60);
/// The first number of channels (RFC 8656, 12).
const FIRST_CHANNEL: u16 = 0x4000;

/// User name and password of the relay.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// Where an allocation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing was asked for.
    Idle,
    /// It is asked for.
    Asking,
    /// It is there.
    Allocated {
        /// Its address.
        relayed: SocketAddr,
        /// Ours, as the relay sees it.
        mapped: SocketAddr,
    },
    /// There is none, and there will be none.
    Over,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    credential: Credential,
    over_stream: bool,
    /// Of what is lent; the same as ours.
    v4: bool,
    state: State,
    /// The error that the allocation was refused with in the end.
    refusal: Option<u16>,
    /// The relay has said something.
    heard: bool,
    realm: String,
    nonce: String,
    /// Once realm and nonce are known.
    key: Option<[u8; 16]>,
    pending: Vec<Pending>,
    /// With the time when each is renewed.
    permissions: BTreeMap<IpAddr, Duration>,
    channels: BTreeMap<SocketAddr, Channel>,
    /// When the allocation is prolonged.
    renewal: Option<Duration>,
    outputs: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: u16,
    /// The relay has agreed.
    bound: bool,
    renewal: Duration,
}

impl Client {
    /// One that has asked for nothing yet. `v4`: the family of what is lent.
    pub fn new(credential: Credential, over_stream: bool, v4: bool) -> Client {
        Client {
            credential,
            over_stream,
            v4,
            state: State::Idle,
            refusal: None,
            heard: false,
            realm: String::new(),
            nonce: String::new(),
            key: None,
            pending: Vec::new(),
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
            renewal: None,
            outputs: Vec::new(),
        }
    }

    /// The error (RFC 8489, 14.8) that an allocation was refused with in the end; `None`: it was not, or nobody has answered.
    pub fn refusal(&self) -> Option<u16> {
        self.refusal
    }

    /// Whether the relay has answered anything.
    pub fn was_heard(&self) -> bool {
        self.heard
    }

    /// Where the allocation stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Asks for an allocation. The first request is without proof: the answer says what to prove (RFC 8489, 9.2.3).
    pub fn allocate(&mut self, now: Duration, random: &mut Random) {
        self.state = State::Asking;
        let family = if self.v4 { Family::V4 } else { Family::V6 };
        self.ask(now, random, Ask::Allocate(family));
    }

    /// Packets of this address may come through.
    pub fn permit(&mut self, now: Duration, random: &mut Random, peer: IpAddr) {
        let known = self.permissions.contains_key(&peer) || self.permissions.len() >= MOST_PEERS;
        if !known && matches!(self.state, State::Allocated { .. }) {
            self.permissions.insert(peer, now + RENEW);
            self.ask(now, random, Ask::Permit(peer));
        }
    }

    /// Packets to and from this peer go without the words of an indication.
    pub fn bind(&mut self, now: Duration, random: &mut Random, peer: SocketAddr) {
        if self.channels.contains_key(&peer) || self.channels.len() >= MOST_PEERS {
            return;
        }
        let number = FIRST_CHANNEL + self.channels.len() as u16;
        self.channels.insert(peer, Channel { number, bound: false, renewal: now + RENEW });
        self.ask(now, random, Ask::Bind(peer, number));
    }

    /// A packet for a peer, as it is sent to the relay.
    pub fn wrap(&self, random: &mut Random, peer: SocketAddr, data: &[u8]) -> Option<Vec<u8>> {
        if let Some(channel) = self.channels.get(&peer).filter(|channel| channel.bound) {
            let mut frame = Vec::with_capacity(data.len() + 8);
            match self.over_stream {
                true => ChannelData::write_stream(channel.number, data, &mut frame)?,
                false => ChannelData::write(channel.number, data, &mut frame)?,
            }
            return Some(frame);
        }
        let builder = Builder::new(Class::Indication, Method::Send, random.bytes());
        builder.xor_address(kind::XOR_PEER_ADDRESS, peer).attribute(kind::DATA, data).finish()
    }

    /// One message or frame of the relay. What a peer has sent comes back, with the peer.
    pub fn handle<'a>(
        &mut self,
        now: Duration,
        random: &mut Random,
        bytes: &'a [u8],
    ) -> Option<(SocketAddr, &'a [u8])> {
        if let Some(frame) = ChannelData::parse_relayed(bytes) {
            let of = |(_, channel): &(&SocketAddr, &Channel)| channel.number == frame.channel;
            return self.channels.iter().find(of).map(|(peer, _)| (*peer, frame.data));
        }
        let message = Message::parse(bytes).ok()?;
        match (message.class(), message.method()) {
            (Class::Indication, Method::Data) => Some((message.xor_peer_address()?, message.data()?)),
            (Class::Success, _) => {
                self.succeeded(now, &message);
                None
            }
            (Class::Error, _) => {
                self.refused(now, random, &message);
                None
            }
            _ => None,
        }
    }

    /// Says again what was not answered, and renews what would end.
    pub fn handle_timeout(&mut self, now: Duration, random: &mut Random) {
        self.repeat(now);
        self.renew(now, random);
    }

    /// What is to be sent to the relay next.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        (!self.outputs.is_empty()).then(|| self.outputs.remove(0))
    }

    /// When [`Client::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let requests = self.pending.iter().map(|pending| pending.due);
        let channels = self.channels.values().map(|channel| channel.renewal);
        let renewals = self.permissions.values().copied().chain(channels).chain(self.renewal);
        let renewals = renewals.filter(|_| matches!(self.state, State::Allocated { .. }));
        requests.chain(renewals).min()
    }

    /// Gives the allocation back. Nobody waits for the answer.
    pub fn release(&mut self, now: Duration, random: &mut Random) {
        if matches!(self.state, State::Allocated { .. }) {
            self.pending.clear();
            self.ask(now, random, Ask::Release);
        }
        self.give_up();
    }

    /// The way to the relay is gone.
    pub fn give_up(&mut self) {
        self.state = State::Over;
        self.pending.clear();
        self.renewal = None;
    }

    fn ask(&mut self, now: Duration, random: &mut Random, ask: Ask) {
        let id = random.bytes();
        let proof = self.key.as_ref().map(|key| request::Proof {
            username: &self.credential.username,
            realm: &self.realm,
            nonce: &self.nonce,
            key,
        });
        let Some(bytes) = request::write(ask, id, proof.as_ref()) else { return };
        self.outputs.push(bytes.clone());
        self.pending.push(Pending::new(ask, id, bytes, now, proof.is_some(), self.over_stream));
    }

    /// Takes out the request that this answers. A success must be sealed as its request was.
    fn answered(&mut self, message: &Message<'_>) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| pending.id == *message.transaction_id())?;
        let proven = self.key.is_some_and(|key| is_sealed(message, &key));
        let trusted = message.class() == Class::Error || proven;
        trusted.then(|| self.pending.swap_remove(at))
    }

    fn succeeded(&mut self, now: Duration, message: &Message<'_>) {
        let Some(pending) = self.answered(message) else { return };
        self.heard = true;
        match pending.ask {
            Ask::Allocate(_) => self.allocated(now, message),
            Ask::Refresh => self.prolong(now, message),
            Ask::Bind(peer, _) => {
                if let Some(channel) = self.channels.get_mut(&peer) {
                    channel.bound = true;
                }
            }
            Ask::Permit(_) | Ask::Release => {}
        }
    }

    fn allocated(&mut self, now: Duration, message: &Message<'_>) {
        match (message.xor_relayed_address(), message.xor_mapped_address()) {
            (Some(relayed), Some(mapped)) => self.state = State::Allocated { relayed, mapped },
            _ => self.give_up(),
        }
        self.prolong(now, message);
    }

    fn prolong(&mut self, now: Duration, message: &Message<'_>) {
        let lifetime = Duration::from_secs(message.lifetime().unwrap_or(600).into());
        self.renewal = Some(now + lifetime.saturating_sub(EARLY).max(lifetime / 2).max(EARLY / 2));
    }

    /// 401 to what was not proven, and 438 to what was proven by an old nonce, say how to ask again (RFC 8489, 9.2.5).
    fn refused(&mut self, now: Duration, random: &mut Random, message: &Message<'_>) {
        let Some(pending) = self.answered(message) else { return };
        self.heard = true;
        let code = message.error_code().map_or(0, |error| error.code);
        let again = code == 438 && !pending.again || code == 401 && !pending.proven;
        if let (true, Some(realm), Some(nonce)) = (again, message.realm(), message.nonce()) {
            (self.realm, self.nonce) = (realm.to_owned(), nonce.to_owned());
            let Credential { username, password } = &self.credential;
            self.key = Some(long_term_key(username, realm, password));
            self.ask(now, random, pending.ask);
            if let Some(last) = self.pending.last_mut() {
                last.again = code == 438;
            }
            return;
        }
        match pending.ask {
            Ask::Allocate(_) | Ask::Refresh => {
                self.refusal = Some(code);
                self.give_up();
            }
            // What is forbidden stays so: indications to this peer are dropped by the relay.
            Ask::Permit(_) | Ask::Release => {}
            Ask::Bind(peer, _) => {
                if let Some(channel) = self.channels.get_mut(&peer) {
                    channel.bound = false;
                }
            }
        }
    }

    fn repeat(&mut self, now: Duration) {
        let mut given_up = false;
        for pending in self.pending.extract_if(.., |pending| now >= pending.due && pending.is_exhausted()) {
            given_up |= matches!(pending.ask, Ask::Allocate(_) | Ask::Refresh);
        }
        for pending in self.pending.iter_mut().filter(|pending| now >= pending.due) {
            self.outputs.push(pending.repeat(now));
        }
        if given_up {
            self.give_up();
        }
    }

    fn renew(&mut self, now: Duration, random: &mut Random) {
        if !matches!(self.state, State::Allocated { .. }) {
            return;
        }
        let mut asks: Vec<Ask> =
            self.renewal.take_if(|at| now >= *at).map(|_| Ask::Refresh).into_iter().collect();
        for (peer, at) in self.permissions.iter_mut().filter(|(_, at)| now >= **at) {
            *at = now + RENEW;
            asks.push(Ask::Permit(*peer));
        }
        for (peer, channel) in self.channels.iter_mut().filter(|(_, channel)| now >= channel.renewal) {
            channel.renewal = now + RENEW;
            asks.push(Ask::Bind(*peer, channel.number));
        }
        asks.into_iter().for_each(|ask| self.ask(now, random, ask));
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(..)")
    }
}
