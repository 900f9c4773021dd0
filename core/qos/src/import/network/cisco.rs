//! Cisco IOS: access lists, class maps, policy maps and `mls qos` maps; dial peers and RTP ranges of a gateway.
//!
//! Lines are read here; what policies make of them is worked out in `policy_map`. Of interfaces, only the policies that
//! are bound to them are read.

use super::access_list::{Entry, Not};
use super::bindings::Bindings;
use super::mls_qos::Maps;
use super::policy_map::{ClassMap, Line, Policies, PolicyClass};
use super::{Outcome, decimal_mark, has_line, note, outcome, range, text};
use crate::class::TrafficClass;
use crate::dscp;
use crate::import::{Caveat, Fact, Mark, Note, Read, What};
use crate::role::Role;
use carillon_wire::ip::Dscp;

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(
        bytes,
        &[
            "policy-map ",
            "class-map ",
            "ip access-list extended ",
            "dial-peer voice ",
            "rtp-port range ",
            "mls qos ",
            "qos map dscp ",
        ],
    )
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let mut configuration = Configuration::default();
    for (number, line) in text(bytes)?.lines().enumerate() {
        configuration.line(number + 1, line);
    }
    configuration.finish()
}

/// What the file has defined so far.
#[derive(Default)]
struct Configuration {
    context: Context,
    policies: Policies,
    bindings: Bindings,
    maps: Maps,
    gateway: Vec<Fact>,
    notes: Vec<Note>,
    wrong: Vec<Note>,
}

/// What a line of an access list can do.
const ACTIONS: [&str; 3] = ["permit", "deny", "remark"];

/// The block that a line stands in.
#[derive(Default)]
enum Context {
    #[default]
    Other,
    List(String),
    Class(String),
    Policy,
    PolicyClass,
    DialPeer,
    /// What policies can be bound to, by its name.
    Interface(String),
    /// Where a policy guards the device itself.
    ControlPlane,
}

