//! pjsip by its Python module: a phone whose media takes a relay and no other way, or a conference that has none.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

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
        let Relay { server, transport, login } = relay;
        let relay =
            json!({ "server": server, "transport": transport, "username": login.0, "password": login.1 });
        Pjsua2::start(host, account, &json!({ "relay": relay }), work)
    }

    /// Starts a conference, which mixes who calls it, with ports from the account's first on, and marks for what it says and for
    /// its SIP.
    pub fn sign_in_mixing(host: &Host, account: &Account, marks: (u8, u8), work: &Path) -> Result<Pjsua2> {
        let own = json!({ "ports": account.ports, "media": marks.0, "signaling": marks.1 });
        Pjsua2::start(host, account, &own, work)
    }

    fn start(host: &Host, account: &Account, more: &Value, work: &Path) -> Result<Pjsua2> {
        let dir = work.join(format!("{}-pjsua2", account.user));
        fs::create_dir_all(&dir)?;
        let (voice, heard) = (dir.join("voice.wav"), dir.join("heard.wav"));
        account.write_voice(&voice)?;
        let mut peer = Peer::start("pjsua2-phone.py", host, &dir.join("phone.log"))?;
        let mut request = json!({
            "do": "sign_in",
            "user": account.user,
            "password": account.password,
            "domain": DOMAIN,
            "server": account.server,
            "address": host.v4(),
        });
        if let (Some(request), Some(more)) = (request.as_object_mut(), more.as_object()) {
            request.extend(more.clone());
        }
        peer.ask(request)?;
        Ok(Pjsua2 { peer, voice, heard })
    }

    /// Waits for so many calls, answers them, and has each of them hear the others.
    pub fn mix(&mut self, parties: usize) -> Result<()> {
        self.peer.ask(json!({ "do": "mix", "parties": parties })).map(drop)
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
