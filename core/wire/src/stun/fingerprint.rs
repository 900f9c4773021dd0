//! FINGERPRINT: the CRC-32 of ITU V.42 over the message before it (RFC 8489, 14.7).

use super::{Message, kind};

/// The verdict on a message's FINGERPRINT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fingerprint {
    /// There is none, or it lies behind the capture's cut.
    Absent,
    /// It agrees.
    Valid,
    /// It does not agree, or is not the last attribute.
    Wrong,
}

/// Makes the checksum unlike that of other protocols: "STUN" in ASCII.
const MASK: u32 = 0x5354_554e;

pub(super) fn check(message: &Message<'_>) -> Fingerprint {
    let Some(found) = message.attribute(kind::FINGERPRINT) else { return Fingerprint::Absent };
    if message.is_cut() {
        return Fingerprint::Absent;
    }
    let is_last = found.at + 8 == message.bytes().len();
    let covered = message.bytes().get(..found.at).unwrap_or_default();
    match is_last && found.value == value(covered).to_be_bytes() {
        true => Fingerprint::Valid,
        false => Fingerprint::Wrong,
    }
}

/// The attribute's value for a message that starts with `covered` and whose length field already counts it.
pub(super) fn value(covered: &[u8]) -> u32 {
    crc32(covered) ^ MASK
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8)
}

/// The remainders of all bytes by the reflected polynomial.
static TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut remainder, mut bit) = (byte as u32, 0);
        while bit < 8 {
            let divisor = if remainder & 1 == 1 { 0xedb8_8320 } else { 0 };
            remainder = remainder >> 1 ^ divisor;
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    #[test]
    fn crc32_gives_the_check_value_of_its_catalogue() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
