//! RTP packets (RFC 3550, 5.1): a view of the header and a writer. SRTP has the same header in the clear
//! (RFC 3711, 3.1); its payload is not touched. What the numbers mean over time is not known here.

/// The length of the header without contributing sources and extension.
pub const HEADER_LEN: usize = 12;

/// A packet whose header was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The marker bit: start of a talk spurt, last packet of a picture.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Counts packets, wraps.
    pub sequence: u16,
    /// In units of the codec's clock, wraps.
    pub timestamp: u32,
    /// The sender of this stream.
    pub ssrc: u32,
    /// Contributing sources that a mixer lists, 0 to 15.
    pub csrc_count: u8,
    /// Whether the last byte says how many bytes of padding there are (encrypted in SRTP).
    pub padding: bool,
    /// The header extension.
    pub extension: Option<Extension<'a>>,
    /// The payload as captured, padding included.
    pub payload: &'a [u8],
    /// Length of the payload on the wire, padding included.
    pub payload_len: u32,
}

/// A header extension (RFC 3550, 5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extension<'a> {
    /// 0xbede for one-byte elements, 0x1000 to 0x100f for two-byte elements (RFC 8285).
    pub profile: u16,
    /// Its data, as far as captured; a multiple of four bytes on the wire.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram of `declared_len` bytes, whole or cut by a capture. `None`: another version, the fixed
    /// header is cut, or the parts of the header are longer than the datagram.
    #[inline]
    pub fn parse(bytes: &'a [u8], declared_len: u32) -> Option<Packet<'a>> {
        let fixed: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let csrc_count = fixed[0] & 0x0f;
        let mut at = HEADER_LEN + usize::from(csrc_count) * 4;
        let mut extension = None;
        if fixed[0] & 0x10 != 0 {
            (extension, at) = read_extension(bytes, at);
        }
        Some(Packet {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            csrc_count,
            padding: fixed[0] & 0x20 != 0,
            extension,
            payload: bytes.get(at..).unwrap_or_default(),
            payload_len: declared_len.checked_sub(at as u32)?,
        })
    }

    /// The payload without its padding. Of no use on SRTP, where the count is encrypted; `None` if the count
    /// is impossible or was not captured.
    pub fn unpadded(&self) -> Option<&'a [u8]> {
        if self.payload.len() != self.payload_len as usize {
            return None;
        }
        let padding = if self.padding { usize::from(*self.payload.last()?) } else { 0 };
        let impossible = self.padding && padding == 0;
        self.payload.get(..self.payload.len().checked_sub(padding)?).filter(|_| !impossible)
    }
}

/// The extension at `at`, and where the payload starts. One cut inside its own header counts as empty.
#[inline]
fn read_extension(bytes: &[u8], at: usize) -> (Option<Extension<'_>>, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((&[p0, p1, l0, l1], data)) = rest.split_first_chunk() else {
        return (Some(Extension { profile: 0, data: &[] }), at + 4);
    };
    let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
    let data = data.get(..len).unwrap_or(data);
    (Some(Extension { profile: u16::from_be_bytes([p0, p1]), data }), at + 4 + len)
}

/// Writes packets.
#[derive(Clone, Copy, Default, Debug)]
pub struct Builder<'a> {
    /// See [`Packet::marker`].
    pub marker: bool,
    /// See [`Packet::payload_type`]; the top bit is dropped.
    pub payload_type: u8,
    /// See [`Packet::sequence`].
    pub sequence: u16,
    /// See [`Packet::timestamp`].
    pub timestamp: u32,
    /// See [`Packet::ssrc`].
    pub ssrc: u32,
    /// Contributing sources; those after the fifteenth are dropped.
    pub csrcs: &'a [u32],
    /// Profile and data of a header extension; the data is padded to four bytes and cut at 65 535 words.
    pub extension: Option<(u16, &'a [u8])>,
    /// Bytes of padding to add, 0 for none.
    pub padding: u8,
}

impl Builder<'_> {
    /// Appends a packet with this payload.
    pub fn write(&self, payload: &[u8], out: &mut Vec<u8>) {
        let csrcs = self.csrcs.get(..15).unwrap_or(self.csrcs);
        let flags = u8::from(self.padding != 0) << 5 | u8::from(self.extension.is_some()) << 4;
        out.push(0x80 | flags | csrcs.len() as u8);
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        csrcs.iter().for_each(|csrc| out.extend(csrc.to_be_bytes()));
        if let Some((profile, data)) = self.extension {
            write_extension(profile, data, out);
        }
        out.extend(payload);
        if self.padding != 0 {
            out.resize(out.len() + usize::from(self.padding) - 1, 0);
            out.push(self.padding);
        }
    }
}

fn write_extension(profile: u16, data: &[u8], out: &mut Vec<u8>) {
    let data = data.get(..usize::from(u16::MAX) * 4).unwrap_or(data);
    let padded = data.len().next_multiple_of(4);
    out.extend(profile.to_be_bytes());
    out.extend(((padded / 4) as u16).to_be_bytes());
    out.extend(data);
    out.resize(out.len() + padded - data.len(), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_packet_keeps_its_header_and_its_length_on_the_wire() {
        let mut bytes = Vec::new();
        let builder = Builder { payload_type: 8, sequence: 65535, ssrc: 7, ..Builder::default() };
        builder.write(&[0xd5; 160], &mut bytes);
        let packet = Packet::parse(&bytes[..14], 172).unwrap();
        assert_eq!((packet.payload_type, packet.sequence, packet.ssrc), (8, 65535, 7));
        assert_eq!((packet.payload.len(), packet.payload_len), (2, 160));
        assert_eq!(packet.unpadded(), None);
    }

    #[test]
    fn header_parts_longer_than_the_datagram_are_no_rtp() {
        let mut bytes = [0u8; 20];
        bytes[0] = 0x80 | 3;
        assert!(Packet::parse(&bytes, 20).is_none());
        bytes[0] = 0x80 | 2;
        assert_eq!(Packet::parse(&bytes, 20).unwrap().payload_len, 0);
        bytes[0] = 0x90;
        bytes[15] = 2;
        assert!(Packet::parse(&bytes, 20).is_none());
        bytes[15] = 1;
        assert_eq!(Packet::parse(&bytes, 20).unwrap().extension.unwrap().data.len(), 4);
    }

    #[test]
    fn an_impossible_padding_count_is_told_apart_from_none() {
        let padded = |count: u8| {
            let mut bytes = Vec::new();
            Builder { padding: 1, ..Builder::default() }.write(b"abc", &mut bytes);
            bytes[15] = count;
            Packet::parse(&bytes, 16).unwrap().unpadded().map(<[u8]>::to_vec)
        };
        assert_eq!(padded(1), Some(b"abc".to_vec()));
        assert_eq!(padded(4), Some(vec![]));
        assert_eq!((padded(0), padded(5)), (None, None));
    }
}
