//! Users of a server that does not run: the same rules, straight into its store.

use std::os::unix::fs::MetadataExt;

use carillon_signaling::User;
use carillon_store::{Author, Store};

use crate::admin::{AccountRow, Imported, NO_ACCOUNT, UserRow};
use crate::clock::Clock;
use crate::config::Config;
use crate::documents::UserDocument;
use crate::start::{StartError, check_realm};
use crate::users::{NewUser, Rules, number_of};

/// The store of a configuration.
pub struct Offline {
    store: Store,
    rules: Rules,
    author: Author,
}

impl Offline {
    /// Opens the store, or makes it.
    pub fn open(config: &Config) -> Result<Offline, StartError> {
        let mut store = Store::open(&config.store)?;
        check_realm(&mut store, config)?;
        let uid = std::fs::metadata("/proc/self")
            .map_or_else(|_| "unknown".to_owned(), |me| format!("uid {}", me.uid()));
        let author = Author { who: format!("{uid}, beside the server"), time: Clock::start().now() };
        Ok(Offline { store, rules: Rules::new(config, &config.plan.plan), author })
    }

    /// At most 1000 users behind that name.
    pub fn users_after(&self, name: &str) -> Result<Vec<UserRow>, carillon_store::Error> {
        let records = self.store.users_with_contacts(name, 1000, self.author.time)?;
        Ok(records.iter().map(|(record, contacts)| UserRow::new(record, *contacts, 0)).collect())
    }

    /// A user, if there is one of that name.
    pub fn user(&self, name: &str) -> Result<Option<UserRow>, OfflineError> {
        let aor = self.rules.aor(name).map_err(OfflineError::Refused)?;
        let record = self.store.user(&aor).map_err(OfflineError::Store)?;
        Ok(record.map(|record| UserRow::new(&record, 0, 0)))
    }

    /// What is wrong with each of these, by its place.
    pub fn check_users(&self, new: &[NewUser]) -> Vec<(usize, String)> {
        self.rules.check_all(new)
    }

    /// Adds or changes users: all of them or none.
    pub fn put_users(&mut self, new: &[NewUser]) -> Result<Imported, OfflineError> {
        let users = self.rules.users(new).map_err(|wrong| OfflineError::Refused(wrong.join("\n")))?;
        let versions = self.store.import_users(&users, &self.author).map_err(OfflineError::Store)?;
        Ok(Imported::from_versions(&versions))
    }

    /// Gives a user another number, or none.
    pub fn put_number(&mut self, name: &str, number: Option<&str>) -> Result<(), OfflineError> {
        let number = number.map(number_of).transpose().map_err(OfflineError::Refused)?;
        let record = self.store.user(&self.known(name)?).map_err(OfflineError::Store)?;
        let users = record.into_iter().map(|record| User { number: number.clone(), ..record.user });
        let users: Vec<User> = users.collect();
        self.store.import_users(&users, &self.author).map(drop).map_err(OfflineError::Store)
    }

    /// By which account of an OpenID provider a user signs in.
    pub fn account(&self, name: &str) -> Result<Option<AccountRow>, OfflineError> {
        let found = self.store.account(&self.known(name)?).map_err(OfflineError::Store)?;
        Ok(found.map(AccountRow::from))
    }

    /// The next account that signs in as a user is its own.
    pub fn release_account(&mut self, name: &str) -> Result<(), OfflineError> {
        let aor = self.known(name)?;
        match self.store.release_account(&aor, &self.author).map_err(OfflineError::Store)? {
            true => Ok(()),
            false => Err(OfflineError::Refused(NO_ACCOUNT.to_owned())),
        }
    }

    /// A document of a user.
    pub fn document<T: UserDocument>(&self, name: &str) -> Result<T, OfflineError> {
        let record = self.store.document(T::ABOUT, &self.known(name)?).map_err(OfflineError::Store)?;
        let unreadable =
            |error| OfflineError::Refused(format!("the {} in the store can't be read: {error}", T::NAME));
        record.map_or(Ok(T::default()), |record| serde_json::from_str(&record.document).map_err(unreadable))
    }

    /// Puts it in place of what there is.
    pub fn put_document<T: UserDocument>(&mut self, name: &str, document: &T) -> Result<(), OfflineError> {
        document.check().map_err(|wrong| OfflineError::Refused(wrong.join("\n")))?;
        let aor = self.known(name)?;
        let text =
            serde_json::to_string(document).map_err(|error| OfflineError::Refused(error.to_string()))?;
        self.store.put_document(T::ABOUT, &aor, &text, &self.author).map(drop).map_err(OfflineError::Store)
    }

    /// The address of record of somebody who is a user.
    fn known(&self, name: &str) -> Result<String, OfflineError> {
        let aor = self.rules.aor(name).map_err(OfflineError::Refused)?;
        let user = self.store.user(&aor).map_err(OfflineError::Store)?;
        user.map(|_| aor).ok_or_else(|| OfflineError::Refused("there is no such user".to_owned()))
    }

    /// Removes a user; false if there was none.
    pub fn remove_user(&mut self, name: &str) -> Result<bool, OfflineError> {
        let aor = self.rules.aor(name).map_err(OfflineError::Refused)?;
        Ok(self.store.remove_user(&aor, &self.author).map_err(OfflineError::Store)?.is_some())
    }
}

/// Why users were not added.
#[derive(Debug)]
pub enum OfflineError {
    /// Something is wrong with one of them.
    Refused(String),
    /// The store fails.
    Store(carillon_store::Error),
}

impl std::fmt::Display for OfflineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OfflineError::Refused(reason) => f.write_str(reason),
            OfflineError::Store(error) => f.write_str(&crate::chain(error)),
        }
    }
}

impl std::error::Error for OfflineError {}
