//! The media of one call on a thread of its own: from the first port on it looks for ways, and once it is agreed on,
//! every 20 ms speech goes out and whatever came is heard.
//!
//! What a packet is, the leg knows; which way it takes, the paths. Here is only time.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use carillon_media::dtmf::Key;
use carillon_media::ice::{Candidate, Event as Found, Path};
use carillon_media::leg::{Component, Config, Event, Leg, Output, TICK};
use carillon_media::negotiate::Agreed;

use super::clock::Clock;
use super::paths::Paths;
use super::speech::{Speaker, Speech};
use crate::answer::Failure;

/// The most that is kept of what was heard: an hour.
const MOST_HEARD: usize = 3600 * 16_000;
/// Ticks before keys are pressed.
const BEFORE_KEYS: u32 = 25;
/// Ticks that a key and the pause after it take, and some more.
const FRAMES_PER_KEY: usize = 13;
/// The most keys that are kept.
const MOST_KEYS: usize = 256;

/// A running thread; dropping it without [`Media::end`] leaves it to end by itself.
pub(super) struct Media {
    thread: JoinHandle<Option<Ended>>,
    changes: Sender<Change>,
    news: Receiver<News>,
}

/// What is said to the thread.
enum Change {
    /// Talk: keys are pressed first, and speech begins after them.
    Begin(Box<Config>, Speech, Vec<Key>),
    /// From now on this was agreed.
    Agree(Box<Agreed>),
}

/// What the thread says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// This is where we may be reached.
    Gathered(Vec<Candidate>),
    /// Nothing more can be sent, and why.
    Lost(&'static str),
}

/// What is left when the call is over. The ports are closed.
pub(super) struct Ended {
    pub(super) leg: Leg,
    pub(super) heard: Speech,
    /// Keys that the other side pressed.
    pub(super) keys: String,
    /// The ways that media took, if somebody looked for them.
    pub(super) paths: Vec<Path>,
    /// When the last packet came.
    pub(super) heard_at: Option<Duration>,
    /// Ticks that came more than one tick too late.
    pub(super) late: u64,
    /// Packets that the kernel refused to send.
    pub(super) refused: u64,
    /// Packets that the kernel dropped because nobody read them.
    pub(super) dropped: u64,
}

impl Media {
    /// Begins to look for ways. Whenever there is news, `wake` is called.
    pub(super) fn open(
        clock: Clock,
        paths: Paths,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Media, Failure> {
        let (changes, inbox) = channel();
        let (outbox, news) = channel();
        let tell = move |said| {
            // Whoever is gone needs no news.
            let _ = outbox.send(said);
            wake();
        };
        let builder = thread::Builder::new().name("media".to_owned());
        let thread = builder
            .spawn(move || {
                Running { clock, paths, talk: None, heard_at: None, late: 0, lost: false }.run(&inbox, &tell)
            })
            .map_err(|error| Failure::new("cannot start a thread for the media", error))?;
        Ok(Media { thread, changes, news })
    }

    /// Begins to talk.
    pub(super) fn begin(&self, config: Config, speech: Speech, keys: &str) {
        let keys = keys.chars().filter_map(Key::new).collect();
        self.say(Change::Begin(Box::new(config), speech, keys));
    }

    /// From now on this was agreed.
    pub(super) fn change(&self, agreed: Agreed) {
        self.say(Change::Agree(Box::new(agreed)));
    }

    /// What has happened, one thing at a time.
    pub(super) fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// Stops it and gives the ports back. What is left, if anybody has talked.
    pub(super) fn end(self) -> Result<Option<Ended>, Failure> {
        drop(self.changes);
        self.thread.join().map_err(|_| Failure::new("cannot report on the call", "its media thread panicked"))
    }

    fn say(&self, change: Change) {
        // A thread that is gone has nothing to change.
        let _ = self.changes.send(change);
    }
}

struct Running {
    clock: Clock,
    paths: Paths,
    talk: Option<Talking>,
    /// When the last packet of media came.
    heard_at: Option<Duration>,
    late: u64,
    /// That nothing can be sent was said.
    lost: bool,
}

struct Talking {
    leg: Leg,
    speaker: Speaker,
    keys: Vec<Key>,
    /// Ticks until they are pressed.
    until_keys: Option<u32>,
    heard: Speech,
    /// Keys that the other side pressed.
    pressed: String,
}

impl Running {
    /// Until the call is over.
    fn run(mut self, changes: &Receiver<Change>, tell: &dyn Fn(News)) -> Option<Ended> {
        let mut due = self.clock.now();
        loop {
            thread::sleep(due.saturating_sub(self.clock.now()));
            let now = self.clock.now();
            self.late += u64::from(now.saturating_sub(due) > TICK && self.talk.is_some());
            match changes.try_recv() {
                Ok(change) => self.change(now, change),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return self.close(),
            }
            self.receive(now);
            self.paths.turn(now);
            self.tell(tell);
            self.tick(now);
            due = self.talk.as_ref().and_then(|talk| talk.leg.poll_timeout()).unwrap_or(now + TICK);
        }
    }

