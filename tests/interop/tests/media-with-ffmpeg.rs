//! ffmpeg hears what a leg says and a leg hears what ffmpeg says, in every codec, encrypted and not: over the session
//! descriptions that each of them writes. Words count, not packets.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_types, reason = "a test's sockets on loopback have no plan to be leased from")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use carillon_interop::Result;
use carillon_interop::process::{Process, wait_until};
use carillon_media::codec::{Codec, Frame};
use carillon_media::leg::{Component, Config, Leg, Output, TICK};
use carillon_media::negotiate::{Agreed, Encryption, Local, Negotiation, Wishes};
use carillon_media::speech::{Voice, similarity};
use carillon_media::srtp::Suite;
use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::Direction;

const LIMIT: Duration = Duration::from_secs(20);
const RAW: [&str; 6] = ["-f", "s16le", "-ar", "16000", "-ac", "1"];

fn wishes(codec: Codec, suite: Option<Suite>) -> Wishes {
    let encryption = if suite.is_some() { Encryption::Required } else { Encryption::Off };
    Wishes { codecs: vec![codec], encryption, suites: suite.into_iter().collect(), mux: false }
}

fn leg(agreed: Agreed) -> Leg {
    let cname = "carillon".to_owned();
    Leg::new(Config { agreed, class: TrafficClass::Audio, mark: Dscp::DEFAULT, cname, seed: [6; 32] })
        .unwrap()
}

/// An even port with a free one above it.
fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        if port.is_multiple_of(2) && port < 65_000 && UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok()
        {
            return port;
        }
    }
}

/// Drives a leg in real time: says the frames, then listens on; gives what was heard.
fn drive(leg: &mut Leg, socket: &UdpSocket, said: &[Frame], ticks: usize) -> Vec<i16> {
    socket.set_nonblocking(true).unwrap();
    let (start, mut heard, mut datagram) = (Instant::now(), Vec::new(), [0; 2048]);
    for at in 0..ticks {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        while let Ok((len, source)) = socket.recv_from(&mut datagram) {
            leg.handle_rtp(now, source, &mut datagram[..len], Dscp::DEFAULT);
        }
        heard.extend(leg.tick(now, said.get(at)));
        while let Some(output) = leg.poll_output() {
            if let Output::Transmit(packet) = output {
                let to = if packet.component == Component::Rtp { packet.to } else { continue };
                let _ = socket.send_to(&packet.bytes, to);
            }
        }
        std::thread::sleep((start + TICK * (at as u32 + 1)).saturating_duration_since(Instant::now()));
    }
    heard
}

/// A leg calls, and ffmpeg reads the offer as if it were the answer.
fn ffmpeg_hears(codec: Codec, suite: Option<Suite>) -> Result<()> {
    let work = tempfile::tempdir()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let theirs = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    // The description that ffmpeg plays is one of ours, at the port where ffmpeg listens.
    let mut there = Negotiation::new(wishes(codec, suite), Local { rtp: theirs, rtcp: None }, &[8; 32]);
    let mut here =
        Negotiation::new(wishes(codec, suite), Local { rtp: socket.local_addr()?, rtcp: None }, &[9; 32]);
    let (answer, _) = there.answer(here.offer(Direction::SendOnly).as_bytes(), Direction::RecvOnly)?;
    let agreed = here.accept(answer.as_bytes())?;
    // What we send with is what ffmpeg has to read: its description carries our key.
    let mut told = answer.replace("a=recvonly", "a=sendonly");
    if let Some(keys) = &agreed.keys {
        let line = told.lines().find(|line| line.starts_with("a=crypto")).unwrap().to_owned();
        told = told.replace(&line, &format!("a=crypto:{}", keys.send.attribute(1)));
    }
    let (description, output) = (work.path().join("call.sdp"), work.path().join("heard.raw"));
    fs::write(&description, told)?;

    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-y", "-protocol_whitelist", "file,rtp,udp,srtp,crypto", "-i"]);
    // It ends by itself when it has heard the speech; reading on, it would end only after a long silence.
    command.arg(&description).args(["-t", "4.6"]).args(RAW).arg(&output);
    let mut ffmpeg = Process::start(&mut command, &work.path().join("ffmpeg.log"))?;
    let listens = format!(":{:04X} ", theirs.port());
    wait_until("ffmpeg listening", LIMIT, || Ok(fs::read_to_string("/proc/net/udp")?.contains(&listens)))?;
    let frames = [vec![[0; 320]; 20], Voice::Alice.frames(), vec![[0; 320]; 40]].concat();
    drive(&mut leg(agreed), &socket, &frames, frames.len());
    ffmpeg.wait_for_end(LIMIT)?;
    let heard: Vec<i16> =
        fs::read(&output)?.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
    let found = similarity(&Voice::Alice.samples(), &heard);
    assert!(found.score > 0.9, "{codec} {suite:?}: {found:?}\n{}", ffmpeg.printed());
    Ok(())
}

