//! Firewalls: the smallest set of rules between any two zones, for nftables and as plain tables.
//!
//! What flows is one table, [`flows`]; the other modules only spell it. Only the side that begins is let through:
//! answers belong to what a stateful filter has seen begin.

mod csv;
mod flows;
mod markdown;
mod nft;
mod zone;

use super::{File, Guide, Order, Target, Unfit};
use flows::{Opening, Reading};

pub use zone::Zone;

pub(super) const TARGETS: &[Target] =
    &[Target { name: "firewall", title: "Firewall rules between roles: nftables, CSV, Markdown", make }];

/// More client ports than this deserve a question; the ranges of 20 to 25 ports that documents suggest need less.
const MANY_CLIENT_PORTS: u32 = 100;

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    Ok(files(order, &flows::of_plan(order)?))
}

/// The same with nothing but what passes between these two, in both directions.
///
/// # Errors
/// A plan that would open every port, or that has nothing between the two.
pub fn between(order: &Order<'_>, pair: [Zone; 2]) -> Result<Vec<File>, Unfit> {
    let mut openings = flows::of_plan(order)?;
    let [one, other] = pair;
    openings.retain(|opening| {
        let ends = (opening.from, opening.to);
        ends == (one, other) || ends == (other, one)
    });
    if openings.is_empty() {
        let name = order.plan.name();
        return Err(Unfit(format!(
            "by plan `{name}` nothing passes between {one} and {other}: no rule is needed"
        )));
    }
    Ok(files(order, &openings))
}

fn files(order: &Order<'_>, openings: &[Opening]) -> Vec<File> {
    let mut files = Vec::new();
    for reading in [Reading::Documentation, Reading::Article] {
        let chosen: Vec<&Opening> =
            openings.iter().filter(|opening| reading.includes(opening.reading)).collect();
        let disputed = openings.iter().any(|opening| opening.reading == Reading::Article);
        if reading == Reading::Documentation || disputed {
            let text = nft::text(order, &chosen, disputed.then_some(reading));
            files.push(file(reading.file(), text, nft_guide(order, reading, &chosen, disputed)));
        }
    }
    files.push(file("flows.csv", csv::text(openings), table_guide("for a spreadsheet or a script")));
    files.push(file(
        "flows.md",
        markdown::text(order, openings),
        table_guide("to be read and sent to whoever runs the firewall"),
    ));
    files
}

fn file(name: &str, text: String, guide: Guide) -> File {
    File { path: format!("firewall/{name}"), bytes: text.into_bytes(), guide: Some(guide) }
}

fn nft_guide(order: &Order<'_>, reading: Reading, openings: &[&Opening], disputed: bool) -> Guide {
    let name = reading.file();
    let mut purpose =
        "A Linux firewall between the zones of the plan: what the plan needs passes, the rest between them does not."
            .to_owned();
    let client_ports = flows::client_ports(order);
    let count: u32 = client_ports.iter().map(|range| range.count()).sum();
    if openings.iter().any(|opening| (opening.from, opening.to) == (Zone::Client, Zone::Client)) {
        purpose.push_str(&format!(" {count} ports between clients."));
    }
    if disputed {
        let ports = flows::ports_into(openings, Zone::EdgeExternal);
        purpose.push_str(&format!(" {}: {ports} ports from the Internet to the Edge.", reading.title()));
    }
    let mut limits = vec![
        "Only what goes between two zones is decided; other traffic is left to the firewall's other tables.".to_owned(),
        "Between two zones nothing else passes, and no other table can let it: no remote desktop, SSH, file sharing, \
         printing, sign-in to the domain. Give zones the narrowest networks that hold their hosts, keep what manages the \
         servers out of every zone, and first load the file with `counter` in place of `counter drop`."
            .to_owned(),
        "Reverse proxies, load balancers, directors, databases and DNS have no role in a plan: write their rules yourself."
            .to_owned(),
        "Answers pass because their flow was seen to begin: the way back must lead through the same firewall.".to_owned(),
    ];
    if count > MANY_CLIENT_PORTS {
        limits.push(format!(
            "The plan opens {count} ports between clients; {MANY_CLIENT_PORTS} are enough for most estates."
        ));
    }
    Guide {
        purpose,
        install: vec![
            format!("Copy `{name}` to `/etc/carillon/firewall.nft`."),
            "Write each zone's addresses into its line `define`; leave the zones empty that you don't have.".to_owned(),
            "Check it: `nft -c -f /etc/carillon/firewall.nft`. Load it: `nft -f /etc/carillon/firewall.nft`.".to_owned(),
            "At every start: `include \"/etc/carillon/firewall.nft\"` in `/etc/nftables.conf`.".to_owned(),
        ],
        roll_back: vec!["`nft delete table inet carillon_firewall`, and take the line `include` away.".to_owned()],
        check: vec![
            "`nft list table inet carillon_firewall`: the counters of the lines `drop` show what was refused.".to_owned(),
            "`carillon probe` proves each port of the plan between two hosts.".to_owned(),
        ],
        limits,
    }
}

fn table_guide(whom: &str) -> Guide {
    Guide {
        purpose: format!("Every flow between two roles with its ports and where that is written, {whom}."),
        install: vec!["Translate it into the words of your firewall: each line is one rule, in the direction of who begins.".to_owned()],
        roll_back: vec!["Remove those rules.".to_owned()],
        check: vec!["`carillon probe` proves each port of the plan between two hosts.".to_owned()],
        limits: vec![
            "Filters without state need each line a second time for the answers, with source and destination exchanged.".to_owned(),
            "Reverse proxies, load balancers, directors, databases and DNS have no role in a plan.".to_owned(),
        ],
    }
}
