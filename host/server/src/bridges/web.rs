//! The browser's side of a bridge: ICE, DTLS and SRTP by str0m, without its sockets and descriptions. RTP in the clear goes in
//! and comes out.
//!
//! str0m draws its own random numbers, which is why it is here and not in a core.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use carillon_media::negotiate::{Agreed, Dtls, Fingerprint};
use carillon_wire::payload::{Kind, classify};
use carillon_wire::rtp;
use sha2::{Digest, Sha256};
use str0m::config::{self, DtlsCert};
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig, RtcError};

/// Sources of one browser that are listened to: a page that is reloaded begins anew, and nobody may fill the table.
const SOURCES: usize = 8;

/// Our certificate.
#[derive(Clone)]
pub(super) struct Identity {
    certificate: DtlsCert,
    pub(super) fingerprint: Fingerprint,
}

/// A connection with a browser.
pub(super) struct Web {
    rtc: Rtc,
    mid: Mid,
    /// The certificate that the browser has to show.
    peer: Option<Fingerprint>,
    connected: bool,
    sources: Vec<u32>,
    /// What we send: the source, and the last number with how often it has gone round.
    sent: Option<(u32, u64)>,
    leaving: Vec<(SocketAddr, Vec<u8>)>,
}

impl Identity {
    /// `None` only if the cipher library makes no keys.
    pub(super) fn new() -> Option<Identity> {
        let provider = str0m::crypto::from_feature_flags();
        let certificate = provider.dtls_provider.generate_certificate()?;
        let fingerprint = Fingerprint(Sha256::digest(&certificate.certificate).into());
        Some(Identity { certificate, fingerprint })
    }
}

impl Web {
    /// With a browser that is described so, at this address of ours. It makes the checks, we answer them (RFC 8445, 2.5).
    pub(super) fn new(
        identity: &Identity,
        agreed: &Agreed,
        address: SocketAddr,
        now: Instant,
    ) -> Result<Web, RtcError> {
        Web::with(configuration(identity, agreed).set_ice_lite(true).build(now), agreed, address)
    }

    /// The other end, for tests: it makes the checks.
    #[cfg(test)]
    pub(super) fn calling(
        identity: &Identity,
        agreed: &Agreed,
        address: SocketAddr,
        now: Instant,
    ) -> Result<Web, RtcError> {
        let mut rtc = configuration(identity, agreed).build(now);
        rtc.direct_api().set_ice_controlling(true);
        for candidate in agreed.ice.iter().flat_map(|ice| &ice.remote.candidates) {
            rtc.add_remote_candidate(Candidate::host(candidate.address, Protocol::Udp)?);
        }
        Web::with(rtc, agreed, address)
    }

