//! pjsip by its Python module, whose media takes a relay and no other way.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Account;
use crate::Result;
use crate::network::Host;
use crate::scenarios::webrtc::Peer;
use crate::site::DOMAIN;

/// The module, as Python imports it.
pub const MODULE: &str = "pjsua2";

/// A phone that runs.
pub struct Pjsua2 {
    peer: Peer,
    voice: PathBuf,
    heard: PathBuf,
}

/// A relay: where it is spoken to, by `udp`, `tcp` or `tls`, and what opens it.
pub struct Relay<'a> {
    /// Address and port.
    pub server: &'a str,
    /// How.
    pub transport: &'a str,
    /// User name and password.
    pub login: (&'a str, &'a str),
}

impl Pjsua2 {
    /// Starts one and waits until it has signed in.
    pub fn sign_in(host: &Host, account: &Account, relay: &Relay<'_>, work: &Path) -> Result<Pjsua2> {
        let dir = work.join(format!("{}-pjsua2", account.user));
        fs::create_dir_all(&dir)?;
        let (voice, heard) = (dir.join("voice.wav"), dir.join("heard.wav"));
        account.write_voice(&voice)?;
        let mut peer = Peer::start("pjsua2-phone.py", host, &dir.join("phone.log"))?;
        let Relay { server, transport, login } = relay;
        peer.ask(json!({
            "do": "sign_in",
            "user": account.user,
            "password": account.password,
            "domain": DOMAIN,
            "server": account.server,
            "address": host.v4(),
            "relay": { "server": server, "transport": transport, "username": login.0, "password": login.1 },
        }))?;
        Ok(Pjsua2 { peer, voice, heard })
    }

    /// Calls, and talks for so many seconds from when there is media.
    pub fn call(&mut self, address: &str, seconds: u32) -> Result<()> {
        let (voice, heard) = (&self.voice, &self.heard);
        let call = json!({ "do": "call", "to": address, "voice": voice, "heard": heard, "seconds": seconds });
        self.peer.ask(call).map(drop)
    }

    /// Ends the call.
    pub fn hang_up(&mut self) -> Result<()> {
        self.peer.ask(json!({ "do": "hang_up" })).map(drop)
    }

    /// What it has heard, once it has hung up.
    pub fn heard(&self) -> &Path {
        &self.heard
    }
}
