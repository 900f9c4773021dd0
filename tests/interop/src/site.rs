//! A site: one server and some phones on a switch, each a namespace of its own. Captures are made at the switch.
//!
//! Every host finds the site's domain in its own hosts file, since certificates are for names.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::network::{Host, INTERFACE, connect_to_switch, prefix};

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
    names: Vec<PathBuf>,
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
        let mut site = Site { switch, server, phones: Vec::new(), names: Vec::new() };
        for (number, name) in (10..).step_by(10).zip(phones) {
            site.phones.push(Host::create(&prefix, name, 0, number)?);
        }
        site.join()?;
        Ok(site)
    }

    fn join(&mut self) -> Result<()> {
        let server = [self.server.v4().to_string(), self.server.v6().to_string()];
        for (number, host) in std::iter::once(&self.server).chain(&self.phones).enumerate() {
            connect_to_switch(host, &self.switch, &format!("p{number}"), SWITCH)?;
            // Without a default route some programs believe that they are not connected at all.
            if number > 0 {
                host.run("ip", &["route", "add", "default", "via", &server[0]])?;
                host.run("ip", &["-6", "route", "add", "default", "via", &server[1], "dev", INTERFACE])?;
            }
            // What lies here, `ip netns exec` puts over /etc.
            let own = Path::new("/etc/netns").join(host.namespace());
            fs::create_dir_all(&own)?;
            fs::write(
                own.join("hosts"),
                format!("127.0.0.1 localhost\n{} {DOMAIN}\n{} {DOMAIN}\n", server[0], server[1]),
            )?;
            fs::write(own.join("resolv.conf"), "")?;
            self.names.push(own);
        }
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for own in &self.names {
            let _ = fs::remove_dir_all(own);
        }
    }
}
