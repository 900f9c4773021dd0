//! SRTP and SRTCP (RFC 3711, 7714) with keys from the session description (RFC 4568). A [`Sender`] protects what
//! leaves, a [`Receiver`] proves and opens what comes. Nothing here knows when a key is too old: calls end before.

mod cipher;
mod replay;
mod sdes;

use std::collections::BTreeMap;

use carillon_wire::rtp;

use cipher::{Cipher, Purpose};
use replay::Window;
pub use sdes::{Key, Offered, Refusal, Suite, parse};

/// Sources of one peer that are kept apart.
const MOST_SOURCES: usize = 16;

/// Why a packet was not opened, or not protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is too short, or its header cannot be read.
    Malformed,
    /// Its tag is not what the key would have made.
    Unauthentic,
    /// It was opened before, or is too old to tell.
    Replayed,
    /// It is of one source too many.
    TooManySources,
    /// The counter has come to its end: this key must not be used any more.
    Exhausted,
}

/// Protects our packets.
pub struct Sender {
    rtp: Cipher,
    rtcp: Cipher,
    /// Source, roll-over counter and last number of what was sent last.
    stream: Option<(u32, u32, u16)>,
    rtcp_index: u32,
}

/// Opens the peer's packets.
pub struct Receiver {
    rtp: Cipher,
    rtcp: Cipher,
    rtp_seen: BTreeMap<u32, Window>,
    rtcp_seen: BTreeMap<u32, Window>,
}

impl Sender {
    /// `None` only if a cipher library refuses keys of the right length.
    pub fn new(key: &Key) -> Option<Sender> {
        let (rtp, rtcp) = (Cipher::derive(key, Purpose::Rtp)?, Cipher::derive(key, Purpose::Rtcp)?);
        Some(Sender { rtp, rtcp, stream: None, rtcp_index: 0 })
    }

    /// Encrypts an RTP packet and appends its tag. Packets of a source must come in order.
    pub fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), Error> {
        let (ssrc, sequence, header) = read_rtp(packet)?;
        let rollover = match self.stream {
            Some((source, rollover, last)) if source == ssrc => {
                rollover.checked_add((sequence < last).into())
            }
            _ => Some(0),
        };
        let rollover = rollover.ok_or(Error::Exhausted)?;
        self.stream = Some((ssrc, rollover, sequence));
        let index = u64::from(rollover) << 16 | u64::from(sequence);
        self.rtp.seal_rtp(ssrc, index, header, packet).ok_or(Error::Malformed)
    }

    /// Encrypts a compound of RTCP, appends index and tag.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), Error> {
        let ssrc = read_rtcp(packet)?;
        let index = self.rtcp_index;
        self.rtcp_index = index.checked_add(1).filter(|next| *next < 1 << 31).ok_or(Error::Exhausted)?;
        self.rtcp.seal_rtcp(ssrc, index, packet).ok_or(Error::Malformed)
    }
}

impl Receiver {
    /// `None` only if a cipher library refuses keys of the right length.
    pub fn new(key: &Key) -> Option<Receiver> {
        let (rtp, rtcp) = (Cipher::derive(key, Purpose::Rtp)?, Cipher::derive(key, Purpose::Rtcp)?);
        Some(Receiver { rtp, rtcp, rtp_seen: BTreeMap::new(), rtcp_seen: BTreeMap::new() })
    }

    /// Proves and decrypts an RTP packet in place: its length without the tag.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        let (ssrc, sequence, header) = read_rtp(packet)?;
        let window = self.rtp_seen.get(&ssrc);
        let index = window.map_or(u64::from(sequence), |window| window.index(sequence));
        check(&self.rtp_seen, ssrc, index)?;
        let len = self.rtp.open_rtp(ssrc, index, header, packet).ok_or(Error::Unauthentic)?;
        note(&mut self.rtp_seen, ssrc, index);
        Ok(len)
    }

    /// Proves and decrypts a compound of RTCP in place: its length without index and tag.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        let ssrc = read_rtcp(packet)?;
        let index = u64::from(self.rtcp.rtcp_word(packet).ok_or(Error::Malformed)? & 0x7fff_ffff);
        check(&self.rtcp_seen, ssrc, index)?;
        let len = self.rtcp.open_rtcp(ssrc, packet).ok_or(Error::Unauthentic)?;
        note(&mut self.rtcp_seen, ssrc, index);
        Ok(len)
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender(..)")
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver(..)")
    }
}

/// Source, number, and length of the header.
fn read_rtp(packet: &[u8]) -> Result<(u32, u16, usize), Error> {
    let read = rtp::Packet::parse(packet, packet.len() as u32).ok_or(Error::Malformed)?;
    Ok((read.ssrc, read.sequence, packet.len() - read.payload.len()))
}

fn read_rtcp(packet: &[u8]) -> Result<u32, Error> {
    let source = packet.get(4..8).and_then(|bytes| bytes.first_chunk());
    source.map(|bytes| u32::from_be_bytes(*bytes)).ok_or(Error::Malformed)
}

fn check(seen: &BTreeMap<u32, Window>, ssrc: u32, index: u64) -> Result<(), Error> {
    match seen.get(&ssrc) {
        Some(window) if window.has(index) => Err(Error::Replayed),
        None if seen.len() >= MOST_SOURCES => Err(Error::TooManySources),
        _ => Ok(()),
    }
}

