//! The phone's turn: messages in, the agent decides, messages out; and the user, who is a list of flags.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use carillon_media::codec::Codec;
use carillon_media::negotiate::Wishes;
use carillon_net::addresses::{self, Interface};
use carillon_net::lease::{Leases, Policy};
use carillon_net::tls::ClientConfig;
use carillon_net::transports::{Incoming, Transports};
use carillon_qos::TrafficClass;
use carillon_signaling::agent::{Agent, CallKey, Ending, Event, Output, Refusal, Request};
use carillon_signaling::provisioning::{self, Provisioned};
use carillon_signaling::records::{self, QualityReport, Side};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::clock::Clock;
use super::ending::ending;
use super::homes::Homes;
use super::login::{Login, random};
use super::policy::{spoiled, unplanned};
use super::provisioned;
use super::relays::relays;
use super::report::{Circumstances, Report};
use super::speech::Speech;
use super::talk::{Opening, Ports, Talk};
use super::teller::Teller;
use crate::answer::{Answer, Failure};
use crate::args::Call;
use crate::words::timestamp;

/// How often a signal is looked for.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long signing out may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// The phone.
pub(super) struct Phone<'a> {
    args: &'a Call,
    teller: Teller<'a>,
    clock: Clock,
    agent: Agent,
    transports: Transports,
    login: Plain,
    /// What was provisioned.
    plan: Option<Provisioned>,
    /// The ports and marks that it means, and where they are leased.
    planned: Policy,
    leases: Option<Leases>,
    speech: Speech,
    expected: Option<Speech>,
    talks: BTreeMap<CallKey, Talk>,
    /// Ports of a call that is made once they are ready.
    opening: Option<Ports>,
    /// Ports of a call that has no key yet.
    opened: Option<Ports>,
    stage: Stage,
    stop: Arc<AtomicBool>,
}

/// What is needed of a login after signing in.
struct Plain {
    homes: Homes,
    trust: Option<Arc<ClientConfig>>,
    keep_alive: carillon_wire::sip::Destination,
    keep_alive_every: Option<Duration>,
    keep_alive_at: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    SigningIn,
    /// Calls are made and taken.
    Ready,
    /// Everything is ended, until then at the latest.
    Leaving(Duration),
    Gone,
}

