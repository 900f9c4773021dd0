//! Whether phones believe a chain.

use serde::Serialize;

use super::roots::{Firmware, Root, day, roots, weakness};
use super::{Certificate, common_name};

/// What ends within so many seconds is told.
const SOON: i64 = 30 * DAY;
const DAY: i64 = 86_400;

/// Whether a firmware believes a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// It has the root.
    Trusted,
    /// It has it not, or what it has holds no longer.
    Untrusted,
    /// Which root it is can't be told.
    Unknown,
}

/// How bad something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Phones turn away.
    Error,
    /// They will, or nobody should rely on it.
    Warning,
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// A name for programs.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub text: String,
    /// What helps.
    pub fix: String,
}

/// What a firmware makes of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Judgement {
    /// Whether it believes it.
    pub trust: Trust,
    /// The root that the chain leads to, if it is one of those that phones have ever had.
    pub root: Option<Root>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// Judges a chain, the server's own certificate first, at this time since 1970. Without a firmware the worst is assumed: the
/// roots of the first release. Roots that were `published` in the directory, or are handed out to who signs in by PIN, count
/// as well; phones fetch them when they are switched on.
pub fn judge(chain: &[Certificate], firmware: Option<Firmware>, published: &[String], now: i64) -> Judgement {
    let mut findings = order(chain);
    findings.extend(chain.iter().flat_map(|certificate| lasting(certificate, now)));
    let firmware = firmware.unwrap_or(Firmware([0; 4]));
    let (trust, root, of_root) = anchor(chain, firmware, published, now);
    findings.extend(of_root);
    let is_whole = findings.iter().all(|finding| finding.severity > Severity::Error);
    let trust = if trust == Trust::Trusted && !is_whole { Trust::Untrusted } else { trust };
    findings.sort_by_key(|finding| finding.severity);
    Judgement { trust, root, findings }
}

/// Each certificate must be made by the next.
fn order(chain: &[Certificate]) -> Vec<Finding> {
    let broken = chain.windows(2).filter(|pair| pair[0].issuer != pair[1].subject);
    let told = broken.map(|pair| Finding {
        code: "chain-out-of-order",
        severity: Severity::Error,
        text: format!(
            "{:?} was made by {:?}, and {:?} follows",
            pair[0].name(),
            common_name(&pair[0].issuer),
            pair[1].name()
        ),
        fix: "put the certificates into one file, the server's first, each followed by the one that made it"
            .to_owned(),
    });
    told.collect()
}

fn lasting(certificate: &Certificate, now: i64) -> Vec<Finding> {
    let name = certificate.name();
    let finding =
        |code, severity, text: String, fix: &str| Finding { code, severity, text, fix: fix.to_owned() };
    let renew =
        "ask for a new one, and check its chain against the phones with this command before it is assigned";
    let mut found = Vec::new();
    if now < certificate.begins {
        let text = format!("{name:?} holds only in {}", days(certificate.begins - now));
        found.push(finding("not-yet-valid", Severity::Error, text, "look at the clocks; otherwise wait"));
    }
    if certificate.ends <= now {
        let text = format!("{name:?} ended {} ago", days(now - certificate.ends));
        found.push(finding("expired", Severity::Error, text, renew));
    } else if certificate.ends < now + SOON {
        let text = format!("{name:?} ends in {}", days(certificate.ends - now));
        found.push(finding("expires-soon", Severity::Warning, text, renew));
    }
    // What a root says of itself is not what it is believed for.
    if let Some(why) = weakness(certificate.signature, certificate.bits).filter(|_| !certificate.is_root()) {
        found.push(finding("weak", Severity::Warning, format!("{name:?} has {why}"), renew));
    }
    found
}

