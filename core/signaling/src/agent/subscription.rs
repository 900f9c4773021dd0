//! Asking for the document of the plan: one SUBSCRIBE after each registration, answered in its 200 or by a NOTIFY.

use std::time::Duration;

use carillon_wire::sip::{Message, Method, Routing};

use super::client::Owner;
use super::contract::{Event, Refusal};
use super::dialog::{Dialog, Draft, text};
use super::line::{Answered, Asked, Line, Reply};
use super::timer::LONG;

const EVENT: &str = "vnd-microsoft-provisioning-v2";
const SUBTYPE: &str = "vnd-microsoft-roaming-provisioning-v2+xml";
/// The groups asked for.
const GROUPS: &str = "<provisioningGroupList \
    xmlns=\"http://schemas.microsoft.com/2006/09/sip/provisioninggrouplist\">\
    <provisioningGroup name=\"ServerConfiguration\"/></provisioningGroupList>";

/// The question, while it is open.
#[derive(Default)]
pub(super) struct Subscription {
    open: Option<Open>,
}

struct Open {
    dialog: Dialog,
    /// When a NOTIFY must have come.
    ends: Option<Duration>,
}

impl Subscription {
    pub(super) fn ask(&mut self, now: Duration, line: &mut Line, route: &[String]) {
        let uri = line.uri();
        let mut dialog = Dialog::outgoing(&mut line.tokens, &uri, &uri, &uri);
        dialog.preload(route);
        let subscribe = Draft::new(Method::Subscribe)
            .field("Contact", format!("<{};ob>", line.contact()))
            .field("Event", EVENT)
            .field("Accept", format!("application/{SUBTYPE}"))
            .field("Expires", "0")
            .body("application/vnd-microsoft-roaming-provisioning-v2+xml", GROUPS.into());
        self.open = None;
        if line.request(now, &mut dialog, subscribe, Owner::Subscription).is_some() {
            self.open = Some(Open { dialog, ends: None });
        }
    }

    pub(super) fn answered(&mut self, now: Duration, line: &mut Line, answered: &Answered<'_>) {
        let Some(open) = &mut self.open else { return };
        let ours = open.dialog.call_id == answered.sent.dialog.call_id;
        if !ours || !answered.is_final() || line.prove(now, &mut open.dialog, answered).is_some() {
            return;
        }
        match answered.message.filter(|_| answered.is_success()) {
            None => self.fail(line, answered.refusal()),
            Some(message) => match document(message) {
                Some(document) => self.provisioned(line, document),
                None => open.ends = Some(now + LONG),
            },
        }
    }

    /// A NOTIFY: whether it belongs here.
    pub(super) fn notified(
        &mut self,
        now: Duration,
        line: &mut Line,
        asked: &Asked,
        routing: &Routing<'_>,
    ) -> bool {
        let ours = |open: &&mut Open| {
            routing.call_id == open.dialog.call_id.as_bytes()
                && routing.to.tag == Some(open.dialog.local_tag.as_bytes())
        };
        let Some(open) = self.open.as_mut().filter(ours) else { return false };
        let tag = open.dialog.local_tag.clone();
        line.respond(now, asked, Reply::new(200, "OK", &tag));
        if let Some(document) = document(&asked.message) {
            self.provisioned(line, document);
        }
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Duration, line: &mut Line) {
        if self.next().is_some_and(|ends| now >= ends) {
            self.fail(line, Refusal { code: 408, reason: "No NOTIFY".to_owned(), warning: None });
        }
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.open.as_ref()?.ends
    }

    fn provisioned(&mut self, line: &mut Line, document: Vec<u8>) {
        self.open = None;
        line.event(Event::Provisioned(document));
    }

    fn fail(&mut self, line: &mut Line, why: Refusal) {
        self.open = None;
        line.event(Event::NotProvisioned(why));
    }
}

fn document<B: AsRef<[u8]>>(message: &Message<B>) -> Option<Vec<u8>> {
    let part = message.part(|of, _| of.is(b"application", SUBTYPE.as_bytes()))?;
    (!text(part).trim().is_empty()).then(|| part.to_vec())
}