impl<'a> Phone<'a> {
    pub(super) fn new(args: &'a Call, login: Login, teller: Teller<'a>) -> Result<Phone<'a>, Failure> {
        let own = if args.answer { "bob" } else { "alice" };
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, stop.clone())
                .map_err(|error| Failure::new("cannot listen to signals", error))?;
        }
        let keep_alive = Login::destination(&login.settings);
        Ok(Phone {
            args,
            teller,
            clock: Clock::new(),
            agent: Agent::new(login.settings, random()?),
            transports: login.transports,
            login: Plain {
                homes: Homes::of(login.address, &interfaces(args)),
                trust: login.trust,
                keep_alive,
                keep_alive_every: None,
                keep_alive_at: None,
            },
            plan: None,
            planned: unplanned(),
            leases: None,
            speech: Speech::load(args.send.as_deref().unwrap_or(own))?,
            expected: args.expect.as_deref().map(Speech::load).transpose()?,
            talks: BTreeMap::new(),
            opening: None,
            opened: None,
            stage: Stage::SigningIn,
            stop,
        })
    }

    /// Until there is nothing more to do. Yes if every call was good, no if one was not.
    pub(super) fn run(mut self) -> Result<Answer, Failure> {
        self.ask(Request::SignIn);
        let ended = self.turns();
        if ended.is_err() {
            self.ask(Request::SignOut);
            self.transports.flush();
        }
        ended?;
        let reports = self.teller.end()?;
        match (self.args.show_provisioning, reports.as_slice()) {
            (true, _) => Ok(if self.plan.is_some() { Answer::Yes } else { Answer::Unknown }),
            (false, []) => Ok(Answer::Unknown),
            (false, reports) if reports.iter().all(|report| report.good) => Ok(Answer::Yes),
            (false, _) => Ok(Answer::No),
        }
    }

    /// Turn after turn: receive, decide, send.
    fn turns(&mut self) -> Result<(), Failure> {
        while self.stage != Stage::Gone {
            self.drain()?;
            let timeout =
                self.next().map_or(PATIENCE, |at| at.saturating_sub(self.clock.now()).min(PATIENCE));
            let (agent, clock) = (&mut self.agent, self.clock);
            let polled = self.transports.poll(Some(timeout), &mut |incoming| match incoming {
                Incoming::Message { flow, bytes } => agent.handle_input(clock.now(), flow, bytes),
                Incoming::Closed { flow } => agent.handle_closed(clock.now(), flow),
                Incoming::Failed { transport, remote } => agent.handle_failed(clock.now(), transport, remote),
                Incoming::Connected { .. }
                | Incoming::Wrong { .. }
                | Incoming::Garbage { .. }
                | Incoming::Woken => {}
            });
            polled.map_err(|error| Failure::new("cannot wait for messages", error))?;
            self.agent.handle_timeout(self.clock.now());
            self.drain()?;
            self.act()?;
        }
        self.drain()?;
        self.transports.flush();
        Ok(())
    }

    fn ask(&mut self, request: Request) {
        self.agent.handle_request(self.clock.now(), request);
    }

    fn next(&self) -> Option<Duration> {
        let talks = self.talks.values().filter_map(Talk::next).min();
        [self.agent.poll_timeout(), talks, self.login.keep_alive_at].into_iter().flatten().min()
    }

    fn drain(&mut self) -> Result<(), Failure> {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Transmit(transmit) => self.transports.send(transmit.to, transmit.bytes),
                Output::Event(event) => self.happened(event)?,
            }
        }
        Ok(())
    }

    /// What the time has come for.
    fn act(&mut self) -> Result<(), Failure> {
        let now = self.clock.now();
        if self.stop.swap(false, Ordering::Relaxed) {
            self.leave();
        }
        if self.login.keep_alive_at.is_some_and(|at| now >= at) {
            self.transports.send(self.login.keep_alive, b"\r\n\r\n".to_vec());
            self.login.keep_alive_at = self.login.keep_alive_every.map(|every| now + every);
        }
        let due = |at: &mut Option<Duration>| at.take_if(|at| now >= *at).is_some();
        let (mut answer, mut hang_up) = (Vec::new(), Vec::new());
        for (key, talk) in &mut self.talks {
            answer.extend(due(&mut talk.answer_at).then_some(*key));
            hang_up.extend(due(&mut talk.hang_up_at).then_some(*key));
        }
        hang_up.into_iter().for_each(|key| self.ask(Request::HangUp(key)));
        answer.into_iter().try_for_each(|key| self.open_to_answer(key))?;
        self.hear()?;
        match self.stage {
            Stage::Leaving(until) if now >= until => self.stage = Stage::Gone,
            _ => {}
        }
        Ok(())
    }

    /// Ends all calls, then the registration. A second time: at once.
    fn leave(&mut self) {
        self.stage = match self.stage {
            Stage::Leaving(_) | Stage::Gone => Stage::Gone,
            Stage::SigningIn | Stage::Ready => Stage::Leaving(self.clock.now() + FAREWELL),
        };
        for key in self.talks.keys().copied().collect::<Vec<_>>() {
            self.ask(Request::HangUp(key));
        }
        if self.talks.is_empty() {
            self.ask(Request::SignOut);
        }
    }

    fn happened(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::SignedIn { keep_alive, .. } => self.signed_in(keep_alive),
            Event::SignedOut => {
                self.stage = Stage::Gone;
                self.teller.tell("signed out", "signed-out", json!({}))
            }
            Event::NotSignedIn { why, retry } => self.not_signed_in(&why, retry),
            Event::Provisioned(document) => self.provisioned(&document),
            Event::NotProvisioned(why) => self.not_provisioned(&why),
            Event::Calling { call, call_id } => self.calling(call, call_id),
            Event::Progress { code, .. } => {
                self.teller.tell(&format!("the other side says {code}"), "progress", json!({ "code": code }))
            }
            Event::Incoming { call, call_id, from, offer } => self.incoming(call, call_id, from, offer),
            Event::Answered { call, sdp } => self.answered(call, sdp.as_deref()),
            Event::Offered { call, offer } => self.changed(call, offer.as_deref()),
            Event::Ended { call, why } => self.ended(call, &why),
            _ => Ok(()),
        }
    }

    fn signed_in(&mut self, keep_alive: Option<Duration>) -> Result<(), Failure> {
        // At 80 % of what the server allows (RFC 5626, 4.4.1).
        self.login.keep_alive_every = keep_alive.map(|every| every * 4 / 5);
        self.login.keep_alive_at = self.login.keep_alive_every.map(|every| self.clock.now() + every);
        let user = &self.args.user;
        self.teller.tell(
            &format!("{user} is signed in to {}", self.args.server),
            "signed-in",
            json!({ "user": user }),
        )
    }

    fn not_signed_in(&mut self, why: &Refusal, retry: Option<Duration>) -> Result<(), Failure> {
        if self.stage == Stage::SigningIn || retry.is_none() {
            let attempt = format!("cannot sign in as {} at {}", self.args.user, self.args.server);
            return Err(Failure::new(attempt, why));
        }
        self.teller.tell(
            &format!("the registration is lost: {why}; it is tried again"),
            "registration-lost",
            json!({ "why": why.to_string() }),
        )
    }

    /// A plan holds for the calls that begin from now on.
    fn provisioned(&mut self, document: &[u8]) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(document);
        let attempt =
            |error: String| Failure::new("cannot use the provisioning document of the server", error);
        let plan = provisioning::parse(&text).map_err(|error| attempt(error.to_string()))?;
        let policy = plan.policy().map_err(|problems| {
            attempt(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        self.planned = Policy::from(&policy);
        self.transports
            .set_mark(policy.mark(TrafficClass::Signaling))
            .map_err(|error| Failure::new("cannot mark the connection to the server", error))?;
        self.teller.tell(&provisioned::sentence(&plan), "provisioned", provisioned::facts(&plan))?;
        if self.args.show_provisioning {
            self.teller.show(|out, json| provisioned::print(&plan, &text, out, json))?;
        }
        self.plan = Some(plan);
        self.ready()
    }

    fn not_provisioned(&mut self, why: &Refusal) -> Result<(), Failure> {
        self.teller.tell(
            &format!("no plan was given ({why}): any port, no mark"),
            "not-provisioned",
            json!({ "why": why.to_string() }),
        )?;
        self.ready()
    }

    fn ready(&mut self) -> Result<(), Failure> {
        let followed = spoiled(self.planned, &self.args.misbehave);
        match &self.leases {
            Some(leases) => leases.set_policy(followed),
            None => {
                let seed = u64::from_be_bytes(random()?);
                self.leases = Some(Leases::new(followed, self.login.homes.bound(), seed));
            }
        }
        if self.stage != Stage::SigningIn {
            return Ok(());
        }
        self.stage = Stage::Ready;
        match &self.args.to {
            Some(_) => {
                self.opening = Some(self.open()?);
                Ok(())
            }
            None if self.args.show_provisioning => {
                self.leave();
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn wishes(&self) -> Wishes {
        let codecs = if self.args.codecs.is_empty() { Codec::ALL.to_vec() } else { self.args.codecs.clone() };
        Wishes { codecs, encryption: self.args.srtp, ..Wishes::default() }
    }

    fn open(&self) -> Result<Ports, Failure> {
        let leases = self.leases.as_ref().ok_or_else(|| Failure::new("cannot call", "not signed in yet"))?;
        let given = self.plan.as_ref().and_then(|plan| plan.relays.as_ref()).filter(|_| !self.args.no_ice);
        let relays = given.map(|given| relays(given, self.login.trust.as_ref())).unwrap_or_default();
        let (homes, wishes) = (&self.login.homes, self.wishes());
        let waker = self.transports.waker();
        let how = Opening { leases, homes, wishes, ice: !self.args.no_ice, relays };
        // A waker that is broken is made up for by the patience of the turn.
        Ports::open(how, self.clock, move || _ = waker.wake())
    }

    /// Hears what the media has to say, and does what has waited for it.
    fn hear(&mut self) -> Result<(), Failure> {
        if let Some(mut ports) = self.opening.take() {
            ports.turn();
            match self.args.to.clone().filter(|_| ports.is_ready()) {
                Some(to) => {
                    let offer = ports.offer();
                    self.opened = Some(ports);
                    self.ask(Request::Call { to, offer });
                }
                None => self.opening = Some(ports),
            }
        }
        let (mut ready, mut lost) = (Vec::new(), Vec::new());
        for (key, talk) in &mut self.talks {
            let Some(ports) = &mut talk.media else { continue };
            ports.turn();
            if ports.is_ready() && std::mem::replace(&mut talk.is_answering, false) {
                ready.push(*key);
            }
            lost.extend(ports.lost.filter(|_| !talk.is_lost).map(|why| (*key, why)));
            talk.is_lost = ports.lost.is_some();
        }
        for (key, why) in lost {
            self.teller.tell(why, "lost", json!({ "why": why }))?;
            self.ask(Request::HangUp(key));
        }
        ready.into_iter().try_for_each(|key| self.answer(key))
    }

    fn calling(&mut self, call: CallKey, call_id: String) -> Result<(), Failure> {
        let to = self.args.to.clone().unwrap_or_default();
        self.teller.tell(&format!("calling {to}"), "calling", json!({ "to": to, "call_id": call_id }))?;
        let mut talk = Talk::new(to, call_id);
        talk.media = self.opened.take();
        self.talks.insert(call, talk);
        Ok(())
    }

    fn incoming(
        &mut self,
        call: CallKey,
        call_id: String,
        from: String,
        offer: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        let from = from.strip_prefix("sip:").unwrap_or(&from).to_owned();
        self.teller.tell(
            &format!("{from} calls"),
            "incoming",
            json!({ "from": from, "call_id": call_id }),
        )?;
        if !self.args.answer || self.stage != Stage::Ready {
            self.ask(Request::Reject { call, code: 480, warning: None });
            return Ok(());
        }
        let mut talk = Talk::new(from, call_id);
        talk.offer = offer;
        talk.answer_at = Some(self.clock.now() + Duration::from_secs_f64(self.args.ring));
        self.talks.insert(call, talk);
        self.ask(Request::Ring(call));
        Ok(())
    }

    /// Opens the ports of a call that is to be taken.
    fn open_to_answer(&mut self, call: CallKey) -> Result<(), Failure> {
        let opened = self.open();
        let Some(talk) = self.talks.get_mut(&call) else { return Ok(()) };
        match opened {
            Ok(ports) => (talk.media, talk.is_answering) = (Some(ports), true),
            Err(failure) => return self.refuse(call, failure),
        }
        Ok(())
    }

    /// Takes a call.
    fn answer(&mut self, call: CallKey) -> Result<(), Failure> {
        let Some(talk) = self.talks.get_mut(&call) else { return Ok(()) };
        let (offer, Some(ports)) = (talk.offer.take(), &mut talk.media) else { return Ok(()) };
        match ports.respond(offer.as_deref()) {
            Ok(sdp) => {
                self.ask(Request::Answer { call, sdp });
                self.begin(call)
            }
            Err(failure) => self.refuse(call, failure),
        }
    }

    /// What hinders is told to the caller too.
    fn refuse(&mut self, call: CallKey, failure: Failure) -> Result<(), Failure> {
        match failure {
            Failure::Message(why) => {
                self.teller.tell(&why, "refused", json!({ "why": why }))?;
                let code = if why.starts_with("cannot agree") { 488 } else { 486 };
                self.ask(Request::Reject { call, code, warning: Some(why) });
                Ok(())
            }
            other => Err(other),
        }
    }

    fn answered(&mut self, call: CallKey, sdp: Option<&[u8]>) -> Result<(), Failure> {
        let Some(talk) = self.talks.get_mut(&call) else { return Ok(()) };
        let agreed = match (sdp, &mut talk.media) {
            (Some(sdp), Some(ports)) => ports.accept(sdp),
            _ => Ok(()),
        };
        if let Err(Failure::Message(why)) = agreed {
            self.teller.tell(&why, "refused", json!({ "why": why }))?;
            self.ask(Request::HangUp(call));
            return Ok(());
        }
        let peer = talk.peer.clone();
        self.begin(call)?;
        self.teller.tell(&format!("talking to {peer}"), "answered", json!({ "peer": peer }))
    }

    /// The other side changes the session: what it offers is agreed to, or refused.
    fn changed(&mut self, call: CallKey, offer: Option<&[u8]>) -> Result<(), Failure> {
        let ports = self.talks.get_mut(&call).and_then(|talk| talk.media.as_mut());
        let answered = ports.map(|ports| ports.respond(offer));
        match answered {
            Some(Ok(sdp)) => self.ask(Request::Answer { call, sdp }),
            Some(Err(Failure::Message(why))) => {
                self.ask(Request::Reject { call, code: 488, warning: Some(why) })
            }
            Some(Err(Failure::ReaderLeft)) | None => {
                self.ask(Request::Reject { call, code: 488, warning: None })
            }
        }
        Ok(())
    }

    fn begin(&mut self, call: CallKey) -> Result<(), Failure> {
        let (now, speech) = (self.clock.now(), &self.speech);
        let Some(talk) = self.talks.get_mut(&call) else { return Ok(()) };
        let Some(ports) = &mut talk.media else { return Ok(()) };
        ports.begin(&talk.call_id, speech, self.args.dtmf.as_deref().unwrap_or_default())?;
        if talk.since.is_none() && ports.agreed.is_some() {
            talk.since = Some(now);
            talk.hang_up_at = self.args.duration.map(|seconds| now + Duration::from_secs_f64(seconds));
        }
        Ok(())
    }

    fn ended(&mut self, call: CallKey, why: &Ending) -> Result<(), Failure> {
        let Some(mut talk) = self.talks.remove(&call) else { return Ok(()) };
        let ended = ending(why);
        let facts = json!({ "call_id": talk.call_id, "why": ended });
        self.teller.tell(&format!("the call with {} is over: {ended}", talk.peer), "ended", facts)?;
        let (since, now) = (talk.since, self.clock.now());
        let Some(ports) = talk.media.take() else { return self.after_call(Some(why)) };
        let (local, agreed, lost) = (ports.local, ports.agreed.clone(), ports.lost);
        let Some((media, agreed)) = ports.close()?.zip(agreed) else { return self.after_call(Some(why)) };
        if let Some(file) = &self.args.record {
            media.heard.save(Path::new(file))?;
        }
        let circumstances = Circumstances {
            user: &self.args.user,
            peer: &talk.peer,
            call_id: &talk.call_id,
            ended,
            seconds: since.map_or(0.0, |since| now.saturating_sub(since).as_secs_f64()),
            heard_until: since.zip(media.heard_at).map(|(since, at)| at.saturating_sub(since).as_secs_f64()),
            local,
            agreed: &agreed,
            lost,
            homes: &self.login.homes,
            planned: self.planned.audio,
            plan: self.plan.as_ref(),
            expected: self.expected.as_ref(),
        };
        let report = Report::of(&circumstances, &media);
        self.tell_server(&talk, since.unwrap_or(now), &report);
        self.teller.report(report)?;
        self.after_call(None)
    }

    /// The server records how the call was heard (RFC 6035).
    fn tell_server(&mut self, talk: &Talk, since: Duration, report: &Report) {
        let side = if self.args.to.is_some() { Side::Caller } else { Side::Callee };
        let (call_id, user) = (talk.call_id.as_str().into(), self.args.user.as_str().into());
        let report = QualityReport { call_id, user, side: Some(side), quality: report.reported() };
        let times = [since, self.clock.now()].map(|time| timestamp(time.as_nanos() as i64));
        let peer = talk.peer.strip_prefix("sip:").unwrap_or(&talk.peer);
        let document = report.document(peer, [&times[0], &times[1]]).into_bytes();
        self.ask(Request::Publish { event: records::EVENT, kind: records::DOCUMENT, document });
    }

    /// The caller has done what was asked; who answers goes on unless once is enough.
    fn after_call(&mut self, failed: Option<&Ending>) -> Result<(), Failure> {
        match (self.stage, failed, &self.args.to) {
            (Stage::Ready, Some(Ending::Refused(why)), Some(to)) => {
                Err(Failure::new(format!("cannot call {to}"), why))
            }
            (Stage::Ready, ..) if self.args.to.is_some() || self.args.once => {
                self.leave();
                Ok(())
            }
            (Stage::Leaving(_), ..) if self.talks.is_empty() => {
                self.ask(Request::SignOut);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What else a peer may be told. Without ICE it is told one address; where the system tells none, too.
fn interfaces(args: &Call) -> Vec<Interface> {
    if args.no_ice { Vec::new() } else { addresses::reachable().unwrap_or_default() }
}
