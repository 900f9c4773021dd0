//! The verdict of a trace in sentences, with what to do.

use std::io::Write;

use carillon_qos::dscp::label;
use carillon_qos::path::{Change, EcnChange, Outcome, Point, Reach, Refusal, Verdict};
use carillon_wire::ip::Dscp;

use super::Trace;
use super::rows::ecn_name;
use crate::answer::Failure;
use crate::style::{BAD, DOUBT, FAINT, FIX, GOOD};

/// Prints the verdict.
pub(super) fn print(trace: &Trace<'_>, verdict: &Verdict, out: &mut dyn Write) -> Result<(), Failure> {
    let (word, style) = match verdict.outcome {
        Outcome::Kept => ("KEPT", GOOD),
        Outcome::Changed => ("CHANGED", BAD),
        Outcome::Untold => ("UNTOLD", DOUBT),
    };
    let sentences = sentences(trace, verdict);
    let (first, notes) =
        sentences.split_first().map_or(("", &[][..]), |(first, notes)| (first.as_str(), notes));
    writeln!(out, "{style}{word}{style:#}  {first}")?;
    for note in notes {
        writeln!(out, "  {FAINT}{note}{FAINT:#}")?;
    }
    if let Some(fix) = fix(trace, verdict) {
        writeln!(out, "  {FIX}fix:{FIX:#} {fix}")?;
    }
    Ok(())
}

/// What was found; the first sentence is the verdict.
pub(super) fn sentences(trace: &Trace<'_>, verdict: &Verdict) -> Vec<String> {
    let mut sentences = vec![headline(trace, verdict)];
    sentences.extend(verdict.others.iter().map(passing));
    sentences.extend(verdict.ecn.iter().map(ecn));
    if verdict.outcome == Outcome::Changed && !matches!(verdict.reach, Reach::Told(_)) {
        sentences.push(format!("{}.", upper(&reach(&verdict.reach))));
    }
    if !verdict.shared.is_empty() {
        let hops: Vec<String> = verdict.shared.iter().map(u8::to_string).collect();
        let text = "several routers answered although all probes are of one flow: packets are shared out one by one, \
                    or the route changed meanwhile";
        sentences.push(format!("Hop {}: {text}.", hops.join(", ")));
    }
    if verdict.translated {
        sentences.push("Addresses or ports are translated on the way (NAT).".to_owned());
    }
    if trace.answered && !matches!(verdict.reach, Reach::Answered(_)) {
        let text = "answers with datagrams, which do not say how probes arrive; ask for a port on which nobody listens";
        sentences.push(format!("{} {text}.", trace.host));
    }
    if trace.unnumbered > 0 {
        let count = trace.unnumbered;
        sentences.push(format!(
            "{count} errors quote too little to tell which probe they are about; not counted."
        ));
    }
    sentences
}

/// What to do about it.
pub(super) fn fix(trace: &Trace<'_>, verdict: &Verdict) -> Option<String> {
    let port = trace.flow.local.port();
    match (&verdict.change, &verdict.reach) {
        (Some(change), _) if change.after.hop == 0 => Some(format!(
            "compare with a capture on this machine's interface: if probes leave it marked, let the access switch and \
             {} trust DSCP on this port; if not, a firewall or policy of this machine re-marks ({} UDP from port {port})",
            place(&change.before),
            trace.class
        )),
        (Some(change), _) => Some(format!(
            "look at the way out of {}, the way into {}, and switches or providers between them: trust DSCP there, or \
             re-mark {} (UDP, source ports of the plan) to {}",
            place(&change.after),
            place(&change.before),
            trace.class,
            label(trace.sent)
        )),
        (None, Reach::Told(_)) => None,
        (None, Reach::Answered(_)) => Some("ask for a port on which nobody listens: --port".to_owned()),
        (None, Reach::Refused(at, Refusal::Prohibited)) => Some(format!(
            "let {} pass UDP from port {port} to port {}, or ask for a port that it passes: --port",
            place(at),
            trace.flow.remote.port()
        )),
        (None, Reach::Refused(at, Refusal::Route)) => {
            Some(format!("ask at {} why there is no way to {}", place(at), trace.flow.remote.ip()))
        }
        (None, Reach::Silent(_)) => Some(format!(
            "firewalls often drop probes or errors: run `carillon probe listen` at {} to see how marks arrive there",
            trace.host
        )),
    }
}

fn headline(trace: &Trace<'_>, verdict: &Verdict) -> String {
    let sent = label(trace.sent);
    match (&verdict.change, verdict.outcome) {
        (Some(change), _) => {
            let silent = match change.before.hop - change.after.hop - 1 {
                0 => String::new(),
                1 => ", between which one hop does not tell".to_owned(),
                many => format!(", between which {many} hops do not tell"),
            };
            let (after, before) = (place(&change.after), place(&change.before));
            let (from, to) = (labels(&change.from), labels(&change.to));
            let lowest =
                if change.to.iter().any(|mark| mark.value() == 8) { " (worse than unmarked)" } else { "" };
            format!(
                "The mark changes after {after} and before {before}{silent}: from {from} to {to}{lowest}."
            )
        }
        (None, Outcome::Kept) => {
            format!("{} arrives at {} as it was sent: {sent}.", upper(trace.class.name()), trace.host)
        }
        (None, _) => format!("As far as hops tell, the mark {sent} lives; {}.", reach(&verdict.reach)),
    }
}

fn passing(change: &Change) -> String {
    let (after, before) = (place(&change.after), place(&change.before));
    let to = labels(&change.to);
    format!(
        "In passing: {before} quotes {to} after {from} at {after}; hops behind it quote otherwise again, so it \
             may rewrite only what it quotes, or share its place with another.",
        from = labels(&change.from)
    )
}

fn ecn(change: &EcnChange) -> String {
    let bits: Vec<&str> = change.to.iter().map(|ecn| ecn_name(*ecn)).collect();
    let (after, before) = (place(&change.after), place(&change.before));
    format!(
        "The ECN bits change after {after} and before {before} to {}: that is no change of the mark.",
        bits.join(" or ")
    )
}

fn reach(reach: &Reach) -> String {
    match reach {
        Reach::Told(at) => format!("{} told how the probe arrived", place(at)),
        Reach::Answered(at) => {
            format!("{} answered with a datagram, which does not say how the probe arrived", place(at))
        }
        Reach::Refused(at, Refusal::Prohibited) => format!("{} refuses probes (a filter)", place(at)),
        Reach::Refused(at, Refusal::Route) => format!("{} knows no way on", place(at)),
        Reach::Silent(at) if at.hop == 0 => "no hop answered at all".to_owned(),
        Reach::Silent(at) => format!("behind {} nobody answers", place(at)),
    }
}

fn place(point: &Point) -> String {
    match (point.hop, &point.addresses[..]) {
        (0, _) => "this machine".to_owned(),
        (hop, addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("hop {hop} ({})", addresses.join(", "))
        }
    }
}

fn labels(marks: &[Dscp]) -> String {
    marks.iter().map(|mark| label(*mark)).collect::<Vec<_>>().join(" or ")
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
