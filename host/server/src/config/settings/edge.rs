//! Settings of an Edge.

use super::{ADMIN, Kind, LOG, METRICS, ROLES, Section, Setting, Unset};

/// Every section, in the order of the sample.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "", many: false, help: "", settings: TOP },
    Section {
        name: "addresses",
        many: false,
        help: "An Edge stands between two networks. Nothing but these two addresses is listened on.",
        settings: ADDRESSES,
    },
    Section {
        name: "relay",
        many: false,
        help: "The A/V Edge: STUN and TURN (RFC 8489, RFC 8656) on every address. Relay ports come from the plan,\n\
               `[edge] ports`, and are open on the external address only, while somebody needs them.",
        settings: RELAY,
    },
    Section {
        name: "tls",
        many: false,
        help: "The certificate that clients of the relay see over TLS.",
        settings: TLS,
    },
    Section {
        name: "credentials",
        many: false,
        help: "Who may use the relay: whoever shows a credential made with one of the secrets, for as long as it lasts.",
        settings: CREDENTIALS,
    },
    Section {
        name: "relay-users",
        many: true,
        help: "Users of the relay whose password never ends: for trials, and for devices that can't be given another one.",
        settings: RELAY_USERS,
    },
    ADMIN,
    METRICS,
    LOG,
    Section { name: "service", many: false, help: "How the service stops.", settings: SERVICE },
];

const TOP: &[Setting] = &[
    Setting { key: "role", kind: ROLES, unset: Unset::Required("\"edge\""), help: "What this server is." },
    Setting {
        key: "plan",
        kind: Kind::Text,
        unset: Unset::Required("\"lync-kloud\""),
        help: "The plan of ports and marks: the name of a preset (`carillon plan presets`), or a file. It must be that of\n\
               the Front Ends. Marks towards the inside need `mark-internal = true` in its section [edge].",
    },
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"edge.example.com\""),
        help: "The name of this Edge, or of the pool that it belongs to, towards the inside.",
    },
    Setting {
        key: "realm",
        kind: Kind::Text,
        unset: Unset::Follows { from: "`name`", example: "\"example.com\"" },
        help: "What clients of the relay are challenged with.",
    },
];

const ADDRESSES: &[Setting] = &[
    Setting {
        key: "external",
        kind: Kind::Text,
        unset: Unset::Required("\"203.0.113.5\""),
        help: "This machine's address towards the Internet.",
    },
    Setting {
        key: "external6",
        kind: Kind::Text,
        unset: Unset::Follows { from: "no IPv6 outside", example: "\"2001:db8::5\"" },
        help: "The same, of the other family.",
    },
    Setting {
        key: "public",
        kind: Kind::Text,
        unset: Unset::Follows { from: "`external`", example: "\"198.51.100.5\"" },
        help: "How the Internet sees `external`, where a router translates it one to one.",
    },
    Setting {
        key: "internal",
        kind: Kind::Text,
        unset: Unset::Follows { from: "no side of its own towards the inside", example: "\"10.0.0.5\"" },
        help: "This machine's address towards the inside.",
    },
    Setting {
        key: "inside",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "no network is inside: nothing is marked, and no private address is relayed to",
            example: "[\"10.0.0.0/8\"]",
        },
        help: "The networks behind `internal`. What leaves for them is marked by its class; what leaves for others is not,\n\
               unless the plan says `external = \"plan\"`. The relay speaks to private addresses in these networks only.",
    },
];

const RELAY: &[Setting] = &[
    Setting {
        key: "udp",
        kind: Kind::Number(65_535),
        unset: Unset::Default("3478"),
        help: "Port of STUN and TURN over UDP, for every class.",
    },
    Setting {
        key: "audio",
        kind: Kind::Number(65_535),
        unset: Unset::Default("3479"),
        help: "Port over UDP whose allocations are audio.",
    },
    Setting {
        key: "video",
        kind: Kind::Number(65_535),
        unset: Unset::Default("3480"),
        help: "Port over UDP whose allocations are video.",
    },
    Setting {
        key: "sharing",
        kind: Kind::Number(65_535),
        unset: Unset::Default("3481"),
        help: "Port over UDP whose allocations are sharing.",
    },
    Setting {
        key: "tcp",
        kind: Kind::Number(65_535),
        unset: Unset::Default("443"),
        help: "Port over TCP, for clients that no UDP passes to.",
    },
    Setting {
        key: "tls",
        kind: Kind::Number(65_535),
        unset: Unset::Default("5349"),
        help: "Port over TLS, with the certificate of [tls]; closed without one.",
    },
    Setting {
        key: "allocations",
        kind: Kind::Number(65_535),
        unset: Unset::Default("5000"),
        help: "Allocations at once; more are answered 508 (Insufficient Capacity).",
    },
    Setting {
        key: "allocations-per-user",
        kind: Kind::Number(65_535),
        unset: Unset::Default("20"),
        help: "Allocations of one user at once; more are answered 486 (Allocation Quota Reached).",
    },
    Setting {
        key: "bandwidth",
        kind: Kind::Number(10_000_000),
        unset: Unset::Default("3000"),
        help: "Kilobits a second of one allocation, in each direction. What is beyond is dropped and counted.",
    },
    Setting {
        key: "bandwidth-per-user",
        kind: Kind::Number(1_000_000_000),
        unset: Unset::Default("60000"),
        help: "Kilobits a second that the allocations of a user may be promised together; more are answered 486.",
    },
    Setting {
        key: "coalesce",
        kind: Kind::Number(1000),
        unset: Unset::Default("200"),
        help: "Microseconds that packets may wait for each other under load, which saves more than half of the work.\n\
               Nothing waits while there is little to do; 1 switches it off.",
    },
];

const TLS: &[Setting] = &[
    Setting {
        key: "certificate",
        kind: Kind::Text,
        unset: Unset::Follows { from: "no TURN over TLS", example: "\"/etc/carillon/fullchain.pem\"" },
        help: "File with the certificate and those between it and its root, as PEM.",
    },
    Setting {
        key: "key",
        kind: Kind::Text,
        unset: Unset::Follows { from: "no TURN over TLS", example: "\"/etc/carillon/privkey.pem\"" },
        help: "File with its private key, as PEM.",
    },
];

const CREDENTIALS: &[Setting] = &[Setting {
    key: "secrets",
    kind: Kind::Texts,
    unset: Unset::Follows {
        from: "only those of `relay-users` may use the relay",
        example: "[\"/etc/carillon/relay-secret\"]",
    },
    help: "Files, each with a secret in one line, as the Front Ends have it. The first one makes credentials; those\n\
           of the others still hold, so that a secret can be replaced. `openssl rand -base64 32` makes one.",
}];

const RELAY_USERS: &[Setting] = &[
    Setting { key: "name", kind: Kind::Text, unset: Unset::Required("\"trial\""), help: "The user name." },
    Setting {
        key: "password",
        kind: Kind::Text,
        unset: Unset::Required("\"correct horse battery staple\""),
        help: "The password.",
    },
];

const SERVICE: &[Setting] = &[Setting {
    key: "drain",
    kind: Kind::Number(86_400),
    unset: Unset::Default("30"),
    help: "On a stop, no new allocations are made; running ones are waited for, at most so many seconds.",
}];
