//! Whether an Edge proves itself as it should: by the name of its pool, with the same key on all machines, for long enough.

use std::time::Duration;

use super::cause::Cause;
use super::found::{Found, Kind, State};
use super::observed::{Certificate, Facts, Legacy, Machine, Side};

/// What ends sooner is told.
const SOON: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn judge(machine: &Machine, all: &[Machine], now: Duration) -> Vec<Found> {
    let mut found = Vec::new();
    for certificate in &machine.certificates {
        found.push(of(certificate, machine, all, now));
        found.extend(names(certificate));
        found.extend(certificate.legacy.as_ref().map(|legacy| alarm(certificate, legacy)));
        let new = found.iter_mut().rev().take_while(|one| one.about.door.is_none());
        new.for_each(|one| one.about.door = Some((true, certificate.door)));
    }
    found
}

/// The worst that is wrong with it.
fn of(certificate: &Certificate, machine: &Machine, all: &[Machine], now: Duration) -> Found {
    let bad = |cause, text, fix: &str| Found::bad(Kind::Certificate, certificate.place(), cause, text, fix);
    let facts = match &certificate.facts {
        Ok(facts) => facts,
        Err(why) => {
            let fix = "see whether its files are there and may be read:\ncarillon check-config /etc/carillon/edge.toml";
            return bad(Cause::CertificateUnseen, why.clone(), fix);
        }
    };
    let wanted = &certificate.wanted;
    if !is_for(facts, wanted, certificate.side) {
        let text = format!("it is for {}, not for {wanted}", whom(facts));
        return bad(Cause::CertificateForAnother, text, &request(certificate));
    }
    if certificate.side == Side::Outside && facts.names.is_empty() {
        let text =
            format!("it is for {wanted} by its common name only; clients go by alternative names (RFC 9525)");
        return bad(Cause::CertificateWithoutNames, text, &request(certificate));
    }
    if facts.ends <= now {
        let text = format!("it ended {} ago", days(now - facts.ends));
        return bad(Cause::CertificateEnded, text, &request(certificate));
    }
    if facts.trusted == Some(false) {
        let text = format!("{} made it, and is none of the configured authorities", facts.issuer);
        let fix = "if that is a proxy or content scanner on the way, let it pass this port unopened; otherwise add the authority \
                   to `trusted`, or ask the right one for a certificate";
        return bad(Cause::CertificateNotTrusted, text, fix);
    }
    match differing(certificate, facts, machine, all) {
        Some(other) => {
            let text =
                format!("its key is another than that of {other}: every machine of a pool shows the same");
            bad(Cause::KeysDiffer, text, "put the same certificate and key on all machines of the pool")
        }
        None => lasting(certificate, facts, now),
    }
}

fn lasting(certificate: &Certificate, facts: &Facts, now: Duration) -> Found {
    let left = days(facts.ends.saturating_sub(now));
    if facts.ends < now + SOON {
        let (text, fix) = (format!("it ends in {left}"), request(certificate));
        return Found::new(
            Kind::Certificate,
            certificate.place(),
            State::Warning,
            Some(Cause::CertificateEnds),
            text,
            fix,
        );
    }
    let text = match certificate.side {
        Side::Inside => format!("for {}, by {}, for {left}", certificate.wanted, facts.issuer),
        // Clients outside are told the relay by those who know it: nobody asks the certificate for it.
        Side::Outside => format!(
            "for {}, by {}, for {left}; the name of the A/V Edge need not be on it",
            certificate.wanted, facts.issuer
        ),
    };
    Found::good(Kind::Certificate, certificate.place(), text)
}

/// Towards the inside by its common name, which phones and servers of 2013 go by; outside by any of its names.
pub(crate) fn is_for(facts: &Facts, wanted: &str, side: Side) -> bool {
    let same = |name: &str| name.eq_ignore_ascii_case(wanted);
    let named = facts.names.iter().any(|name| same(name) || covers(name, wanted));
    match side {
        Side::Inside => same(&facts.common_name) && (named || facts.names.is_empty()),
        Side::Outside => named || facts.names.is_empty() && same(&facts.common_name),
    }
}

/// `*.example.com` covers one label.
fn covers(pattern: &str, name: &str) -> bool {
    let rest = pattern.strip_prefix("*.").zip(name.split_once('.'));
    rest.is_some_and(|(domain, (_, of))| domain.eq_ignore_ascii_case(of))
}

fn whom(facts: &Facts) -> String {
    let names = facts.names.iter().filter(|name| !name.eq_ignore_ascii_case(&facts.common_name));
    let all: Vec<&str> =
        std::iter::once(facts.common_name.as_str()).chain(names.map(String::as_str)).collect();
    all.join(", ")
}

/// The first machine of the pool that shows another key towards the inside.
fn differing<'a>(
    certificate: &Certificate,
    facts: &Facts,
    machine: &Machine,
    all: &'a [Machine],
) -> Option<&'a str> {
    let others = all.iter().filter(|other| other.pool == machine.pool && other.name != machine.name);
    let differs = |other: &&Machine| {
        let same_service = |theirs: &&Certificate| {
            theirs.side == Side::Inside && theirs.door.port() == certificate.door.port()
        };
        let theirs = other.certificates.iter().filter(same_service);
        theirs.filter_map(|theirs| theirs.facts.as_ref().ok()).any(|theirs| theirs.key != facts.key)
    };
    let inside = certificate.side == Side::Inside;
    others.filter(|_| inside).find(|other| differs(other)).map(|other| other.name.as_str())
}

/// The rule of 2013 wants none; our own servers go by either.
fn names(certificate: &Certificate) -> Option<Found> {
    let facts = certificate.facts.as_ref().ok()?;
    if certificate.side != Side::Inside || facts.names.is_empty() {
        return None;
    }
    let text = format!(
        "it has alternative names ({}): Lync wants none on an internal Edge certificate, Carillon's servers take both",
        facts.names.join(", ")
    );
    let fix = "leave it as it is, unless Lync servers are to connect here";
    let cause = Some(Cause::AlternativeNames);
    Some(Found::new(Kind::Certificate, certificate.place(), State::Warning, cause, text, fix))
}

fn alarm(certificate: &Certificate, legacy: &Legacy) -> Found {
    let (place, Legacy { name, accepted }) = (certificate.place(), legacy);
    if *accepted {
        return Found::good(
            Kind::Certificate,
            place,
            format!("asked for as {name}: no alarm, it is for that name too"),
        );
    }
    let text = format!(
        "asked for as {name}: a tester that uses the name of the machine sees a wrong certificate (Schannel 36884). Clients \
         and servers ask for {}, and are right",
        certificate.wanted
    );
    Found::new(Kind::Certificate, place, State::FalseAlarm, Some(Cause::FalseAlarm), text, "nothing")
}

fn request(certificate: &Certificate) -> String {
    let name = &certificate.wanted;
    format!(
        "ask the authority for another one, and put it on every machine of the pool:\n\
         openssl req -new -newkey rsa:2048 -nodes -keyout edge.key -out edge.csr -subj /CN={name} -addext subjectAltName=DNS:{name}"
    )
}

fn days(time: Duration) -> String {
    match time.as_secs() / 86_400 {
        1 => "a day".to_owned(),
        0 => "less than a day".to_owned(),
        days => format!("{days} days"),
    }
}

impl Certificate {
    fn place(&self) -> String {
        format!("TLS {}", self.door)
    }
}
