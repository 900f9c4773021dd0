//! The directory is read again and again, and what has changed there changes here. While it can't be read, everybody stays who
//! is known.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use carillon_signaling::{Ha1, Request};
use carillon_store::{Document, Error, Named, UserReader};
use ldap3_proto::{LdapFilter, LdapSearchScope};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::conversation::{Bound, Conversation, Search};
use super::dn::DistinguishedName;
use super::entry::{STATES, found, members};
use super::reconcile::{Changes, Reading, reconcile};
use super::{Directory, DirectoryStatus};
use crate::call_rules::CallRulesFile;
use crate::desk::Desk;
use crate::documents::UserDocument;
use crate::roles::{RoleFile, UserRole};
use crate::rosters::RosterFile;
use crate::turn::Server;

/// Users of one order: between two orders the server has its turns.
const ORDER: usize = 250;
/// How long a reading may take, however much there is to read.
const WHOLE: std::time::Duration = std::time::Duration::from_secs(600);
/// As the audit names the directory.
const AUTHOR: &str = "directory";

/// The thread; it ends when this is dropped.
pub(crate) struct Following {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts it, if there is a directory.
pub(crate) fn start(server: &Server, desk: &Desk) -> io::Result<Option<Following>> {
    let Some(directory) = server.directory.clone() else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let desk = desk.clone();
    let thread = std::thread::Builder::new().name("directory".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::spawn(follow(directory, desk));
            let _ = stopped.await;
        });
    })?;
    Ok(Some(Following { stop: Some(stop), thread: Some(thread) }))
}

async fn follow(directory: Arc<Directory>, desk: Desk) {
    loop {
        let outcome = timeout(WHOLE, directory.read_once(&desk)).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(Refused::from("reading the directory takes too long".to_owned())));
        // A desk that is full is told the next time.
        let _ = desk.leave(move |server| server.note_directory(outcome));
        // Over, or in a hurry: both are time to read.
        let _ = timeout(directory.config.interval, directory.hurry.notified()).await;
    }
}

/// Why nothing follows from a reading.
struct Refused {
    why: String,
    /// So many would have vanished.
    vanished: u64,
}

impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused { why, vanished: 0 }
    }
}

impl Directory {
    /// So many users who are not named any more may be signed out, by the word of somebody who knows; it reads again.
    pub(crate) fn confirm(&self, users: u64) {
        self.confirmed.store(users, Ordering::Relaxed);
        self.hurry.notify_one();
    }

    async fn read_once(&self, desk: &Desk) -> Result<Changes, Refused> {
        let reading = self.read().await?;
        // Nobody at all is a mistyped filter or a right that was taken away, hardly ever a company without people.
        if reading.found.is_empty() {
            let why = "the directory names nobody: is it the right base and filter, and may `bind` read?";
            return Err(why.to_owned().into());
        }
        let rules = desk.ask(|server| (server.estate.rules(), server.estate.config.store.clone()));
        let (rules, store) = rules.await.map_err(|busy| busy.to_string())?;
        let known = tokio::task::spawn_blocking(move || UserReader::open(&store)?.all()).await;
        let known = known.map_err(|error| error.to_string())?.map_err(|error| crate::chain(&error))?;
        let changes = reconcile(&reading, &known, &rules, unproven);
        // A confirmation is for one reading, whatever that finds.
        let confirmed = self.confirmed.swap(0, Ordering::Relaxed);
        if changes.are_doubtful() && changes.vanished > confirmed {
            return Err(Refused { why: doubtful(&changes), vanished: changes.vanished });
        }
        for part in changes.put.chunks(ORDER) {
            let part = part.to_vec();
            let put = desk.ask(move |server| server.put_entries(&part)).await;
            put.map_err(|busy| busy.to_string())?.map_err(|error| crate::chain(&error))?;
        }
        for part in changes.roles.chunks(ORDER) {
            let part = part.to_vec();
            let put = desk.ask(move |server| server.put_roles(&part)).await;
            put.map_err(|busy| busy.to_string())?.map_err(|error| crate::chain(&error))?;
        }
        Ok(changes)
    }

    async fn read(&self) -> Result<Reading, String> {
        let config = &self.config;
        let mut conversation = self.reach().await?;
        match conversation.bind(&config.bind, &config.secret.0).await? {
            Bound::Right => {}
            Bound::Wrong => {
                return Err("the directory does not take name and password of `bind` and `secret`".to_owned());
            }
            Bound::Barred(why) => return Err(format!("`bind` may not read the directory: {}", why.text)),
        }
        let administrators = group(&mut conversation, config.administrators.as_deref()).await?;
        let help_desk = group(&mut conversation, config.help_desk.as_deref()).await?;
        let kinds = &config.attributes;
        let single = [&kinds.id, &kinds.display].into_iter();
        let names = single.chain(&kinds.address).chain(&kinds.number).cloned();
        let attributes: Vec<String> = names.chain(STATES.map(str::to_owned)).collect();
        let search = Search {
            base: &config.base,
            scope: LdapSearchScope::Subtree,
            filter: &config.filter,
            attributes: &attributes,
        };
        let mut all = Vec::new();
        let referrals = conversation.search(&search, |entry| all.extend(found(&entry, kinds))).await?;
        if referrals > 0 {
            tracing::debug!(referrals, "the directory refers to others, which are not asked");
        }
        Ok(Reading { found: all, administrators, help_desk })
    }
}

