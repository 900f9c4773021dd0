//! A site: one server and some phones on a switch, each a namespace of its own. Captures are made at the switch.
//!
//! Every host asks the site's name server, since certificates are for names.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::network::{Host, INTERFACE, connect_to_switch, prefix};
use crate::process::Process;
use crate::recording::asset;

/// The domain of all users, and the name of the server.
pub const DOMAIN: &str = "carillon.test";

/// Where the switch is captured.
pub const SWITCH: &str = "br0";

/// The hosts of a site.
pub struct Site {
    /// Joins the others; has no address.
    pub switch: Host,
    /// The server.
    pub server: Host,
    /// The phones, in the order of their names.
    pub phones: Vec<Host>,
    names: Option<Process>,
    own: Vec<PathBuf>,
    directory: tempfile::TempDir,
}

impl Site {
    /// A server, and a host for each phone.
    pub fn with_phones(phones: &[&str]) -> Result<Site> {
        let prefix = prefix()?;
        let switch = Host::create(&prefix, "sw", 0, 254)?;
        switch.run(
            "ip",
            &["link", "add", SWITCH, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"],
        )?;
        switch.run("ip", &["link", "set", SWITCH, "up"])?;
        let server = Host::create(&prefix, "s", 0, 1)?;
        let directory = tempfile::tempdir()?;
        let mut site = Site { switch, server, phones: Vec::new(), names: None, own: Vec::new(), directory };
        for (number, name) in (10..).step_by(10).zip(phones) {
            site.phones.push(Host::create(&prefix, name, 0, number)?);
        }
        site.join()?;
        Ok(site)
    }

    /// From now on the domain's name means this address, for everybody.
    pub fn resolve(&mut self, address: IpAddr) -> Result<()> {
        self.names = None;
        let mut command = self.server.command("python3");
        command.arg(asset("names.py")).arg(address.to_string());
        let mut names = Process::start(&mut command, &self.directory.path().join("names.log"))?;
        names.wait_for("listening", Duration::from_secs(10))?;
        self.names = Some(names);
        Ok(())
    }

    fn join(&mut self) -> Result<()> {
        let (v4, v6) = (self.server.v4(), self.server.v6());
        for (number, host) in std::iter::once(&self.server).chain(&self.phones).enumerate() {
            connect_to_switch(host, &self.switch, &format!("p{number}"), SWITCH)?;
            // Without a default route some programs believe that they are not connected at all.
            if number > 0 {
                host.run("ip", &["route", "add", "default", "via", &v4.to_string()])?;
                host.run("ip", &["-6", "route", "add", "default", "via", &v6.to_string(), "dev", INTERFACE])?;
            }
            // What lies here, `ip netns exec` puts over /etc.
            let own = Path::new("/etc/netns").join(host.namespace());
            fs::create_dir_all(&own)?;
            fs::write(own.join("resolv.conf"), format!("nameserver {v4}\n"))?;
            self.own.push(own);
        }
        self.resolve(v4.into())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for own in &self.own {
            let _ = fs::remove_dir_all(own);
        }
    }
}
