//! What a REGISTER asks for, what becomes of the bindings, and the 200 that says so.

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Flow, Message, Name};

use super::contact::{Contact, is_instance};
use super::{FLOW_TIMER, Settings, destination};
use crate::contract::Binding;
use crate::reply::Reply;

/// Extensions that may be required of us.
const KNOWN: [&str; 2] = ["path", "outbound"];
/// Longest Call-ID, longest Path, longest name of a phone that are kept.
const MAX_CALL_ID: usize = 256;
const MAX_PATH: usize = 1024;
const MAX_USER_AGENT: usize = 128;

/// Refuses what must be understood and is not (RFC 3261, 8.2.2.3).
pub(super) fn check_required(request: &Message<&[u8]>) -> Result<(), Reply> {
    let is_known = |option: &[u8]| KNOWN.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(option));
    let unknown: Vec<_> = request.values(Name::Require).filter(|option| !is_known(option)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let unknown: Vec<_> = unknown.into_iter().map(String::from_utf8_lossy).collect();
    Err(Reply::new(420, "Bad Extension").field("Unsupported", unknown.join(", ").replace(['\r', '\n'], " ")))
}

/// A REGISTER, read as a whole: all of it is done or nothing.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// `None`: all bindings are to be removed.
    contacts: Option<Vec<Contact<'a>>>,
    call_id: &'a str,
    cseq: u32,
    path: Vec<String>,
    /// What the phone calls itself.
    pub(super) user_agent: Arc<str>,
}

