//! What was said about each scope, put together: a start and a count make a range.

use std::collections::{BTreeMap, BTreeSet};

use carillon_wire::ip::Dscp;

use super::super::skipped::Skipped;
use super::super::{Fact, Note, Read, What};
use super::property::{Meaning, Object};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;

/// Longest file in statements; an estate of a thousand pools has ten thousand.
const MAX_STATEMENTS: usize = 100_000;

/// Notes and errors that are told; a file with more has been told enough.
const MAX_NOTES: usize = 1000;

/// A number with the line where it stands.
type Told = (u32, u32);

/// Who says something: commands are carried out one after the other, and what a listing shows is so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speaker {
    Command,
    Listing,
}

/// Which of the two numbers of a range.
#[derive(Clone, Copy)]
enum Half {
    Start,
    Count,
}

/// Whose range.
type Key = (String, Role, Option<TrafficClass>);

/// Everything that is told, with what was mended and what is wrong.
#[derive(Default)]
pub(super) struct Settings {
    enabled: BTreeMap<String, (bool, u32)>,
    starts: BTreeMap<Key, Told>,
    counts: BTreeMap<Key, Told>,
    /// Of which something is wrong, and told.
    broken: BTreeSet<Key>,
    mark: Option<Told>,
    notes: Vec<Note>,
    skipped: Skipped,
    errors: Vec<Note>,
    /// What cannot be judged, and why.
    unread: Vec<(u32, What)>,
    statements: usize,
}

impl Settings {
    pub(super) fn note(&mut self, line: u32, text: impl Into<String>) {
        tell(&mut self.notes, line, text.into());
    }

    /// A line that is not understood; one that speaks of ports or marks may say anything of them.
    pub(super) fn skip(&mut self, line: u32, text: &str) {
        let small = text.to_ascii_lowercase();
        if ["port", "diffserv", "qos"].iter().any(|word| small.contains(word)) {
            let shown: String = text.trim().chars().take(60).collect();
            return self.unread(line, format!("`{shown}`"), "the line is not understood");
        }
        self.skipped.add(line, text);
    }

    pub(super) fn error(&mut self, line: u32, text: impl Into<String>) {
        tell(&mut self.errors, line, text.into());
    }

    /// What a line says of this is not known.
    pub(super) fn unread(&mut self, line: u32, what: String, why: impl Into<String>) {
        if self.unread.len() < MAX_NOTES {
            let fix = "correct the line".to_owned();
            self.unread.push((line, What::Unread { role: None, what, why: why.into(), fix }));
        }
    }

    /// One property of an object gets a value.
    pub(super) fn set(
        &mut self,
        line: u32,
        object: Object,
        scope: &str,
        property: (&str, Meaning),
        (speaker, value): (Speaker, &str),
    ) {
        self.statements += 1;
        if self.statements > MAX_STATEMENTS {
            if self.statements == MAX_STATEMENTS + 1 {
                self.error(line, format!("more than {MAX_STATEMENTS} values"));
            }
            return;
        }
        let (name, meaning) = property;
        let key = |class| (scope.to_owned(), object.role(), class);
        match meaning {
            Meaning::Enabled => self.enable(line, scope, name, (speaker, value)),
            Meaning::Start(class) => self.half(Half::Start, line, name, key(class), (speaker, value)),
            Meaning::Count(class) => self.half(Half::Count, line, name, key(class), (speaker, value)),
            Meaning::PhoneMark => self.phone_mark(line, scope, name, (speaker, value)),
            Meaning::DevicesMark if truth(value) == Some(false) => {
                self.note(line, format!("{name} is False: phones and devices without Windows do not mark"));
            }
            Meaning::DevicesMark => {}
            Meaning::Nothing => self.note(line, format!("{name} is ignored: it does nothing")),
        }
    }

    fn enable(&mut self, line: u32, scope: &str, name: &str, (speaker, value): (Speaker, &str)) {
        let Some(now) = truth(value) else {
            return self.error(line, format!("{name} is {value:?}, neither True nor False"));
        };
        match self.enabled.insert(scope.to_owned(), (now, line)) {
            Some((before, first)) if now != before => match speaker {
                Speaker::Command => self.replaced(line, name, scope, first),
                Speaker::Listing => {
                    self.error(line, format!("{name} of {scope} is {now}; line {first} says {before}"));
                }
            },
            _ => {}
        }
    }

