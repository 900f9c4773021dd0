//! Who is at home where, as the Front Ends say.
//!
//! Names are not kept: a hash with a secret of this run is enough to find one, and tells nobody who there is.

use carillon_wire::sip::Message;
use hashbrown::HashSet;

use super::{AFTER, LIST};
use crate::secret::{Secret, usage};
use crate::transaction::Plain;

/// Users of one Front End that are held: 16 MB, or a little more.
const MOST: usize = 1_000_000;

/// The users of one Front End.
#[derive(Default, Debug)]
pub(super) struct Homes {
    /// Which list this is, as the Front End has named it.
    tag: Option<String>,
    users: HashSet<u64, Plain>,
    /// A list that has not come whole.
    coming: Option<Coming>,
    /// The branch of the question whose answer goes on with it: the last one. Two answers at once would be taken for two parts.
    asked: Option<String>,
    too_many: bool,
}

#[derive(Debug)]
struct Coming {
    tag: String,
    users: HashSet<u64, Plain>,
    /// The last name that has come.
    last: String,
}

/// What is to be done after an answer.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Nothing: the list is the one that was there.
    Same,
    /// Ask for the next part at once.
    More,
    /// There is another list now; and whether somebody was left out.
    New { too_many: bool },
}

impl Homes {
    /// What a question says that this list is to be the answer to: fields and their values.
    pub(super) fn question(&self) -> Vec<(&'static str, String)> {
        let after = self.coming.as_ref().map(|coming| (AFTER, coming.last.clone()));
        let held =
            self.tag.as_ref().filter(|_| after.is_none()).map(|tag| ("Suppress-If-Match", tag.clone()));
        after.into_iter().chain(held).collect()
    }

    /// It was asked with this branch; answers to earlier questions count no longer.
    pub(super) fn ask(&mut self, branch: &str) {
        self.asked = Some(branch.to_owned());
    }

    /// Whether an answer to this branch is one to the last question.
    pub(super) fn waits_for(&mut self, branch: &str) -> bool {
        self.asked.take_if(|asked| asked == branch).is_some()
    }

    /// Takes an answer. One of a Front End that has changed between two parts is begun anew.
    pub(super) fn take(&mut self, secret: &Secret, answer: &Message<&[u8]>) -> Next {
        let text = |name| answer.named(name).next().and_then(|value| std::str::from_utf8(value).ok());
        let Some(tag) = text("SIP-ETag") else { return Next::Same };
        let list = answer.content_type().is_some_and(|kind| kind.is(b"text", b"uri-list"));
        if !list {
            self.coming = None;
            return Next::Same;
        }
        let mut coming = match self.coming.take() {
            Some(coming) if coming.tag == tag => coming,
            Some(_) => return Next::More,
            None => Coming { tag: tag.to_owned(), users: HashSet::default(), last: String::new() },
        };
        let names = answer.body().split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for name in names.filter(|name| !name.is_empty()) {
            if coming.users.len() < MOST {
                coming.users.insert(hash(secret, name));
            }
        }
        self.too_many = coming.users.len() >= MOST;
        match text(AFTER).filter(|last| *last > coming.last.as_str() && !self.too_many) {
            Some(last) => {
                coming.last = last.to_owned();
                self.coming = Some(coming);
                Next::More
            }
            None => {
                (self.tag, self.users) = (Some(coming.tag), coming.users);
                Next::New { too_many: self.too_many }
            }
        }
    }

    /// The connection has ended: a list that has not come whole will not.
    pub(super) fn interrupt(&mut self) {
        self.coming = None;
    }

    /// Whether a user is at home there.
    pub(super) fn has(&self, secret: &Secret, aor: &str) -> bool {
        self.users.contains(&hash(secret, aor.as_bytes()))
    }

    /// How many are; `None`: it has not said so yet.
    pub(super) fn len(&self) -> Option<usize> {
        self.tag.as_ref().map(|_| self.users.len())
    }
}

/// A number that stands for a name.
pub(super) fn hash(secret: &Secret, name: &[u8]) -> u64 {
    secret.hash(usage::HOME, &[name])
}

/// What a Front End may answer with.
pub(super) fn accepted() -> (&'static str, String) {
    ("Accept", LIST.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(homes: &mut Homes, fields: &str, body: &str) -> Next {
        let text = format!("SIP/2.0 200 OK\r\n{fields}\r\n{body}");
        homes.take(&Secret::new(&[1; 32]), &Message::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_list_holds_once_it_has_come_whole_and_begins_anew_if_it_changes_meanwhile() {
        let (mut homes, secret) = (Homes::default(), Secret::new(&[1; 32]));
        let part = |tag: &str, last: &str| {
            let after = if last.is_empty() { String::new() } else { format!("{AFTER}: {last}\r\n") };
            format!("SIP-ETag: {tag}\r\nContent-Type: {LIST}\r\n{after}")
        };
        assert_eq!(take(&mut homes, &part("1", "b@x"), "a@x\r\nb@x\r\n"), Next::More);
        assert_eq!((homes.len(), homes.has(&secret, "a@x")), (None, false));
        assert_eq!(homes.question(), [(AFTER, "b@x".to_owned())]);
        assert_eq!(take(&mut homes, &part("2", ""), "c@x\r\n"), Next::More, "another list");
        assert_eq!(homes.question(), []);
        assert_eq!(take(&mut homes, &part("2", "b@x"), "a@x\r\nb@x\r\n"), Next::More);
        assert_eq!(take(&mut homes, &part("2", ""), "d@x\r\n"), Next::New { too_many: false });
        assert_eq!(homes.len(), Some(3));
        assert!(homes.has(&secret, "d@x") && !homes.has(&secret, "c@x"));
        assert_eq!(homes.question(), [("Suppress-If-Match", "2".to_owned())]);
        assert_eq!(take(&mut homes, "SIP-ETag: 2\r\n", ""), Next::Same);
        assert_eq!(homes.len(), Some(3));
        // One that leads round in circles is taken for whole.
        assert_eq!(take(&mut homes, &part("3", "b@x"), "a@x\r\n"), Next::More);
        assert_eq!(take(&mut homes, &part("3", "b@x"), "a@x\r\n"), Next::New { too_many: false });
    }
}
