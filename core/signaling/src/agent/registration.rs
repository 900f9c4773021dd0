//! Staying registered: refresh in time, and again after a failure (RFC 3261, 10; RFC 5626, 4.4 and 4.5).

use std::time::Duration;

use carillon_wire::sip::{Message, Method, Name};

use super::client::Owner;
use super::contract::{Event, Recovery, Refusal};
use super::dialog::{Dialog, Draft, text};
use super::line::{ALLOW, Answered, Line};
use super::token::Tokens;

/// The registration of our one contact.
pub(super) struct Registration {
    dialog: Dialog,
    stage: Stage,
    /// What the user wants.
    wanted: bool,
    /// Whether the user was told that it holds.
    told: bool,
    /// How long it shall hold, in seconds.
    expires: u32,
    failures: u32,
    /// The way of our requests (RFC 3608).
    pub(super) service_route: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Idle,
    Asking,
    Held { refresh: Duration },
    Waiting { retry: Duration },
}

impl Registration {
    pub(super) fn new(line: &mut Line) -> Registration {
        let (uri, registrar) = (line.uri(), format!("sip:{}", line.settings.domain()));
        let dialog = Dialog::outgoing(&mut line.tokens, &uri, &uri, &registrar);
        let expires = line.settings.expires;
        let service_route = Vec::new();
        Registration {
            dialog,
            stage: Stage::Idle,
            wanted: false,
            told: false,
            expires,
            failures: 0,
            service_route,
        }
    }

    pub(super) fn sign_in(&mut self, now: Duration, line: &mut Line) {
        self.wanted = true;
        if matches!(self.stage, Stage::Idle | Stage::Waiting { .. }) {
            self.ask(now, line, self.expires);
        }
    }

    pub(super) fn sign_out(&mut self, now: Duration, line: &mut Line) {
        self.wanted = false;
        match self.stage {
            Stage::Held { .. } => self.ask(now, line, 0),
            Stage::Idle | Stage::Waiting { .. } => self.signed_out(line),
            Stage::Asking => {}
        }
    }

    /// An answer to a REGISTER. True if the registration is new or refreshed.
    pub(super) fn answered(&mut self, now: Duration, line: &mut Line, answered: &Answered<'_>) -> bool {
        if !answered.is_final() || line.prove(now, &mut self.dialog, answered).is_some() {
            return false;
        }
        match answered.message.filter(|_| answered.is_success()) {
            Some(_) if removes(answered) => self.signed_out(line),
            Some(_) if !self.wanted => self.ask(now, line, 0),
            Some(message) => {
                self.held(now, line, message);
                return true;
            }
            None if !self.wanted => self.signed_out(line),
            None => self.failed(now, line, answered),
        }
        false
    }

    /// The connection is gone: a registration that came over it leads nowhere.
    pub(super) fn closed(&mut self, now: Duration, line: &mut Line) {
        if let Stage::Held { .. } = self.stage {
            let why = Refusal { code: 503, reason: "Connection Closed".to_owned(), warning: None };
            self.wait(now, line, why, Duration::ZERO);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration, line: &mut Line) {
        if self.next().is_some_and(|at| now >= at) {
            self.ask(now, line, self.expires);
        }
    }

    pub(super) fn next(&self) -> Option<Duration> {
        match self.stage {
            Stage::Held { refresh: at } | Stage::Waiting { retry: at } => Some(at),
            Stage::Idle | Stage::Asking => None,
        }
    }

    fn ask(&mut self, now: Duration, line: &mut Line, expires: u32) {
        let instance = &line.settings.instance;
        let contact =
            format!("<{}>;+sip.instance=\"<{instance}>\";reg-id=1;expires={expires}", line.contact());
        let register = Draft::new(Method::Register)
            .field("Contact", contact)
            .field("Expires", expires.to_string())
            .field("Supported", "path, outbound")
            .field("Allow", ALLOW);
        self.stage = match line.request(now, &mut self.dialog, register, Owner::Registration) {
            Some(_) => Stage::Asking,
            None => Stage::Idle,
        };
    }

    fn held(&mut self, now: Duration, line: &mut Line, message: &Message<&[u8]>) {
        let expires = granted(message, line).unwrap_or(self.expires).max(1);
        let keep_alive = message.named("Flow-Timer").next().and_then(seconds);
        self.failures = 0;
        self.service_route = message.values(Name::ServiceRoute).map(text).collect();
        self.stage = Stage::Held { refresh: now + refresh_after(expires) };
        if !self.told {
            self.told = true;
            let expires = Duration::from_secs(expires.into());
            line.event(Event::SignedIn {
                expires,
                keep_alive: keep_alive.map(|s| Duration::from_secs(s.into())),
            });
        }
    }

    fn failed(&mut self, now: Duration, line: &mut Line, answered: &Answered<'_>) {
        let at_least = answered.message.and_then(|message| message.get(Name::MinExpires)).and_then(seconds);
        match (answered.code, at_least) {
            (423, Some(least)) if least > self.expires => {
                self.expires = least;
                self.ask(now, line, least);
            }
            (408 | 430 | 480 | 500..600, _) => {
                let after =
                    answered.message.and_then(|message| message.get(Name::RetryAfter)).and_then(seconds);
                let after = Duration::from_secs(after.unwrap_or(0).into());
                self.wait(now, line, answered.refusal(), after);
            }
            _ => {
                self.stage = Stage::Idle;
                self.told = false;
                line.event(Event::NotSignedIn { why: answered.refusal(), retry: None });
            }
        }
    }

    fn wait(&mut self, now: Duration, line: &mut Line, why: Refusal, at_least: Duration) {
        let wait = backoff(line.settings.recovery, self.failures, &mut line.tokens).max(at_least);
        self.failures = self.failures.saturating_add(1);
        self.stage = Stage::Waiting { retry: now + wait };
        self.told = false;
        line.event(Event::NotSignedIn { why, retry: Some(now + wait) });
    }

    fn signed_out(&mut self, line: &mut Line) {
        self.stage = Stage::Idle;
        self.told = false;
        line.event(Event::SignedOut);
    }
}

fn removes(answered: &Answered<'_>) -> bool {
    answered.sent.draft.fields.iter().any(|(name, value)| *name == "Expires" && value == "0")
}

/// What the server says about our contact, in seconds.
fn granted(message: &Message<&[u8]>, line: &Line) -> Option<u32> {
    let instance = format!("<{}>", line.settings.instance);
    let contacts = message.addresses(Name::Contact).filter_map(Result::ok);
    let ours = contacts.into_iter().find(|contact| {
        let named = contact.params.get("+sip.instance").map(|value| text(value).replace('"', ""));
        named.is_some_and(|named| named == instance) || contact.uri_text == line.contact().as_bytes()
    });
    let expires = ours.and_then(|contact| contact.params.get("expires").and_then(seconds));
    expires.or_else(|| message.expires()?.ok())
}

/// A minute before the end, and for short registrations at half time.
fn refresh_after(expires: u32) -> Duration {
    Duration::from_secs(u64::from(expires.saturating_sub(60).max(expires / 2)))
}

/// RFC 5626, 4.5.
fn backoff(recovery: Recovery, failures: u32, tokens: &mut Tokens) -> Duration {
    let doubled = recovery.base.saturating_mul(1 << failures.min(16)).min(recovery.max);
    let share = (tokens.number() % 1001) as u32;
    doubled / 2 + doubled / 2 * share / 1000
}

fn seconds(text: &[u8]) -> Option<u32> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(text.get(..digits)?).ok()?.parse().ok()
}
