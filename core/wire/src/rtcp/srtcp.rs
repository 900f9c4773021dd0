//! The outside of SRTCP. Only the first header and SSRC are in the clear; at the end stand the E flag with the
//! index and the authentication tag, whose length the keys' owner knows and we must guess (RFC 3711, 3.4).

use super::{Packets, be32, is_compound};

/// A protected compound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Srtcp {
    /// Type of the first packet, in the clear.
    pub packet_type: u8,
    /// Its sender, in the clear.
    pub ssrc: u32,
    /// Whether the rest is encrypted; `None` if the trailer was cut off by the capture.
    pub encrypted: Option<bool>,
    /// Counts the sender's compounds; `None` as above.
    pub index: Option<u32>,
}

/// Tags of AES-CM with HMAC-SHA1-80 and -32 stand behind the index (RFC 3711, 4.2; RFC 5764, 4.1.2); that
/// of AES-GCM stands before it (RFC 7714, 9.2).
const TAGS_BEHIND_INDEX: [usize; 3] = [10, 4, 0];

/// An index above this is taken for a guess at the wrong place: a compound every 200 ms for two days.
const HIGHEST_INDEX: u32 = 1 << 20;

/// Recognises SRTCP: starts like RTCP, whose lengths then do not add up to the datagram, and has room for the
/// trailer.
pub fn srtcp(bytes: &[u8], declared_len: u32) -> Option<Srtcp> {
    let ssrc = be32(bytes, 4)?;
    let (declared, mut packets) = (declared_len as usize, super::packets(bytes, declared_len));
    let packet_type = packets.next()?.packet_type;
    if is_compound(bytes, declared_len) || packets.remaining < 4 {
        return None;
    }
    if bytes.len() < declared {
        return Some(Srtcp { packet_type, ssrc, encrypted: None, index: None });
    }
    let word = TAGS_BEHIND_INDEX.iter().find_map(|tag| trailer(bytes, &packets, declared, *tag))?;
    let (encrypted, index) = (word >> 31 == 1, word & 0x7fff_ffff);
    Some(Srtcp { packet_type, ssrc, encrypted: Some(encrypted), index: Some(index) })
}

/// The word with E flag and index, if it is plausible in front of a tag of this length.
fn trailer(bytes: &[u8], packets: &Packets<'_>, declared: usize, tag: usize) -> Option<u32> {
    let at = declared.checked_sub(4 + tag)?;
    let word = be32(bytes, at)?;
    let fits = packets.remaining >= 4 + tag && word & 0x7fff_ffff < HIGHEST_INDEX;
    // Without the E flag the compound in front of the trailer is readable, so it must add up.
    let readable = || is_compound(bytes.get(..at).unwrap_or_default(), at as u32);
    (fits && (word >> 31 == 1 || readable())).then_some(word)
}
