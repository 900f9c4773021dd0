//! Writes session descriptions.

use carillon_wire::sdp::Direction;

use super::select::Selected;
use super::session::Meaning;
use super::{Agreed, Encryption, Format, Negotiation};
use crate::codec::Codec;
use crate::leg::Component;

/// Keys 0 to 9, *, #, A to D (RFC 4733, 3.2).
const EVENTS: &str = "0-15";

pub(super) fn offer(ours: &Negotiation, direction: Direction) -> String {
    let formats: Vec<Format> = ours.wishes.codecs.iter().map(|codec| own_format(ours, *codec)).collect();
    let mut clocks: Vec<u32> = ours.wishes.codecs.iter().map(|codec| codec.clock()).collect();
    clocks.sort_unstable();
    clocks.dedup();
    let events: Vec<(u8, u32)> = clocks.iter().map(|clock| (event_number(ours, *clock), *clock)).collect();
    let protocol = match ours.wishes.encryption {
        _ if ours.identity.is_some() => "UDP/TLS/RTP/SAVPF",
        Encryption::Required => "RTP/SAVP",
        Encryption::Optional | Encryption::Off => "RTP/AVP",
    };
    let mut text = session(ours);
    refuse(&mut text, &ours.shape.before);
    section(&mut text, ours, protocol, &formats, &events);
    if ours.wishes.encryption != Encryption::Off {
        for (tag, key) in (1..).zip(&ours.keys) {
            line(&mut text, format_args!("a=crypto:{}", key.attribute(tag)));
        }
    }
    rtcp(&mut text, ours, ours.wishes.mux);
    ice(&mut text, ours, true);
    // Whoever answers chooses who begins (RFC 8842, 5.2).
    identity(&mut text, ours, "actpass");
    line(&mut text, format_args!("a={}", direction_name(direction)));
    refuse(&mut text, &ours.shape.behind);
    text
}

/// Answers every section of the offer in its place; all but ours are refused (RFC 3264, 6).
pub(super) fn answer(ours: &Negotiation, selected: &Selected<'_>, agreed: &Agreed) -> String {
    let mut text = session(ours);
    refuse(&mut text, &ours.shape.before);
    accept(&mut text, ours, selected, agreed);
    refuse(&mut text, &ours.shape.behind);
    text
}

/// The number of a codec in our offers.
pub(super) fn own_format(ours: &Negotiation, codec: Codec) -> Format {
    Format { payload_type: ours.shape.number(Meaning::Codec(codec)), codec }
}

/// The number of telephone events of that clock in our offers.
pub(super) fn event_number(ours: &Negotiation, clock: u32) -> u8 {
    ours.shape.number(Meaning::Events(clock))
}

fn accept(text: &mut String, ours: &Negotiation, selected: &Selected<'_>, agreed: &Agreed) {
    let media = &selected.media;
    let events = agreed.events.map(|events| (events.receive, events.clock));
    section(text, ours, media.protocol, &[agreed.send], events.as_slice());
    if let (Some(tag), Some(keys)) = (selected.tag, &agreed.keys) {
        line(text, format_args!("a=crypto:{}", keys.send.attribute(tag)));
    }
    rtcp(text, ours, agreed.mux);
    if agreed.ice.is_some() {
        ice(text, ours, !agreed.mux);
    } else if selected.mismatch && ours.ice.is_some() {
        line(text, format_args!("a=ice-mismatch"));
    }
    if let Some(dtls) = agreed.dtls {
        identity(text, ours, if dtls.active { "active" } else { "passive" });
    }
    if let Some(mid) = media.mid() {
        line(text, format_args!("a=mid:{mid}"));
    }
    line(text, format_args!("a={}", direction_name(agreed.direction)));
}

fn refuse(text: &mut String, sections: &[String]) {
    sections.iter().for_each(|section| line(text, format_args!("{section}")));
}

fn session(ours: &Negotiation) -> String {
    let (mut text, ip) = (String::with_capacity(1024), ours.address());
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    line(&mut text, format_args!("v=0"));
    line(&mut text, format_args!("o=- {} {} IN {family} {ip}", ours.session, ours.version));
    line(&mut text, format_args!("s=-"));
    line(&mut text, format_args!("c=IN {family} {ip}"));
    line(&mut text, format_args!("t=0 0"));
    if ours.ice.as_ref().is_some_and(|own| own.lite) {
        line(&mut text, format_args!("a=ice-lite"));
    }
    text
}

fn section(text: &mut String, ours: &Negotiation, protocol: &str, formats: &[Format], events: &[(u8, u32)]) {
    let numbers = formats.iter().map(|format| format.payload_type).chain(events.iter().map(|event| event.0));
    let numbers = numbers.fold(String::new(), |list, number| format!("{list} {number}"));
    line(text, format_args!("m=audio {} {protocol}{numbers}", ours.local.rtp.port()));
    for Format { payload_type, codec } in formats {
        let channels = if codec.channels() == 1 { "" } else { "/2" };
        line(text, format_args!("a=rtpmap:{payload_type} {codec}/{}{channels}", codec.clock()));
        if *codec == Codec::Opus {
            // What is beyond 16 kHz we would not play (RFC 7587, 6.1).
            line(
                text,
                format_args!(
                    "a=fmtp:{payload_type} maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1"
                ),
            );
        }
    }
    for (payload_type, clock) in events {
        line(text, format_args!("a=rtpmap:{payload_type} telephone-event/{clock}"));
        line(text, format_args!("a=fmtp:{payload_type} {EVENTS}"));
    }
    line(text, format_args!("a=ptime:20"));
}

/// Where RTCP is received, and that we like VoIP metrics. An `a=rtcp` stands beside an `a=rtcp-mux` for those who
/// don't know the latter (RFC 5761, 5.1.1), unless it is the port above anyway.
fn rtcp(text: &mut String, ours: &Negotiation, mux: bool) {
    let rtp = ours.local.rtp.port();
    let port = ours.local.rtcp.unwrap_or(rtp);
    if port != rtp.wrapping_add(1) {
        line(text, format_args!("a=rtcp:{port}"));
    }
    if mux {
        line(text, format_args!("a=rtcp-mux"));
    }
    line(text, format_args!("a=rtcp-xr:voip-metrics"));
}

/// Who and where we are to checks; of RTCP only where it has a port of its own.
fn ice(text: &mut String, ours: &Negotiation, rtcp: bool) {
    let Some(own) = &ours.ice else { return };
    line(text, format_args!("a=ice-options:ice2"));
    let lines = own.lines(|candidate| rtcp || candidate.component == Component::Rtp);
    lines.for_each(|content| line(text, format_args!("{content}")));
}

/// Who we are to DTLS, and that pages may treat what they hear as a stream (RFC 8830).
fn identity(text: &mut String, ours: &Negotiation, setup: &str) {
    let Some(own) = &ours.identity else { return };
    line(text, format_args!("a=fingerprint:{own}"));
    line(text, format_args!("a=setup:{setup}"));
    line(text, format_args!("a=msid:carillon audio"));
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

/// A line, without what would end it early: answers repeat words of offers.
fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    text.extend(content.to_string().chars().filter(|character| !character.is_control()));
    text.push_str("\r\n");
}
