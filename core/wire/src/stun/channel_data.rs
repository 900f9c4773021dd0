//! ChannelData: four bytes in front of each payload between client and relay (RFC 8656, 12.4 to 12.6), and
//! the framing of TURN over a stream, where messages and ChannelData alternate.

use super::{COOKIE, Error, HEADER_LEN};

/// A payload with its channel number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelData<'a> {
    /// 0x4000 to 0x4fff, bound to one peer by ChannelBind.
    pub channel: u16,
    /// The payload, as far as captured.
    pub data: &'a [u8],
    /// Length of the payload on the wire.
    pub len: u16,
}

/// Whether a number may be a channel. RFC 5766 went up to 0x7fff; what lies above 0x4fff now belongs to other
/// protocols on the same port (RFC 7983).
pub const fn is_channel(number: u16) -> bool {
    number >> 12 == 4
}

impl<'a> ChannelData<'a> {
    /// Reads a datagram of `declared_len` bytes, whole or cut by a capture. It may be padded to a multiple of
    /// four, and must hold nothing else: the first bytes of a QUIC short header look the same.
    #[inline]
    pub fn parse(bytes: &'a [u8], declared_len: usize) -> Option<ChannelData<'a>> {
        let (&[c0, c1, l0, l1], rest) = bytes.split_first_chunk()?;
        let (channel, len) = (u16::from_be_bytes([c0, c1]), u16::from_be_bytes([l0, l1]));
        let exact = 4 + usize::from(len);
        if !is_channel(channel) || declared_len != exact && declared_len != exact.next_multiple_of(4) {
            return None;
        }
        Some(ChannelData { channel, data: rest.get(..usize::from(len)).unwrap_or(rest), len })
    }

    /// Reads one frame off a stream, where padding is the rule (RFC 8656, 12.5); [`frame_len`] says how long
    /// it is.
    pub fn parse_stream(bytes: &'a [u8]) -> Option<ChannelData<'a>> {
        let len = frame_len(bytes).ok()??;
        ChannelData::parse(bytes.get(..len)?, len)
    }

    /// Appends a frame for a datagram; `None`, and nothing written, if the channel or the length is out of range.
    pub fn write(channel: u16, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let len = u16::try_from(data.len()).ok().filter(|_| is_channel(channel))?;
        out.extend(channel.to_be_bytes());
        out.extend(len.to_be_bytes());
        out.extend(data);
        Some(())
    }

    /// Appends a frame for a stream: padded with zeros to a multiple of four.
    pub fn write_stream(channel: u16, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        ChannelData::write(channel, data, out)?;
        let padding = data.len().next_multiple_of(4) - data.len();
        out.resize(out.len() + padding, 0);
        Some(())
    }
}

/// The length of the frame at the start of a TURN stream, padding included: a message or ChannelData.
/// `Ok(None)`: its header is not there yet. An error: the stream has lost its framing, or is none of TURN's.
pub fn frame_len(stream: &[u8]) -> Result<Option<usize>, Error> {
    let Some(&[h0, h1, l0, l1]) = stream.first_chunk() else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    if is_channel(u16::from_be_bytes([h0, h1])) {
        return Ok(Some(4 + len.next_multiple_of(4)));
    }
    if h0 & 0xc0 != 0 || stream.iter().skip(4).zip(COOKIE).any(|(byte, cookie)| *byte != cookie) {
        return Err(Error::NotStun);
    }
    match (len % 4, stream.len() >= 8) {
        (0, true) => Ok(Some(HEADER_LEN + len)),
        (0, false) => Ok(None),
        _ => Err(Error::Length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_may_be_padded_but_holds_nothing_else() {
        let mut bytes = Vec::new();
        ChannelData::write(0x4001, b"hello", &mut bytes).unwrap();
        let view = ChannelData::parse(&bytes, bytes.len()).unwrap();
        assert_eq!((view.channel, view.data, view.len), (0x4001, &b"hello"[..], 5));
        for (extra, is_frame) in [(1, false), (2, false), (3, true), (4, false)] {
            let mut longer = bytes.clone();
            longer.resize(bytes.len() + extra, 0);
            assert_eq!(ChannelData::parse(&longer, longer.len()).is_some(), is_frame, "{extra} more");
        }
    }

    #[test]
    fn a_cut_datagram_keeps_its_length_on_the_wire() {
        let view = ChannelData::parse(&[0x40, 0, 0, 160, 0x80, 0], 164).unwrap();
        assert_eq!((view.data, view.len), (&[0x80, 0][..], 160));
    }

    #[test]
    fn channels_outside_their_range_are_refused() {
        let mut out = Vec::new();
        for channel in [0, 0x3fff, 0x5000, 0x7fff, 0xffff] {
            assert_eq!(ChannelData::write(channel, b"x", &mut out), None);
            assert!(ChannelData::parse(&[(channel >> 8) as u8, channel as u8, 0, 0], 4).is_none());
        }
        assert!(out.is_empty());
    }

    #[test]
    fn a_stream_pads_and_alternates_with_messages() {
        let mut stream = Vec::new();
        ChannelData::write_stream(0x4fff, b"abcde", &mut stream).unwrap();
        assert_eq!(frame_len(&stream), Ok(Some(12)));
        assert_eq!(ChannelData::parse_stream(&stream).unwrap().data, b"abcde");
        assert_eq!(ChannelData::parse_stream(&stream[..11]), None);
        assert_eq!(frame_len(&[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42]), Ok(Some(28)));
        assert_eq!(frame_len(&[0, 1, 0, 8, 0x21]), Ok(None));
        assert_eq!(frame_len(&[0, 1, 0, 8, 0x22]), Err(Error::NotStun));
        assert_eq!(frame_len(&[0, 1, 0, 7, 0x21, 0x12, 0xa4, 0x42]), Err(Error::Length));
        assert_eq!(frame_len(&[0x80, 0, 0, 0]), Err(Error::NotStun));
    }
}
