//! Settings of a Front End.

use super::{ADMIN, Kind, LOG, METRICS, ROLES, Section, Setting, Unset};

/// Every section, in the order of the sample.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "", many: false, help: "", settings: TOP },
    Section {
        name: "listeners",
        many: true,
        help: "Where SIP is spoken; one block for each place. Without any block: TLS on every address, port 5061.\n\
               Plain UDP and TCP are off until a block switches them on: whoever reads the network reads them too.",
        settings: LISTENERS,
    },
    Section { name: "tls", many: false, help: "The certificate that phones see.", settings: TLS },
    Section {
        name: "registrations",
        many: false,
        help: "How long a phone stays signed in without a word, in seconds.",
        settings: REGISTRATIONS,
    },
    Section {
        name: "limits",
        many: false,
        help: "What is refused beyond a number, so that memory is bounded. Calls and registrations beyond it are\n\
               answered 503 with Retry-After and counted.",
        settings: LIMITS,
    },
    ADMIN,
    METRICS,
    LOG,
    Section { name: "service", many: false, help: "How the service stops.", settings: SERVICE },
];

const TOP: &[Setting] = &[
    Setting {
        key: "role",
        kind: ROLES,
        unset: Unset::Default("\"front-end\""),
        help: "What this server is. An Edge has other keys: `carillon check-config --sample edge`.",
    },
    Setting {
        key: "domains",
        kind: Kind::Texts,
        unset: Unset::Required("[\"example.com\"]"),
        help: "What stands behind the @ of this server's users. The first one is the main one.",
    },
    Setting {
        key: "plan",
        kind: Kind::Text,
        unset: Unset::Required("\"lync-kloud\""),
        help: "The plan of ports and marks: the name of a preset (`carillon plan presets`), or a file.\n\
               An administrator may put another one while the server runs; whichever changed last holds.",
    },
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"sip.example.com\""),
        help: "The name or address under which phones reach this server. Our own certificates carry it.",
    },
    Setting {
        key: "realm",
        kind: Kind::Text,
        unset: Unset::Follows { from: "the first domain", example: "\"example.com\"" },
        help: "What passwords are hashed with. It cannot change while there are users.",
    },
    Setting {
        key: "store",
        kind: Kind::Text,
        unset: Unset::Default("\"/var/lib/carillon/carillon.db\""),
        help: "The file of users, registrations, versions of the plan and the audit.",
    },
];

const LISTENERS: &[Setting] = &[
    Setting {
        key: "transport",
        kind: Kind::Word(&["tls", "tcp", "udp"]),
        unset: Unset::Required("\"tls\""),
        help: "What is spoken there.",
    },
    Setting {
        key: "address",
        kind: Kind::Text,
        unset: Unset::Default("\"::\""),
        help: "The IP address. `::` is every address, IPv4 and IPv6; `0.0.0.0` every IPv4 address.",
    },
    Setting {
        key: "port",
        kind: Kind::Number(65535),
        unset: Unset::Follows { from: "5061 for tls, 5060 for tcp and udp", example: "5061" },
        help: "The port.",
    },
    Setting {
        key: "advertised",
        kind: Kind::Text,
        unset: Unset::Follows { from: "`name` with the port", example: "\"sip.example.com:5061\"" },
        help: "How phones reach it, where that differs: behind a translation of addresses or a balancer.",
    },
    Setting {
        key: "digest",
        kind: Kind::Word(&["md5", "sha-256", "both"]),
        unset: Unset::Default("\"md5\""),
        help: "How passwords are proved. Some phones refuse every challenge in which SHA-256 is named.",
    },
];

const TLS: &[Setting] = &[
    Setting {
        key: "certificate",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "one of our own authority",
            example: "\"/etc/carillon/fullchain.pem\"",
        },
        help: "File with the certificate and those between it and its root, as PEM. It is read again on reload.",
    },
    Setting {
        key: "key",
        kind: Kind::Text,
        unset: Unset::Follows { from: "one of our own authority", example: "\"/etc/carillon/privkey.pem\"" },
        help: "File with its private key, as PEM.",
    },
    Setting {
        key: "authority",
        kind: Kind::Text,
        unset: Unset::Default("\"/var/lib/carillon/authority\""),
        help: "Directory of our own authority, made on the first start if no certificate is named.\n\
               Phones must trust its ca.pem.",
    },
    Setting {
        key: "trusted",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "our own authority, if the certificate is of it; otherwise no server is connected to over TLS",
            example: "[\"/etc/carillon/peers.pem\"]",
        },
        help: "Files with the authorities of servers that this one connects to, as PEM: proxies that phones registered\n\
               through (Path). Our own is trusted too. Such a server must prove the address at which it is reached.",
    },
];

const REGISTRATIONS: &[Setting] = &[
    Setting {
        key: "min",
        kind: Kind::Number(86_400),
        unset: Unset::Default("60"),
        help: "Who asks for less gets 423 (Interval Too Brief).",
    },
    Setting {
        key: "default",
        kind: Kind::Number(604_800),
        unset: Unset::Default("3600"),
        help: "For who does not ask for anything.",
    },
    Setting {
        key: "max",
        kind: Kind::Number(604_800),
        unset: Unset::Default("86400"),
        help: "Who asks for more gets this.",
    },
];

const LIMITS: &[Setting] = &[
    Setting {
        key: "connections",
        kind: Kind::Number(1_000_000),
        unset: Unset::Default("20000"),
        help: "Connections over TCP and TLS together.",
    },
    Setting {
        key: "unproven-per-source",
        kind: Kind::Number(1_000_000),
        unset: Unset::Default("1000"),
        help: "Of these, those of one IPv4 address or IPv6 network of 64 bits that have not proven who they are: phones\n\
               behind one translation of addresses that all come back at once.",
    },
    Setting {
        key: "calls",
        kind: Kind::Number(1_000_000),
        unset: Unset::Default("50000"),
        help: "Calls that are up.",
    },
    Setting {
        key: "transactions",
        kind: Kind::Number(10_000_000),
        unset: Unset::Default("500000"),
        help: "Requests and their copies that wait for an answer or may be repeated; calls that are up have a quarter more.",
    },
    Setting {
        key: "waiting",
        kind: Kind::Number(65_536),
        unset: Unset::Default("256"),
        help: "Megabytes of requests that wait for an answer; as many again may wait on connections.",
    },
    Setting {
        key: "body",
        kind: Kind::Number(67_108_864),
        unset: Unset::Default("1048576"),
        help: "Bytes of the body of a message; what is larger is answered 513 (Message Too Large).",
    },
];

const SERVICE: &[Setting] = &[Setting {
    key: "drain",
    kind: Kind::Number(3600),
    unset: Unset::Default("30"),
    help: "On a stop, new calls are refused at once; running ones are waited for, at most so many seconds.",
}];
