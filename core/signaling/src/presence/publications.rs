//! What devices have published (RFC 3903): each state has an entity tag, which is another one after each PUBLISH.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Message, Name};

use super::compose::Said;
use super::document::Document;
use crate::contract::{Change, Output, Publication};
use crate::events::{self, Asked};
use crate::reply::Reply;
use crate::secret::{Secret, usage};

/// Documents of one user; one more takes the place of the one that was refreshed longest ago: its phone has most likely crashed.
const PER_USER: usize = 10;
/// What is published.
pub(super) const TYPE: &str = "application/pidf+xml";

#[derive(Debug)]
pub(super) struct Publications {
    secret: Secret,
    sequence: u64,
    /// By user, in the order in which they were published.
    of_user: BTreeMap<Arc<str>, Vec<Published>>,
    due: BTreeSet<(Duration, Arc<str>)>,
}

/// A publication with its document read.
#[derive(Debug)]
struct Published {
    saved: Arc<Publication>,
    document: Document,
}

impl Publications {
    /// Begins with what was saved. What can't be read any more is left out until its device publishes again.
    pub(super) fn new(seed: &[u8; 32], saved: Vec<Publication>, now: Duration) -> Publications {
        // Tags of before a restart must not be given to others.
        let sequence = now.as_nanos() as u64;
        let secret = Secret::new(seed);
        let mut all = Publications { secret, sequence, of_user: BTreeMap::new(), due: BTreeSet::new() };
        for saved in saved {
            if let Ok(document) = Document::parse(&saved.document) {
                all.put(Published { saved: Arc::new(saved), document });
            }
        }
        all
    }

    /// Answers a PUBLISH of this user (RFC 3903, 6).
    pub(super) fn publish(
        &mut self,
        now: Duration,
        asked: &Asked<'_>,
        out: &mut VecDeque<Output>,
    ) -> Result<Reply, Reply> {
        let request = asked.request;
        let old = match etag(request) {
            Some(etag) => {
                Some(self.take(asked.aor, etag).ok_or(Reply::new(412, "Conditional Request Failed"))?)
            }
            None => None,
        };
        match self.next(now, asked, old.as_ref()) {
            Ok((reply, new)) => {
                let gone = old.filter(|_| new.is_none());
                out.extend(gone.map(|gone| Output::Save(unpublish(&gone.saved))));
                if let Some(new) = new {
                    self.make_room(asked.aor, out);
                    out.push_back(Output::Save(Change::Publish(Arc::clone(&new.saved))));
                    self.put(new);
                }
                Ok(reply)
            }
            Err(refusal) => {
                old.into_iter().for_each(|old| self.put(old));
                Err(refusal)
            }
        }
    }

