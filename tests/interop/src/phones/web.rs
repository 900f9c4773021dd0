//! JsSIP in a headless Chromium: a phone that is a page, and speaks SIP over WebSocket.
//!
//! The page is bundled by esbuild, which `PATH` leads to; JsSIP lies beside it. What the microphone hears is a file; what comes from
//! the other end is tapped behind the browser's decoder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::Account;
use crate::Result;
use crate::network::Host;
use crate::process::run;
use crate::recording::asset;
use crate::scenarios::webrtc::Peer;
use crate::speech::write_wav;

/// Where its page comes from.
pub const ORIGIN: &str = "http://localhost:8000";
/// Samples per second of what it has heard.
const RATE: u32 = 8000;

/// How a page proves whose it is.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// By digest.
    Password,
    /// With a token of the server.
    Token(&'a str),
}

/// A browser with its page.
pub struct Web {
    peer: Peer,
    dir: PathBuf,
}

impl Web {
    /// Opens the page; it is nobody's yet.
    pub fn open(host: &Host, account: &Account, work: &Path) -> Result<Web> {
        let dir = work.join(format!("{}-web", account.user));
        fs::create_dir_all(&dir)?;
        bundle(&dir)?;
        let sound = dir.join("voice.wav");
        write_wav(&sound, &account.voice(), 48_000, 1)?;
        let address = account.server.ip().to_string();
        let arguments = [&*dir.to_string_lossy(), &*sound.to_string_lossy(), &address];
        let peer = Peer::start_with("chromium-peer.py", &arguments, host, &dir.with_extension("log"))?;
        Ok(Web { peer, dir })
    }

    /// What came of it: `registered`, or the server's refusal.
    pub fn sign_in(&mut self, account: &Account, proof: Proof<'_>) -> Result<String> {
        self.sign_in_at("", account, proof)
    }

    /// The same at a path of the server.
    pub fn sign_in_at(&mut self, path: &str, account: &Account, proof: Proof<'_>) -> Result<String> {
        let mut login = json!({
            "server": format!("{}://{}{path}", account.transport, account.server),
            "uri": account.address(),
        });
        match proof {
            Proof::Password => login["password"] = account.password.clone().into(),
            Proof::Token(token) => login["token"] = token.into(),
        }
        Ok(self.run(&format!("phone.signIn({login})"))?.as_str().unwrap_or_default().to_owned())
    }

    /// From now on calls are made by way of these relays: what the server said of them.
    pub fn use_relays(&mut self, given: &Value) -> Result<()> {
        let servers = json!([{
            "urls": given["uris"], "username": given["username"], "credential": given["password"],
        }]);
        self.run(&format!("phone.relays({servers})")).map(drop)
    }

    /// The status of the answer.
    pub fn write(&mut self, to: &str, text: &str) -> Result<u64> {
        let status = self.run(&format!("phone.write({to:?}, {text:?})"))?;
        status.as_u64().ok_or_else(|| format!("no status: {status}").into())
    }

    /// What it was sent.
    pub fn messages(&mut self) -> Result<Value> {
        self.run("phone.messages()")
    }

    /// Calls, and waits until somebody has answered.
    pub fn call(&mut self, to: &str) -> Result<()> {
        self.run(&format!("phone.call({to:?})")).map(drop)
    }

    /// Ends its call.
    pub fn hang_up(&mut self) -> Result<()> {
        self.run("phone.hangUp()").map(drop)
    }

    /// Puts its call on hold, and waits until the other end has agreed.
    pub fn hold(&mut self) -> Result<()> {
        self.run("phone.hold()").map(drop)
    }

    /// Takes it up again.
    pub fn resume(&mut self) -> Result<()> {
        self.run("phone.resume()").map(drop)
    }

    /// Looks for its way anew (RFC 8445, 9), and waits until the other end has agreed.
    pub fn restart(&mut self) -> Result<()> {
        self.run("phone.restart()").map(drop)
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.run(&format!("phone.press({keys:?})")).map(drop)
    }

    /// What it hears counts from now on.
    pub fn forget(&mut self) -> Result<()> {
        self.run("phone.forget()").map(drop)
    }

    /// Whether its call has ended.
    pub fn is_over(&mut self) -> Result<bool> {
        Ok(self.run("phone.isOver()")? == true)
    }

    /// What it has heard in its one call, or since it was told to forget.
    pub fn heard(&mut self) -> Result<PathBuf> {
        let text = self.run("phone.heard()")?;
        let bytes = base64(text.as_str().ok_or("nothing was heard")?);
        let samples: Vec<i16> = bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        let file = self.dir.join("heard.wav");
        write_wav(&file, &samples, RATE, 1)?;
        Ok(file)
    }

    fn run(&mut self, expression: &str) -> Result<Value> {
        self.peer.ask(json!({ "do": "run", "expression": expression }))
    }
}

/// The page with its program.
fn bundle(dir: &Path) -> Result<()> {
    let source = asset("web-phone");
    fs::copy(source.join("index.html"), dir.join("index.html"))?;
    let mut command = Command::new("esbuild");
    command.arg(source.join("phone.js")).args(["--bundle", "--format=iife", "--log-level=error"]);
    command.arg(format!("--outfile={}", dir.join("bundle.js").display()));
    run(command.env("NODE_PATH", packages()?)).map(drop)
}

/// Where the npm packages are: `node_modules/.bin/esbuild` is on the path, and they are around it.
pub fn packages() -> Result<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&paths).filter(|dir| dir.join("esbuild").is_file());
    let packages = places.filter_map(|dir| Some(dir.parent()?.to_owned()));
    let mut packages = packages.filter(|dir| dir.join("jssip").is_dir());
    packages.next().ok_or_else(|| "no JsSIP beside esbuild on the path".into())
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for value in text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)) {
        (held, bits) = (held << 6 | value as u32, bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}
