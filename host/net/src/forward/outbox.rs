//! Datagrams that wait for the end of the turn: those of one flow leave in the order in which they were given, with
//! as few calls as can be.
//!
//! Datagrams of one flow that agree in size and traffic byte leave as one message that is cut on the way
//! (UDP_SEGMENT). All that belongs to one message is marked alike, so the mark is part of what must agree.

use std::io;
use std::marker::PhantomData;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};

use libc::c_int;

use super::counts::{Count, Counts};
use super::sockets::{Socket, Sockets};
use crate::syscall::{Control, check};
use crate::udp::{self, NAME_LEN};

/// Datagrams in one message; the kernel takes no more (`UDP_MAX_SEGMENTS` was 64 for years).
const SEGMENTS: u32 = 64;
/// Bytes in one message: a little less than the longest datagram of IPv4.
const LONGEST: usize = 65_000;
/// Datagrams that wait; with one more they leave at once.
const WAITING: usize = 1024;
/// Bytes of the caller's own that wait.
const OWN: usize = 1 << 20;
/// Flows whose last message is remembered. One that is forgotten only begins a new message.
const RECENT: usize = 512;
/// As many errors of earlier datagrams may come in the way of one flush.
const PATIENCE: usize = 64;

/// How a datagram leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// The place of the socket.
    pub(super) place: u32,
    pub(super) to: SocketAddr,
    /// From which of our addresses, if the socket has several.
    pub(super) from: Option<IpAddr>,
    /// The mark and the ECN bits.
    pub(super) traffic: u8,
    /// It may not be cut: neither here nor by a router.
    pub(super) whole: bool,
}

impl Way {
    /// From a socket with one address, to be cut where that is needed.
    pub(super) fn from(place: u32, to: SocketAddr, traffic: u8) -> Way {
        Way { place, to, from: None, traffic, whole: false }
    }
}

/// What a datagram says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Bytes of the inbox.
    Received(Range<usize>),
    /// The same with the header of ChannelData in front.
    Wrapped([u8; 4], Range<usize>),
    /// Bytes of the caller's, copied.
    Own(Range<usize>),
}

/// Datagrams in the order in which they were given.
pub(super) struct Outbox {
    segmentation: bool,
    contents: Vec<(Content, Option<usize>)>,
    messages: Vec<Message>,
    own: Vec<u8>,
    /// The last message of a flow, plus one.
    recent: [u16; RECENT],
}

/// Datagrams that leave together: a chain through `contents`.
#[derive(Clone, Copy, Debug)]
struct Message {
    way: Way,
    /// The length of each; the last may be shorter.
    size: usize,
    total: usize,
    first: usize,
    last: usize,
    count: u32,
    is_closed: bool,
}

impl Outbox {
    /// With `segmentation`, datagrams that agree leave together.
    pub(super) fn new(segmentation: bool) -> Outbox {
        let (contents, messages, own) = (Vec::new(), Vec::new(), Vec::new());
        Outbox { segmentation, contents, messages, own, recent: [0; RECENT] }
    }

    /// Whether it must be flushed before the next is pushed.
    pub(super) fn is_full(&self) -> bool {
        self.contents.len() >= WAITING || self.own.len() >= OWN
    }

    /// Whether something waits that leaves by the socket at this place.
    pub(super) fn has_for(&self, place: u32) -> bool {
        self.messages.iter().any(|message| message.way.place == place)
    }

    /// Takes a datagram of the caller's.
    pub(super) fn push_own(&mut self, way: Way, bytes: &[u8]) {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        self.push(way, Content::Own(start..self.own.len()));
    }

    /// Takes a datagram.
    pub(super) fn push(&mut self, way: Way, content: Content) {
        let (at, len) = (self.contents.len(), content.len());
        self.contents.push((content, None));
        let recent = &mut self.recent[bucket(&way)];
        let last = usize::from(*recent).checked_sub(1).and_then(|last| self.messages.get_mut(last));
        match last.filter(|last| self.segmentation && last.takes(&way, len)) {
            Some(message) => {
                if let Some((_, next)) = self.contents.get_mut(message.last) {
                    *next = Some(at);
                }
                message.add(at, len);
            }
            None => {
                self.messages.push(Message::new(way, at, len));
                *recent = u16::try_from(self.messages.len()).unwrap_or(0);
            }
        }
    }