/// ffmpeg streams, and a leg answers the description that ffmpeg writes.
fn ffmpeg_is_heard(codec: Codec, coder: &[&str], suite: Option<&str>) -> Result<()> {
    let work = tempfile::tempdir()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (spoken, description) = (work.path().join("said.raw"), work.path().join("call.sdp"));
    let silence = vec![0i16; 16_000];
    let samples = [silence.clone(), Voice::Bob.samples(), silence].concat();
    fs::write(&spoken, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>())?;

    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-y", "-re"]).args(RAW).arg("-i").arg(&spoken).args(coder);
    let scheme = if suite.is_some() { "srtp" } else { "rtp" };
    if let Some(suite) = suite {
        let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        command.args(["-srtp_out_suite", suite, "-srtp_out_params", key]);
    }
    command.arg("-sdp_file").arg(&description).args(["-f", "rtp"]);
    command.arg(format!("{scheme}://127.0.0.1:{}", socket.local_addr()?.port()));
    let mut ffmpeg = Process::start(&mut command, &work.path().join("ffmpeg.log"))?;
    let complete = || Ok(fs::read_to_string(&description).is_ok_and(|text| text.contains("m=audio")));
    wait_until("ffmpeg's session description", LIMIT, complete)?;

    let local = Local { rtp: socket.local_addr()?, rtcp: None };
    let wishes = Wishes { codecs: vec![codec], encryption: Encryption::Optional, ..Wishes::default() };
    let mut ours = Negotiation::new(wishes, local, &[9; 32]);
    let (_, agreed) = ours.answer(&fs::read(&description)?, Direction::RecvOnly)?;
    assert_eq!(agreed.keys.is_some(), suite.is_some());
    let mut leg = leg(agreed);
    let heard = drive(&mut leg, &socket, &[], samples.len() / 320 + 25);
    ffmpeg.wait_for_success(LIMIT)?;
    let (found, report) = (similarity(&Voice::Bob.samples(), &heard), leg.report());
    assert!(found.score > 0.9, "{codec} {suite:?}: {found:?} {report:?}");
    assert_eq!(
        (report.packets_lost, report.rtp.unauthentic, report.packets_garbled),
        (0, 0, 0),
        "{report:?}"
    );
    assert_eq!(report.rtp.marks[&Dscp::DEFAULT], report.packets_received);
    Ok(())
}

#[test]
fn ffmpeg_hears_opus() -> Result<()> {
    ffmpeg_hears(Codec::Opus, None)
}

#[test]
fn ffmpeg_hears_encrypted_pcmu() -> Result<()> {
    ffmpeg_hears(Codec::Pcmu, Some(Suite::AesCm128HmacSha1Tag80))
}

#[test]
fn ffmpeg_hears_encrypted_g722_with_short_tags() -> Result<()> {
    ffmpeg_hears(Codec::G722, Some(Suite::AesCm128HmacSha1Tag32))
}

#[test]
fn ffmpeg_hears_encrypted_opus() -> Result<()> {
    ffmpeg_hears(Codec::Opus, Some(Suite::AesCm128HmacSha1Tag80))
}

#[test]
fn ffmpeg_is_heard_in_pcma() -> Result<()> {
    ffmpeg_is_heard(
        Codec::Pcma,
        &["-c:a", "pcm_alaw", "-ar", "8000", "-af", "aresample=8000,asetnsamples=160"],
        None,
    )
}

#[test]
fn ffmpeg_is_heard_in_encrypted_pcmu() -> Result<()> {
    let coder = ["-c:a", "pcm_mulaw", "-ar", "8000", "-af", "aresample=8000,asetnsamples=160"];
    ffmpeg_is_heard(Codec::Pcmu, &coder, Some("AES_CM_128_HMAC_SHA1_80"))
}

#[test]
fn ffmpeg_is_heard_in_encrypted_g722_with_short_tags() -> Result<()> {
    let coder = ["-c:a", "g722", "-af", "asetnsamples=320"];
    ffmpeg_is_heard(Codec::G722, &coder, Some("AES_CM_128_HMAC_SHA1_32"))
}

#[test]
fn ffmpeg_is_heard_in_encrypted_opus() -> Result<()> {
    let coder = ["-c:a", "libopus", "-b:a", "32k", "-application", "voip", "-frame_duration", "20"];
    ffmpeg_is_heard(Codec::Opus, &coder, Some("AES_CM_128_HMAC_SHA1_80"))
}