    fn change(&mut self, now: Duration, change: Change) {
        match change {
            Change::Begin(config, speech, keys) => {
                self.paths.agree(now, &config.agreed);
                self.talk = Leg::new(*config).map(|leg| Talking::new(leg, speech, keys));
            }
            Change::Agree(agreed) => {
                self.paths.agree(now, &agreed);
                // A codec that refuses its fixed parameters is met when the leg is made, not here.
                self.talk.iter_mut().for_each(|talk| _ = talk.leg.renegotiate((*agreed).clone()));
            }
        }
    }

    fn receive(&mut self, now: Duration) {
        let (talk, heard_at) = (&mut self.talk, &mut self.heard_at);
        self.paths.receive(now, &mut |arrival| {
            let Some(Talking { leg, .. }) = talk else { return };
            *heard_at = Some(now);
            match arrival.component {
                Component::Rtp => leg.handle_rtp(arrival.at, arrival.from, arrival.bytes, arrival.mark),
                Component::Rtcp => leg.handle_rtcp(arrival.at, arrival.from, arrival.bytes, arrival.mark),
            }
        });
    }

    /// Before there is a way nothing is said: it would be lost. What RTCP alone lacks is no reason to end a call.
    fn tick(&mut self, now: Duration) {
        let open = self.paths.is_open();
        if let Some(talk) = &mut self.talk {
            talk.tick(now, open);
        }
        self.drain(now);
    }

    fn tell(&mut self, tell: &dyn Fn(News)) {
        for event in self.paths.events() {
            let lost = match event {
                Found::Gathered(candidates) => {
                    tell(News::Gathered(candidates));
                    continue;
                }
                Found::Failed(Component::Rtp) => self.paths.missing(),
                Found::ConsentLost(Component::Rtp) => "the other side has not been heard of for 30 s",
                Found::Chosen(_) | Found::Failed(Component::Rtcp) | Found::ConsentLost(Component::Rtcp) => {
                    continue;
                }
            };
            if !std::mem::replace(&mut self.lost, true) {
                tell(News::Lost(lost));
            }
        }
    }

    fn drain(&mut self, now: Duration) {
        let Some(talk) = &mut self.talk else { return };
        while let Some(output) = talk.leg.poll_output() {
            match output {
                Output::Transmit(transmit) => self.paths.send(now, &transmit),
                Output::Event(Event::Key(key)) if talk.pressed.len() < MOST_KEYS => {
                    talk.pressed.push(key.character());
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Says goodbye and closes the ports.
    fn close(mut self) -> Option<Ended> {
        let now = self.clock.now();
        self.receive(now);
        if let Some(talk) = &mut self.talk {
            talk.leg.end(now);
        }
        self.drain(now);
        let paths = self.paths.chosen();
        let (refused, dropped) = self.paths.close(now);
        let Talking { leg, heard, pressed, .. } = self.talk?;
        let (heard_at, late) = (self.heard_at, self.late);
        Some(Ended { leg, heard, keys: pressed, paths, heard_at, late, refused, dropped })
    }
}

impl Talking {
    fn new(leg: Leg, speech: Speech, keys: Vec<Key>) -> Talking {
        let silence =
            if keys.is_empty() { 0 } else { 2 * BEFORE_KEYS as usize + FRAMES_PER_KEY * keys.len() };
        Talking {
            leg,
            speaker: Speaker::new(speech, silence),
            keys,
            until_keys: Some(BEFORE_KEYS),
            heard: Speech(Vec::new()),
            pressed: String::new(),
        }
    }

    fn tick(&mut self, now: Duration, open: bool) {
        if open && self.until_keys == Some(0) {
            self.keys.iter().for_each(|key| _ = self.leg.press(*key));
        }
        self.until_keys =
            if open { self.until_keys.and_then(|ticks| ticks.checked_sub(1)) } else { self.until_keys };
        let speech = open.then(|| self.speaker.next());
        let heard = self.leg.tick(now, speech.as_ref());
        if self.heard.0.len() < MOST_HEARD {
            self.heard.0.extend_from_slice(&heard);
        }
    }
}
