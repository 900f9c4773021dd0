//! One subscription to presence: what it is to, and what is still to be told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What the package remembers of a subscription.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) subject: Subject,
    /// A NOTIFY is on its way; and there was more to tell meanwhile.
    pub(super) busy: bool,
    pub(super) again: bool,
    /// Not before this moment.
    pub(super) next: Duration,
    /// When it is to be told.
    pub(super) due: Option<Duration>,
    /// Counts the documents of lists and of watchers.
    pub(super) version: u32,
}

/// What is watched.
#[derive(Debug)]
pub(super) enum Subject {
    /// A user.
    User(Arc<str>),
    /// The contacts of the user who has subscribed.
    List {
        /// Whose.
        of: Arc<str>,
        /// Its address.
        uri: String,
        /// Whose state is still to be told.
        owed: BTreeSet<Arc<str>>,
        /// Whether the whole list is to be told.
        full: bool,
    },
    /// Who watches a user.
    Watchers(Arc<str>),
}

impl Watch {
    pub(super) fn new(subject: Subject) -> Watch {
        Watch { subject, busy: false, again: false, next: Duration::ZERO, due: None, version: 0 }
    }

    /// A list was told, but for these.
    pub(super) fn listed(&mut self, left: BTreeSet<Arc<str>>) {
        self.version += 1;
        if let Subject::List { owed, full, .. } = &mut self.subject {
            (*owed, *full) = (left, false);
        }
    }

    /// The client has asked again, and gets everything at once.
    pub(super) fn renew(&mut self) {
        self.next = Duration::ZERO;
        if let Subject::List { full, .. } = &mut self.subject {
            *full = true;
        }
    }
}

impl Subject {
    pub(super) fn list(of: &Arc<str>, uri: &str) -> Subject {
        Subject::List { of: Arc::clone(of), uri: uri.to_owned(), owed: BTreeSet::new(), full: true }
    }
}
