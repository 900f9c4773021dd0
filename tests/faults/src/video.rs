//! A video flow beside each audio flow, in its rhythm: pictures of two packets, a clock of 90 kHz.

use std::net::IpAddr;

use crate::packet::{Packet, byte, rtp};
use crate::rewrite::Capture;

/// What video adds to a call.
#[derive(Clone, Copy, Debug)]
pub struct Video {
    /// The ports by host.
    pub ports: [(IpAddr, u16); 2],
    /// The mark.
    pub dscp: u8,
    /// Whether session descriptions say so.
    pub told: bool,
    /// Whether this is the fault under test.
    pub struck: bool,
}

const PAYLOAD_TYPE: u8 = 97;

impl Capture {
    /// Both hosts send video too.
    pub fn with_video(self, video: Video) -> Capture {
        let told = match video.told {
            true => video.ports.iter().fold(self, |capture, (host, port)| capture.announce(*host, *port)),
            false => self,
        };
        let mut counts = [0u32; 2];
        let capture = told.flat_map(|packet| {
            let place = video.ports.iter().position(|(host, _)| *host == packet.src);
            let Some(place) = place.filter(|_| rtp(&packet)) else { return vec![packet] };
            counts[place] += 1;
            let picture = picture_part(&packet, video, place, counts[place]);
            vec![packet, picture]
        });
        capture.in_time()
    }

    fn announce(self, host: IpAddr, port: u16) -> Capture {
        let section =
            format!("m=video {port} RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} H264/90000\r\n");
        self.text_from(host, "m=audio ", &format!("{section}m=audio "))
    }
}

/// The n-th packet of a host: two make a picture, 25 pictures a second.
fn picture_part(audio: &Packet, video: Video, place: usize, n: u32) -> Packet {
    let ends = |at: usize| (video.ports[at].0, video.ports[at].1).into();
    let last = n.is_multiple_of(2);
    let mut payload = vec![0x80, PAYLOAD_TYPE | u8::from(last) << 7];
    payload.extend((n as u16).to_be_bytes());
    payload.extend((n.div_ceil(2) * 3600).to_be_bytes());
    payload.extend([0x71, 0xde, 0x00, place as u8]);
    payload.extend(std::iter::repeat_n(n as u8, if last { 640 } else { 1180 }));
    let packet = Packet::udp(audio.time + 300_000, ends(place), ends(1 - place), 0, payload);
    Packet { traffic_byte: byte(video.dscp), interface: audio.interface, struck: video.struck, ..packet }
}
