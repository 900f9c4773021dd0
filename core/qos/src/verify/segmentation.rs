//! Captures taken before the network card cut the packets: one frame stands for several on the wire.

use carillon_wire::stun::{COOKIE, frame_len};

use super::stream::RtpPacket;

/// IP packets of media are not longer than this on ordinary links.
pub(super) const USUAL_MTU: u32 = 1500;
const RTP_HEADER: usize = 12;

/// Whether a datagram holds a second RTP packet of the same sender behind the first (UDP_SEGMENT).
#[cold]
pub(super) fn holds_more(payload: &[u8], first: &RtpPacket) -> bool {
    let next = first.seq.wrapping_add(1).to_be_bytes();
    let ssrc = first.ssrc.to_be_bytes();
    let last_start = payload.len().saturating_sub(RTP_HEADER);
    (RTP_HEADER..=last_start).any(|at| {
        let header = payload.get(at..at + RTP_HEADER).unwrap_or_default();
        header.first().is_some_and(|byte| byte & 0xc0 == 0x80)
            && header.get(2..4) == Some(&next)
            && header.get(8..12) == Some(&ssrc)
    })
}

/// Whether a datagram is several messages of STUN, one behind the other.
#[cold]
pub(super) fn is_train_of_stun(payload: &[u8]) -> bool {
    let (mut rest, mut messages) = (payload, 0);
    while rest.get(4..8) == Some(&COOKIE) {
        let Ok(Some(behind)) = frame_len(rest).map(|len| rest.get(len?..)) else { return false };
        (rest, messages) = (behind, messages + 1);
    }
    rest.is_empty() && messages > 1
}

#[cfg(test)]
mod tests {
    use super::super::stream::Wrap;
    use super::*;

    fn packet(seq: u16, body: usize) -> Vec<u8> {
        let mut bytes = vec![0x80, 0];
        bytes.extend(seq.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef]);
        bytes.resize(12 + body, 0x55);
        bytes
    }

    fn first(seq: u16) -> RtpPacket {
        RtpPacket {
            frame: 1,
            time: 0,
            traffic_byte: 0,
            ssrc: 0xdead_beef,
            seq,
            timestamp: 1,
            payload_type: 0,
            len: 0,
            ip_len: 0,
            wrap: Wrap::Bare,
        }
    }

    #[test]
    fn messages_of_stun_in_one_datagram_are_told_from_anything_else() {
        let message = |attributes: u8| {
            let mut bytes = vec![0, 1, 0, attributes, 0x21, 0x12, 0xa4, 0x42];
            bytes.resize(20 + usize::from(attributes), 7);
            bytes
        };
        let train = [message(8), message(8), message(0)].concat();
        assert!(is_train_of_stun(&train));
        assert!(!is_train_of_stun(&message(8)), "one is none");
        assert!(!is_train_of_stun(&train[..train.len() - 1]), "the last is not whole");
        assert!(!is_train_of_stun(&[&train[..], b"x"].concat()), "something else is behind");
        assert!(!is_train_of_stun(&[0; 40]));
    }

    #[test]
    fn two_packets_in_one_frame_are_seen() {
        let both = [packet(7, 160), packet(8, 160)].concat();
        assert!(holds_more(&both, &first(7)));
        assert!(!holds_more(&packet(7, 400), &first(7)));
        let wrapped = [packet(65535, 20), packet(0, 20)].concat();
        assert!(holds_more(&wrapped, &first(65535)));
    }
}
