//! One call, made or taken (RFC 3261, 13 to 15): from the INVITE to the end of the BYE.

use std::time::Duration;

use carillon_wire::sip::{Message, Method, Name, Routing};

use super::client::Owner;
use super::contract::{CallKey, Ending, Event};
use super::dialog::{Dialog, Draft, text};
use super::line::{ALLOW, Answered, Asked, Line, Reply};
use super::server::Key;

/// One call.
pub(super) struct Call {
    key: CallKey,
    dialog: Dialog,
    stage: Stage,
    /// Our description and the other side's, as last agreed.
    local: Vec<u8>,
    remote: Option<Vec<u8>>,
    /// The INVITE whose 2xx of ours is not confirmed yet.
    unconfirmed: Option<Unconfirmed>,
}

enum Stage {
    /// Our INVITE is out. Once given up, it is cancelled as soon as that is allowed.
    Calling { invite: String, given_up: bool },
    /// Their INVITE is in. The first makes the call, a later one changes it.
    Asked { invite: Box<Asked>, first: bool },
    /// Answered.
    Up,
    /// Our BYE is out.
    Leaving { why: Ending },
    /// Nothing comes any more.
    Over,
}

struct Unconfirmed {
    invite: Key,
    /// The answer to our offer comes in the ACK, where the INVITE had none.
    awaits_answer: bool,
    /// The user has hung up meanwhile; a BYE must wait for the ACK (RFC 3261, 15).
    given_up: bool,
    /// Whether the call was up before.
    changes: bool,
}

impl Call {
    /// Calls `to`, a URI. `None` if that cannot be sent.
    pub(super) fn make(
        now: Duration,
        line: &mut Line,
        key: CallKey,
        to: &str,
        route: &[String],
        offer: Vec<u8>,
    ) -> Option<Call> {
        let uri = line.uri();
        let mut dialog = Dialog::outgoing(&mut line.tokens, &uri, to, to);
        dialog.preload(route);
        let invite = Draft::new(Method::Invite)
            .field("Contact", format!("<{};ob>", line.contact()))
            .field("Allow", ALLOW)
            .field("Accept", "application/sdp")
            .body("application/sdp", offer.clone());
        line.event(Event::Calling { call: key, call_id: dialog.call_id.clone() });
        let invite = line.request(now, &mut dialog, invite, Owner::Call(key))?;
        let stage = Stage::Calling { invite, given_up: false };
        Some(Call { key, dialog, stage, local: offer, remote: None, unconfirmed: None })
    }

