//! One rule of nftables: which packets it marks, in as far as a plan can say that.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::syntax::{Item, Statement};
use super::{Note, at};
use crate::dscp;
use crate::import::Reach;
use crate::ports::PortRange;

/// Sets of a table, or definitions of a file, by `@name` or `$name`.
pub(super) type Named = BTreeMap<String, Vec<Item>>;

/// What rules refer to, and how many ports may still be listed in the whole file: names may stand for names.
pub(super) struct Context<'a> {
    pub(super) definitions: &'a Named,
    pub(super) sets: &'a Named,
    pub(super) ports_left: &'a mut u32,
}

/// A condition beside ports.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) reach: Reach,
    /// As it stands there, without the version of IP: `ip saddr @servers` and `ip6 saddr @servers` are alike.
    pub(super) text: String,
}

/// What a rule marks. Several ranges stand for as many rules.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Marking {
    pub(super) line: u32,
    /// 4 or 6.
    pub(super) version: u8,
    pub(super) mark: Dscp,
    pub(super) udp: bool,
    pub(super) tcp: bool,
    pub(super) source_ports: Vec<PortRange>,
    pub(super) destination_ports: Vec<PortRange>,
    /// The rule's comment.
    pub(super) name: Option<String>,
    /// Conditions on where the packet goes or whose it is, which a plan does not state.
    pub(super) place: Vec<Place>,
    /// What else it depends on; then it is not the plan's rule.
    pub(super) unknown: Vec<String>,
    /// Whether packets leave the chain behind it.
    pub(super) ends: bool,
}

/// What stands for the ports of a rule that asks for none.
pub(super) const NO_PORTS: &str = "no ports";

impl Marking {
    /// Of every packet, until conditions are added.
    pub(super) fn empty(line: u32) -> Marking {
        Marking {
            line,
            version: 0,
            mark: Dscp::DEFAULT,
            udp: true,
            tcp: true,
            source_ports: Vec::new(),
            destination_ports: Vec::new(),
            name: None,
            place: Vec::new(),
            unknown: Vec::new(),
            ends: false,
        }
    }
}

/// Reads a rule; empty if it sets no mark, several where a map gives each of its ports a mark.
///
/// # Errors
/// Ports and marks that are none.
pub(super) fn read(
    statement: &Statement,
    items: &[Item],
    context: &mut Context<'_>,
) -> Result<Vec<Marking>, Note> {
    let sets_mark =
        |pair: &[Item]| matches!(pair, [a, b] if a.word() == Some("dscp") && b.word() == Some("set"));
    if !items.windows(2).any(sets_mark) {
        return Ok(Vec::new());
    }
    let mut reader = Reader::of(statement, items, context);
    while let Some(item) = reader.next() {
        reader.step(item)?;
    }
    Ok(reader.finish())
}

/// What ends the way of packets through a chain: a verdict, with the packets that it is for.
pub(super) fn ending(statement: &Statement, items: &[Item], context: &mut Context<'_>) -> Option<Marking> {
    const VERDICTS: [&str; 6] = ["accept", "return", "drop", "reject", "goto", "queue"];
    let at = items.iter().position(|item| item.word().is_some_and(|word| VERDICTS.contains(&word)))?;
    let mut reader = Reader::of(statement, items.get(..at)?, context);
    while let Some(item) = reader.next() {
        reader.step(item).ok()?;
    }
    let (udp, tcp) = reader.protocols.unwrap_or((true, true));
    Some(Marking { udp, tcp, ..reader.marking })
}

impl<'a, 'c, 'n> Reader<'a, 'c, 'n> {
    fn of(statement: &Statement, items: &'a [Item], context: &'c mut Context<'n>) -> Reader<'a, 'c, 'n> {
        Reader {
            items,
            at: 0,
            context,
            protocols: None,
            set: None,
            mapped: Vec::new(),
            marking: Marking::empty(statement.line),
        }
    }
}

struct Reader<'a, 'c, 'n> {
    items: &'a [Item],
    at: usize,
    context: &'c mut Context<'n>,
    protocols: Option<(bool, bool)>,
    set: Option<(u8, Dscp)>,
    /// A map's ports, whether they are those of the source, and their marks.
    mapped: Vec<(PortRange, bool, Dscp)>,
    marking: Marking,
}