    fn with(mut rtc: Rtc, agreed: &Agreed, address: SocketAddr) -> Result<Web, RtcError> {
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp)?);
        let mid = Mid::from("audio");
        let mut direct = rtc.direct_api();
        direct.declare_media(mid, MediaKind::Audio);
        if let Some(Dtls { peer, active }) = agreed.dtls {
            let (hash_func, bytes) = ("sha-256".to_owned(), peer.0.to_vec());
            direct.set_remote_fingerprint(config::Fingerprint { hash_func, bytes });
            direct.start_dtls(active)?;
        }
        let peer = agreed.dtls.map(|dtls| dtls.peer);
        let (sources, leaving) = (Vec::new(), Vec::new());
        let mut web = Web { rtc, mid, peer, connected: false, sources, sent: None, leaving };
        web.agree(agreed);
        Ok(web)
    }

    /// Whether this is of the browser that we speak with: another certificate is another one.
    pub(super) fn is_with(&self, agreed: &Agreed) -> bool {
        self.peer == agreed.dtls.map(|dtls| dtls.peer)
    }

    /// Who checks, and who is checked, from now on: new credentials begin checks anew, and nothing else (RFC 8445, 9).
    pub(super) fn agree(&mut self, agreed: &Agreed) {
        let Some(session) = &agreed.ice else { return };
        let creds = |of: &carillon_media::ice::Credentials| IceCreds {
            ufrag: of.ufrag.clone(),
            pass: of.password.clone(),
        };
        let mut direct = self.rtc.direct_api();
        direct.set_local_ice_credentials(creds(&session.local));
        direct.set_remote_ice_credentials(creds(&session.remote.credentials));
    }

    /// Whether the browser may still be heard: a wrong certificate or its goodbye ends that.
    pub(super) fn is_alive(&self) -> bool {
        self.rtc.is_alive()
    }

    /// Takes a packet; what it brings of media is shown in the clear. Whether it was one of this browser.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        see: &mut dyn FnMut(&mut [u8]),
    ) -> bool {
        let Ok(received) = Receive::new(Protocol::Udp, from, to, bytes) else { return false };
        let input = Input::Receive(now, received);
        if !self.rtc.accepts(&input) {
            return false;
        }
        self.expect(bytes);
        // What is wrong with a packet is no reason to end: only what cannot go on is not alive afterwards.
        let _ = self.rtc.handle_input(input);
        self.drain(see);
        true
    }

    /// Sends a packet that our leg has made. Its reports stay here: str0m makes its own.
    pub(super) fn send(&mut self, now: Instant, packet: &[u8]) {
        let Some(packet) = media(packet) else { return };
        let Some(payload) = packet.unpadded().filter(|_| self.connected) else { return };
        let number = match self.sent {
            Some((ssrc, last)) if ssrc == packet.ssrc => {
                last + u64::from(packet.sequence.wrapping_sub(last as u16))
            }
            _ => {
                self.rtc.direct_api().declare_stream_tx(packet.ssrc.into(), None, self.mid, None);
                u64::from(packet.sequence)
            }
        };
        self.sent = Some((packet.ssrc, number));
        let format = Pt::new_with_value(packet.payload_type);
        let write = RtpWrite::new(format, number.into(), packet.timestamp, now, payload);
        let mut direct = self.rtc.direct_api();
        if let Some(stream) = direct.stream_tx(&Ssrc::from(packet.ssrc)) {
            stream.write_rtp(write.marker(packet.marker));
        }
    }

    /// What the time has come for.
    pub(super) fn turn(&mut self, now: Instant) {
        let _ = self.rtc.handle_input(Input::Timeout(now));
        self.drain(&mut |_| {});
    }

    /// Packets to send.
    pub(super) fn take(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.leaving)
    }

    /// A new source of the browser, as its packets say in the clear: whether it is really its own, SRTP finds out.
    fn expect(&mut self, bytes: &[u8]) {
        let Some(packet) = media(bytes).filter(|packet| !self.sources.contains(&packet.ssrc)) else { return };
        if self.connected && self.sources.len() < SOURCES {
            self.sources.push(packet.ssrc);
            self.rtc.direct_api().expect_stream_rx(packet.ssrc.into(), None, self.mid, None);
        }
    }

    fn drain(&mut self, see: &mut dyn FnMut(&mut [u8])) {
        // An error ends the connection, see `is_alive`.
        while let Ok(output) = self.rtc.poll_output() {
            match output {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    self.leaving.push((transmit.destination, transmit.contents.to_vec()));
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => see(&mut plain(&packet)),
                Output::Event(_) => {}
            }
        }
    }
}

/// What an end of ours and of a test have in common.
fn configuration(identity: &Identity, agreed: &Agreed) -> RtcConfig {
    let mut config = RtcConfig::new()
        .set_dtls_cert(identity.certificate.clone())
        .set_rtp_mode(true)
        .clear_codecs()
        .clear_extension_map();
    let events = agreed.events.into_iter().flat_map(|events| [events.send, events.receive]);
    let numbers = agreed.receive.iter().chain([&agreed.send]).map(|format| format.payload_type);
    // Which codec a number means matters to our leg only; str0m wants to know the number, and a clock for its reports.
    let (codec, clock) = (Codec::Opus, Frequency::FORTY_EIGHT_KHZ);
    for number in numbers.chain(events).collect::<BTreeSet<u8>>() {
        let number = Pt::new_with_value(number);
        config.codec_config().add_config(number, None, codec, clock, Some(2), FormatParams::default());
    }
    config
}

/// RTP, and nothing that shares its port: reports look like it to who does not look twice.
fn media(bytes: &[u8]) -> Option<rtp::Packet<'_>> {
    let len = bytes.len() as u32;
    rtp::Packet::parse(bytes, len).filter(|_| classify(bytes, len) == Kind::Rtp)
}

/// The packet as it would have come without ciphers.
fn plain(packet: &RtpPacket) -> Vec<u8> {
    let header = &packet.header;
    let builder = rtp::Builder {
        marker: header.marker,
        payload_type: *header.payload_type,
        sequence: header.sequence_number,
        timestamp: header.timestamp,
        ssrc: *header.ssrc,
        ..rtp::Builder::default()
    };
    let mut bytes = Vec::with_capacity(packet.payload.len() + 12);
    builder.write(&packet.payload, &mut bytes);
    bytes
}
