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

/// Whether a number may be a channel where nothing but TURN is spoken: clients of RFC 5766 choose up to 0x7fff.
pub const fn is_channel_of_rfc5766(number: u16) -> bool {
    number >> 14 == 1
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

    /// Reads a datagram, or one frame of a stream, that came to a relay: any channel of RFC 5766, any padding up to the next
    /// multiple of four, nothing else behind it.
    pub fn parse_relayed(bytes: &'a [u8]) -> Option<ChannelData<'a>> {
        let (&[c0, c1, l0, l1], rest) = bytes.split_first_chunk()?;
        let (channel, len) = (u16::from_be_bytes([c0, c1]), u16::from_be_bytes([l0, l1]));
        let data =
            rest.get(..usize::from(len)).filter(|data| rest.len() <= data.len().next_multiple_of(4))?;
        is_channel_of_rfc5766(channel).then_some(ChannelData { channel, data, len })
    }

    /// Reads one frame off a stream, where padding is the rule (RFC 8656, 12.5); [`frame_len`] says how long
    /// it is.
    pub fn parse_stream(bytes: &'a [u8]) -> Option<ChannelData<'a>> {
        let len = frame_len(bytes).ok()??;
        ChannelData::parse(bytes.get(..len)?, len)
    }

    /// Appends a frame for a datagram; `None`, and nothing written, if the channel or the length is out of range.
    pub fn write(channel: u16, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let len = u16::try_from(data.len()).ok().filter(|_| is_channel_of_rfc5766(channel))?;
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
    frame_len_by(stream, is_channel)
}

/// The same for a relay that serves clients of RFC 5766.
pub fn frame_len_of_rfc5766(stream: &[u8]) -> Result<Option<usize>, Error> {
    frame_len_by(stream, is_channel_of_rfc5766)
}

fn frame_len_by(stream: &[u8], is_channel: fn(u16) -> bool) -> Result<Option<usize>, Error> {
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
        for (channel, of_rfc5766) in
            [(0, false), (0x3fff, false), (0x5000, true), (0x7fff, true), (0x8000, false)]
        {
            let bytes = [(channel >> 8) as u8, channel as u8, 0, 0];
            assert!(ChannelData::parse(&bytes, 4).is_none());
            assert_eq!(ChannelData::parse_relayed(&bytes).is_some(), of_rfc5766);
            assert_eq!(ChannelData::write(channel, b"", &mut out).is_some(), of_rfc5766);
            assert_ne!(frame_len(&bytes), Ok(Some(4)), "{channel}");
            assert_eq!(frame_len_of_rfc5766(&bytes) == Ok(Some(4)), of_rfc5766);
        }
        assert_eq!(out.len(), 8);
    }

    #[test]
    fn a_relay_reads_a_frame_with_or_without_padding_and_nothing_behind_it() {
        let frame = [0x40, 1, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0];
        for (len, is_frame) in [(8, false), (9, true), (10, true), (12, true), (13, false)] {
            let read = ChannelData::parse_relayed(&frame[..len]);
            assert_eq!(read.map(|read| read.data), is_frame.then_some(&[1, 2, 3, 4, 5][..]), "{len}");
        }
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
