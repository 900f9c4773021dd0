//! Encryption and authentication of one kind of packets, RTP or RTCP, under session keys that are already derived.
//!
//! Packet indices are 48 bits for both: roll-over counter and sequence number, or the 31 bits of SRTCP.

use aes::cipher::{BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128, Aes256};
use aes_gcm::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ctr::{Ctr128BE, CtrCore};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::{Key, Suite};

/// Bytes of a tag of GCM.
const GCM_TAG: usize = 16;
/// What of RTCP stays in the clear: the first header with its SSRC.
const RTCP_HEADER: usize = 8;
/// In the word behind SRTCP: the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// What keys are derived for (RFC 3711, 4.3.2): the first of three labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Rtp = 0,
    Rtcp = 3,
}

/// Session keys at work.
pub(super) enum Cipher {
    /// Counter mode, and HMAC-SHA1 cut to so many bytes.
    Cm { aes: Box<Aes128>, salt: [u8; 14], hmac: Box<Hmac<Sha1>>, tag: usize },
    /// GCM with a key of 128 bits.
    Gcm128 { aes: Box<Aes128Gcm>, salt: [u8; 12] },
    /// GCM with a key of 256 bits.
    Gcm256 { aes: Box<Aes256Gcm>, salt: [u8; 12] },
}

impl Cipher {
    /// Session keys from a master key (RFC 3711, 4.3; the rate of derivation is 0: once).
    pub(super) fn derive(key: &Key, purpose: Purpose) -> Option<Cipher> {
        let label = purpose as u8;
        let mut encryption = [0; 32];
        let encryption = encryption.get_mut(..key.suite().key_len())?;
        let (mut authentication, mut salt) = ([0; 20], [0; 14]);
        let salt = salt.get_mut(..key.suite().salt_len())?;
        expand(key, label, encryption)?;
        expand(key, label + 1, &mut authentication)?;
        expand(key, label + 2, salt)?;
        // The RTCP of the short-tagged suite has the long tag (RFC 4568, 6.2.2).
        let short = key.suite() == Suite::AesCm128HmacSha1Tag32 && purpose == Purpose::Rtp;
        Cipher::new(key.suite(), encryption, salt, &authentication, if short { 4 } else { 10 })
    }

    /// With these session keys.
    pub(super) fn new(suite: Suite, key: &[u8], salt: &[u8], auth: &[u8], tag: usize) -> Option<Cipher> {
        Some(match suite {
            Suite::AesCm128HmacSha1Tag80 | Suite::AesCm128HmacSha1Tag32 => Cipher::Cm {
                aes: Box::new(Aes128::new_from_slice(key).ok()?),
                salt: salt.try_into().ok()?,
                hmac: Box::new(Hmac::new_from_slice(auth).ok()?),
                tag,
            },
            Suite::AeadAes128Gcm => Cipher::Gcm128 {
                aes: Box::new(Aes128Gcm::new_from_slice(key).ok()?),
                salt: salt.try_into().ok()?,
            },
            Suite::AeadAes256Gcm => Cipher::Gcm256 {
                aes: Box::new(Aes256Gcm::new_from_slice(key).ok()?),
                salt: salt.try_into().ok()?,
            },
        })
    }

