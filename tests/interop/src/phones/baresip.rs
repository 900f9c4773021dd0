//! baresip 1.0, told what to do on its standard input.
//!
//! It asks name servers without the hosts file. The server is given by address, as its outbound proxy. `aufile` plays, `sndfile` records
//! what goes out and what comes in; `aubridge` swallows the rest. `rtp_tos` reaches IPv4 only.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use super::{Account, PATIENCE};
use crate::Result;
use crate::network::Host;
use crate::process::Process;

/// A phone that runs.
pub struct Baresip {
    /// The program; its log tells what happened.
    pub process: Process,
    input: ChildStdin,
    dir: PathBuf,
}

impl Baresip {
    /// Starts one that answers every call, and waits until it has signed in.
    pub fn sign_in(host: &Host, account: &Account, work: &Path) -> Result<Baresip> {
        let mut phone = Baresip::start(host, account, work)?;
        phone.process.wait_for("200 OK", PATIENCE)?;
        Ok(phone)
    }

    /// Starts one, whether it can sign in or not.
    pub fn start(host: &Host, account: &Account, work: &Path) -> Result<Baresip> {
        let dir = work.join(format!("{}-baresip", account.user));
        fs::create_dir_all(&dir)?;
        account.write_voice(&dir.join("voice.wav"))?;
        fs::write(dir.join("config"), configuration(account, &dir))?;
        fs::write(dir.join("accounts"), accounts(account))?;
        fs::write(dir.join("contacts"), "")?;
        let mut command = host.command("baresip");
        command.arg(if account.server.is_ipv6() { "-6" } else { "-4" }).arg("-f").arg(&dir);
        let (process, input) = Process::start_with_input(&mut command, &dir.with_extension("log"))?;
        Ok(Baresip { process, input, dir })
    }

    /// Calls, and waits until somebody has answered.
    pub fn call(&mut self, address: &str) -> Result<()> {
        self.say(&format!("/dial {address}"))?;
        self.process.wait_for("Call established", PATIENCE)
    }

    /// A line as typed by its user.
    pub fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// Ends the call.
    pub fn hang_up(&mut self) -> Result<()> {
        self.say("/hangup")
    }

    /// What it has heard in its one call.
    pub fn heard(&self) -> Result<PathBuf> {
        let named = |end: &str| {
            let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
            files.map(|file| file.path()).find(|path| path.to_string_lossy().ends_with(end))
        };
        named("-dec.wav").ok_or_else(|| format!("{}: nothing was recorded", self.dir.display()).into())
    }
}

fn accounts(account: &Account) -> String {
    let Account { user, password, server, transport, codec, .. } = account;
    let encryption = if account.srtp { ";mediaenc=srtp-mand" } else { "" };
    let address = account.address();
    format!(
        "<{address};transport={transport}>;auth_user={user};auth_pass={password};outbound=\"sip:{server};transport={transport}\";\
         regint=600;answermode=auto;audio_codecs={codec}{encryption}\n"
    )
}

/// Modules stay few: `alsa` needs a sound card. One recording per direction and call.
fn configuration(account: &Account, dir: &Path) -> String {
    let mut lines = vec![
        format!("sip_cafile {}", account.ca.display()),
        format!("audio_source aufile,{}", dir.join("voice.wav").display()),
        "audio_player aubridge,sink".to_owned(),
        "audio_alert aubridge,sink".to_owned(),
        format!("snd_path {}", dir.display()),
        "rtp_tos 184".to_owned(),
        format!("rtp_ports {}-{}", account.ports, account.ports + 9),
        "rtcp_mux no".to_owned(),
        "module_path /usr/lib/baresip/modules".to_owned(),
    ];
    let modules = ["stdio", "g711", "g722", "opus", "aubridge", "aufile", "sndfile", "srtp"];
    lines.extend(modules.map(|module| format!("module {module}.so")));
    lines.extend(["account", "menu"].map(|module| format!("module_app {module}.so")));
    lines.join("\n") + "\n"
}
