//! A name server of a test, and the hosts that ask it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::network::Host;
use crate::process::Process;
use crate::recording::asset;

/// Runs until it is dropped.
pub struct Names {
    _process: Process,
    own: Vec<PathBuf>,
}

impl Names {
    /// Starts it on a host, with addresses and records as `names.py` takes them; these hosts ask it at `address`.
    pub fn start(
        on: &Host,
        address: &str,
        records: &[&str],
        asked_by: &[&Host],
        work: &Path,
    ) -> Result<Names> {
        let mut command = on.command("python3");
        let mut process =
            Process::start(command.arg(asset("names.py")).args(records), &work.join("names.log"))?;
        process.wait_for("listening", Duration::from_secs(10))?;
        let mut names = Names { _process: process, own: Vec::new() };
        for host in asked_by {
            names.asked_by(host, address)?;
        }
        Ok(names)
    }

    /// This host asks it too, at another address.
    pub fn asked_by(&mut self, host: &Host, address: &str) -> Result<()> {
        // What lies here, `ip netns exec` puts over /etc.
        let own = Path::new("/etc/netns").join(host.namespace());
        fs::create_dir_all(&own)?;
        self.own.push(own.clone());
        Ok(fs::write(own.join("resolv.conf"), format!("nameserver {address}\n"))?)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for own in &self.own {
            let _ = fs::remove_dir_all(own);
        }
    }
}
