//! One row per hop, shown as soon as nothing more is expected of it.

use std::io::Write;
use std::net::IpAddr;

use carillon_qos::path::Hop;
use carillon_wire::icmp::Reason;
use carillon_wire::ip::{Dscp, Ecn};
use serde_json::json;

use super::Trace;
use crate::answer::Failure;
use crate::style::{BAD, DOUBT, FAINT, GOOD, STRONG};
use crate::words::{mark, milliseconds};

/// The rows shown so far.
pub(super) struct Rows {
    sent: Dscp,
    silent: bool,
    shown: usize,
}

impl Rows {
    pub(super) fn new(sent: Dscp, silent: bool) -> Rows {
        Rows { sent, silent, shown: 0 }
    }

    pub(super) fn head(&self, trace: &Trace<'_>, plan: &str, out: &mut dyn Write) -> Result<(), Failure> {
        if self.silent {
            return Ok(());
        }
        let (Trace { host, class, role, .. }, sent) = (trace, carillon_qos::dscp::label(self.sent));
        let (from, to) = (trace.flow.local, trace.flow.remote);
        writeln!(out, "{class} of a {role} by plan {plan}, marked {sent}: UDP {from} to {to} ({host})")?;
        writeln!(out, "{STRONG}HOP  ARRIVED AS                   TIME  ADDRESS{STRONG:#}")?;
        Ok(out.flush()?)
    }

    /// Shows those that are new.
    pub(super) fn show(&mut self, complete: &[Hop], out: &mut dyn Write) -> Result<(), Failure> {
        let new = complete.get(self.shown..).unwrap_or_default();
        self.shown = complete.len();
        if self.silent || new.is_empty() {
            return Ok(());
        }
        new.iter().try_for_each(|hop| self.print(hop, out))?;
        Ok(out.flush()?)
    }

    /// A row per router that answered at this place.
    fn print(&self, hop: &Hop, out: &mut dyn Write) -> Result<(), Failure> {
        if hop.answers.is_empty() {
            writeln!(out, "{:>3}  {FAINT}no answer to {} probes{FAINT:#}", hop.ttl, hop.asked)?;
        }
        for (at, address) in hop.addresses().into_iter().enumerate() {
            let place = if at == 0 { hop.ttl.to_string() } else { String::new() };
            let of_this = Of { hop, address };
            let (arrived, style) = match of_this.marks() {
                marks if marks.is_empty() => ("not told".to_owned(), DOUBT),
                marks if marks == [self.sent] => (of_this.arrived(), GOOD),
                _ => (of_this.arrived(), BAD),
            };
            let (time, notes) = (of_this.time(), of_this.notes());
            writeln!(
                out,
                "{place:>3}  {style}{arrived:<22}{style:#}  {time:>9}  {address}{FAINT}{notes}{FAINT:#}"
            )?;
        }
        Ok(())
    }
}

/// What one router at a place said.
struct Of<'a> {
    hop: &'a Hop,
    address: IpAddr,
}

impl Of<'_> {
    fn answers(&self) -> impl Iterator<Item = &carillon_qos::path::Answer> {
        self.hop.answers.iter().filter(|answer| answer.from == self.address)
    }

    fn marks(&self) -> Vec<Dscp> {
        let mut marks: Vec<Dscp> = self.answers().filter_map(|answer| Some(answer.quoted?.mark)).collect();
        marks.sort_unstable();
        marks.dedup();
        marks
    }

    /// The marks, and what the ECN bits became.
    fn arrived(&self) -> String {
        let marks: Vec<String> = self.marks().into_iter().map(mark).collect();
        let changed =
            self.answers().filter_map(|answer| answer.quoted).find(|quoted| quoted.ecn != Ecn::NotCapable);
        let ecn = changed.map_or(String::new(), |quoted| format!(" (ECN {})", ecn_name(quoted.ecn)));
        marks.join(" or ") + &ecn
    }

    fn time(&self) -> String {
        let quickest = self.answers().map(|answer| answer.after).min().unwrap_or_default();
        milliseconds(quickest.as_secs_f64() * 1000.0)
    }

    fn notes(&self) -> String {
        let mut notes = Vec::new();
        let missing = usize::from(self.hop.asked).saturating_sub(self.hop.answers.len());
        if missing > 0 {
            notes.push(format!("{missing} of {} probes without an answer", self.hop.asked));
        }
        if self.answers().filter_map(|answer| answer.quoted).any(|quoted| quoted.translated) {
            notes.push("quotes translated addresses".to_owned());
        }
        match self.answers().next().and_then(|answer| answer.reason) {
            Some(Reason::Prohibited) => notes.push("refuses the probe".to_owned()),
            Some(Reason::Route) => notes.push("knows no way on".to_owned()),
            None => notes.push("answered with a datagram".to_owned()),
            _ => {}
        }
        if notes.is_empty() { String::new() } else { format!("  {}", notes.join(", ")) }
    }
}

/// The names of RFC 3168.
pub(super) fn ecn_name(ecn: Ecn) -> &'static str {
    match ecn {
        Ecn::NotCapable => "Not-ECT",
        Ecn::Capable1 => "ECT(1)",
        Ecn::Capable0 => "ECT(0)",
        Ecn::Congestion => "CE",
    }
}

/// A hop for programs.
pub(super) fn as_json(hop: &Hop) -> serde_json::Value {
    let answer = |answer: &carillon_qos::path::Answer| {
        json!({
            "from": answer.from,
            "reason": reason(answer.reason),
            "milliseconds": answer.after.as_secs_f64() * 1000.0,
            "quoted": answer.quoted,
        })
    };
    json!({ "hop": hop.ttl, "asked": hop.asked, "answers": hop.answers.iter().map(answer).collect::<Vec<_>>() })
}

fn reason(reason: Option<Reason>) -> String {
    match reason {
        None => "datagram".to_owned(),
        Some(Reason::TimeExceeded) => "time-exceeded".to_owned(),
        Some(Reason::Port) => "port-unreachable".to_owned(),
        Some(Reason::Prohibited) => "prohibited".to_owned(),
        Some(Reason::Route) => "no-route".to_owned(),
        Some(Reason::TooBig) => "too-big".to_owned(),
        Some(Reason::Other(kind, code)) => format!("icmp-{kind}-{code}"),
    }
}
