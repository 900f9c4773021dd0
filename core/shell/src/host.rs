//! What the shell asks of the world: the plan with its versions, users, facts of the server, files, a person.

use crate::error::{Error, Fault};

/// Who carries out what the shell wants. A host over a plan file has no server and no users.
pub trait Host {
    /// The plan that holds.
    fn plan(&mut self) -> Result<Stored, Failed>;
    /// Puts another plan in place of the version that was seen; its version.
    fn store(&mut self, toml: &str, seen: u64, why: &str) -> Result<u64, Failed>;
    /// Every plan that ever held, the newest first.
    fn versions(&mut self) -> Result<Vec<Version>, Failed>;
    /// The plan of a version.
    fn version(&mut self, version: u64) -> Result<Stored, Failed>;
    /// The running server; none where only a file is edited.
    fn server(&mut self) -> Result<Option<Server>, Failed>;
    /// Everybody who may sign in.
    fn users(&mut self) -> Result<Vec<User>, Failed>;
    /// Adds a user with a password that is made up, and returned.
    fn add_user(&mut self, name: &str, site: Option<&str>) -> Result<String, Failed>;
    /// Removes a user; false if there was none.
    fn remove_user(&mut self, name: &str) -> Result<bool, Failed>;
    /// Writes a text file.
    fn write(&mut self, path: &str, text: &str, append: bool) -> Result<(), Failed>;
    /// Reads a text file.
    fn read(&mut self, path: &str) -> Result<String, Failed>;
    /// Asks a person; nothing if there is none.
    fn confirm(&mut self, question: &str) -> Option<bool>;
    /// Shows a line.
    fn show(&mut self, stream: Stream, line: &str);
}

/// Where a line goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// What was asked for.
    Output,
    /// What should be known about it.
    Warning,
    /// What was repaired in the text to make it readable.
    Repair,
    /// Why something was not done.
    Error,
}

/// A plan and its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The file.
    pub toml: String,
    /// Its version; 0 for a file that is not there yet.
    pub version: u64,
}

/// A version of the plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// When, in seconds since the Unix epoch.
    pub time: f64,
    /// Who put it.
    pub who: String,
    /// `configuration` or `admin`.
    pub source: String,
}

/// The running server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Its name in the network.
    pub fqdn: String,
    /// Its SIP domains, the main one first.
    pub domains: Vec<String>,
    /// Version of the program.
    pub program: String,
    /// What it proves itself with.
    pub certificates: Vec<Certificate>,
}

/// A certificate that the server uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Who made it.
    pub issuer: String,
    /// Whose it is.
    pub subject: String,
    /// From when it holds: `2026-11-21 18:05:59Z`.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// Hexadecimal.
    pub serial: String,
    /// Names and addresses for which it holds.
    pub names: Vec<String>,
    /// SHA-1, hexadecimal.
    pub thumbprint: String,
    /// What it is used for: `Default`, `WebServicesInternal`, ….
    pub uses: Vec<String>,
}

/// Somebody who may sign in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// `alice@example.com`.
    pub name: String,
    /// The site of the plan.
    pub site: Option<String>,
}

/// Why the host could not do it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed(pub String);

impl From<Failed> for Error {
    fn from(Failed(text): Failed) -> Error {
        Error::new(Fault::HostFailure, text)
    }
}
