//! Phones, most of them other people's, signed in at a server: how each is configured, told what to do, and what it heard.

pub mod baresip;
pub mod linphone;
pub mod own;
pub mod pjsua2;
pub mod web;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::site::DOMAIN;
use crate::speech::{similarity, voice, write_wav};

/// How long a phone may take for a step.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How long a voice goes on.
const SPEECH: usize = 12;

/// With whose name a phone signs in, where, and how it talks.
#[derive(Clone)]
pub struct Account {
    /// The name; the domain is that of the site.
    pub user: String,
    /// Proves it.
    pub password: String,
    /// The server.
    pub server: SocketAddr,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'static str,
    /// Who signs the server's certificate.
    pub ca: PathBuf,
    /// Codec, sampling rate and channels, as `PCMU/8000/1`.
    pub codec: &'static str,
    /// SRTP with keys in the SDP, and nothing else.
    pub srtp: bool,
    /// The first of ten ports for media.
    pub ports: u16,
    /// Looks for its way by ICE; only baresip heeds it, and ours does so anyway.
    pub ice: bool,
}

impl Account {
    /// `sip:user@domain`.
    pub fn address(&self) -> String {
        format!("sip:{}@{DOMAIN}", self.user)
    }

    /// What this user says: a voice of its own.
    pub fn voice(&self) -> Vec<i16> {
        voice(self.user.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte)), SPEECH)
    }

    /// The codec's rate and channels.
    fn format(&self) -> (u32, u16) {
        let mut parts = self.codec.split('/').skip(1);
        let rate = parts.next().and_then(|rate| rate.parse().ok()).unwrap_or(8000);
        (rate, parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1))
    }

    /// The codec as Carillon names it.
    fn name(&self) -> Result<String> {
        Ok(self.codec.split('/').next().ok_or("no codec")?.to_lowercase())
    }

    fn write_voice(&self, path: &Path) -> Result<()> {
        let (rate, channels) = self.format();
        write_wav(path, &self.voice(), rate, channels)
    }
}

/// Fails unless the recording is, to nine tenths, what the other one said.
pub fn assert_heard(listener: &str, heard: &Path, speaker: &Account) -> Result<()> {
    assert_heard_to(0.9, listener, heard, speaker)
}

/// The same for a browser that listens to somebody who is none: it stretches what it hears to the pace of its own clock, which
/// costs some likeness. Another voice stays below a half.
pub fn assert_heard_by_page(listener: &str, heard: &Path, speaker: &Account) -> Result<()> {
    assert_heard_to(0.8, listener, heard, speaker)
}

fn assert_heard_to(least: f64, listener: &str, heard: &Path, speaker: &Account) -> Result<()> {
    let similarity = similarity(&speaker.voice(), heard)?;
    if similarity > least {
        return Ok(());
    }
    let size = std::fs::metadata(heard)?.len();
    Err(format!("{listener} heard {similarity:.2} of what {} said ({size} bytes recorded)", speaker.user)
        .into())
}