    /// One number of a range. What is wrong with it leaves the range unknown.
    fn half(&mut self, half: Half, line: u32, name: &str, key: Key, (speaker, value): (Speaker, &str)) {
        let Some(now) = digits(value).filter(|number| (1..=65535).contains(number)) else {
            return self.broken(line, key, format!("{name} is {value:?}: no number from 1 to 65535"));
        };
        let scope = key.0.clone();
        let halves = match half {
            Half::Start => &mut self.starts,
            Half::Count => &mut self.counts,
        };
        match halves.insert(key.clone(), (now, line)) {
            Some((before, first)) if now != before => match speaker {
                Speaker::Command => self.replaced(line, name, &scope, first),
                Speaker::Listing => {
                    self.broken(line, key, format!("{name} of {scope} is {now}; line {first} says {before}"));
                }
            },
            _ => {}
        }
    }

    fn replaced(&mut self, line: u32, name: &str, scope: &str, first: u32) {
        self.note(line, format!("sets {name} of {scope} again: line {first} counts no more"));
    }

    fn broken(&mut self, line: u32, key: Key, why: String) {
        let what = told(&key);
        if self.broken.insert(key) {
            self.unread(line, what, why);
        }
    }

    fn phone_mark(&mut self, line: u32, scope: &str, name: &str, (speaker, value): (Speaker, &str)) {
        let Some(number) = digits(value).filter(|number| *number < 64) else {
            return self.error(line, format!("{name} is {value:?}: no DSCP from 0 to 63"));
        };
        if scope != "global" {
            return self.note(
                line,
                format!("{name} of {scope} is not compared: a plan knows one value for all phones"),
            );
        }
        match self.mark.replace((number, line)) {
            Some((before, first)) if before != number => match speaker {
                Speaker::Command => self.replaced(line, name, scope, first),
                Speaker::Listing => {
                    self.error(line, format!("{name} is {number}; line {first} says {before}"));
                }
            },
            _ => {}
        }
    }

    /// Facts in the order of their lines; or all that is wrong.
    pub(super) fn finish(mut self) -> Result<Read, Vec<Note>> {
        let mut facts: Vec<(u32, What)> = Vec::new();
        for (scope, (enabled, line)) in std::mem::take(&mut self.enabled) {
            facts.push((line, What::Enabled { scope, enabled }));
        }
        for (key, (start, line)) in std::mem::take(&mut self.starts) {
            if self.broken.contains(&key) {
                self.counts.remove(&key);
                continue;
            }
            match self.counts.remove(&key) {
                Some((count, _)) => facts.extend(self.range(key, start, count, line)),
                None => self.unread(line, told(&key), "a first port and no number of ports"),
            }
        }
        self.counts.retain(|key, _| !self.broken.contains(key));
        for (key, (_, line)) in std::mem::take(&mut self.counts) {
            self.unread(line, told(&key), "a number of ports and no first port");
        }
        let mark = self.mark.and_then(|(mark, line)| Some((Dscp::new(u8::try_from(mark).ok()?)?, line)));
        if let Some((mark, line)) = mark {
            facts.push((line, What::Mark { role: Role::Phone, class: TrafficClass::Audio, mark }));
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        facts.append(&mut self.unread);
        facts.sort_by_key(|(line, _)| *line);
        let facts = facts.into_iter().map(|(line, what)| Fact::new(format!("line {line}"), what)).collect();
        self.notes.extend(self.skipped.notes());
        Ok(Read { facts, notes: self.notes })
    }

    /// An Edge relays all media through one range.
    fn range(&mut self, key: Key, start: u32, count: u32, line: u32) -> Vec<(u32, What)> {
        let range = u16::try_from(start).ok().and_then(|start| PortRange::from_count(start, count));
        let Some(ports) = range else {
            self.unread(line, told(&key), format!("{count} ports from {start} on pass 65535"));
            return Vec::new();
        };
        let (scope, role, class) = key;
        let classes: Vec<Option<TrafficClass>> = match (role, class) {
            (Role::Edge, None) => TrafficClass::MEDIA.map(Some).to_vec(),
            _ => vec![class],
        };
        let of_class = |class| (line, What::Ports { scope: scope.clone(), role, class, ports });
        classes.into_iter().map(of_class).collect()
    }
}

fn tell(list: &mut Vec<Note>, line: u32, text: String) {
    let text = match list.len() {
        ..MAX_NOTES => text,
        MAX_NOTES => "from here on nothing is listed any more".to_owned(),
        _ => return,
    };
    list.push(Note { place: format!("line {line}"), text });
}

fn told((scope, role, class): &Key) -> String {
    let class = class.map_or("all media", TrafficClass::name);
    format!("the ports for {class} of {role} ({scope})")
}

fn truth(value: &str) -> Option<bool> {
    match value.trim_start_matches('$').to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn digits(value: &str) -> Option<u32> {
    let all = !value.is_empty() && value.len() <= 9 && value.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| value.parse().ok()).flatten()
}
