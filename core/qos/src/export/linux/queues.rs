//! tc: HTB classes by mark on the way out of an interface, in the order in which traffic may be lost: the rest first,
//! audio last.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::super::{File, Guide, Order, Target, Unfit};
use super::origin;
use crate::class::TrafficClass;
use crate::dscp;
use crate::role::Role;

pub(super) const TARGET: Target =
    Target { name: "tc", title: "tc: queues by mark on Linux hosts and routers", make };

/// A queue: its class, the share of the link that it gets whatever else is sent, in percent, and its length in packets.
struct Queue {
    class: TrafficClass,
    share: u8,
    packets: u16,
}

/// In the order of priority. What a queue does not use of its share the others borrow, the first of them first.
const QUEUES: [Queue; 6] = [
    Queue { class: TrafficClass::Audio, share: 50, packets: 100 },
    Queue { class: TrafficClass::Video, share: 25, packets: 200 },
    Queue { class: TrafficClass::Signaling, share: 5, packets: 100 },
    Queue { class: TrafficClass::Sharing, share: 5, packets: 200 },
    Queue { class: TrafficClass::FileTransfer, share: 5, packets: 100 },
    Queue { class: TrafficClass::Management, share: 5, packets: 100 },
];

/// What is guaranteed to everything without a planned mark, so that nobody is locked out of a full link, in percent.
const REST: u8 = 5;

const UNIT: &str = "\
[Unit]
Description=Queues of Carillon's plan on %I (tc)
BindsTo=sys-subsystem-net-devices-%i.device
After=sys-subsystem-net-devices-%i.device

[Service]
Type=oneshot
RemainAfterExit=yes
# One line: KBIT=10000
EnvironmentFile=/etc/carillon/queues-%I
ExecStart=/usr/local/sbin/carillon-queues %I ${KBIT}
ExecStop=/usr/local/sbin/carillon-queues %I off

[Install]
WantedBy=sys-subsystem-net-devices-%i.device
";

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let marks = marks(order);
    if marks.is_empty() {
        return Err(Unfit(format!(
            "plan {} marks nothing here, so there is nothing to sort into queues",
            order.plan.name()
        )));
    }
    let file = |name: &str, text: String, guide| File {
        path: format!("linux/{name}"),
        bytes: text.into_bytes(),
        guide: Some(guide),
    };
    Ok(vec![
        file("carillon-queues.sh", script(order, &marks), script_guide()),
        file("carillon-queues-template.service", UNIT.to_owned(), unit_guide()),
    ])
}

/// The queue of each mark. A mark that several classes have goes with the first of them.
fn marks(order: &Order<'_>) -> BTreeMap<Dscp, usize> {
    let mut marks = BTreeMap::new();
    for (at, queue) in QUEUES.iter().enumerate() {
        let of_roles = Role::ALL.map(|role| order.plan.policy(role, &order.scope).mark(queue.class));
        for mark in of_roles.into_iter().filter(|mark| *mark != Dscp::DEFAULT) {
            marks.entry(mark).or_insert(at);
        }
    }
    marks
}

fn script(order: &Order<'_>, marks: &BTreeMap<Dscp, usize>) -> String {
    let mut text = format!(
        "#!/bin/sh\n# Queues by mark on the way out of one interface. Made by Carillon from {}.\n{HEAD}",
        origin(order)
    );
    text.push_str("# Number, share of the link in percent, priority, length in packets.\n");
    for (at, Queue { class, share, packets }) in QUEUES.iter().enumerate() {
        if marks.values().any(|used| *used == at) {
            text.push_str(&format!("class {} {share} {at} {packets} # {class}\n", number(at)));
        }
    }
    text.push_str(&format!("class 90 {REST} 7 100 # everything else\n{FAIR}\n"));
    text.push_str("# Traffic byte of the mark, number of the class.\n");
    for (mark, at) in marks {
        let (byte, label) = (dscp::tos_byte(*mark), dscp::label(*mark));
        text.push_str(&format!("marked 0x{byte:02x} {} # {label}\n", number(*at)));
    }
    text + "\ntrap - EXIT\n"
}

/// The number of a queue's class; 90 is the rest.
fn number(at: usize) -> usize {
    (at + 1) * 10
}

