//! nftables: marks on what a host sends, and on what a router forwards.

use super::super::{File, Guide, Order, Target, Unfit, rules};
use super::origin;
use super::table::{TABLE, answered, bleaching, same_packets, statements, without_programs};
use crate::plan::EdgeExternal;
use crate::role::Role;
use crate::rule::MarkingRule;

pub(super) const TARGET: Target =
    Target { name: "nftables", title: "nftables: marks on Linux hosts and routers", make };

/// Roles whose hosts can run Linux.
const ROLES: [Role; 6] =
    [Role::Client, Role::Conferencing, Role::Application, Role::Mediation, Role::Edge, Role::Gateway];

/// Roles that share a router's sets of addresses.
const SERVERS: [Role; 4] = [Role::Conferencing, Role::Application, Role::Mediation, Role::Gateway];

const UNIT: &str = "\
[Unit]
Description=Marks of Carillon's plan (nftables)
DefaultDependencies=no
# A ruleset of the system that begins with `flush ruleset` would take ours away.
After=local-fs.target nftables.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/carillon/marks.nft
ExecReload=/usr/sbin/nft -f /etc/carillon/marks.nft
ExecStop=/usr/sbin/nft delete table inet carillon_marks

[Install]
WantedBy=sysinit.target
";

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let mut files = Vec::new();
    for role in ROLES {
        let rules = without_programs(rules::of_role(order, role)?);
        if !rules.is_empty() {
            files.push(file(
                &format!("marks-{role}.nft"),
                host(order, role, &rules),
                host_guide(order, role),
            ));
        }
    }
    if files.is_empty() {
        return Err(Unfit(format!(
            "plan {} has no class with both ports and a mark: there is nothing to mark by ports",
            order.plan.name()
        )));
    }
    let forwarded = Forwarded::of(order)?;
    for (name, bleach) in [("marks-router.nft", false), ("marks-router-strict.nft", true)] {
        files.push(file(name, forwarded.text(order, bleach), router_guide(bleach)));
    }
    files.push(file("carillon-marks.service", UNIT.to_owned(), unit_guide()));
    Ok(files)
}

fn file(name: &str, text: String, guide: Guide) -> File {
    File { path: format!("linux/{name}"), bytes: text.into_bytes(), guide: Some(guide) }
}

/// The rules of one role in its hosts' output.
fn host(order: &Order<'_>, role: Role, rules: &[MarkingRule]) -> String {
    let inside = role == Role::Edge && order.plan.edge_external() == EdgeExternal::None;
    let (defines, place) = if inside {
        (
            "\n# The interfaces towards the inside; nothing is marked on the others.\ndefine inside = { \"eth0\" }\n",
            "oifname $inside ",
        )
    } else {
        ("", "")
    };
    let mut text = head(order, &format!("Marks of what hosts with the role {role} send"), defines);
    text.push_str("    chain output {\n        type route hook output priority mangle; policy accept;\n");
    text.push_str(PROGRAM);
    for rule in rules {
        text.push_str(&statements(rule, place, place));
    }
    text + "    }\n}\n"
}

/// Programs are told by their control group; it has to be there when the file is loaded, so it is only a hint.
const PROGRAM: &str = "        # One service only: put `socket cgroupv2 level 2 \"system.slice/NAME.service\"` in front of its rules.\n";

/// The first lines, up to the chains. The table is named, deleted and made: one transaction, whether it was there or
/// not.
fn head(order: &Order<'_>, title: &str, defines: &str) -> String {
    format!(
        "#!/usr/sbin/nft -f\n# {title}. Made by Carillon from {}.\n\
         # Loading it again replaces this table and touches no other.\n{defines}\n\
         table {TABLE}\ndelete table {TABLE}\n\ntable {TABLE} {{\n",
        origin(order)
    )
}

/// What a router marks. Ranges of clients are told by ports alone, in both directions. Those of servers are as wide as
/// the ports that any program may get, so that the servers' addresses have to be given; they go first, for a client's
/// range may lie inside one of another class.
struct Forwarded {
    by_ports: Vec<MarkingRule>,
    from_servers: Vec<MarkingRule>,
}

impl Forwarded {
    fn of(order: &Order<'_>) -> Result<Forwarded, Unfit> {
        let clients = without_programs(rules::of_role(order, Role::Client)?);
        let answers: Vec<MarkingRule> = clients.iter().map(answered).collect();
        let mut from_servers: Vec<MarkingRule> = Vec::new();
        for role in SERVERS {
            for rule in rules::of_role(order, role)? {
                if !from_servers.iter().any(|other| same_packets(other, &rule)) {
                    from_servers.push(rule);
                }
            }
        }
        Ok(Forwarded { by_ports: [clients, answers].concat(), from_servers })
    }

    fn text(&self, order: &Order<'_>, bleach: bool) -> String {
        let title = if bleach {
            "Marks of what a router forwards; whatever is not planned loses its mark"
        } else {
            "Marks of what a router forwards"
        };
        let defines = if self.from_servers.is_empty() { String::new() } else { server_defines(order) };
        let mut text = head(order, title, &defines);
        if !self.from_servers.is_empty() {
            text.push_str(SERVER_SETS);
        }
        text.push_str(
            "    chain forward {\n        type filter hook forward priority mangle; policy accept;\n",
        );
        for rule in &self.from_servers {
            text.push_str(&statements(rule, "ip saddr @servers4 ", "ip6 saddr @servers6 "));
            text.push_str(&statements(&answered(rule), "ip daddr @servers4 ", "ip6 daddr @servers6 "));
        }
        for rule in &self.by_ports {
            text.push_str(&statements(rule, "", ""));
        }
        if bleach {
            text.push_str(&bleaching());
        }
        text + "    }\n}\n"
    }
}