/// Says what would happen, and what to do.
fn doubtful(changes: &Changes) -> String {
    let Changes { vanished, able, .. } = changes;
    format!(
        "the directory does not name {vanished} of {able} users any more, and nothing is changed: a wrong base, filter or right \
         looks the same. If they have left, say so: `carillon user confirm-vanished {vanished}`"
    )
}

/// The members of a group, if one is named.
async fn group(
    conversation: &mut Conversation,
    name: Option<&str>,
) -> Result<Option<BTreeSet<DistinguishedName>>, String> {
    let Some(base) = name else { return Ok(None) };
    let search = Search {
        base,
        scope: LdapSearchScope::Base,
        filter: &LdapFilter::Present("objectClass".to_owned()),
        attributes: &["member".to_owned()],
    };
    let mut names = BTreeSet::new();
    conversation.search(&search, |entry| names.extend(members(&entry))).await?;
    Ok(Some(names))
}

/// Hashes that no password has that anybody could find.
fn unproven() -> Ha1 {
    let mut ha1 = Ha1 { md5: [0; 16], sha256: [0; 32] };
    // Without randomness the server would not have started.
    let _ = getrandom::fill(&mut ha1.md5).and_then(|()| getrandom::fill(&mut ha1.sha256));
    ha1
}

impl Server {
    /// Puts users of the directory; who may not sign in is nobody to the Front End, and is signed out. Calls that run go on.
    fn put_entries(&mut self, named: &[Named]) -> Result<(), Error> {
        let put = self.store.put_entries(named, &self.author(AUTHOR))?;
        let time = self.clock.now();
        for (before, now) in put {
            let (was_disabled, aor) =
                (before.is_some_and(|record| record.is_disabled()), now.user.aor.clone());
            match now.is_disabled() {
                true => self.front_end.handle_request(time, Request::RemoveUser(aor)),
                false => {
                    self.front_end.handle_request(time, Request::PutUser(now.user));
                    if was_disabled {
                        self.tell_documents(&aor)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What a user keeps here, for a Front End that has forgotten it.
    fn tell_documents(&mut self, aor: &str) -> Result<(), Error> {
        self.tell_document::<RosterFile>(aor)?;
        self.tell_document::<CallRulesFile>(aor)
    }

    fn tell_document<T: UserDocument>(&mut self, aor: &str) -> Result<(), Error> {
        let record = self.store.document(T::ABOUT, aor)?;
        let file = record.and_then(|record| serde_json::from_str::<T>(&record.document).ok());
        if let Some(request) = file.and_then(|file| file.request(aor.to_owned()).ok().flatten()) {
            self.front_end.handle_request(self.clock.now(), request);
        }
        Ok(())
    }

    /// Gives the roles that differ from those that there are, to whom the directory names.
    fn put_roles(&mut self, roles: &[(String, UserRole)]) -> Result<(), Error> {
        let author = self.author(AUTHOR);
        for (aor, role) in roles {
            let differs = UserRole::of(&self.store, aor)? != *role;
            // An administrator may have put somebody of its own there since the directory was read.
            if differs && self.store.user(aor)?.is_some_and(|record| record.entry.is_some()) {
                let text = serde_json::to_string(&RoleFile { role: *role }).unwrap_or_default();
                self.store.put_document(Document::Role, aor, &text, &author)?;
            }
        }
        Ok(())
    }

    fn note_directory(&mut self, outcome: Result<Changes, Refused>) {
        let status = &mut self.directory_status;
        match outcome {
            Ok(Changes { put, users, disabled, skipped, .. }) => {
                if !put.is_empty() || status.error.is_some() {
                    tracing::info!(changes = put.len(), users, "users follow the directory");
                }
                let read = Some(self.clock.now().as_secs_f64());
                *status = DirectoryStatus { read, users, disabled, skipped, ..DirectoryStatus::default() };
            }
            Err(Refused { why, vanished }) => {
                if status.error.as_ref() != Some(&why) {
                    match vanished {
                        0 => tracing::warn!("users do not follow the directory: {why}"),
                        _ => tracing::error!("users do not follow the directory: {why}"),
                    }
                }
                (status.error, status.vanished) = (Some(why), vanished);
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
