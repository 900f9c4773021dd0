//! `carillon dscp`: one mark in every spelling, what Wi-Fi makes of it, and which class it serves.

use std::io::Write;

use carillon_qos::dscp::{binary, default_priority, has_name, hex, name, parse, tos_byte};
use carillon_qos::plan::{PRESETS, Scope};
use carillon_qos::{Plan, Role, TrafficClass};
use carillon_wire::ip::Dscp;
use serde::Serialize;

use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{FAINT, NAME, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;

/// Prints one mark, or all 64.
pub fn run(args: &args::Dscp, out: &mut dyn Write) -> Result<Answer, Failure> {
    let plans = serving_classes();
    match &args.mark {
        Some(text) => {
            let mark = parse(text).map_err(|error| Failure::Message(error.to_string()))?;
            let facts = Facts::of(mark, &plans);
            if args.json { print_json(&facts) } else { print_one(&facts, out) }
        }
        None => {
            let all: Vec<Facts> = (0..64).filter_map(Dscp::new).map(|mark| Facts::of(mark, &plans)).collect();
            if args.json { print_json(&all) } else { print_all(&all, out) }
        }
    }
}

/// Everything about one mark.
#[derive(Serialize)]
struct Facts {
    name: Option<String>,
    decimal: u8,
    hex: String,
    binary: String,
    tos: u8,
    tos_hex: String,
    priority_802_1p: u8,
    wifi_default: Wifi,
    wifi_rfc8325: Wifi,
    plans: Vec<Serves>,
}

/// What Wi-Fi makes of a mark.
#[derive(Serialize)]
struct Wifi {
    user_priority: u8,
    access_category: &'static str,
}

/// A class that a well-known plan gives this mark to.
#[derive(Clone, Serialize)]
struct Serves {
    plan: String,
    class: TrafficClass,
    #[serde(skip)]
    mark: Dscp,
}

impl Facts {
    fn of(mark: Dscp, plans: &[Serves]) -> Facts {
        Facts {
            name: has_name(mark).then(|| name(mark)),
            decimal: mark.value(),
            hex: hex(mark),
            binary: binary(mark),
            tos: tos_byte(mark),
            tos_hex: format!("0x{:02X}", tos_byte(mark)),
            priority_802_1p: default_priority(mark),
            wifi_default: Wifi::of(default_priority(mark)),
            wifi_rfc8325: Wifi::of(rfc8325_priority(mark)),
            plans: plans.iter().filter(|serves| serves.mark == mark).cloned().collect(),
        }
    }

    fn serves(&self) -> String {
        let mut classes: Vec<(TrafficClass, Vec<&str>)> = Vec::new();
        for Serves { plan, class, .. } in &self.plans {
            match classes.iter_mut().find(|(known, _)| known == class) {
                Some((_, plans)) => plans.push(plan),
                None => classes.push((*class, vec![plan])),
            }
        }
        let each = classes.iter().map(|(class, plans)| format!("{class} ({})", plans.join(", ")));
        each.collect::<Vec<_>>().join("; ")
    }
}

impl Wifi {
    /// IEEE 802.11: which of the four categories serves a user priority.
    fn of(user_priority: u8) -> Wifi {
        let access_category = match user_priority {
            6.. => "voice",
            4 | 5 => "video",
            0 | 3 => "best effort",
            _ => "background",
        };
        Wifi { user_priority, access_category }
    }
}

/// The user priority that RFC 8325 recommends (4, figure 1; RFC 8622 for lower effort). Marks that it does not
/// name get 0.
fn rfc8325_priority(mark: Dscp) -> u8 {
    match mark.value() {
        48 | 56 => 7,
        44 | 46 => 6,
        40 => 5,
        24 | 26 | 28 | 30 | 32 | 34 | 36 | 38 => 4,
        18 | 20 | 22 => 3,
        1 | 8 => 1,
        _ => 0,
    }
}

/// The classes of the presets, as their clients mark them.
fn serving_classes() -> Vec<Serves> {
    let mut all = Vec::new();
    for plan in PRESETS.iter().filter_map(|preset| Plan::preset(preset.name)) {
        let policy = plan.policy(Role::Client, &Scope::default());
        for class in TrafficClass::ALL {
            let mark = policy.mark(class);
            if mark != Dscp::DEFAULT {
                all.push(Serves { plan: plan.name().to_owned(), class, mark });
            }
        }
    }
    all
}

fn print_one(facts: &Facts, out: &mut dyn Write) -> Result<Answer, Failure> {
    let name = facts.name.as_deref().unwrap_or("no standard name");
    writeln!(out, "{STRONG}{name}{STRONG:#}  DSCP {}", facts.decimal)?;
    let wifi = |wifi: &Wifi| format!("priority {}, {} queue", wifi.user_priority, wifi.access_category);
    let rows = [
        ("hexadecimal", facts.hex.clone()),
        ("binary", facts.binary.clone()),
        ("traffic byte (TOS)", format!("{} ({})", facts.tos_hex, facts.tos)),
        ("802.1p if unmapped", facts.priority_802_1p.to_string()),
        ("Wi-Fi if unmapped", wifi(&facts.wifi_default)),
        ("Wi-Fi by RFC 8325", wifi(&facts.wifi_rfc8325)),
        ("serves", if facts.plans.is_empty() { "no class of the presets".into() } else { facts.serves() }),
    ];
    for (head, value) in rows {
        writeln!(out, "  {FAINT}{head:<20}{FAINT:#}{value}")?;
    }
    Ok(Answer::Yes)
}

fn print_all(all: &[Facts], out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut table = Table::new([
        Column::left("NAME"),
        Column::right("DECIMAL"),
        Column::left("HEX"),
        Column::left("BINARY"),
        Column::left("TOS"),
        Column::right("802.1P"),
        Column::left("WI-FI UNMAPPED").spare(2),
        Column::left("WI-FI RFC 8325").spare(1),
        Column::left("SERVES").spare(3),
    ]);
    for facts in all {
        table.row([
            Cell::styled(facts.name.as_deref().unwrap_or(""), NAME),
            facts.decimal.to_string().into(),
            (&facts.hex).into(),
            (&facts.binary).into(),
            (&facts.tos_hex).into(),
            facts.priority_802_1p.to_string().into(),
            facts.wifi_default.access_category.into(),
            facts.wifi_rfc8325.access_category.into(),
            facts.serves().into(),
        ]);
    }
    table.print(out, terminal_width())?;
    Ok(Answer::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wifi(text: &str) -> (u8, &'static str) {
        let wifi = Wifi::of(rfc8325_priority(parse(text).unwrap()));
        (wifi.user_priority, wifi.access_category)
    }

    #[test]
    fn wifi_serves_voice_as_voice_only_if_it_follows_rfc_8325() {
        assert_eq!(wifi("EF"), (6, "voice"));
        assert_eq!(Wifi::of(default_priority(Dscp::EF)).access_category, "video");
        assert_eq!((wifi("AF41"), wifi("CS5"), wifi("CS6")), ((4, "video"), (5, "video"), (7, "voice")));
        assert_eq!(
            (wifi("AF21"), wifi("CS2"), wifi("AF11")),
            ((3, "best effort"), (0, "best effort"), (0, "best effort"))
        );
        assert_eq!(
            (wifi("CS1"), wifi("LE"), wifi("7")),
            ((1, "background"), (1, "background"), (0, "best effort"))
        );
    }

    #[test]
    fn the_known_plans_give_ef_to_audio() {
        let facts = Facts::of(Dscp::EF, &serving_classes());
        assert!(!facts.plans.is_empty());
        assert!(facts.plans.iter().all(|serves| serves.class == TrafficClass::Audio), "{}", facts.serves());
    }
}
