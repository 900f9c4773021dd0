//! Hashes of texts joined by colons, and hexadecimal digits.

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::user::Algorithm;

pub(super) fn md5(parts: &[&[u8]]) -> [u8; 16] {
    joined::<Md5>(parts).finalize().into()
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    joined::<Sha256>(parts).finalize().into()
}

/// The hash in lower case.
pub(super) fn text(algorithm: Algorithm, parts: &[&[u8]]) -> String {
    match algorithm {
        Algorithm::Md5 => hex(&md5(parts)),
        Algorithm::Sha256 => hex(&sha256(parts)),
    }
}

/// Two digits a byte, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn joined<H: Digest>(parts: &[&[u8]]) -> H {
    let mut hash = H::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash
}
