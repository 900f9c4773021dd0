//! A policy of the NetQos cmdlets, however it was printed or written, and the rules that it means.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::super::contender::PRECEDENCE;
use super::super::{Caveat, Contender, Fact, Note, Reach, Read, What};
use super::{Errors, program, unread};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// One policy: values by their property's short name in small letters (`ipsrcportstart`, `dscpvalue`).
pub(super) struct Listed {
    line: u32,
    values: BTreeMap<String, (u32, String)>,
    /// Why it may be otherwise, or not there at all.
    unsure: Vec<String>,
}

impl Listed {
    /// A policy that begins in this line.
    pub(super) fn at(line: u32) -> Listed {
        Listed { line, values: BTreeMap::new(), unsure: Vec::new() }
    }

    /// Whether it is as it was read is not known, for this reason.
    pub(super) fn doubt(&mut self, why: String) {
        self.unsure.push(why);
    }

    /// Gives a property its value; the first of twins counts.
    pub(super) fn set(&mut self, line: u32, name: &str, value: &str) {
        self.values.entry(name.to_owned()).or_insert_with(|| (line, value.to_owned()));
    }

    /// Gives a property its value, whatever it had.
    pub(super) fn replace(&mut self, line: u32, name: &str, value: &str) {
        self.values.insert(name.to_owned(), (line, value.to_owned()));
    }

    /// The value of a property that goes on in the next line.
    pub(super) fn value_mut(&mut self, name: &str) -> Option<&mut String> {
        self.values.get_mut(name).map(|(_, value)| value)
    }

    /// The policy's name.
    pub(super) fn name(&self) -> Option<&str> {
        self.values.get("name").map(|(_, name)| name.as_str())
    }
}

/// The short name of a property or parameter: `DSCPAction` is `dscpvalue`, `IPSrcPortStartMatchCondition` is
/// `ipsrcportstart`.
pub(super) fn short(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_suffix("matchcondition").unwrap_or(&name) {
        "dscpaction" => "dscpvalue".to_owned(),
        "throttlerateaction" | "throttlerateactionbitspersecond" => "throttlerate".to_owned(),
        "priorityvalue8021action" => "priorityvalue".to_owned(),
        short => short.to_owned(),
    }
}

/// The rules of all policies, and what is wrong with a policy where it stands; or everything that is wrong with the file.
pub(super) fn rules(policies: &[Listed], notes: Vec<Note>, errors: Errors) -> Result<Read, Vec<Note>> {
    let mut read = Read { facts: Vec::new(), notes };
    for listed in policies {
        let reading = Reading { listed, notes: &mut read.notes, errors: Errors::default() };
        read.facts.extend(reading.facts());
    }
    if errors.0.is_empty() { Ok(read) } else { Err(errors.0) }
}

struct Reading<'r> {
    listed: &'r Listed,
    notes: &'r mut Vec<Note>,
    /// What is wrong with it.
    errors: Errors,
}

