//! Kamailio as a second opinion: a recipe for a phone is right if it works here too. The configuration is that of `tests/load`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::process::{Process, run};
use crate::site::{DOMAIN, Site};

/// The one password of all users.
pub const PASSWORD: &str = "as-everybody-here";

const CONFIGURATION: &str = include_str!("../../../load/kamailio.cfg");

/// A server that runs.
pub struct Kamailio {
    _process: Process,
    /// Its certificate, which is signed by itself.
    pub ca: PathBuf,
    /// Where it speaks TLS.
    pub tls: SocketAddr,
}

impl Kamailio {
    /// Starts it on the site's server.
    pub fn start(site: &Site, work: &Path) -> Result<Kamailio> {
        let address = site.server.v4();
        let (key, ca) = certificate(&address.to_string(), work)?;
        let config = work.join("kamailio.cfg");
        let modules = module_directory()?;
        let words = [
            ("ADDRESS", address.to_string()),
            ("PORT", "5060".to_owned()),
            ("TLS_PORT", "5061".to_owned()),
            ("DOMAIN", DOMAIN.to_owned()),
            ("PASSWORD", PASSWORD.to_owned()),
            ("KEY", key.display().to_string()),
            ("CERTIFICATE", ca.display().to_string()),
            ("MODULES", modules.display().to_string()),
        ];
        let fill = |text: String, (word, value): &(&str, String)| text.replace(&format!("@{word}@"), value);
        fs::write(&config, words.iter().fold(CONFIGURATION.to_owned(), fill))?;
        let mut command = site.server.command("kamailio");
        command.arg("-f").arg(&config).args(["-m", "64", "-M", "16", "-DD", "-E"]);
        let process = Process::start(&mut command, &work.join("kamailio.log"))?;
        crate::process::wait_until("Kamailio listening", Duration::from_secs(10), || {
            Ok(site.server.run("ss", &["-Hlnt", "sport", "=", ":5061"])?.contains(":5061"))
        })?;
        Ok(Kamailio { _process: process, ca, tls: SocketAddr::new(address.into(), 5061) })
    }
}

/// Where its modules are.
pub fn module_directory() -> Result<PathBuf> {
    let places = fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path().join("kamailio/modules"));
    places.into_iter().find(|path| path.is_dir()).ok_or_else(|| "no modules of Kamailio".into())
}

/// A key and a certificate for the site's domain and the address.
fn certificate(address: &str, work: &Path) -> Result<(PathBuf, PathBuf)> {
    let (key, certificate) = (work.join("key.pem"), work.join("ca.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", &format!("/CN={DOMAIN}"), "-addext"]);
    openssl.arg(format!("subjectAltName=DNS:{DOMAIN},IP:{address}"));
    run(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate))?;
    Ok((key, certificate))
}
