//! The side that waits: proves that it knows the token, opens the ports it is asked to, and asks back.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use carillon_net::probe::{Asker, Conversation, Door, Responder};
use carillon_qos::TrafficClass;
use carillon_qos::probe::{Hello, Key, Offer, Reply, Request, Side, Token, Transport};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{FAINT, NAME, STRONG};

/// How often it is looked whether to stop.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the first words of a visitor may take.
const MANNERS: Duration = Duration::from_secs(5);
/// How long a sender may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who shows a wrong token makes all wait so long: nobody guesses fast.
const PENALTY: Duration = Duration::from_secs(1);

/// Listens until Ctrl-C, or for one conversation.
pub(super) fn run(args: &args::ProbeListen, out: &mut dyn Write) -> Result<Answer, Failure> {
    let (plan, policy) = super::policy(&args.plan)?;
    let offers = super::offers(&policy);
    if offers.is_empty() {
        let hint = "give its classes ranges, or put the plan into force";
        return Err(Failure::new(
            format!("plan `{}` gives a {} no ports to test", plan.name(), args.plan.role),
            hint,
        ));
    }
    let token = match &args.token {
        Some(token) => token.clone(),
        None => Token::new(super::random()?),
    };
    let control = SocketAddr::new(args.bind, args.control);
    let door = Door::open(control, policy.mark(TrafficClass::Management))
        .map_err(|error| Failure::Message(error.to_string()))?;
    let listener = Listener { token, offers, wait: Duration::from_secs_f64(args.wait) };
    listener.introduce(args, plan.name(), door.local(), out)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, stop.clone())
            .map_err(|error| Failure::new("cannot wait for Ctrl-C", error))?;
    }
    listener.serve(&door, &stop, args.once, out)
}

struct Listener {
    token: Token,
    offers: Vec<Offer>,
    wait: Duration,
}

impl Listener {
    fn introduce(
        &self,
        args: &args::ProbeListen,
        plan: &str,
        at: SocketAddr,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let token = self.token.shown();
        writeln!(out, "ready for a {} by plan {plan}, at TCP port {}", args.plan.role, at.port())?;
        for Offer { class, ports, mark } in &self.offers {
            writeln!(out, "  {class:<14} {ports:<12} {}", carillon_qos::dscp::label(*mark))?;
        }
        let port = if at.port() == args::PROBE_CONTROL {
            String::new()
        } else {
            format!(" --control {}", at.port())
        };
        writeln!(
            out,
            "on the other host: {STRONG}carillon probe send THIS-HOST --plan {plan} --token {NAME}{token}{NAME:#}{port}{STRONG:#}"
        )?;
        Ok(out.flush()?)
    }

    fn serve(
        &self,
        door: &Door,
        stop: &AtomicBool,
        once: bool,
        out: &mut dyn Write,
    ) -> Result<Answer, Failure> {
        while !stop.load(Ordering::Relaxed) {
            let visitor =
                door.accept(PAUSE).map_err(|error| Failure::new("cannot take connections", error))?;
            let Some(mut visitor) = visitor else { continue };
            let who = visitor.peer().ip().to_canonical();
            let Some(key) = self.greet(&mut visitor)? else {
                writeln!(out, "{FAINT}{who} does not know the token{FAINT:#}")?;
                out.flush()?;
                std::thread::sleep(PENALTY);
                continue;
            };
            writeln!(out, "{who} tests")?;
            out.flush()?;
            let tested = self.converse(&mut visitor, &key, stop);
            writeln!(out, "{who} is done: {tested} ports tested")?;
            out.flush()?;
            if once {
                break;
            }
        }
        Ok(Answer::Yes)
    }

    /// Both prove that they know the token, the visitor first.
    fn greet(&self, visitor: &mut Conversation) -> Result<Option<Key>, Failure> {
        let nonce = super::random()?;
        let Ok(line) = visitor.hear(MANNERS) else { return Ok(None) };
        let Some(theirs) = super::greeting(&line) else { return Ok(None) };
        let key = super::key(&self.token, &theirs, &nonce);
        if visitor.tell(&Hello::Greeting(nonce)).is_err() {
            return Ok(None);
        }
        let proof = visitor.hear(MANNERS).ok().and_then(|line| String::from_utf8(line).ok());
        match proof.and_then(|line| Hello::read(&line)) {
            Some(Hello::Proof(proof)) if key.proves(Side::Sender, &proof) => {
                Ok(visitor.tell(&Hello::Proof(key.proof(Side::Listener))).ok().map(|()| key))
            }
            _ => {
                let _ = visitor.tell(&Hello::Refused);
                Ok(None)
            }
        }
    }

    /// Does what it is asked until the visitor leaves, and says how many ports were tested.
    fn converse(&self, visitor: &mut Conversation, key: &Key, stop: &AtomicBool) -> usize {
        let (mut open, mut tested) = (None, 0);
        while !stop.load(Ordering::Relaxed) {
            let line = visitor.hear(PATIENCE).ok().and_then(|line| String::from_utf8(line).ok());
            let Some(request) = line.and_then(|line| Request::read(&line)) else { break };
            let reply = match request {
                Request::Offer => Reply::Offer(self.offers.clone()),
                Request::Close => Reply::Arrived(open.take().map(Responder::finish).unwrap_or_default()),
                Request::Open(transport, class, ports) => {
                    tested += ports.len();
                    self.open(visitor.local().ip(), transport, class, &ports, key, &mut open)
                }
                Request::Ask(transport, class, ports) => {
                    tested += ports.len();
                    self.ask(visitor, transport, class, &ports, key)
                }
            };
            if visitor.tell(&reply).is_err() {
                break;
            }
        }
        tested
    }

    /// Only ports that the plan gives to the class.
    fn open(
        &self,
        own: IpAddr,
        transport: Transport,
        class: TrafficClass,
        ports: &[u16],
        key: &Key,
        open: &mut Option<Responder>,
    ) -> Reply {
        drop(open.take().map(Responder::finish));
        let Some(offer) =
            self.offer(class).filter(|offer| ports.iter().all(|port| offer.ports.contains(*port)))
        else {
            return Reply::Refused(format!("the plan here does not give these ports to {class}"));
        };
        match Responder::open(own.to_canonical(), transport, ports, offer.mark, key.clone()) {
            Ok(responder) => Reply::Opened(open.insert(responder).taken().to_vec()),
            Err(error) => Reply::Refused(format!("cannot open {transport} ports: {error}")),
        }
    }

    /// Only ports of the one who is connected, from the ports of the class.
    fn ask(
        &self,
        visitor: &Conversation,
        transport: Transport,
        class: TrafficClass,
        ports: &[u16],
        key: &Key,
    ) -> Reply {
        let Some(offer) = self.offer(class) else {
            return Reply::Refused(format!("the plan here gives {class} no ports"));
        };
        let asker = Asker {
            own: visitor.local().ip().to_canonical(),
            from: offer.ports,
            mark: offer.mark,
            to: visitor.peer().ip().to_canonical(),
            wait: self.wait,
            key: key.clone(),
        };
        match asker.ask(transport, ports) {
            Ok(found) => Reply::Found(found),
            Err(error) => Reply::Refused(format!("cannot ask {transport} ports: {error}")),
        }
    }

    fn offer(&self, class: TrafficClass) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.class == class)
    }
}