impl Configuration {
    fn line(&mut self, number: usize, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["!", ..] => {}
            ["ip", "access-list", "extended", name] | ["ipv6", "access-list", name] => self.open_list(name),
            ["access-list", name, entry @ ..] => self.entry(number, name, entry),
            ["class-map", rest @ ..] => self.open_class(number, rest),
            ["policy-map", rest @ ..] => {
                self.policies.open(rest.last().unwrap_or(&""));
                self.context = Context::Policy;
            }
            ["interface", name @ ..] if !line.starts_with(char::is_whitespace) => {
                self.bindings.interface();
                self.context = Context::Interface(name.join(" "));
            }
            ["control-plane", ..] => self.context = Context::ControlPlane,
            ["mls", "qos", rest @ ..] | ["qos", rest @ ..] => self.map(number, rest),
            ["dial-peer", "voice", _, "voip"] => self.context = Context::DialPeer,
            ["rtp-port", "range", first, last] => self.rtp(number, first, last),
            words if self.inside(number, words) => {}
            _ if line.starts_with(char::is_whitespace) => {}
            // Templates, VLANs, the whole system.
            words => self.context = Context::Interface(words.join(" ")),
        }
    }

    /// A line of the open block; `false` if it is none that has to do with marks.
    fn inside(&mut self, number: usize, words: &[&str]) -> bool {
        match (&self.context, words) {
            // A number may stand before the action, or `sequence` and a number.
            (Context::List(name), ["sequence", _, rest @ ..] | rest)
                if rest.iter().take(2).any(|word| ACTIONS.contains(word)) =>
            {
                let name = name.clone();
                let numbered = rest.first().is_some_and(|word| !ACTIONS.contains(word));
                self.entry(number, &name, rest.get(usize::from(numbered)..).unwrap_or(&[]));
            }
            (Context::Class(name), ["match", condition @ ..]) => {
                let name = name.clone();
                self.condition(number, &name, condition);
            }
            (Context::Policy | Context::PolicyClass, ["class", name, ..]) => {
                self.policies.class(PolicyClass::new(number, name));
                self.context = Context::PolicyClass;
            }
            (Context::PolicyClass, ["set", rest @ ..]) => self.set(number, rest),
            (Context::PolicyClass, ["service-policy", child]) => self.policies.child(child),
            (Context::PolicyClass, ["trust", ..]) => {
                let text = "believes the marks that packets come with: what hosts do not mark stays unmarked";
                self.notes.push(note(number, text));
            }
            (Context::Interface(name), ["no", "shutdown"]) => {
                let name = name.clone();
                self.bindings.set_down(&name, false);
            }
            (Context::Interface(name), ["shutdown"]) => {
                let name = name.clone();
                self.bindings.set_down(&name, true);
            }
            (Context::Interface(_), ["service-policy", rest @ ..]) => self.bind(rest, true),
            (Context::Interface(_), ["no", "service-policy", rest @ ..]) => self.bind(rest, false),
            (Context::PolicyClass, ["priority" | "bandwidth" | "queue-limit" | "random-detect", ..]) => {
                self.policies.queue();
            }
            (Context::PolicyClass, [first, ..]) if *first == "police" || first.ends_with("-action") => {
                self.police(number, words);
            }
            (Context::DialPeer, ["ip", "qos", "dscp", mark, what, ..]) => self.dial_peer(number, mark, what),
            _ => return false,
        }
        true
    }

    /// `input NAME`, `type qos input NAME`.
    fn bind(&mut self, words: &[&str], bound: bool) {
        let Context::Interface(interface) = &self.context else { return };
        let words = match words {
            ["type", _, rest @ ..] => rest,
            words => words,
        };
        if let [direction @ ("input" | "output"), name, ..] = words {
            match bound {
                true => self.bindings.bind(name, interface, direction),
                false => self.bindings.unbind(name, interface, direction),
            }
        }
    }

    /// What a policer does to marks: nothing where it transmits or drops.
    fn police(&mut self, number: usize, words: &[&str]) {
        let actions = words.windows(3).map(|three| (three.first(), three.get(1), three.get(2)));
        for (rate, action, mark) in actions {
            let (Some(rate), Some(action), Some(mark)) = (rate, action, mark) else { continue };
            if !matches!(*action, "set-dscp-transmit" | "set-prec-transmit") {
                continue;
            }
            let shift = if *action == "set-dscp-transmit" { 0 } else { 3 };
            let first = stated(mark, shift).map(|marks| marks.first().map_or(Dscp::DEFAULT, |mark| mark.0));
            match (first, *rate) {
                (Err(error), _) => self.wrong.push(note(number, error)),
                (Ok(mark), "conform-action") => self.policies.mark(number, mark),
                (Ok(mark), _) => {
                    let text =
                        format!("but line {number} gives {} to what is above its rate", dscp::label(mark));
                    let fix = "let what is above the rate keep its mark, or raise the rate";
                    self.policies.doubt(mark, Caveat::part(text, fix));
                }
            }
        }
    }

    fn open_list(&mut self, name: &str) {
        self.policies.lists.entry(name.to_owned()).or_default();
        self.context = Context::List(name.to_owned());
    }

    fn entry(&mut self, number: usize, list: &str, words: &[&str]) {
        let (permits, rest) = match words {
            ["permit", rest @ ..] => (true, rest),
            ["deny", rest @ ..] => (false, rest),
            ["remark" | "evaluate" | "exit", ..] | [] => return,
            words => {
                let text =
                    format!("access list {list}: `{}` is not understood: passed over", words.join(" "));
                return self.notes.push(note(number, text));
            }
        };
        if !permits {
            let text = format!("access list {list} denies: packets of this line are left out of its class");
            self.notes.push(note(number, text));
        }
        let entries = self.policies.lists.entry(list.to_owned()).or_default();
        match Entry::from_words(rest) {
            Ok(entry) => entries.push(Line { number, permits, entry }),
            Err(Not::Readable(text)) => self.wrong.push(note(number, format!("access list {list}: {text}"))),
            Err(Not::Ports(text)) => {
                let action = if permits { "" } else { "denies what " };
                let text = format!("access list {list} {action}{text}: not read as a rule");
                self.notes.push(note(number, text));
                self.policies.unread.entry(list.to_owned()).or_default().push((number, permits));
            }
            Err(Not::Protocol(text)) if permits => {
                self.notes.push(note(number, format!("access list {list} {text}: not read as a rule")));
            }
            Err(Not::Protocol(_)) => {}
        }
    }

    fn open_class(&mut self, number: usize, words: &[&str]) {
        let words = match words {
            ["type", _, rest @ ..] => rest,
            words => words,
        };
        let (all, name) = match words {
            ["match-any", name] => (false, *name),
            ["match-all", name] | [name] => (true, *name),
            _ => return self.wrong.push(note(number, "a class map without a name".to_owned())),
        };
        self.policies.classes.entry(name.to_owned()).or_default().all = all;
        self.context = Context::Class(name.to_owned());
    }

    fn condition(&mut self, number: usize, class: &str, words: &[&str]) {
        let class: &mut ClassMap = self.policies.classes.entry(class.to_owned()).or_default();
        let (shift, marks) = match words {
            ["access-group", "name", list] | ["access-group", list] => {
                return class.lists.push((number, (*list).to_owned()));
            }
            ["dscp", marks @ ..] | ["ip", "dscp", marks @ ..] => (0, marks),
            ["precedence", marks @ ..] | ["ip", "precedence", marks @ ..] => (3, marks),
            ["any"] => return class.any = true,
            _ => return class.others += 1,
        };
        for word in marks {
            match stated(word, shift) {
                Ok(marks) => class.marks.extend(marks),
                Err(error) => self.wrong.push(note(number, error)),
            }
        }
        class.mark_lines += 1;
    }

    fn set(&mut self, number: usize, words: &[&str]) {
        let mark = match words {
            ["dscp", mark] | ["ip", "dscp", mark] => decimal_mark(mark),
            ["precedence", level] | ["ip", "precedence", level] => {
                stated(level, 3).map(|marks| marks.first().map_or(Dscp::DEFAULT, |mark| mark.0))
            }
            // Marks of other layers.
            ["cos" | "qos-group" | "mpls" | "discard-class" | "atm-clp", ..] => return,
            words => {
                let text = format!("`set {}` is not understood: passed over", words.join(" "));
                return self.notes.push(note(number, text));
            }
        };
        match mark {
            Ok(mark) => self.policies.mark(number, mark),
            Err(error) => self.wrong.push(note(number, error)),
        }
    }

    fn map(&mut self, number: usize, words: &[&str]) {
        self.context = Context::Other;
        match self.maps.line(number, words) {
            Ok(None) => {}
            Ok(Some(text)) => self.notes.push(note(number, text)),
            Err(error) => self.wrong.push(note(number, error)),
        }
    }

    fn dial_peer(&mut self, number: usize, mark: &str, what: &str) {
        let class = match what {
            "media" => TrafficClass::Audio,
            "signaling" => TrafficClass::Signaling,
            "video" => TrafficClass::Video,
            _ => {
                return self.wrong.push(note(number, format!("{what:?} is none of media, signaling, video")));
            }
        };
        match decimal_mark(mark) {
            Ok(mark) => {
                let what = What::Mark { role: Role::Gateway, class, mark };
                self.gateway.push(Fact::new(format!("line {number}"), what));
            }
            Err(error) => self.wrong.push(note(number, error)),
        }
    }

    fn rtp(&mut self, number: usize, first: &str, last: &str) {
        let (scope, class) = ("global".to_owned(), Some(TrafficClass::Audio));
        match range(first, last) {
            Ok(ports) => {
                let what = What::Ports { scope, role: Role::Gateway, class, ports };
                self.gateway.push(Fact::new(format!("line {number}"), what));
            }
            Err(error) => self.wrong.push(note(number, error)),
        }
    }

    fn finish(mut self) -> Outcome {
        let (mut facts, notes) = match self.policies.facts(&self.bindings) {
            Ok(found) => found,
            Err(error) => return Err(vec![error]),
        };
        facts.extend(self.maps.facts());
        facts.append(&mut self.gateway);
        self.notes.extend(notes);
        outcome(Read { facts, notes: self.notes }, self.wrong)
    }
}

/// The marks behind a word: one, or the eight of a precedence.
fn stated(word: &str, shift: u8) -> Result<Vec<Mark>, String> {
    if shift == 0 {
        return decimal_mark(word).map(|mark| vec![Mark(mark)]);
    }
    let level = PRECEDENCES.iter().position(|name| *name == word).or_else(|| word.parse().ok());
    let level = level.and_then(|level| u8::try_from(level).ok()).filter(|level| *level < 8);
    let level = level.ok_or_else(|| format!("{word:?} is no precedence (0 to 7)"))?;
    let marks = (level << shift..(level + 1) << shift).filter_map(Dscp::new);
    Ok(marks.map(Mark).collect())
}

const PRECEDENCES: [&str; 8] =
    ["routine", "priority", "immediate", "flash", "flash-override", "critical", "internet", "network"];