    /// Somebody calls.
    pub(super) fn take(line: &mut Line, key: CallKey, invite: Box<Asked>, dialog: Dialog) -> Call {
        let offer = invite.message.sdp().map(<[u8]>::to_vec);
        let from = invite.message.from().and_then(Result::ok).map(|from| text(from.uri_text));
        let call_id = dialog.call_id.clone();
        line.event(Event::Incoming {
            call: key,
            call_id,
            from: from.unwrap_or_default(),
            offer: offer.clone(),
        });
        let stage = Stage::Asked { invite, first: true };
        Call { key, dialog, stage, local: Vec::new(), remote: offer, unconfirmed: None }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether a request of the other side belongs to this call.
    pub(super) fn holds(&self, routing: &Routing<'_>) -> bool {
        self.dialog.holds(routing)
    }

    /// Whether this call began with the same request on another branch (RFC 3261, 8.2.2.2).
    pub(super) fn merges(&self, routing: &Routing<'_>) -> bool {
        let first = matches!(&self.stage, Stage::Asked { first: true, .. });
        first
            && routing.call_id == self.dialog.call_id.as_bytes()
            && routing.from.tag == self.dialog.remote_tag.as_deref().map(str::as_bytes)
    }

    /// Whether this call waits for our answer to that INVITE; the tag that it is answered with.
    pub(super) fn is_asked(&self, key: &Key) -> Option<&str> {
        matches!(&self.stage, Stage::Asked { invite, .. } if invite.key == *key)
            .then_some(&self.dialog.local_tag)
    }

    pub(super) fn ring(&mut self, now: Duration, line: &mut Line) {
        if let Stage::Asked { invite, first: true } = &self.stage {
            let contact = line.contact();
            let reply = Reply::new(180, "Ringing", &self.dialog.local_tag).dialog(&contact);
            line.respond(now, invite, reply);
        }
    }

    pub(super) fn answer(&mut self, now: Duration, line: &mut Line, sdp: Vec<u8>) {
        if let Some((invite, first)) = self.settle() {
            self.local = sdp;
            // Not before: an offer that is refused describes nothing, and is no mere refresh when it comes again.
            self.remote = invite.message.sdp().map(<[u8]>::to_vec).or(self.remote.take());
            self.accept(now, line, &invite, first);
        }
    }

    pub(super) fn reject(&mut self, now: Duration, line: &mut Line, code: u16, warning: Option<&str>) {
        if let Some((invite, first)) = self.settle() {
            let mut reply = Reply::new(code, reason(code), &self.dialog.local_tag);
            if let Some(warning) = warning {
                reply = reply
                    .field("Warning", format!("399 {} \"{}\"", line.settings.local.ip(), quotable(warning)));
            }
            line.respond(now, &invite, reply);
            if first {
                self.end(line, Ending::HungUp);
            }
        }
    }

    pub(super) fn hang_up(&mut self, now: Duration, line: &mut Line) {
        match &mut self.stage {
            Stage::Calling { invite, given_up } => {
                *given_up = true;
                line.cancel(now, invite);
            }
            Stage::Asked { first: true, .. } => self.reject(now, line, 603, None),
            Stage::Asked { first: false, .. } => {
                self.reject(now, line, 487, None);
                self.leave(now, line, Ending::HungUp);
            }
            Stage::Up => match &mut self.unconfirmed {
                Some(unconfirmed) => unconfirmed.given_up = true,
                None => self.leave(now, line, Ending::HungUp),
            },
            Stage::Leaving { .. } | Stage::Over => {}
        }
    }

    /// An answer to our INVITE or BYE.
    pub(super) fn answered(&mut self, now: Duration, line: &mut Line, answered: &Answered<'_>) {
        match (&mut self.stage, answered.sent.draft.method) {
            (Stage::Calling { .. }, Method::Invite) if !answered.is_final() => {
                self.progress(now, line, answered)
            }
            (Stage::Calling { invite, given_up: false }, Method::Invite) => {
                match line.prove(now, &mut self.dialog, answered) {
                    Some(again) => *invite = again,
                    None => self.settled(now, line, answered),
                }
            }
            (Stage::Calling { .. }, Method::Invite) => self.settled(now, line, answered),
            (Stage::Leaving { why }, Method::Bye) if answered.is_final() => {
                let why = why.clone();
                if line.prove(now, &mut self.dialog, answered).is_none() {
                    self.end(line, why);
                }
            }
            _ => {}
        }
    }

    /// A request of the other side within the call, other than ACK and CANCEL.
    pub(super) fn asked(&mut self, now: Duration, line: &mut Line, asked: Box<Asked>, routing: &Routing<'_>) {
        let tag = self.dialog.local_tag.clone();
        if !self.dialog.advance(routing.cseq.number) {
            return line.respond(now, &asked, Reply::new(500, "CSeq Out Of Order", &tag));
        }
        match routing.cseq.method {
            Method::Bye => self.bye(now, line, &asked),
            Method::Invite => self.change(now, line, asked),
            Method::Options => line.respond(now, &asked, capabilities(&tag)),
            _ => line.respond(now, &asked, not_allowed(&tag)),
        }
    }

    /// The other side confirms our 2xx.
    pub(super) fn acked(&mut self, now: Duration, line: &mut Line, message: &Message<&[u8]>) {
        let Some(unconfirmed) = self.unconfirmed.take() else { return };
        line.confirmed(&unconfirmed.invite);
        let sdp = message.sdp().filter(|_| unconfirmed.awaits_answer).map(<[u8]>::to_vec);
        if sdp.is_some() {
            self.remote.clone_from(&sdp);
        }
        match unconfirmed.given_up {
            true => self.leave(now, line, Ending::HungUp),
            false if !unconfirmed.changes || sdp.is_some() => {
                line.event(Event::Answered { call: self.key, sdp })
            }
            false => {}
        }
    }

    /// The caller has given up (RFC 3261, 9.2).
    pub(super) fn cancelled(&mut self, now: Duration, line: &mut Line, reason: Option<String>) {
        if let Some((invite, first)) = self.settle() {
            line.respond(now, &invite, Reply::new(487, "Request Terminated", &self.dialog.local_tag));
            if first {
                self.end(line, Ending::RemoteHungUp { reason });
            }
        }
    }

    /// Nobody has confirmed our 2xx in time: the call is ended (RFC 3261, 13.3.1.4).
    pub(super) fn unconfirmed(&mut self, now: Duration, line: &mut Line, invite: &Key) {
        if self.unconfirmed.as_ref().is_some_and(|unconfirmed| unconfirmed.invite == *invite) {
            self.unconfirmed = None;
            self.leave(now, line, Ending::NoAck);
        }
    }

    /// The INVITE that waits for our answer, and whether it is the first; the call is up from here on.
    fn settle(&mut self) -> Option<(Box<Asked>, bool)> {
        match std::mem::replace(&mut self.stage, Stage::Up) {
            Stage::Asked { invite, first } => Some((invite, first)),
            other => {
                self.stage = other;
                None
            }
        }
    }

    fn progress(&mut self, now: Duration, line: &mut Line, answered: &Answered<'_>) {
        let Stage::Calling { invite, given_up } = &self.stage else { return };
        if *given_up {
            return line.cancel(now, invite);
        }
        if answered.code > 100 {
            let sdp = answered.message.and_then(|message| message.sdp()).map(<[u8]>::to_vec);
            line.event(Event::Progress { call: self.key, code: answered.code, sdp });
        }
    }

    fn settled(&mut self, now: Duration, line: &mut Line, answered: &Answered<'_>) {
        let given_up = matches!(self.stage, Stage::Calling { given_up: true, .. });
        let Some(message) = answered.message.filter(|_| answered.is_success()) else {
            let why = if given_up { Ending::HungUp } else { Ending::Refused(answered.refusal()) };
            return self.end(line, why);
        };
        self.dialog.establish(message);
        line.ack(&self.dialog, &answered.name, &answered.sent);
        if given_up {
            return self.leave(now, line, Ending::HungUp);
        }
        self.stage = Stage::Up;
        self.remote = message.sdp().map(<[u8]>::to_vec);
        line.event(Event::Answered { call: self.key, sdp: self.remote.clone() });
    }

    fn accept(&mut self, now: Duration, line: &mut Line, invite: &Asked, first: bool) {
        let contact = line.contact();
        let reply = Reply::new(200, "OK", &self.dialog.local_tag)
            .dialog(&contact)
            .field("Allow", ALLOW)
            .sdp(&self.local);
        line.respond(now, invite, reply);
        self.stage = Stage::Up;
        self.unconfirmed = Some(Unconfirmed {
            invite: invite.key.clone(),
            awaits_answer: invite.message.sdp().is_none(),
            given_up: false,
            changes: !first,
        });
    }

    fn bye(&mut self, now: Duration, line: &mut Line, asked: &Asked) {
        let tag = self.dialog.local_tag.clone();
        line.respond(now, asked, Reply::new(200, "OK", &tag));
        if let Stage::Asked { invite, .. } = &self.stage {
            line.respond(now, invite, Reply::new(487, "Request Terminated", &tag));
        }
        if let Some(unconfirmed) = self.unconfirmed.take() {
            line.confirmed(&unconfirmed.invite);
        }
        let reason = asked.message.get(Name::Reason).map(text);
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Leaving { why } => self.end(line, why),
            _ => self.end(line, Ending::RemoteHungUp { reason }),
        }
    }