impl<'a> Reader<'a, '_, '_> {
    fn next(&mut self) -> Option<&'a Item> {
        let item = self.items.get(self.at);
        self.at += 1;
        item
    }

    fn peek(&self) -> Option<&'a str> {
        self.items.get(self.at).and_then(Item::word)
    }

    fn step(&mut self, item: &'a Item) -> Result<(), Note> {
        let Some(word) = item.word() else {
            self.strange("a block");
            return Ok(());
        };
        match (word, self.peek()) {
            ("ip" | "ip6", Some("dscp")) => self.dscp(if word == "ip" { 4 } else { 6 })?,
            ("ip" | "ip6", Some("saddr" | "daddr")) => self.place(word),
            ("ip", Some("protocol")) | ("ip6", Some("nexthdr")) | ("meta", Some("l4proto")) => {
                self.protocol()
            }
            ("meta", Some("nfproto")) => self.at += 2,
            ("th" | "udp" | "tcp", Some("sport" | "dport")) => self.ports(word)?,
            ("iifname" | "oifname" | "iif" | "oif", _) => {
                self.at -= 1;
                self.place("");
            }
            ("counter", Some("packets")) => self.at += 4,
            ("comment", _) => self.comment(),
            ("accept" | "return" | "drop" | "reject", _) => self.marking.ends = true,
            ("counter" | "continue", _) => {}
            ("socket" | "meta", _) => self.rest_until_known(word),
            _ => self.strange(word),
        }
        Ok(())
    }

    fn strange(&mut self, word: &str) {
        self.marking.unknown.push(word.to_owned());
    }

    fn dscp(&mut self, version: u8) -> Result<(), Note> {
        self.at += 1;
        if self.peek() != Some("set") {
            let condition = format!("ip dscp {}", self.value_text());
            self.strange(&condition);
            return Ok(());
        }
        self.at += 1;
        if let Some("udp" | "tcp" | "th") = self.peek() {
            self.map(version);
            return Ok(());
        }
        let text = self.value_text();
        // The kernel's own tool prints two values by names that nobody else uses.
        let mark = match text.as_str() {
            "lephb" => Ok(Dscp::new(1).unwrap_or(Dscp::DEFAULT)),
            other => dscp::parse(other),
        };
        let mark = mark.map_err(|error| at(self.marking.line, error.to_string()))?;
        self.set = Some((version, mark));
        Ok(())
    }

    /// `ip dscp set udp sport map { 20000-20039 : ef, 20040-20079 : af41 }`.
    fn map(&mut self, version: u8) {
        let protocol = self.next().and_then(Item::word).unwrap_or_default();
        let side = self.next().and_then(Item::word).unwrap_or_default();
        let known = matches!(side, "sport" | "dport") && self.peek() == Some("map");
        self.at += usize::from(known);
        let value = self.next();
        let named = value.and_then(Item::word).and_then(|name| self.context.sets.get(name));
        let elements = match (value, named) {
            (Some(Item::Block(statements)), _) => {
                statements.iter().flat_map(|one| one.items.clone()).collect()
            }
            (_, Some(items)) => match items.as_slice() {
                [Item::Block(statements)] => statements.iter().flat_map(|one| one.items.clone()).collect(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        let words: Option<Vec<&str>> = elements.iter().map(Item::word).collect();
        let text = words.unwrap_or_default().join(" ");
        let pairs: Option<Vec<(PortRange, bool, Dscp)>> =
            text.split(',').map(|pair| element(pair, side == "sport")).collect();
        match pairs.filter(|_| known) {
            Some(pairs) => {
                self.limit(protocol != "tcp", protocol != "udp");
                *self.context.ports_left = self.context.ports_left.saturating_sub(pairs.len() as u32);
                self.mapped = pairs;
                self.set = Some((version, Dscp::DEFAULT));
            }
            None => {
                self.set = Some((version, Dscp::DEFAULT));
                self.strange("a mark that is worked out from a map");
            }
        }
    }

    /// A condition that says where a packet goes: `ip saddr @servers`, `oifname "eth0"`.
    fn place(&mut self, family: &str) {
        let field = self.next().and_then(Item::word).unwrap_or_default();
        let value = self.value_text();
        let reach = match field {
            "saddr" => Reach::Sources,
            "daddr" => Reach::Destinations,
            _ => Reach::Interfaces,
        };
        let text = format!("{family} {field} {value}").trim().to_owned();
        self.marking.place.push(Place { reach, text });
    }

    /// A control group or a user: whose packet it is.
    fn rest_until_known(&mut self, word: &str) {
        let field = self.peek().unwrap_or_default().to_owned();
        let known = (word == "socket" && field == "cgroupv2")
            || (word == "meta" && ["skuid", "cgroup"].contains(&&*field));
        if !known {
            return self.strange(&format!("{word} {field}"));
        }
        self.at += 1;
        if self.peek() == Some("level") {
            self.at += 2;
        }
        let value = self.value_text();
        self.marking.place.push(Place { reach: Reach::OneProgram, text: format!("{word} {field} {value}") });
    }

    fn comment(&mut self) {
        if let Some(Item::Text(text) | Item::Word(text)) = self.next() {
            self.marking.name = Some(text.clone());
        }
    }

    fn protocol(&mut self) {
        self.at += 1;
        let value = self.value_text();
        let (mut udp, mut tcp) = (false, false);
        for word in value.split([' ', ',', '{', '}']).filter(|word| !word.is_empty()) {
            match word {
                "udp" | "17" => udp = true,
                "tcp" | "6" => tcp = true,
                other => self.strange(&format!("protocol {other}")),
            }
        }
        self.limit(udp, tcp);
    }

    fn limit(&mut self, udp: bool, tcp: bool) {
        let (before_udp, before_tcp) = self.protocols.unwrap_or((true, true));
        self.protocols = Some((before_udp && udp, before_tcp && tcp));
    }

    fn ports(&mut self, protocol: &str) -> Result<(), Note> {
        self.limit(protocol != "tcp", protocol != "udp");
        let source = self.peek() == Some("sport");
        self.at += 1;
        let mut ranges = Vec::new();
        match self.peek() {
            Some("!=" | "&") => {
                self.strange("ports that are excluded");
                return Ok(());
            }
            Some(sign @ (">=" | "<=" | ">" | "<")) => {
                self.at += 1;
                ranges.extend(self.compared(sign)?);
            }
            _ => {
                if let Some(item) = self.value() {
                    self.ranges(item, &mut ranges, 0)?;
                }
            }
        }
        let end = if source { &mut self.marking.source_ports } else { &mut self.marking.destination_ports };
        // A second condition on the same end holds as well as the first.
        let both = |range: &PortRange| -> Vec<PortRange> {
            end.iter().filter_map(|known| known.intersection(*range)).collect()
        };
        if end.is_empty() {
            *end = ranges;
        } else {
            let left: Vec<PortRange> = ranges.iter().flat_map(both).collect();
            if left.is_empty() {
                self.marking.unknown.push("ports that no packet has".to_owned());
            } else {
                *end = left;
            }
        }
        Ok(())
    }

    /// The ports behind `>=` and its like.
    fn compared(&mut self, sign: &str) -> Result<Option<PortRange>, Note> {
        let text = self.value_text();
        let wrong = || at(self.marking.line, format!("`{sign} {text}` is no condition on ports"));
        let port: u16 = text.parse().map_err(|_| wrong())?;
        let ends = match sign {
            ">=" => (Some(port.max(1)), Some(u16::MAX)),
            ">" => (port.checked_add(1), Some(u16::MAX)),
            "<=" => (Some(1), Some(port)),
            _ => (Some(1), port.checked_sub(1)),
        };
        let range = ends.0.zip(ends.1).and_then(|(start, end)| PortRange::from_ends(start, end));
        range.map(Some).ok_or_else(wrong)
    }

    /// Ports of a value: `20000-20039`, `{ 5061, 6000-6010 }`, `@set`, `$name`.
    fn ranges(&mut self, item: &Item, ranges: &mut Vec<PortRange>, depth: u8) -> Result<(), Note> {
        *self.context.ports_left = self.context.ports_left.saturating_sub(1);
        if *self.context.ports_left == 0 {
            return Err(at(self.marking.line, "the file lists more ports than any plan has"));
        }
        match item {
            Item::Word(word) if word == "," => {}
            Item::Word(word) if word.starts_with(['@', '$']) => self.named(word, ranges, depth)?,
            Item::Word(word) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                self.strange(&format!("the service `{word}` (list the rules without -S)"));
            }
            Item::Word(word) => {
                let range = PortRange::parse(word);
                let wrong = || at(self.marking.line, format!("`{word}` is no port and no range"));
                ranges.push(range.ok_or_else(wrong)?);
            }
            Item::Block(statements) => {
                for item in statements.iter().flat_map(|statement| &statement.items) {
                    self.ranges(item, ranges, depth)?;
                }
            }
            Item::Text(text) => self.strange(text),
        }
        Ok(())
    }

    /// A definition may use others, but none itself.
    fn named(&mut self, word: &str, ranges: &mut Vec<PortRange>, depth: u8) -> Result<(), Note> {
        let (definitions, sets) = (self.context.definitions, self.context.sets);
        match sets.get(word).or_else(|| definitions.get(word)) {
            Some(items) if depth < 4 => {
                items.iter().try_for_each(|item| self.ranges(item, ranges, depth + 1))
            }
            _ => {
                self.strange(word);
                Ok(())
            }
        }
    }

    /// The next value, without `==`.
    fn value(&mut self) -> Option<&'a Item> {
        if self.peek() == Some("==") {
            self.at += 1;
        }
        self.next()
    }

    /// The next value in words, `!=` with it.
    fn value_text(&mut self) -> String {
        match self.value() {
            Some(Item::Word(word)) if word == "!=" => format!("!= {}", self.value_text()),
            Some(item) => text_of(item),
            None => String::new(),
        }
    }

    fn finish(mut self) -> Vec<Marking> {
        let Some((version, mark)) = self.set else { return Vec::new() };
        let (udp, tcp) = self.protocols.unwrap_or((true, true));
        self.marking = Marking { version, mark, udp, tcp, ..self.marking };
        let no_ports = self.marking.source_ports.is_empty() && self.marking.destination_ports.is_empty();
        if no_ports && self.mapped.is_empty() && self.marking.unknown.is_empty() {
            self.marking.unknown.push(NO_PORTS.to_owned());
        }
        if self.mapped.is_empty() {
            return vec![self.marking];
        }
        let marking = self.marking;
        let of_element = |(ports, source, mark): (PortRange, bool, Dscp)| {
            let mut marking = Marking { mark, ..marking.clone() };
            let end = if source { &mut marking.source_ports } else { &mut marking.destination_ports };
            *end = vec![ports];
            marking
        };
        self.mapped.into_iter().map(of_element).collect()
    }
}

/// `20000-20039 : ef`.
fn element(text: &str, source: bool) -> Option<(PortRange, bool, Dscp)> {
    let (ports, mark) = text.split_once(':')?;
    Some((PortRange::parse(ports)?, source, dscp::parse(mark).ok()?))
}

fn text_of(item: &Item) -> String {
    match item {
        Item::Word(word) => word.clone(),
        Item::Text(text) => format!("\"{text}\""),
        Item::Block(statements) => {
            let items = statements.iter().flat_map(|statement| &statement.items);
            let words: Vec<String> = items.filter(|item| item.word() != Some(",")).map(text_of).collect();
            format!("{{ {} }}", words.join(", "))
        }
    }
}