/// The plan's networks of servers; who has none in the plan writes them here.
fn server_defines(order: &Order<'_>) -> String {
    let list = |is_v4: bool| {
        let networks = order.plan.server_networks().iter().filter(|one| one.address().is_ipv4() == is_v4);
        let networks: Vec<String> = networks.map(ToString::to_string).collect();
        if networks.is_empty() { String::new() } else { format!("{} ", networks.join(", ")) }
    };
    format!(
        "\n# Addresses and networks of servers and gateways, with commas between them (`servers.networks` in the plan). \
         While these\n# are empty, only what clients send and get is marked.\n\
         define servers4 = {{ {}}}\ndefine servers6 = {{ {}}}\n",
        list(true),
        list(false)
    )
}

const SERVER_SETS: &str = "    set servers4 {
        type ipv4_addr; flags interval; auto-merge;
        elements = $servers4
    }
    set servers6 {
        type ipv6_addr; flags interval; auto-merge;
        elements = $servers6
    }
";

fn texts<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).to_vec()
}

fn host_guide(order: &Order<'_>, role: Role) -> Guide {
    let name = format!("marks-{role}.nft");
    let mut install = vec![
        format!("Copy `{name}` to `/etc/carillon/marks.nft`."),
        "Check and load it: `nft -c -f /etc/carillon/marks.nft && nft -f /etc/carillon/marks.nft`."
            .to_owned(),
        "At every start: install `carillon-marks.service` as its own guide says.".to_owned(),
    ];
    if role == Role::Edge && order.plan.edge_external() == EdgeExternal::None {
        install.insert(1, "Write the inner interfaces into the line `define inside`.".to_owned());
    }
    let mut limits = texts([
        "Tried with nftables 1.0.6.",
        "Every program's packets are matched, by their ports; nftables knows no names of programs.",
        "A host needs the kernel's nftables with `inet` tables; in a container the rules belong to its own network.",
    ]);
    limits.extend(rules::unmarked_signaling(order, role));
    Guide {
        purpose: format!("Marks, over IPv4 and IPv6, what Linux hosts with the role {role} send."),
        install,
        ..marks_guide(limits)
    }
}

fn router_guide(bleach: bool) -> Guide {
    let name = if bleach { "marks-router-strict.nft" } else { "marks-router.nft" };
    let what = if bleach {
        "Marks what a Linux router forwards, in both directions, and takes the mark off everything else."
    } else {
        "Marks what a Linux router forwards, in both directions, whatever its senders have marked; the rest keeps its mark."
    };
    let mut limits = texts([
        "Clients are told by their ports alone: another program that uses them is marked too.",
        "Packets that a flow table, a bridge or hardware forwards past the chain `forward` are not seen.",
        "Media through a relay with one port for everything is marked only on its side towards a client.",
    ]);
    if bleach {
        limits.push(
            "Marks of other applications, and of routing protocols that are forwarded, are lost as well."
                .to_owned(),
        );
    }
    Guide {
        purpose: format!("{what} For networks whose hosts cannot mark or are not trusted to do so."),
        install: vec![
            format!("Copy `{name}` to `/etc/carillon/marks.nft` on the router."),
            "Write the servers' networks into `define servers4` and `define servers6`, if the file has these lines and \
             the plan has no `servers.networks`."
                .to_owned(),
            "Check and load it: `nft -c -f /etc/carillon/marks.nft && nft -f /etc/carillon/marks.nft`."
                .to_owned(),
            "At every start: install `carillon-marks.service` as its own guide says.".to_owned(),
        ],
        ..marks_guide(limits)
    }
}

/// What all these files have in common.
fn marks_guide(limits: Vec<String>) -> Guide {
    Guide {
        roll_back: texts([
            "`nft delete table inet carillon_marks`",
            "`systemctl disable carillon-marks`, if it was enabled.",
        ]),
        check: texts([
            "`nft list table inet carillon_marks` shows the rules.",
            "Capture a call where it leaves the host: `carillon verify CAPTURE --plan PLAN`.",
            "`nft list ruleset > FILE` and `carillon plan check FILE --plan PLAN` compare what is loaded with the plan.",
        ]),
        limits,
        ..Guide::default()
    }
}

fn unit_guide() -> Guide {
    Guide {
        purpose: "Loads `/etc/carillon/marks.nft` whenever the host starts, before its network.".to_owned(),
        install: texts([
            "Copy one of the files `marks-….nft` to `/etc/carillon/marks.nft`.",
            "Copy `carillon-marks.service` to `/etc/systemd/system/`.",
            "`systemctl daemon-reload && systemctl enable --now carillon-marks`",
        ]),
        roll_back: texts(["`systemctl disable --now carillon-marks` takes the rules away too."]),
        check: texts(["`systemctl status carillon-marks` says `active (exited)`."]),
        limits: texts([
            "A later `nft flush ruleset` by another program takes the rules away; `systemctl restart carillon-marks` brings them back.",
        ]),
    }
}