impl<'a> Asked<'a> {
    pub(super) fn read(request: &'a Message<&[u8]>, settings: &Settings) -> Result<Asked<'a>, Reply> {
        let malformed = |reason| move |_| Reply::new(400, reason);
        let call_id = request.call_id().unwrap_or_default();
        let call_id = std::str::from_utf8(call_id).map_err(malformed("Malformed Call-ID"))?;
        if call_id.len() > MAX_CALL_ID {
            return Err(Reply::new(400, "Call-ID Too Long"));
        }
        let cseq = request.cseq().and_then(Result::ok).ok_or(Reply::new(400, "Malformed CSeq"))?.number;
        let path: Result<Vec<_>, _> =
            request.values(Name::Path).map(|hop| std::str::from_utf8(hop).map(str::to_owned)).collect();
        let path = path.map_err(malformed("Malformed Path"))?;
        if path.iter().map(String::len).sum::<usize>() > MAX_PATH {
            return Err(Reply::new(400, "Path Too Long"));
        }
        let contacts = contacts(request, settings)?;
        Ok(Asked { contacts, call_id, cseq, path, user_agent: user_agent(request).into() })
    }

    /// What a token has proven ends with it, or after the shortest time that is granted to anybody: whoever comes back with a new token
    /// must not have to come back every second before.
    pub(super) fn end_with(&mut self, token: Duration, settings: &Settings) {
        let left = u32::try_from(token.as_secs()).unwrap_or(u32::MAX).max(*settings.expires.start());
        for contact in self.contacts.iter_mut().flatten() {
            contact.expires = contact.expires.map(|expires| expires.min(left));
        }
    }

    /// The bindings that a user has after this, the newest last.
    pub(super) fn apply(
        &self,
        aor: &Arc<str>,
        flow: &Flow,
        old: &[Arc<Binding>],
        now: Duration,
        most: usize,
    ) -> Result<Vec<Arc<Binding>>, Reply> {
        let meant = |binding: &&Arc<Binding>| match &self.contacts {
            None => true,
            Some(contacts) => contacts.iter().any(|contact| contact.is(binding)),
        };
        // What came later must not be undone by what was sent before it (RFC 3261, 10.3, steps 6 and 7).
        if old.iter().filter(meant).any(|known| *known.call_id == *self.call_id && known.cseq >= self.cseq) {
            return Err(Reply::new(500, "CSeq Out of Order"));
        }
        let mut bindings = match self.contacts {
            Some(_) => old.to_vec(),
            None => Vec::new(),
        };
        for contact in self.contacts.iter().flatten() {
            // It takes the place of all that it means: there may be several, since equality of URIs is not transitive.
            let (mut known, others) = bindings.into_iter().partition::<Vec<_>, _>(|known| contact.is(known));
            bindings = others;
            if let Some(expires) = contact.expires {
                bindings.push(Arc::new(self.binding(aor, flow, contact, known.pop(), now + secs(expires))));
            }
        }
        within(bindings, most)
    }

    /// The 200: all bindings (RFC 3261, 10.3, step 8), and what was agreed.
    pub(super) fn granted(&self, flow: &Flow, bindings: &[Arc<Binding>], now: Duration) -> Reply {
        let mut reply = Reply::new(200, "OK");
        for binding in bindings {
            reply = reply.field("Contact", listed(binding, now));
        }
        if !self.path.is_empty() {
            reply = reply.field("Path", self.path.join(", "));
        }
        reply = reply.field("Supported", "outbound, path");
        // Over UDP nobody here notices that a flow is gone, and a phone to which outbound was promised relies on that. It is
        // not agreed, though its keep-alives (STUN: RFC 5626, 3.5.2) are answered.
        let outbound = self.contacts.iter().flatten().any(|contact| contact.instance.is_some());
        match outbound && flow.transport.is_stream() {
            true => reply.field("Require", "outbound").field("Flow-Timer", FLOW_TIMER.to_string()),
            false => reply,
        }
    }

    fn binding(
        &self,
        aor: &Arc<str>,
        flow: &Flow,
        contact: &Contact<'_>,
        known: Option<Arc<Binding>>,
        expires: Duration,
    ) -> Binding {
        let (key, contact_uri) = contact.texts(known.as_deref());
        Binding {
            aor: Arc::clone(aor),
            key,
            contact: contact_uri,
            flow: *flow,
            path: self.path.clone(),
            call_id: self.call_id.into(),
            cseq: self.cseq,
            q: contact.q,
            expires,
            user_agent: Arc::clone(&self.user_agent),
            plan_version: known.and_then(|known| known.plan_version),
        }
    }
}

/// All contacts, or none of them: `*`, which must stand alone and with `Expires: 0`.
fn contacts<'a>(request: &'a Message<&[u8]>, settings: &Settings) -> Result<Option<Vec<Contact<'a>>>, Reply> {
    let mut contacts = Vec::new();
    let mut stars = 0;
    for contact in request.addresses(Name::Contact) {
        let contact = contact.map_err(|malformed| Reply::new(400, malformed.0))?;
        match contact.is_star() {
            true => stars += 1,
            false => contacts.push(Contact::read(&contact, request, settings)?),
        }
        if contacts.len() > settings.contacts {
            return Err(too_many());
        }
    }
    match (stars, contacts.len()) {
        (0, _) => Ok(Some(contacts)),
        (1, 0) if request.expires() == Some(Ok(0)) => Ok(None),
        _ => Err(Reply::new(400, "Contact * Needs Expires 0 And No Other")),
    }
}

/// At most so many bindings; those that lead nowhere since a restart make room first.
fn within(mut bindings: Vec<Arc<Binding>>, most: usize) -> Result<Vec<Arc<Binding>>, Reply> {
    while bindings.len() > most {
        let lost = bindings.iter().position(|binding| destination(binding).is_none()).ok_or_else(too_many)?;
        bindings.remove(lost);
    }
    Ok(bindings)
}

fn too_many() -> Reply {
    Reply::new(403, "Too Many Contacts")
}

fn listed(binding: &Binding, now: Duration) -> String {
    let left = binding.expires.saturating_sub(now).as_secs();
    let mut value = format!("<{}>;expires={left}", binding.contact);
    if binding.q < 1000 {
        value.push_str(&format!(";q=0.{:03}", binding.q));
    }
    if is_instance(&binding.key) {
        value.push_str(&format!(";{}", binding.key));
    }
    value
}

fn user_agent(request: &Message<&[u8]>) -> String {
    let product = String::from_utf8_lossy(request.get(Name::UserAgent).unwrap_or_default());
    product.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT).collect()
}

const fn secs(seconds: u32) -> Duration {
    Duration::from_secs(seconds as u64)
}
