//! Whose instant messages are kept to be read again, and what of a MESSAGE is: once for its sender and once for whom it is for,
//! however many phones of either have it. Where the entries lie and who reads them is the host's business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Method, Uri};

use super::content::{InstantMessage, Receipt};
use crate::address;
use crate::calls;
use crate::contract::Change;
use crate::front_end::FrontEnd;
use crate::incoming::Incoming;
use crate::proxy::Route;

/// Whose messages are kept: what is said of a user goes before what is said of its site, and that before what is said of everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HistoryPolicy {
    /// Those of everybody; `None`: not kept.
    pub everybody: Option<HistoryLimits>,
    /// Those of users of a site.
    pub sites: BTreeMap<String, Option<HistoryLimits>>,
    /// Those of a user: `alice@example.com`, in lower case.
    pub users: BTreeMap<String, Option<HistoryLimits>>,
}

/// How much of a user's messages is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryLimits {
    /// For how long.
    pub age: Duration,
    /// How many at most; the oldest go first.
    pub messages: u64,
}

/// An instant message as the history of a user has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryEntry {
    /// Whose history: `alice@example.com`.
    pub aor: Arc<str>,
    /// With whom.
    pub peer: Arc<str>,
    /// Whether the user has sent it; else it was sent to the user.
    pub sent: bool,
    /// When it came, since the Unix epoch.
    pub at: Duration,
    /// By which receipts name it.
    pub id: String,
    /// Its media type with parameters.
    pub media_type: String,
    /// What there is to read.
    pub body: Vec<u8>,
    /// How many the history holds, this one included.
    pub most: u64,
}

/// What has become of a message in the history of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryReceipt {
    /// Whose history.
    pub aor: Arc<str>,
    /// With whom the message was exchanged.
    pub peer: Arc<str>,
    /// Whether the user had sent it.
    pub sent: bool,
    /// The name of the message.
    pub id: String,
    /// What has become of it.
    pub receipt: Receipt,
    /// When the receipt came, since the Unix epoch.
    pub at: Duration,
}

/// Who is at one end of a message.
struct Party {
    /// The user of ours, if it is one and its messages are kept.
    keeps: Option<(Arc<str>, HistoryLimits)>,
    /// As what the other end knows it.
    shown: Arc<str>,
}

impl HistoryPolicy {
    /// What is kept of a user at a site.
    pub fn of(&self, aor: &str, site: Option<&str>) -> Option<HistoryLimits> {
        let of_site = site.and_then(|site| self.sites.get(site));
        *self.users.get(aor).or(of_site).unwrap_or(&self.everybody)
    }

    /// Whether nobody's messages are kept.
    pub fn is_off(&self) -> bool {
        let mut scopes = self.sites.values().chain(self.users.values());
        self.everybody.is_none() && scopes.all(Option::is_none)
    }
}

impl FrontEnd {
    /// What is to be saved of a request from `caller`, once it is delivered or kept, if it is a MESSAGE; `to` is the user of ours
    /// whom it is for.
    pub(crate) fn remembered(
        &self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        caller: &Arc<str>,
        to: Option<&Arc<str>>,
    ) -> Vec<Change> {
        if incoming.method() != Method::Message || self.history.is_off() {
            return Vec::new();
        }
        let routing = &incoming.routing;
        let ends = match way.token {
            // Within a call who speaks was proven when it began.
            Some(_) => {
                let key = calls::key(&self.proxy.secret, routing);
                let ends = self.proxy.calls.ends(key, routing);
                ends.map(|[from, to]| {
                    [self.party(from, routing.from.uri().ok()), self.party(to, routing.to.uri().ok())]
                })
            }
            None => {
                let (from, to) = (Arc::clone(caller), to.cloned().unwrap_or_default());
                Some([self.party(from, routing.from.uri().ok()), self.party(to, Some(way.uri))])
            }
        };
        let keeps = ends.filter(|ends| ends.iter().any(|end| end.keeps.is_some()));
        let message = || InstantMessage::of(incoming.message);
        keeps.map_or(Vec::new(), |ends| changes(now, message(), routing.call_id, &ends))
    }

    /// The user at one end, empty if none is proven. Who does not want to be known is not known later either (RFC 3323).
    fn party(&self, user: Arc<str>, uri: Option<Uri<'_>>) -> Party {
        let known = self.registrar.user(&user);
        let limits = known.and_then(|known| self.history.of(&user, known.site.as_deref()));
        let keeps = limits.map(|limits| (Arc::clone(&user), limits));
        let written = uri.filter(|uri| user.is_empty() || address::is_anonymous(uri));
        let shown = written.map(|uri| address::aor(&uri).unwrap_or_default().into());
        Party { keeps, shown: shown.unwrap_or(user) }
    }
}

/// What is to be saved of a message once it is delivered or kept. Without a name of its own it goes by its Call-ID, as some phones
/// have it in their receipts.
fn changes(at: Duration, message: InstantMessage, call_id: &[u8], [from, to]: &[Party; 2]) -> Vec<Change> {
    let ends = [(from, to, true), (to, from, false)].into_iter();
    let keeping = ends.filter_map(|(own, other, sent)| {
        own.keeps.as_ref().map(|(aor, limits)| (Arc::clone(aor), *limits, Arc::clone(&other.shown), sent))
    });
    match message {
        InstantMessage::Passing => Vec::new(),
        InstantMessage::Content { id, media_type, body } => {
            let id = id.unwrap_or_else(|| String::from_utf8_lossy(call_id).into_owned());
            let entry = |(aor, limits, peer, sent): (_, HistoryLimits, _, _)| {
                let (id, media_type, body) = (id.clone(), media_type.clone(), body.clone());
                let most = limits.messages;
                Change::Remember(Arc::new(HistoryEntry { aor, peer, sent, at, id, media_type, body, most }))
            };
            keeping.map(entry).collect()
        }
        // Whoever has got the message sends the receipt: at its end the message was received, at the other end sent.
        InstantMessage::Receipt { id, receipt } => {
            let of = |(aor, _, peer, sent): (_, HistoryLimits, _, bool)| {
                let id = id.clone();
                Change::Receipt(Arc::new(HistoryReceipt { aor, peer, sent: !sent, id, receipt, at }))
            };
            keeping.map(of).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_user_goes_before_its_site_and_that_before_everybody() {
        let days = |days: u64| Some(HistoryLimits { age: Duration::from_secs(days * 86_400), messages: 100 });
        let mut policy = HistoryPolicy::default();
        assert!(policy.is_off() && policy.of("a@b.c", None).is_none());
        policy.everybody = days(30);
        policy.sites.insert("Oslo".to_owned(), days(90));
        policy.sites.insert("Bonn".to_owned(), None);
        policy.users.insert("a@b.c".to_owned(), days(7));
        policy.users.insert("d@b.c".to_owned(), None);
        for (aor, site, kept) in [
            ("x@b.c", None, days(30)),
            ("x@b.c", Some("Rome"), days(30)),
            ("x@b.c", Some("Oslo"), days(90)),
            ("x@b.c", Some("Bonn"), None),
            ("a@b.c", Some("Bonn"), days(7)),
            ("d@b.c", Some("Oslo"), None),
        ] {
            assert_eq!(policy.of(aor, site), kept, "{aor} {site:?}");
        }
        assert!(!policy.is_off());
        policy =
            HistoryPolicy { everybody: None, sites: BTreeMap::from([("Bonn".to_owned(), None)]), ..policy };
        assert!(!policy.is_off(), "one user's are kept");
    }
}
