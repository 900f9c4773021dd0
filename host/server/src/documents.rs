//! What a user keeps at the server, a document for each subject: JSON that is checked when it is put, stored as it is, and
//! made known to the Front End.

use carillon_signaling::Request;
use carillon_store::Document;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call_rules::CallRulesFile;
use crate::roles::RoleFile;
use crate::rosters::RosterFile;

/// A subject.
pub trait UserDocument: Serialize + DeserializeOwned + Default + Send + 'static {
    /// Where it is kept.
    const ABOUT: Document;
    /// The last part of its path in the admin API.
    const NAME: &'static str;

    /// What the Front End is told, if it is its business, or all that is wrong with it.
    ///
    /// # Errors
    /// One line for each mistake, with its place.
    fn request(&self, aor: String) -> Result<Option<Request>, Vec<String>>;

    /// All that is wrong with it.
    ///
    /// # Errors
    /// One line for each mistake, with its place.
    fn check(&self) -> Result<(), Vec<String>> {
        self.request(String::new()).map(drop)
    }
}

impl UserDocument for RosterFile {
    const ABOUT: Document = Document::Roster;
    const NAME: &'static str = "roster";

    fn request(&self, aor: String) -> Result<Option<Request>, Vec<String>> {
        Ok(Some(Request::SetRoster { aor, roster: self.roster()? }))
    }
}

impl UserDocument for CallRulesFile {
    const ABOUT: Document = Document::CallRules;
    const NAME: &'static str = "call-rules";

    fn request(&self, aor: String) -> Result<Option<Request>, Vec<String>> {
        Ok(Some(Request::SetRules { aor, rules: self.rules()? }))
    }
}

impl UserDocument for RoleFile {
    const ABOUT: Document = Document::Role;
    const NAME: &'static str = "role";

    fn request(&self, _: String) -> Result<Option<Request>, Vec<String>> {
        Ok(None)
    }
}
