//! OpenLDAP's server with a few people in it, changed by OpenLDAP's own tools. An entry of the class `errAuxObject` is answered as it
//! says itself (slapo-retcode).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::authority::Authority;
use crate::Result;
use crate::process::{Process, run, wait_until};
use crate::recording::asset;
use crate::site::Site;

/// Below which everybody is.
pub const BASE: &str = "dc=example,dc=com";
/// The name in its certificate.
pub const NAME: &str = "dc.carillon.test";
/// Who reads, and with which password.
pub const READER: (&str, &str) = ("cn=reader,dc=example,dc=com", "a-secret-of-the-reader");
/// Who may change everything.
const ROOT: (&str, &str) = ("cn=root,dc=example,dc=com", "a-secret-of-root");
/// How long it may take to start.
const LIMIT: Duration = Duration::from_secs(20);

/// A directory that runs on the site's server.
pub struct Slapd<'a> {
    site: &'a Site,
    process: Process,
    work: PathBuf,
    /// Whom its clients must trust.
    pub ca: String,
}

impl Slapd<'_> {
    /// Starts it with these entries (LDIF): TLS on port 636, and TLS that is asked for on port 389.
    pub fn start<'a>(site: &'a Site, work: &Path, entries: &str) -> Result<Slapd<'a>> {
        let work = work.join("directory");
        fs::create_dir_all(work.join("db"))?;
        let authority = Authority::new(&work)?;
        authority.issue(NAME)?;
        fs::write(work.join("slapd.conf"), configuration(&authority, &work))?;
        let process = spawn(site, &work)?;
        let slapd = Slapd { site, process, ca: authority.file("ca.pem"), work };
        slapd.wait_until_ready()?;
        slapd.change("ldapadd", entries)?;
        Ok(slapd)
    }

    /// Has `ldapadd` or `ldapmodify` do what an LDIF says.
    pub fn change(&self, tool: &str, ldif: &str) -> Result<()> {
        let file = self.work.join("change.ldif");
        fs::write(&file, ldif)?;
        let mut command = self.tool(tool);
        run(command.args(["-D", ROOT.0, "-w", ROOT.1, "-f"]).arg(&file)).map(drop)
    }

    fn tool(&self, tool: &str) -> Command {
        let mut command = self.site.server.command(tool);
        // The tools ask for it by its address, which no certificate names.
        command.env("LDAPTLS_REQCERT", "allow").args(["-H", "ldaps://127.0.0.1", "-x"]);
        command
    }

    /// Whether a password proves somebody, as OpenLDAP's `ldapwhoami` is told.
    pub fn proves(&self, dn: &str, password: &str) -> bool {
        let mut command = self.tool("ldapwhoami");
        run(command.args(["-D", dn, "-w", password])).is_ok()
    }

    /// Values of an attribute, as who may see everything sees them.
    pub fn values(&self, dn: &str, attribute: &str) -> Result<Vec<String>> {
        let mut command = self.tool("ldapsearch");
        command.args([
            "-LLL",
            "-D",
            ROOT.0,
            "-w",
            ROOT.1,
            "-b",
            dn,
            "-s",
            "base",
            "(objectClass=*)",
            attribute,
        ]);
        let before = format!("{attribute}: ");
        Ok(run(&mut command)?
            .lines()
            .filter_map(|line| line.strip_prefix(&before))
            .map(str::to_owned)
            .collect())
    }

    /// Ends it.
    pub fn stop(&mut self) -> Result<()> {
        self.process.terminate(LIMIT)
    }

    /// Starts it again with what it has kept.
    pub fn restart(&mut self) -> Result<()> {
        self.process = spawn(self.site, &self.work)?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&self) -> Result<()> {
        let listening = || Ok(self.site.server.run("ss", &["-Hlnt", "sport", "=", ":636"])?.contains(":636"));
        let ready = wait_until("slapd listening", LIMIT, listening);
        ready.map_err(|error| format!("{error}; it printed:\n{}", self.process.printed()).into())
    }
}

fn spawn(site: &Site, work: &Path) -> Result<Process> {
    let mut command = site.server.command("slapd");
    command.arg("-f").arg(work.join("slapd.conf"));
    command.args(["-h", "ldaps://127.0.0.1/ ldap://127.0.0.1/", "-d", "0"]);
    Process::start(&mut command, &work.join("slapd.log"))
}

/// Without TLS it takes no password, and it shows nothing to whom it does not know.
fn configuration(authority: &Authority, work: &Path) -> String {
    let schemas =
        ["core", "cosine", "inetorgperson"].map(|name| format!("include /etc/ldap/schema/{name}.schema\n"));
    let work = work.display();
    format!(
        "{}include {}\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\nmoduleload retcode\n\
         TLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
         security simple_bind=128\ndisallow bind_anon\nsizelimit size.soft=500 size.hard=500 size.prtotal=unlimited\n\
         database mdb\nsuffix \"{BASE}\"\nrootdn \"{}\"\nrootpw {}\ndirectory {work}/db\noverlay ppolicy\n\
         overlay retcode\nretcode-parent \"ou=codes,{BASE}\"\nretcode-indir\n",
        schemas.concat(),
        asset("active-directory.schema").display(),
        authority.file("ca.pem"),
        authority.file(&format!("{NAME}.pem")),
        authority.file(&format!("{NAME}.key")),
        ROOT.0,
        ROOT.1,
    )
}
