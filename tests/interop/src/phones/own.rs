//! `carillon call`: Carillon's own phone, among those of others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Account;
use crate::Result;
use crate::network::Host;
use crate::process::Process;
use crate::site::DOMAIN;
use crate::verdict::program;

/// A phone that runs.
pub struct Own {
    /// The program; it ends with the call.
    pub process: Process,
    heard: PathBuf,
}

impl Own {
    /// Starts one with further arguments, as `--answer --once` or `--to`.
    pub fn start(host: &Host, account: &Account, arguments: &[&str], work: &Path) -> Result<Own> {
        let dir = work.join(format!("{}-own", account.user));
        fs::create_dir_all(&dir)?;
        let (voice, heard) = (dir.join("voice.wav"), dir.join("heard.wav"));
        Account { codec: "PCMU/8000/1", ..account.clone() }.write_voice(&voice)?;
        let mut command = Own::command(host, account, &dir)?;
        command.arg("--send").arg(voice).arg("--record").arg(&heard).arg("--codec").arg(account.name()?);
        command.args(["--srtp", if account.srtp { "required" } else { "off" }]).args(arguments);
        Ok(Own { process: Process::start(&mut command, &dir.with_extension("log"))?, heard })
    }

    /// What it was provisioned with, as JSON; among it the document itself.
    pub fn provisioning(host: &Host, account: &Account, work: &Path) -> Result<serde_json::Value> {
        let mut command = Own::command(host, account, work)?;
        let printed = crate::process::run(command.args(["--show-provisioning", "--json"]))?;
        Ok(serde_json::from_str(&printed)?)
    }

    /// What it has heard.
    pub fn heard(&self) -> &Path {
        &self.heard
    }

    fn command(host: &Host, account: &Account, dir: &Path) -> Result<Command> {
        let password = dir.join("password");
        fs::write(&password, &account.password)?;
        let mut command = host.command(&program()?.to_string_lossy());
        let server = match account.transport {
            // Its certificate is for the name.
            "tls" => format!("{DOMAIN}:{}", account.server.port()),
            _ => account.server.to_string(),
        };
        command.args(["call", "--server", &server, "--transport", account.transport]);
        command.args(["--user", &format!("{}@{DOMAIN}", account.user), "--password-file"]).arg(password);
        if account.transport == "tls" {
            command.arg("--ca").arg(&account.ca);
        }
        Ok(command)
    }
}