    /// A further INVITE. What was offered before changes nothing and is only a refresh (RFC 3264, 8).
    fn change(&mut self, now: Duration, line: &mut Line, invite: Box<Asked>) {
        let tag = self.dialog.local_tag.clone();
        if !matches!(self.stage, Stage::Up) || self.unconfirmed.is_some() {
            let reply = Reply::new(500, "Another INVITE Is Open", &tag);
            return line.respond(now, &invite, reply.field("Retry-After", "1"));
        }
        self.dialog.retarget(&invite.message);
        let offer = invite.message.sdp().map(<[u8]>::to_vec);
        if offer.is_some() && offer == self.remote {
            return self.accept(now, line, &invite, false);
        }
        self.stage = Stage::Asked { invite, first: false };
        line.event(Event::Offered { call: self.key, offer });
    }

    fn leave(&mut self, now: Duration, line: &mut Line, why: Ending) {
        match line.request(now, &mut self.dialog, Draft::new(Method::Bye), Owner::Call(self.key)) {
            Some(_) => self.stage = Stage::Leaving { why },
            None => self.end(line, why),
        }
    }

    fn end(&mut self, line: &mut Line, why: Ending) {
        self.stage = Stage::Over;
        line.event(Event::Ended { call: self.key, why });
    }
}

/// What OPTIONS is answered (RFC 3261, 11.2).
pub(super) fn capabilities(tag: &str) -> Reply<'_> {
    Reply::new(200, "OK", tag)
        .field("Allow", ALLOW)
        .field("Accept", "application/sdp")
        .field("Supported", "outbound")
}

pub(super) fn not_allowed(tag: &str) -> Reply<'_> {
    Reply::new(405, "Method Not Allowed", tag).field("Allow", ALLOW)
}

/// Fit to stand between quotes on one line.
fn quotable(text: &str) -> String {
    text.replace(|c: char| c.is_control() || c == '"' || c == '\\', " ")
}

fn reason(code: u16) -> &'static str {
    match code {
        403 => "Forbidden",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Refused",
    }
}