fn note(seen: &mut BTreeMap<u32, Window>, ssrc: u32, index: u64) {
    seen.entry(ssrc).and_modify(|window| window.note(index)).or_insert_with(|| Window::new(index));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn ends(suite: Suite) -> (Sender, Receiver) {
        let key = Key::random(suite, &mut Random::new(&[9; 32], *b"srtptest"));
        (Sender::new(&key).unwrap(), Receiver::new(&key).unwrap())
    }

    fn packet(sequence: u16, ssrc: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let header =
            rtp::Builder { sequence, ssrc, extension: Some((0xbede, &[1; 4])), ..Default::default() };
        header.write(&[7; 160], &mut bytes);
        bytes
    }

    #[test]
    fn every_suite_opens_what_it_sealed_and_nothing_else() {
        for suite in Suite::ALL {
            let (mut sender, mut receiver) = ends(suite);
            let mut sealed = packet(5, 1);
            sender.protect_rtp(&mut sealed).unwrap();
            let tag = sealed.len() - packet(5, 1).len();
            assert_eq!(tag, [10, 16, 16, 4][Suite::ALL.iter().position(|other| *other == suite).unwrap()]);
            for at in 0..sealed.len() {
                let mut spoiled = sealed.clone();
                spoiled[at] ^= 0x20;
                assert!(receiver.unprotect_rtp(&mut spoiled).is_err(), "{suite:?}, byte {at}");
            }
            let len = receiver.unprotect_rtp(&mut sealed).unwrap();
            assert_eq!(sealed[..len], packet(5, 1));
        }
    }

    #[test]
    fn every_suite_protects_rtcp_with_a_long_tag() {
        let compound = [0x80, 201, 0, 1, 0, 0, 0, 9, 0x81, 202, 0, 1, 0, 0, 0, 0];
        for suite in Suite::ALL {
            let (mut sender, mut receiver) = ends(suite);
            for number in 0..3 {
                let mut sealed = compound.to_vec();
                sender.protect_rtcp(&mut sealed).unwrap();
                let overhead = sealed.len() - compound.len();
                assert!(overhead == 14 || overhead == 20, "{suite:?}");
                let index = carillon_wire::rtcp::srtcp(&sealed, sealed.len() as u32).unwrap();
                assert_eq!((index.encrypted, index.index), (Some(true), Some(number)));
                let mut spoiled = sealed.clone();
                spoiled[9] ^= 1;
                assert_eq!(receiver.unprotect_rtcp(&mut spoiled), Err(Error::Unauthentic));
                let mut again = sealed.clone();
                let len = receiver.unprotect_rtcp(&mut sealed).unwrap();
                assert_eq!(sealed[..len], compound);
                assert_eq!(receiver.unprotect_rtcp(&mut again), Err(Error::Replayed));
            }
        }
    }

    #[test]
    fn a_packet_is_opened_once_in_any_order_over_the_wrap() {
        let (mut sender, mut receiver) = ends(Suite::AesCm128HmacSha1Tag80);
        let sealed = |sender: &mut Sender, sequence| {
            let mut bytes = packet(sequence, 1);
            sender.protect_rtp(&mut bytes).unwrap();
            bytes
        };
        let mut all: Vec<Vec<u8>> =
            (0..40).map(|n: u16| sealed(&mut sender, 65_520_u16.wrapping_add(n))).collect();
        all[1..].chunks_mut(3).for_each(<[Vec<u8>]>::reverse);
        for bytes in &all {
            assert!(receiver.unprotect_rtp(&mut bytes.clone()).is_ok());
            assert_eq!(receiver.unprotect_rtp(&mut bytes.clone()), Err(Error::Replayed));
        }
    }

    #[test]
    fn the_roll_over_counter_is_proven_by_the_tag() {
        let (mut sender, mut receiver) = ends(Suite::AesCm128HmacSha1Tag80);
        for sequence in [65_535, 0] {
            sender.protect_rtp(&mut packet(sequence, 1)).unwrap();
        }
        let mut second_turn = packet(1, 1);
        sender.protect_rtp(&mut second_turn).unwrap();
        assert_eq!(
            receiver.unprotect_rtp(&mut second_turn),
            Err(Error::Unauthentic),
            "it never saw the first"
        );
    }

    #[test]
    fn sources_are_bounded_and_forged_ones_take_no_room() {
        let (mut sender, mut receiver) = ends(Suite::AeadAes128Gcm);
        for ssrc in 0..100 {
            assert_eq!(receiver.unprotect_rtp(&mut packet(1, ssrc)), Err(Error::Unauthentic));
        }
        for ssrc in 0..20 {
            let mut bytes = packet(1, ssrc);
            sender.protect_rtp(&mut bytes).unwrap();
            let opened = receiver.unprotect_rtp(&mut bytes);
            assert_eq!(opened.is_ok(), ssrc < MOST_SOURCES as u32, "{opened:?}");
        }
    }

    #[test]
    fn short_packets_are_malformed() {
        let (mut sender, mut receiver) = ends(Suite::AesCm128HmacSha1Tag80);
        assert_eq!(receiver.unprotect_rtp(&mut [0x80; 11]), Err(Error::Malformed));
        assert_eq!(receiver.unprotect_rtp(&mut [0x80; 12]), Err(Error::Unauthentic));
        assert_eq!(receiver.unprotect_rtcp(&mut [0x80; 7]), Err(Error::Malformed));
        assert_eq!(sender.protect_rtcp(&mut vec![0x80; 7]), Err(Error::Malformed));
        assert_eq!(sender.protect_rtp(&mut vec![0; 12]), Err(Error::Malformed));
    }
}