    /// What a user's devices say.
    pub(super) fn said<'a>(&'a self, aor: &str) -> Vec<Said<'a>> {
        let all = self.of_user.get(aor).into_iter().flatten();
        all.map(|one| Said { key: &one.saved.key, changed: one.saved.changed, document: &one.document })
            .collect()
    }

    /// Forgets a document whose time is over; whose it was.
    pub(super) fn lapse(&mut self, now: Duration, out: &mut VecDeque<Output>) -> Option<Arc<str>> {
        let (_, aor) = self.due.first().filter(|(due, _)| *due <= now).cloned()?;
        let over = |one: &Published| one.saved.expires <= now;
        while let Some(one) = self.take_if(&aor, over) {
            out.push_back(Output::Save(unpublish(&one.saved)));
        }
        Some(aor)
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A user has gone, with all that it has published.
    pub(super) fn remove_user(&mut self, aor: &str, out: &mut VecDeque<Output>) {
        while let Some(one) = self.take_if(aor, |_| true) {
            out.push_back(Output::Save(unpublish(&one.saved)));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.of_user.values().map(Vec::len).sum()
    }

    /// What is there after this request: a new document, one that lasts longer, or none.
    fn next(
        &mut self,
        now: Duration,
        asked: &Asked<'_>,
        old: Option<&Published>,
    ) -> Result<(Reply, Option<Published>), Reply> {
        let expires = events::expires(asked.request)?;
        let body = body(asked.request)?;
        let document = match (&body, old) {
            (Some(body), _) => Some(Document::parse(body).map_err(|why| unreadable(&why))?),
            (None, Some(old)) => Some(old.document.clone()),
            (None, None) => None,
        };
        let document = document.ok_or(Reply::new(400, "PUBLISH Without a Document"))?;
        let etag = self.etag(asked.aor);
        let reply =
            Reply::new(200, "OK").field("Expires", expires.to_string()).field("SIP-ETag", etag.as_str());
        if expires == 0 {
            return Ok((reply, None));
        }
        let kept = old.map(|old| &old.saved);
        let new = |text| kept.filter(|_| body.is_none()).map_or(text, |kept| kept.document.clone());
        let saved = Publication {
            aor: Arc::clone(asked.aor),
            key: kept.map_or_else(|| etag.clone(), |kept| kept.key.clone()),
            etag,
            changed: kept.filter(|_| body.is_none()).map_or(now, |kept| kept.changed),
            expires: now + Duration::from_secs(u64::from(expires)),
            document: new(body.unwrap_or_default().to_owned()),
        };
        Ok((reply, Some(Published { saved: Arc::new(saved), document })))
    }

    fn etag(&mut self, aor: &str) -> String {
        self.sequence = self.sequence.wrapping_add(1);
        format!("{:016x}", self.secret.hash(usage::ENTITY, &[&self.sequence.to_be_bytes(), aor.as_bytes()]))
    }

    fn make_room(&mut self, aor: &Arc<str>, out: &mut VecDeque<Output>) {
        let Some(all) = self.of_user.get(aor).filter(|all| all.len() >= PER_USER) else { return };
        let first = all.iter().map(|one| one.saved.expires).min().unwrap_or_default();
        let gone = self.take_if(aor, |one| one.saved.expires == first);
        out.extend(gone.map(|gone| Output::Save(unpublish(&gone.saved))));
    }

    fn put(&mut self, one: Published) {
        let aor = Arc::clone(&one.saved.aor);
        self.due.insert((one.saved.expires, Arc::clone(&aor)));
        self.of_user.entry(aor).or_default().push(one);
    }

    fn take(&mut self, aor: &str, etag: &[u8]) -> Option<Published> {
        self.take_if(aor, |one| one.saved.etag.as_bytes() == etag)
    }

    fn take_if(&mut self, aor: &str, which: impl Fn(&Published) -> bool) -> Option<Published> {
        let all = self.of_user.get_mut(aor)?;
        let one = all.remove(all.iter().position(which)?);
        // Others of this user may end at the same moment.
        if !all.iter().any(|other| other.saved.expires == one.saved.expires) {
            self.due.remove(&(one.saved.expires, Arc::clone(&one.saved.aor)));
        }
        if all.is_empty() {
            self.of_user.remove(aor);
        }
        Some(one)
    }
}

fn etag<'a>(request: &'a Message<&[u8]>) -> Option<&'a [u8]> {
    request.get(Name::SipIfMatch).map(<[u8]>::trim_ascii)
}

fn unpublish(saved: &Publication) -> Change {
    Change::Unpublish { aor: Arc::clone(&saved.aor), key: saved.key.clone() }
}

/// The document, if there is one; 415 if it is none that is understood.
fn body<'a>(request: &'a Message<&[u8]>) -> Result<Option<&'a str>, Reply> {
    if request.body().is_empty() {
        return Ok(None);
    }
    let is_pidf = request.content_type().is_some_and(|kind| kind.is(b"application", b"pidf+xml"));
    if !is_pidf {
        return Err(Reply::new(415, "Unsupported Media Type").field("Accept", TYPE));
    }
    std::str::from_utf8(request.body()).map(Some).map_err(|_| unreadable("it is no UTF-8"))
}

/// What is wrong with a document, and where, for whoever wrote it.
fn unreadable(why: &str) -> Reply {
    let why: String = why.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(120).collect();
    Reply::new(400, "Unreadable Presence Document").field("Warning", format!("399 carillon \"{why}\""))
}