    /// Sends everything. What can't be sent is counted: to whoever waits for it, it is lost on the way.
    pub(super) fn flush(&mut self, received: &[u8], sockets: &Sockets, counts: &mut Counts) {
        if self.messages.is_empty() {
            return;
        }
        // Stable: within a socket, and so within a flow, the order stays.
        self.messages.sort_by_key(|message| message.way.place);
        let mut prepared = Prepared::new(&self.messages, self, received, sockets);
        let mut rest = &self.messages[..];
        while let Some(first) = rest.first() {
            let differs = |message: &Message| {
                (message.way.place, message.way.whole) != (first.way.place, first.way.whole)
            };
            let (same, others) = rest.split_at(rest.iter().position(differs).unwrap_or(rest.len()));
            let count = || same.iter().map(|message| message.count as usize).sum();
            let from = self.messages.len() - rest.len();
            match sockets.at(first.way.place).and_then(|socket| socket.role.port()) {
                Some(port) => {
                    let fd = port.as_raw_fd();
                    let retry = |message: &Message, counts: &mut Counts| {
                        self.send_singly(fd, message, received, sockets, counts);
                    };
                    let mut send = || prepared.send(fd, from, same, retry, counts);
                    let sent = match first.way.whole {
                        true => udp::kept_whole(port, send),
                        false => {
                            send();
                            Ok(())
                        }
                    };
                    // Where the wish is not understood, what has it does not leave.
                    if sent.is_err() {
                        counts.add_many(Count::Unsent, count());
                    }
                }
                None => counts.add_many(Count::Unsent, count()),
            }
            rest = others;
        }
        drop(prepared);
        self.clear();
    }

    fn clear(&mut self) {
        self.contents.clear();
        self.messages.clear();
        self.own.clear();
        self.recent = [0; RECENT];
    }

    /// The datagrams of a message that the kernel does not cut: they are longer than the way is wide, or the way
    /// knows no checksums.
    fn send_singly(
        &self,
        fd: RawFd,
        message: &Message,
        received: &[u8],
        sockets: &Sockets,
        counts: &mut Counts,
    ) {
        counts.add_many(Count::Segmented, message.count as usize);
        let single = |at: usize| Message::new(message.way, at, self.contents[at].0.len());
        let singles: Vec<Message> = self.chain(message).map(single).collect();
        let mut prepared = Prepared::new(&singles, self, received, sockets);
        let lost = |_: &Message, counts: &mut Counts| counts.add(Count::Unsent);
        prepared.send(fd, 0, &singles, lost, counts);
    }

    /// The places of a message's datagrams.
    fn chain(&self, message: &Message) -> impl Iterator<Item = usize> {
        let next = |at: &usize| self.contents.get(*at).and_then(|(_, next)| *next);
        std::iter::successors(Some(message.first), next)
    }
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Content::Received(range) | Content::Own(range) => range.len(),
            Content::Wrapped(header, range) => header.len() + range.len(),
        }
    }

    /// Its parts where they lie: the header, if any, and the rest.
    fn parts<'a>(&'a self, received: &'a [u8], own: &'a [u8]) -> (Option<&'a [u8]>, &'a [u8]) {
        match self {
            Content::Received(range) => (None, received.get(range.clone()).unwrap_or_default()),
            Content::Wrapped(header, range) => {
                (Some(header), received.get(range.clone()).unwrap_or_default())
            }
            Content::Own(range) => (None, own.get(range.clone()).unwrap_or_default()),
        }
    }
}

impl Message {
    fn new(way: Way, at: usize, len: usize) -> Message {
        // An empty datagram ends nothing, and nothing can follow it.
        Message { way, size: len, total: len, first: at, last: at, count: 1, is_closed: len == 0 }
    }

    /// Whether this datagram may be the next of the message.
    fn takes(&self, way: &Way, len: usize) -> bool {
        let fits = len > 0 && len <= self.size && self.total + len <= LONGEST && self.count < SEGMENTS;
        !self.is_closed && fits && self.way == *way
    }

    fn add(&mut self, at: usize, len: usize) {
        self.is_closed = len < self.size;
        self.last = at;
        self.total += len;
        self.count += 1;
    }
}

/// Messages as the kernel wants them: headers that point to everything else.
struct Prepared<'a> {
    headers: Vec<libc::mmsghdr>,
    _envelopes: Vec<Envelope>,
    _vectors: Vec<libc::iovec>,
    _bytes: PhantomData<&'a [u8]>,
}

/// Where a message goes and how.
struct Envelope {
    name: [u8; NAME_LEN],
    name_len: usize,
    control: Control,
    /// Parts that its bytes lie in.
    parts: usize,
}