/// The first certificate from the server upwards that a phone has, or the root that the chain names.
fn anchor(
    chain: &[Certificate],
    firmware: Firmware,
    published: &[String],
    now: i64,
) -> (Trust, Option<Root>, Vec<Finding>) {
    let Some(top) = chain.last() else {
        return (Trust::Unknown, None, vec![incomplete("there is no certificate")]);
    };
    // A certificate says itself until when it holds; the table is for those that are not there.
    let known: Vec<(Root, i64)> = chain
        .iter()
        .flat_map(|one| {
            roots().filter(|root| root.thumbprint == one.thumbprint).map(|root| (root, (one.ends - 1) / DAY))
        })
        .collect();
    let best = known.iter().find(|(root, _)| firmware.holds(root)).or(known.last()).copied();
    let named = || {
        let is = |root: &Root| {
            !top.is_root() && root.name == common_name(&top.issuer) && !root.has_expired(now / DAY)
        };
        roots().find(is).and_then(|root| Some((root, day(root.expires)?)))
    };
    if let Some((root, last)) = best.or_else(named) {
        let (trust, found) = of_root(&root, last, firmware, now / DAY);
        if trust == Trust::Trusted || !chain.iter().any(|one| published.contains(&one.thumbprint)) {
            return (trust, Some(root), found);
        }
        return (Trust::Trusted, Some(root), vec![restart()]);
    }
    if chain.iter().any(|one| published.contains(&one.thumbprint)) {
        return (Trust::Trusted, None, vec![restart()]);
    }
    if top.is_root() {
        return (Trust::Untrusted, None, vec![foreign(top)]);
    }
    let text = format!(
        "the chain ends with {:?}; {:?} made it and is not there",
        top.name(),
        common_name(&top.issuer)
    );
    (Trust::Unknown, None, vec![incomplete(&text)])
}

/// With the last day that it holds.
fn of_root(root: &Root, last: i64, firmware: Firmware, today: i64) -> (Trust, Vec<Finding>) {
    let error = |code, text, fix: &str| {
        (Trust::Untrusted, vec![Finding { code, severity: Severity::Error, text, fix: fix.to_owned() }])
    };
    let warning =
        |code, text, fix: &str| Finding { code, severity: Severity::Warning, text, fix: fix.to_owned() };
    if !firmware.holds(root) {
        let text =
            format!("the root {:?} came with {} ({}) only", root.name, root.added, root.added.firmware());
        return error("not-in-firmware", text, WITHOUT_ROOT);
    }
    if last < today {
        let text = format!("the phone's root {:?} ended {} ago", root.name, days((today - last) * DAY));
        return error("root-expired", text, WITHOUT_ROOT);
    }
    let left = (last - today) * DAY;
    let ends = (left <= SOON).then(|| {
        let text = format!("the phone's root {:?} ends in {}", root.name, days(left));
        warning(
            "root-expires-soon",
            text,
            "have the server's certificate made by another authority before that day",
        )
    });
    let weak = root.weakness().map(|why| {
        let text = format!("the root {:?} has {why}", root.name);
        warning(
            "root-weak",
            text,
            "have the server's certificate made by an authority that nobody can imitate",
        )
    });
    (Trust::Trusted, ends.into_iter().chain(weak).collect())
}

/// An update needs TLS, even where its address says http: a phone without the root can't be updated over the network.
const WITHOUT_ROOT: &str = "update the phones before the certificate is assigned: afterwards they get no update, for that needs TLS too, and \
ucupdates-r2 does not help. If it is too late: put the old certificate back until they are updated; or let them sign in by PIN, which \
fetches the root from the server (DHCP option 43); or publish the chain in the directory (carillon cert publish) and sign in over USB";

fn foreign(top: &Certificate) -> Finding {
    Finding {
        code: "private-authority",
        severity: Severity::Error,
        text: format!("no firmware has the root {:?}", top.name()),
        fix: "publish the chain in the directory (carillon cert publish), or let phones sign in by PIN, which fetches the root from the \
              server"
            .to_owned(),
    }
}

fn restart() -> Finding {
    Finding {
        code: "needs-restart",
        severity: Severity::Warning,
        text: "the phone has the root only after it has fetched it".to_owned(),
        fix: "switch the phone off and on: it fetches published roots when it starts".to_owned(),
    }
}

fn incomplete(text: &str) -> Finding {
    Finding {
        code: "chain-incomplete",
        severity: Severity::Warning,
        text: text.to_owned(),
        fix: "give every tier, the root too: as one file, or several in order".to_owned(),
    }
}

fn days(seconds: i64) -> String {
    match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests;
