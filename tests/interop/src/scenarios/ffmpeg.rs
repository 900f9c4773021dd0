//! ffmpeg streams audio and video to ffmpeg: RTP without any signalling.
//!
//! Its option `dscp` marks RTP and RTCP of the sender; nftables marks the receiver's reports.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::capture::Capture;
use crate::network::{AUDIO_MARKS, Network, VIDEO_MARKS};
use crate::process::Process;
use crate::recording::{Description, Point, Recording};

/// What the receiver is told: nothing of it crosses the link.
const SESSION: &str = "v=0\no=- 0 0 IN IP4 10.20.0.10\ns=-\nc=IN IP4 10.20.0.20\nt=0 0\n\
    m=audio 50010 RTP/AVP 8\nm=video 50030 RTP/AVP 96\na=rtpmap:96 H264/90000\n";

/// PCMA and H.264, each in the range of its class.
pub fn stream(name: &str, work: &Path) -> Result<Recording> {
    let network = Network::pair()?;
    network.bob.mark(&AUDIO_MARKS)?;
    network.bob.mark(&VIDEO_MARKS)?;
    fs::write(work.join("session.sdp"), SESSION)?;
    let capture = Capture::start(&network, &Point::link("alice"), work)?;

    let mut receiver = network.bob.command("ffmpeg");
    receiver
        .args(["-hide_banner", "-protocol_whitelist", "file,rtp,udp", "-i"])
        .arg(work.join("session.sdp"));
    let _receiver = Process::start(receiver.args(["-f", "null", "-"]), &work.join("bob.log"))?;
    std::thread::sleep(Duration::from_millis(500));
    let mut sender = network.alice.command("ffmpeg");
    sender.args([
        "-hide_banner",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=8000:samples_per_frame=160",
    ]);
    sender.args(["-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=10"]);
    let audio = format!(
        "rtp://{}:50010?localrtpport=50000&localrtcpport=50001&dscp=46&pkt_size=172",
        network.bob.v4()
    );
    let video = format!("rtp://{}:50030?localrtpport=50020&localrtcpport=50021&dscp=34", network.bob.v4());
    sender.args(["-t", "5", "-map", "0:a", "-c:a", "pcm_alaw", "-f", "rtp", &audio]);
    let encoder = "-c:v libx264 -b:v 60k -g 20 -preset ultrafast -tune zerolatency";
    sender.args(["-t", "5", "-map", "1:v"]).args(encoder.split(' ')).args(["-f", "rtp", &video]);
    let mut sender = Process::start(&mut sender, &work.join("alice.log"))?;
    sender.wait_for_success(Duration::from_secs(20))?;

    let description = Description::new(name, "a streamer: PCMA and H.264 one way, no signalling", &network)
        .package("ffmpeg")?
        .marked("audio: RTP and the sender's RTCP", 46, "ffmpeg: dscp=46")
        .marked("video: RTP and the sender's RTCP", 34, "ffmpeg: dscp=34")
        .marked("the receiver's RTCP", 46, "nftables, 34 for video");
    Ok(Recording { capture: capture.stop()?, description: description.without_sdp() })
}