impl<'a> Prepared<'a> {
    fn new(messages: &[Message], outbox: &'a Outbox, received: &'a [u8], sockets: &Sockets) -> Prepared<'a> {
        let mut vectors = Vec::with_capacity(2 * outbox.contents.len());
        let mut envelopes = Vec::with_capacity(messages.len());
        for message in messages {
            let before = vectors.len();
            for at in outbox.chain(message).take(message.count as usize) {
                let (header, rest) = outbox.contents[at].0.parts(received, &outbox.own);
                vectors.extend(header.into_iter().chain([rest]).map(vector));
            }
            envelopes.push(message.envelope(vectors.len() - before, sockets.at(message.way.place)));
        }
        // From here on nothing of this moves.
        let mut rest = &mut vectors[..];
        let headers = envelopes.iter().map(|envelope: &Envelope| {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(envelope.parts);
            rest = others;
            envelope.header(own)
        });
        let headers = headers.collect();
        Prepared { headers, _envelopes: envelopes, _vectors: vectors, _bytes: PhantomData }
    }

    /// Sends `messages`, which were prepared from `from` on, over one socket. What could not be sent at once but may
    /// be sent one by one is handed to `retry`.
    fn send(
        &mut self,
        fd: RawFd,
        from: usize,
        messages: &[Message],
        retry: impl Fn(&Message, &mut Counts),
        counts: &mut Counts,
    ) {
        // An error may be a complaint about what was sent before: each message is tried once more, as long as there is patience.
        let (mut done, mut patience, mut tried) = (0, PATIENCE, None);
        while let Some(message) = messages.get(done) {
            let headers = &mut self.headers[from + done..from + messages.len()];
            let (first, len) = (headers.as_mut_ptr(), headers.len() as u32);
            // SAFETY: the headers point into vectors of `self` and to bytes that it borrows; the call only reads
            // them, except for the lengths in the headers.
            let taken = check(unsafe { libc::sendmmsg(fd, first, len, libc::MSG_DONTWAIT as _) });
            match taken {
                Ok(taken) => done += taken.max(1) as usize,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if patience > 0 && tried != Some(done) && udp::is_complaint(&error) => {
                    (patience, tried) = (patience - 1, Some(done));
                }
                Err(error) if message.count > 1 && error.kind() != io::ErrorKind::WouldBlock => {
                    retry(message, counts);
                    done += 1;
                }
                Err(_) => {
                    counts.add_many(Count::Unsent, message.count as usize);
                    done += 1;
                }
            }
        }
    }
}

impl Message {
    fn envelope(&self, parts: usize, socket: Option<&Socket>) -> Envelope {
        let is_v6 = socket.is_some_and(|socket| socket.role.local().is_ipv6());
        let (name, name_len) = name(self.way.to, is_v6);
        let control = self.control(socket.map(Socket::traffic));
        Envelope { name, name_len, control, parts }
    }

    /// What the socket does not do by itself: `own` is how it marks.
    fn control(&self, own: Option<u8>) -> Control {
        let mut control = Control::new();
        let to = udp::canonical(self.way.to);
        if own != Some(self.way.traffic) {
            let (level, kind) = match to {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            control.push(level, kind, &c_int::from(self.way.traffic).to_ne_bytes());
        }
        udp::push_source(&mut control, to, self.way.from);
        if self.count > 1 {
            control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &(self.size as u16).to_ne_bytes());
        }
        control
    }
}

impl Envelope {
    #[allow(clippy::unnecessary_cast, reason = "on musl these fields have other types")]
    fn header(&self, vectors: &mut [libc::iovec]) -> libc::mmsghdr {
        // SAFETY: a C struct of numbers and pointers; all zeros is its empty value.
        let mut header: libc::mmsghdr = unsafe { zeroed() };
        let control = self.control.bytes();
        header.msg_hdr.msg_name = self.name.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = self.name_len as libc::socklen_t;
        header.msg_hdr.msg_iov = vectors.as_mut_ptr();
        header.msg_hdr.msg_iovlen = vectors.len() as _;
        if !control.is_empty() {
            header.msg_hdr.msg_control = control.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_controllen = control.len() as _;
        }
        header
    }
}

fn vector(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// A `sockaddr_in`, or for a socket of IPv6 a `sockaddr_in6`, and its length.
fn name(to: SocketAddr, is_v6: bool) -> ([u8; NAME_LEN], usize) {
    let to = if is_v6 { udp::mapped(to) } else { to };
    let mut name = [0; NAME_LEN];
    let (family, len) = if to.is_ipv4() { (libc::AF_INET, 16) } else { (libc::AF_INET6, NAME_LEN) };
    name[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    name[2..4].copy_from_slice(&to.port().to_be_bytes());
    match to {
        SocketAddr::V4(v4) => name[4..8].copy_from_slice(&v4.ip().octets()),
        SocketAddr::V6(v6) => {
            name[8..24].copy_from_slice(&v6.ip().octets());
            name[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
        }
    }
    (name, len)
}

/// Where the last message of a flow is remembered.
fn bucket(way: &Way) -> usize {
    let address = match way.to.ip() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 ^ ip.to_bits() as u64,
    };
    let mixed = address ^ u64::from(way.place) << 32 ^ u64::from(way.to.port()) << 16;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize % RECENT
}