impl Reading<'_> {
    /// One rule, none if the policy does not mark by what packets look like, two where a port counts on either side; and
    /// how it stands among others. Or what could not be read.
    fn facts(mut self) -> Vec<Fact> {
        let place = format!("line {}", self.listed.line);
        let name = self.value("name").unwrap_or_default().to_owned();
        if name.is_empty() {
            self.errors.add(place.clone(), "a policy without a `Name`");
        }
        let (source, destination) = (self.ports("ipsrcport"), self.ports("ipdstport"));
        let either = self.port("ipport").and_then(|port| PortRange::from_count(port, 1));
        let (protocol, mark) = (self.protocol(), self.mark());
        if let Some(reason) = self.reason_to_skip() {
            self.note(&name, reason);
            return Vec::new();
        }
        for why in &self.listed.unsure {
            self.errors.add(place.clone(), why);
        }
        if !self.errors.0.is_empty() {
            return vec![unread(&place, &name, &self.errors)];
        }
        let application = self.value("apppathname").filter(|name| *name != "*").map(str::to_owned);
        let rule = |source_ports, destination_ports| MarkingRule {
            name: name.clone(),
            application: application.clone(),
            protocol,
            source_ports,
            destination_ports,
            mark: mark.unwrap_or_default(),
        };
        let rules = match either {
            Some(port) => vec![rule(Some(port), None), rule(None, Some(port))],
            None => vec![rule(source, destination)],
        };
        if mark.is_none() {
            self.note(&name, "sets no mark".to_owned());
        }
        let caveats = self.caveats();
        let skipped = caveats.iter().any(|caveat| caveat.reach == Reach::Nothing);
        let contenders = rules.iter().filter(|_| !skipped).map(|rule| self.contender(rule.clone(), mark));
        let contenders = contenders.map(What::Policy).map(|what| Fact::new(place.clone(), what)).collect();
        let fact = |rule| Fact { caveats: caveats.clone(), ..Fact::new(place.clone(), What::Rule(rule)) };
        let facts: Vec<Fact> = rules.into_iter().filter(|_| mark.is_some()).map(fact).collect();
        [facts, contenders].concat()
    }

    fn contender(&self, fits: MarkingRule, mark: Option<Dscp>) -> Contender {
        let prefix = |key: &str| {
            let address = self.value(key)?;
            let length = address.split_once('/').and_then(|(_, length)| length.parse().ok());
            Some(length.unwrap_or(128))
        };
        let precedence = self.value("precedence").and_then(|text| text.parse().ok());
        Contender {
            user: self.is_users(),
            precedence: precedence.unwrap_or(PRECEDENCE),
            source: prefix("ipsrcprefix"),
            destination: prefix("ipdstprefix"),
            narrowed: self.value("user").is_some() || self.profile().is_some(),
            ..Contender::of(fits, mark)
        }
    }

    /// `Owner : Group Policy (User)`.
    fn is_users(&self) -> bool {
        self.value("owner").is_some_and(|owner| owner.to_ascii_lowercase().contains("(user)"))
    }

    /// The kind of networks on which alone it holds.
    fn profile(&self) -> Option<&str> {
        self.value("networkprofile").filter(|profile| !profile.eq_ignore_ascii_case("all"))
    }

    fn reason_to_skip(&self) -> Option<String> {
        if let Some(template) = self.value("template").filter(|template| *template != "None") {
            return Some(format!("matches by the template {template}, which is no media"));
        }
        if self.value("uri").is_some() {
            return Some("is about answers of a web server".to_owned());
        }
        self.number("netdirectport").is_some().then(|| "is about network direct".to_owned())
    }

    /// Why Windows applies less of the policy than it says, the worst first.
    fn caveats(&self) -> Vec<Caveat> {
        let mut caveats: Vec<Caveat> =
            self.value("apppathname").and_then(program::caveat).into_iter().collect();
        let ends = [
            ("ipsrcprefix", "source", "IPSrcPrefixMatchCondition", Reach::Sources),
            ("ipdstprefix", "destination", "IPDstPrefixMatchCondition", Reach::Destinations),
        ];
        for (key, end, parameter, reach) in ends {
            if let Some(address) = self.value(key) {
                let (text, fix) =
                    (format!("only for {end} addresses {address}"), format!("take `-{parameter}` away"));
                caveats.push(Caveat { reach, text, fix });
            }
        }
        if let Some(user) = self.value("user") {
            caveats.push(Caveat::part(
                format!("only for the user {user}"),
                "take the condition on the user away",
            ));
        }
        if self.is_users() {
            caveats.push(Caveat::part("only for users", "make it a policy of the computer"));
        }
        if let Some(profile) = self.profile() {
            let text = format!("only on networks of the profile {profile}");
            caveats.push(Caveat::part(text, "set `-NetworkProfile All`"));
        }
        if let Some(rate) = self.value("throttlerate").filter(|rate| *rate != "0" && *rate != "-1") {
            let text = format!("throttled to {rate}");
            caveats.push(Caveat::part(text, "take the throttle away: what is above the rate waits"));
        }
        if self.value("policystore").is_some_and(|store| store.eq_ignore_ascii_case("activestore")) {
            let (text, fix) =
                ("in the active store: gone after a restart", "leave `-PolicyStore ActiveStore` away");
            caveats.push(Caveat { reach: Reach::UntilRestart, text: text.to_owned(), fix: fix.to_owned() });
        }
        caveats
    }

    fn protocol(&mut self) -> Protocol {
        match self.value("ipprotocol").unwrap_or("Both").to_ascii_lowercase().as_str() {
            "both" | "none" => Protocol::Both,
            "udp" => Protocol::Udp,
            "tcp" => Protocol::Tcp,
            _ => {
                self.wrong("ipprotocol", "is none of Both, TCP, UDP");
                Protocol::Both
            }
        }
    }

    /// From `…Start` and `…End`, or the single port; 0 says nothing.
    fn ports(&mut self, side: &str) -> Option<PortRange> {
        let (first, last) = (format!("{side}start"), format!("{side}end"));
        let single = self.port(side);
        let (start, end) = (self.port(&first).or(single), self.port(&last).or(single));
        if start.is_none() && end.is_none() {
            return None;
        }
        let range = start.zip(end).and_then(|(start, end)| PortRange::from_ends(start, end));
        if range.is_none() {
            let key = if self.number(&first).is_some() { first } else { last };
            self.wrong(&key, "is not the border of a range");
        }
        range
    }

    fn port(&mut self, key: &str) -> Option<u16> {
        let port = self.number(key)?.parse();
        if port.is_err() {
            self.wrong(key, "is no port");
        }
        port.ok()
    }

    fn mark(&mut self) -> Option<Dscp> {
        let text = self.value("dscpvalue").filter(|mark| *mark != "-1")?;
        let mark = text.parse().ok().and_then(Dscp::new);
        if mark.is_none() {
            self.wrong("dscpvalue", "is no number from 0 to 63");
        }
        mark
    }

    fn number(&self, key: &str) -> Option<&str> {
        self.value(key).filter(|value| *value != "0")
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.listed.values.get(key).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn wrong(&mut self, key: &str, text: &str) {
        if let Some((line, value)) = self.listed.values.get(key) {
            self.errors.add(format!("line {line}"), format!("`{key}` = `{value}` {text}"));
        }
    }

    fn note(&mut self, name: &str, text: String) {
        let place = format!("line {}", self.listed.line);
        self.notes.push(Note { place, text: format!("policy `{name}` {text}") });
    }
}