const HEAD: &str = r#"#
#   carillon-queues INTERFACE KBIT   sorts what leaves the interface; KBIT is what the link carries, in kbit/s
#   carillon-queues INTERFACE off    as before
#
# Give a little less than the link carries: then packets wait here, where they are sorted, and not behind it.
set -eu

usage() {
  echo "usage: carillon-queues INTERFACE KBIT|off (KBIT: 100 to 999999999)" >&2
  exit 2
}

[ $# -eq 2 ] || usage
interface=$1
rate=$2
case $interface in '' | -* | *[!A-Za-z0-9_.:@-]*) usage ;; esac
case $rate in
  off) tc qdisc del dev "$interface" root; exit ;;
  '' | 0* | ??????????* | *[!0-9]*) usage ;;
esac
[ "$rate" -ge 100 ] || usage

class() {
  tc class add dev "$interface" parent 1:1 classid "1:$1" htb \
    rate "$((rate * $2 / 100))kbit" ceil "${rate}kbit" prio "$3" quantum 1514
  tc qdisc add dev "$interface" parent "1:$1" handle "$1:" pfifo limit "$4"
}

# Both IP versions: a filter sees one of them.
marked() {
  tc filter add dev "$interface" parent 1: protocol ip prio 1 u32 match ip dsfield "$1" 0xfc flowid "1:$2"
  tc filter add dev "$interface" parent 1: protocol ipv6 prio 2 u32 match ip6 priority "$1" 0xfc flowid "1:$2"
}

# There may be nothing to take away.
tc qdisc del dev "$interface" root 2> /dev/null || true
# Half of it would be worse than nothing.
trap 'tc qdisc del dev "$interface" root 2> /dev/null || true' EXIT
tc qdisc add dev "$interface" root handle 1: htb default 90
tc class add dev "$interface" parent 1: classid 1:1 htb rate "${rate}kbit" ceil "${rate}kbit"

"#;

/// One download should not make all others wait.
const FAIR: &str = r#"# Where the kernel has it, one flow of the rest does not make the others wait.
tc qdisc replace dev "$interface" parent 1:90 fq_codel 2> /dev/null || true
"#;

fn texts<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).to_vec()
}

fn script_guide() -> Guide {
    Guide {
        purpose: "Sorts what leaves one interface of a Linux host or router by its marks: audio waits for nobody, what is \
            not marked waits for all, and has its share."
            .to_owned(),
        install: texts([
            "Copy `carillon-queues.sh` to `/usr/local/sbin/carillon-queues`; `chmod 755` it.",
            "Load it on the way to the narrow link: `carillon-queues eth0 9500` for a link of 10 Mbit/s.",
            "At every start: install `carillon-queues-template.service` as its own guide says.",
        ]),
        roll_back: texts(["`carillon-queues eth0 off`"]),
        check: texts([
            "`tc -s class show dev eth0`: class 1:10 (audio) has sent packets and dropped none, also on a full link.",
        ]),
        limits: texts([
            "Only what leaves is sorted; the other side of the link needs its own queues.",
            "Marks are believed. Where hosts mark what they like, mark on this host first (target `nftables`).",
            "The interface's present root queue is replaced. Tagged VLAN frames are sorted on the VLAN's own interface.",
            "Audio that is more than the link carries is lost like everything else: count calls before.",
        ]),
    }
}

fn unit_guide() -> Guide {
    Guide {
        purpose: "Loads the queues of one interface whenever it appears.".to_owned(),
        install: texts([
            "Copy `carillon-queues-template.service` to `/etc/systemd/system/carillon-queues@.service`.",
            "Write the link's rate into `/etc/carillon/queues-eth0`: `KBIT=9500`.",
            "`systemctl daemon-reload && systemctl enable --now carillon-queues@eth0`",
        ]),
        roll_back: texts(["`systemctl disable --now carillon-queues@eth0` takes the queues away too."]),
        check: texts(["`systemctl status carillon-queues@eth0` says `active (exited)`."]),
        limits: texts([
            "In the unit's name, `-` in the name of an interface is written `\\x2d` (`systemd-escape`).",
        ]),
    }
}