    /// Encrypts what is behind the header, and appends the tag.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, header: usize, packet: &mut Vec<u8>) -> Option<()> {
        let (head, payload) = packet.split_at_mut_checked(header)?;
        match self {
            Cipher::Cm { aes, salt, hmac, tag } => {
                counter_mode(aes, salt, ssrc, index, payload);
                let mac = mac(hmac, &[packet, &((index >> 16) as u32).to_be_bytes()]);
                packet.extend(mac.get(..*tag)?);
            }
            gcm => {
                let tag = gcm.encrypt(ssrc, index, head, payload)?;
                packet.extend(tag);
            }
        }
        Some(())
    }

    /// Checks the tag and decrypts in place: the length of the packet without its tag. `None` if the tag is wrong; the
    /// bytes are then as they came, or in ruins, and not to be used.
    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, header: usize, packet: &mut [u8]) -> Option<usize> {
        let tag_len = if let Cipher::Cm { tag, .. } = self { *tag } else { GCM_TAG };
        let len = packet.len().checked_sub(tag_len).filter(|len| *len >= header)?;
        let (body, tag) = packet.split_at_mut_checked(len)?;
        if let Cipher::Cm { aes, salt, hmac, .. } = self {
            verify(hmac, &[body, &((index >> 16) as u32).to_be_bytes()], tag)?;
            counter_mode(aes, salt, ssrc, index, body.get_mut(header..)?);
        } else {
            let (head, payload) = body.split_at_mut_checked(header)?;
            self.decrypt(ssrc, index, head, payload, tag)?;
        }
        Some(len)
    }

    /// Encrypts a compound, appends index and tag (RFC 3711, 3.4; with GCM the tag stands before the index, RFC 7714, 9.2).
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut Vec<u8>) -> Option<()> {
        let word = (ENCRYPTED | index).to_be_bytes();
        let (head, payload) = packet.split_at_mut_checked(RTCP_HEADER)?;
        match self {
            Cipher::Cm { aes, salt, hmac, tag } => {
                counter_mode(aes, salt, ssrc, index.into(), payload);
                packet.extend(word);
                let mac = mac(hmac, &[packet]);
                packet.extend(mac.get(..*tag)?);
            }
            gcm => {
                let mut associated = [0; RTCP_HEADER + 4];
                associated[..RTCP_HEADER].copy_from_slice(head);
                associated[RTCP_HEADER..].copy_from_slice(&word);
                let tag = gcm.encrypt(ssrc, index.into(), &associated, payload)?;
                packet.extend(tag);
                packet.extend(word);
            }
        }
        Some(())
    }

    /// As [`Cipher::open_rtp`]. A compound that was only authenticated is accepted too.
    pub(super) fn open_rtcp(&self, ssrc: u32, packet: &mut [u8]) -> Option<usize> {
        let word = self.rtcp_word(packet)?;
        let (is_encrypted, index) = (word & ENCRYPTED != 0, word & !ENCRYPTED);
        if let Cipher::Cm { aes, salt, hmac, tag } = self {
            let (body, tag) = packet.split_at_mut_checked(packet.len().checked_sub(*tag)?)?;
            verify(hmac, &[body], tag)?;
            let len = body.len().checked_sub(4)?;
            if is_encrypted {
                counter_mode(aes, salt, ssrc, index.into(), body.get_mut(RTCP_HEADER..len)?);
            }
            return Some(len);
        }
        let len = packet.len().checked_sub(GCM_TAG + 4)?;
        let (body, trailer) = packet.split_at_mut_checked(len)?;
        let tag = trailer.get(..GCM_TAG)?;
        let (head, payload) = body.split_at_mut_checked(RTCP_HEADER)?;
        if is_encrypted {
            let associated = [&*head, &word.to_be_bytes()].concat();
            self.decrypt(ssrc, index.into(), &associated, payload, tag)?;
        } else {
            let associated = [&*head, &*payload, &word.to_be_bytes()].concat();
            self.decrypt(ssrc, index.into(), &associated, &mut [], tag)?;
        }
        Some(len)
    }

    /// The word with E flag and index, unproven.
    pub(super) fn rtcp_word(&self, packet: &[u8]) -> Option<u32> {
        let behind = if let Cipher::Cm { tag, .. } = self { *tag } else { 0 };
        let at = packet.len().checked_sub(4 + behind).filter(|at| *at >= RTCP_HEADER)?;
        Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?))
    }

    fn encrypt(&self, ssrc: u32, index: u64, associated: &[u8], bytes: &mut [u8]) -> Option<[u8; GCM_TAG]> {
        match self {
            Cipher::Gcm128 { aes, salt } => {
                let tag =
                    aes.encrypt_inout_detached(&nonce(salt, ssrc, index).into(), associated, bytes.into());
                tag.ok().map(Into::into)
            }
            Cipher::Gcm256 { aes, salt } => {
                let tag =
                    aes.encrypt_inout_detached(&nonce(salt, ssrc, index).into(), associated, bytes.into());
                tag.ok().map(Into::into)
            }
            Cipher::Cm { .. } => None,
        }
    }

    fn decrypt(&self, ssrc: u32, index: u64, associated: &[u8], bytes: &mut [u8], tag: &[u8]) -> Option<()> {
        let tag: [u8; GCM_TAG] = tag.try_into().ok()?;
        let (bytes, tag) = (bytes.into(), tag.into());
        let opened = match self {
            Cipher::Gcm128 { aes, salt } => {
                aes.decrypt_inout_detached(&nonce(salt, ssrc, index).into(), associated, bytes, &tag)
            }
            Cipher::Gcm256 { aes, salt } => {
                aes.decrypt_inout_detached(&nonce(salt, ssrc, index).into(), associated, bytes, &tag)
            }
            Cipher::Cm { .. } => return None,
        };
        opened.ok()
    }
}

/// The pseudo-random function: counter mode under the master key, from the salt with the label in it.
fn expand(key: &Key, label: u8, out: &mut [u8]) -> Option<()> {
    let mut iv = [0; 16];
    iv.get_mut(..key.salt().len())?.copy_from_slice(key.salt());
    iv[7] ^= label;
    out.fill(0);
    // As long as the key: AES-256 has AES-256 to derive with (RFC 7714, 11).
    if key.suite().key_len() == 32 {
        counter(Aes256::new_from_slice(key.master()).ok()?, iv, out);
    } else {
        counter(Aes128::new_from_slice(key.master()).ok()?, iv, out);
    }
    Some(())
}

/// RFC 3711, 4.1.1.
fn counter_mode(aes: &Aes128, salt: &[u8; 14], ssrc: u32, index: u64, bytes: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    mix(&mut iv[4..14], ssrc, index);
    counter(aes.clone(), iv, bytes);
}

/// RFC 7714, 8.1 and 9.1.
fn nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = *salt;
    mix(&mut nonce[2..12], ssrc, index);
    nonce
}

/// Four bytes of SSRC and six of the index, by exclusive or.
fn mix(bytes: &mut [u8], ssrc: u32, index: u64) {
    let index = index.to_be_bytes();
    let numbers = ssrc.to_be_bytes().into_iter().chain(index.into_iter().skip(2));
    bytes.iter_mut().zip(numbers).for_each(|(byte, number)| *byte ^= number);
}

fn counter<C>(cipher: C, iv: [u8; 16], bytes: &mut [u8])
where
    C: BlockCipherEncrypt + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
{
    Ctr128BE::from_core(CtrCore::inner_iv_init(cipher, &iv.into())).apply_keystream(bytes);
}

fn mac(hmac: &Hmac<Sha1>, parts: &[&[u8]]) -> [u8; 20] {
    let mut hmac = hmac.clone();
    parts.iter().for_each(|part| hmac.update(part));
    hmac.finalize().into_bytes().into()
}

fn verify(hmac: &Hmac<Sha1>, parts: &[&[u8]], tag: &[u8]) -> Option<()> {
    let expected = mac(hmac, parts);
    bool::from(expected.get(..tag.len())?.ct_eq(tag)).then_some(())
}

#[cfg(test)]
#[path = "vectors.rs"]
mod tests;
