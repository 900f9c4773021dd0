//! linphonec 5.1, told what to do on its standard input, with files instead of a sound card.
//!
//! It marks SIP (`dscp`) and media (`audio_dscp`) itself, the media only when bound to an address: on its dual-stack socket it sets the
//! IPv6 option alone. It wants a DNS name in the server's certificate.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use super::{Account, PATIENCE};
use crate::Result;
use crate::network::Host;
use crate::process::{Process, wait_until};
use crate::site::DOMAIN;

/// A phone that runs.
pub struct Linphone {
    /// The program; its log tells what happened.
    pub process: Process,
    input: ChildStdin,
    home: PathBuf,
    heard: PathBuf,
}

impl Linphone {
    /// Starts one that answers every call, and waits until it has signed in.
    pub fn sign_in(host: &Host, account: &Account, work: &Path) -> Result<Linphone> {
        Linphone::start(host, account, work)?.signed_in(account)
    }

    /// The same for one that publishes its presence and watches somebody's.
    pub fn sign_in_watching(host: &Host, account: &Account, whom: &str, work: &Path) -> Result<Linphone> {
        let configuration =
            configuration(host, account).replace("publish=0", "publish=1\npublish_expires=600");
        let friend = format!("[friend_0]\nurl=<{whom}>\npol=accept\nsubscribe=1\n");
        Linphone::start_with(host, account, &(configuration + &friend), work)?.signed_in(account)
    }

    /// The same for one that asks for receipts of its messages, and gives them.
    pub fn sign_in_with_receipts(host: &Host, account: &Account, work: &Path) -> Result<Linphone> {
        let configuration = configuration(host, account)
            .replace("publish=0", "publish=0\ncpim_in_basic_chat_rooms_enabled=1");
        Linphone::start_with(host, account, &configuration, work)?.signed_in(account)
    }

    fn signed_in(self, account: &Account) -> Result<Linphone> {
        let mut phone = self;
        // It does not say so by itself.
        let mut asked = 0;
        wait_until(&format!("{} signing in", account.user), PATIENCE, || {
            if asked % 10 == 0 {
                phone.say("status register")?;
            }
            asked += 1;
            Ok(phone.process.printed().contains("registered, identity="))
        })?;
        Ok(phone)
    }

    /// Starts one, whether it can sign in or not.
    pub fn start(host: &Host, account: &Account, work: &Path) -> Result<Linphone> {
        Linphone::start_with(host, account, &configuration(host, account), work)
    }

    fn start_with(host: &Host, account: &Account, configuration: &str, work: &Path) -> Result<Linphone> {
        let home = work.join(format!("{}-linphone", account.user));
        // Without this directory its database cannot be opened.
        fs::create_dir_all(home.join(".local/share/linphone"))?;
        account.write_voice(&home.join("voice.wav"))?;
        fs::write(home.join("linphonerc"), configuration)?;
        let mut command = host.command("linphonec");
        command.env("HOME", &home).arg("-a").arg("-c").arg(home.join("linphonerc"));
        let (process, input) = Process::start_with_input(&mut command, &home.with_extension("log"))?;
        let heard = home.join("heard.wav");
        let mut phone = Linphone { process, input, home, heard };
        phone.process.wait_for("linphonec>", PATIENCE)?;
        phone.say("soundcard use files")?;
        phone.say(&format!("play {}", phone.home.join("voice.wav").display()))?;
        phone.record("heard.wav")?;
        Ok(phone)
    }

    /// Calls, and waits until somebody has answered.
    pub fn call(&mut self, address: &str) -> Result<()> {
        let before = self.streams();
        self.say(&format!("call {address}"))?;
        wait_until("an answer", PATIENCE, || Ok(self.streams() > before))
    }

    /// How often media has begun so far: with each call, and when one is taken up again.
    pub fn streams(&self) -> usize {
        self.process.printed().matches("Media streams established").count()
    }

    /// A line as typed by its user.
    pub fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// Ends the call.
    pub fn hang_up(&mut self) -> Result<()> {
        self.say("terminate")
    }

    /// What it hears in calls from now on goes to a file of this name.
    pub fn record(&mut self, name: &str) -> Result<()> {
        self.heard = self.home.join(name);
        self.say(&format!("record {}", self.heard.display()))
    }

    /// What it has heard.
    pub fn heard(&self) -> Result<PathBuf> {
        Ok(self.heard.clone())
    }
}

fn configuration(host: &Host, account: &Account) -> String {
    let Account { user, password, transport, ports, .. } = account;
    let (port, address) = (account.server.port(), account.address());
    let bind: IpAddr = if account.server.is_ipv6() { host.v6().into() } else { host.v4().into() };
    let family = if account.server.is_ipv6() { 1 } else { 0 };
    let ca = account.ca.display();
    let encryption = if account.srtp { "media_encryption=srtp\nmedia_encryption_mandatory=1\n" } else { "" };
    let mime = account.codec.split('/').next().unwrap_or_default();
    let (rate, channels) = account.format();
    // G.722 is announced with half of its rate (RFC 3551, 4.5.2).
    let rate = if mime == "G722" { 8000 } else { rate };
    [
        "[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\ndefault_proxy=0\ndscp=24\nverify_server_certs=1\nguess_hostname=1".to_owned(),
        format!("root_ca={ca}\nuse_ipv6={family}\n{encryption}"),
        format!("[proxy_0]\nreg_proxy=<sip:{DOMAIN}:{port};transport={transport}>\nreg_route=<sip:{DOMAIN}:{port};transport={transport};lr>"),
        format!("reg_identity=<{address}>\nreg_expires=600\nreg_sendregister=1\npublish=0\n"),
        format!("[auth_info_0]\nusername={user}\npasswd={password}\nrealm={DOMAIN}\ndomain={DOMAIN}\n"),
        format!("[rtp]\naudio_rtp_port={ports}\naudio_dscp=46\nbind_address={bind}\n"),
        format!("[audio_codec_0]\nmime={mime}\nrate={rate}\nchannels={channels}\nenabled=1\n"),
        "[net]\ndns_srv_enabled=0\ndns_search_enabled=0\n".to_owned(),
        "[sound]\nechocancellation=0\nagc=0\n".to_owned(),
        "[video]\nenabled=0\ncapture=0\ndisplay=0\n".to_owned(),
    ]
    .join("\n")
}
