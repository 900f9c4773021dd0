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
use crate::speech::write_wav;

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
        Baresip::start(host, account, work)?.signed_in()
    }

    /// The same for one whose media goes through a relay: `turn:HOST:PORT` with its user name and password.
    pub fn sign_in_behind(
        host: &Host,
        account: &Account,
        (relay, name, password): (&str, &str, &str),
        work: &Path,
    ) -> Result<Baresip> {
        let own = format!(";medianat=turn;stunserver=\"{relay}\";stunuser={name};stunpass={password}");
        Baresip::start_with(host, account, &Extras { own: &own, ..Extras::default() }, work)?.signed_in()
    }

    /// The same for one that shows a picture that moves, and wants to see one.
    pub fn sign_in_seeing(host: &Host, account: &Account, work: &Path) -> Result<Baresip> {
        let extras =
            Extras { own: ";video_codecs=VP8", modules: SEEING, config: CAMERA, ..Extras::default() };
        Baresip::start_with(host, account, &extras, work)?.signed_in()
    }

    /// The same for one that publishes its presence and watches somebody's.
    pub fn sign_in_watching(host: &Host, account: &Account, whom: &str, work: &Path) -> Result<Baresip> {
        let extras = Extras {
            own: ";pubint=600",
            contact: &format!("<{whom}>;presence=p2p\n"),
            modules: WATCHING,
            config: "",
        };
        Baresip::start_with(host, account, &extras, work)?.signed_in()
    }

    /// The same for one that writes to somebody by `/message`.
    pub fn sign_in_writing(host: &Host, account: &Account, whom: &str, work: &Path) -> Result<Baresip> {
        let extras = Extras { contact: &format!("<{whom}>\n"), modules: WRITING, ..Extras::default() };
        let mut phone = Baresip::start_with(host, account, &extras, work)?.signed_in()?;
        phone.say("/contact_next")?;
        Ok(phone)
    }

    /// The same for one that has these outbound proxies, as `sip:HOST:PORT;transport=tls`, and a flow through each (RFC 5626).
    pub fn sign_in_by(host: &Host, account: &Account, proxies: &[&str], work: &Path) -> Result<Baresip> {
        let outbound = |(number, proxy): (usize, &&str)| format!(";outbound{}=\"{proxy}\"", number + 1);
        let own: String = proxies.iter().enumerate().map(outbound).collect();
        let own = format!("{own};sipnat=outbound");
        Baresip::start_with(host, account, &Extras { own: &own, ..Extras::default() }, work)?.signed_in()
    }

    /// Starts one, whether it can sign in or not.
    pub fn start(host: &Host, account: &Account, work: &Path) -> Result<Baresip> {
        Baresip::start_with(host, account, &Extras::default(), work)
    }

    fn start_with(host: &Host, account: &Account, extras: &Extras<'_>, work: &Path) -> Result<Baresip> {
        let dir = work.join(format!("{}-baresip", account.user));
        fs::create_dir_all(&dir)?;
        account.write_voice(&dir.join("voice.wav"))?;
        // Flows are told apart by the phone that they are of.
        let instance = if extras.own.contains("sipnat=outbound") { "module_tmp uuid.so\n" } else { "" };
        fs::write(
            dir.join("config"),
            configuration(account, &dir, extras.modules) + instance + extras.config,
        )?;
        fs::write(dir.join("accounts"), accounts(account, extras.own))?;
        fs::write(dir.join("contacts"), extras.contact)?;
        let mut command = host.command("baresip");
        command.arg(if account.server.is_ipv6() { "-6" } else { "-4" }).arg("-f").arg(&dir);
        let (process, input) = Process::start_with_input(&mut command, &dir.with_extension("log"))?;
        Ok(Baresip { process, input, dir })
    }

    fn signed_in(mut self) -> Result<Baresip> {
        self.process.wait_for("200 OK", PATIENCE)?;
        Ok(self)
    }

    /// Says all it has to say several times over: when it has said all, it hangs up.
    pub fn goes_on(&self, account: &Account, times: usize) -> Result<()> {
        let (rate, channels) = account.format();
        write_wav(&self.dir.join("voice.wav"), &account.voice().repeat(times), rate, channels)
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

    /// Presses a key.
    pub fn press(&mut self, key: char) -> Result<()> {
        Ok(write!(self.input, "{key}")?)
    }

    /// Ends the call.
    pub fn hang_up(&mut self) -> Result<()> {
        self.say("/hangup")
    }

    /// What it has heard in its one call.
    pub fn heard(&self) -> Result<PathBuf> {
        let first = self.heard_in_each().into_iter().next();
        first.ok_or_else(|| format!("{}: nothing was recorded", self.dir.display()).into())
    }

    /// What it has heard in each of its calls, in no order.
    pub fn heard_in_each(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|file| file.path());
        files.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).collect()
    }
}

/// What only some of them have.
#[derive(Default)]
struct Extras<'a> {
    /// Further parameters of the account.
    own: &'a str,
    contact: &'a str,
    modules: &'a [&'a str],
    /// Further lines of the configuration.
    config: &'a str,
}

/// What video needs.
const SEEING: &[&str] = &["vp8", "fakevideo"];
const CAMERA: &str = "video_source fakevideo,nil\nvideo_display fakevideo,nil\nvideo_size 176x144\n";

/// What messages to somebody need.
const WRITING: &[&str] = &["contact"];

/// What presence needs; in this order.
const WATCHING: &[&str] = &["contact", "presence"];

fn accounts(account: &Account, own: &str) -> String {
    let Account { user, password, server, transport, codec, .. } = account;
    let encryption = if account.srtp { ";mediaenc=srtp-mand" } else { "" };
    let address = account.address();
    // The server answers STUN where it speaks SIP.
    let ice = if account.ice {
        format!(";medianat=ice;stunserver=\"stun:{}:5060\"", server.ip())
    } else {
        String::new()
    };
    format!(
        "<{address};transport={transport}>;auth_user={user};auth_pass={password};outbound=\"sip:{server};transport={transport}\";\
         regint=600;answermode=auto;audio_codecs={codec}{encryption}{ice}{own}\n"
    )
}

/// Modules stay few: `alsa` needs a sound card. One recording per direction and call.
fn configuration(account: &Account, dir: &Path, more: &[&str]) -> String {
    let mut lines = vec![
        format!("sip_cafile {}", account.ca.display()),
        format!("audio_source aufile,{}", dir.join("voice.wav").display()),
        "audio_player aubridge,sink".to_owned(),
        "audio_alert aubridge,sink".to_owned(),
        format!("snd_path {}", dir.display()),
        "rtp_tos 184".to_owned(),
        format!("rtp_ports {}-{}", account.ports, account.ports + 9),
        "rtcp_mux no".to_owned(),
        "rtp_stats yes".to_owned(),
        "module_path /usr/lib/baresip/modules".to_owned(),
    ];
    let modules = ["stdio", "g711", "g722", "opus", "aubridge", "aufile", "sndfile", "srtp", "ice", "turn"];
    lines.extend(modules.map(|module| format!("module {module}.so")));
    let apps = ["account", "menu"].iter().chain(more);
    lines.extend(apps.map(|module| format!("module_app {module}.so")));
    lines.join("\n") + "\n"
}
