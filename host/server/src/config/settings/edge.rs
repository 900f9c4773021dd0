//! Settings of an Edge.

use super::{ADMIN, Kind, LOG, METRICS, Occurs, ROLES, Section, Setting, Unset};

/// Every section, in the order of the sample.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "", occurs: Occurs::Once, help: "", settings: TOP },
    Section {
        name: "addresses",
        occurs: Occurs::Once,
        help: "An Edge stands between two networks. Nothing but these addresses is listened on. With one address towards the\n\
               Internet, 443 on it is the A/V Edge's, and the others have ports of their own; with one for each service, every\n\
               service has 443.",
        settings: ADDRESSES,
    },
    Section {
        name: "relay",
        occurs: Occurs::Once,
        help: "The A/V Edge: STUN and TURN (RFC 8489, RFC 8656) on every address. Relay ports come from the plan,\n\
               `[edge] ports`, and are open on the external address only, while somebody needs them.",
        settings: RELAY,
    },
    Section {
        name: "access",
        occurs: Occurs::Optional,
        help: "The Access Edge: SIP over TLS for clients outside and for other domains. It knows no users; who signs in is\n\
               asked by the servers inside. Clients and partners see the certificate of [tls]; the inside sees that of\n\
               [internal-tls].",
        settings: ACCESS,
    },
    Section {
        name: "partners",
        occurs: Occurs::Repeated,
        help: "Other domains that ours talk to; no other is let in or reached. Their Edges must show a certificate that names\n\
               the domain.",
        settings: PARTNERS,
    },
    Section {
        name: "tls",
        occurs: Occurs::Once,
        help: "The certificate that clients of the relay see over TLS.",
        settings: TLS,
    },
    Section {
        name: "internal-tls",
        occurs: Occurs::Optional,
        help: "What this Edge proves itself with towards the inside, and whom it believes there. Both ends of every connection\n\
               between servers prove themselves.",
        settings: INTERNAL_TLS,
    },
    Section {
        name: "web-conferencing",
        occurs: Occurs::Optional,
        help: "The Web Conferencing Edge: connections of web conferences pass from outside to the inside, TLS on both sides (with\n\
               the certificates of [tls] and [internal-tls]). Marked towards the inside as sharing.",
        settings: WEB_CONFERENCING,
    },
    Section {
        name: "replica",
        occurs: Occurs::Optional,
        help: "The Replica: takes the plan from a Front End, over HTTPS on `addresses.internal`, and keeps it. Once one has come, the\n\
               `plan` above counts for nothing. Needs [internal-tls].",
        settings: REPLICA,
    },
    Section {
        name: "credentials",
        occurs: Occurs::Once,
        help: "Who may use the relay: whoever shows a credential made with one of the secrets, for as long as it lasts.",
        settings: CREDENTIALS,
    },
    Section {
        name: "authentication",
        occurs: Occurs::Optional,
        help: "The A/V Authentication service: servers inside ask it for credentials on behalf of their users, by SIP over TLS on\n\
               `addresses.internal`. Both ends prove themselves; who is not listed is not heard. Needs [internal-tls].",
        settings: AUTHENTICATION,
    },
    Section {
        name: "relay-users",
        occurs: Occurs::Repeated,
        help: "Users of the relay whose password never ends: for trials, and for devices that can't be given another one.",
        settings: RELAY_USERS,
    },
    ADMIN,
    METRICS,
    LOG,
    Section { name: "service", occurs: Occurs::Once, help: "How the service stops.", settings: SERVICE },
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
        key: "profile",
        kind: Kind::Word(&["full", "im-only"]),
        unset: Unset::Default("\"full\""),
        help: "What passes. `im-only`: messages and presence, of clients and of partners. There is no relay then and no port of\n\
               media is open; a session that asks for media is refused (488). Needs [access], and no credentials.",
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
        help: "This machine's address towards the Internet: that of the A/V Edge, and of every service without one of its own.",
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
        key: "access",
        kind: Kind::Texts,
        unset: Unset::Follows { from: "`external` and `external6`", example: "[\"203.0.113.6\"]" },
        help: "The Access Edge's own addresses towards the Internet.",
    },
    Setting {
        key: "web-conferencing",
        kind: Kind::Texts,
        unset: Unset::Follows { from: "`external` and `external6`", example: "[\"203.0.113.7\"]" },
        help: "The Web Conferencing Edge's own addresses towards the Internet.",
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
               unless the plan says `external = \"plan\"`. The relay reaches these networks on the plan's ports of media and of\n\
               relays only; `relay.peers` opens more.",
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
        unset: Unset::Default("100"),
        help: "Allocations of one user at once; more are answered 486 (Allocation Quota Reached). A browser makes one for each of\n\
               its networks, ways here and lines of media.",
    },
    Setting {
        key: "allocations-per-site",
        kind: Kind::Number(65_535),
        unset: Unset::Follows { from: "no limit but `allocations`", example: "1000" },
        help: "Allocations of all users of one site at once; more are answered 486. Credentials that Front Ends make say the site.",
    },
    Setting {
        key: "requests-per-source",
        kind: Kind::Number(100_000),
        unset: Unset::Default("50"),
        help: "Requests a second of one address, or of one /64 of IPv6, that are answered before anything is proven; for Binding\n\
               as many again. After a rest four times as many. Who shows a nonce of ours is heard ten times as often.\n\
               So many connections over TCP and TLS may be opened, too.",
    },
    Setting {
        key: "peers",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "addresses of the Internet, and the plan's ports in the networks of `inside`",
            example: "[\"10.20.0.0/16\"]",
        },
        help: "Networks that the relay reaches on every port, private ones too.",
    },
    Setting {
        key: "denied",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "none beyond those that are never reached",
            example: "[\"198.51.100.0/24\"]",
        },
        help: "Networks that the relay never reaches, whatever else is said. Loopback, link-local and multicast addresses and the\n\
               Edge itself are always among them.",
    },
    Setting {
        key: "bandwidth",
        kind: Kind::Number(10_000_000),
        unset: Unset::Default("3000"),
        help: "Kilobits a second of one allocation, in each direction, with headers. What is beyond is dropped and counted.",
    },
    Setting {
        key: "audio-bandwidth",
        kind: Kind::Number(10_000_000),
        unset: Unset::Default("256"),
        help: "Of these, kilobits a second that may leave with the mark of audio: what goes before all others is policed, or it\n\
               would be worth pretending. G.722 in stereo with forward error correction needs 229.",
    },
    Setting {
        key: "bandwidth-per-user",
        kind: Kind::Number(1_000_000_000),
        unset: Unset::Default("60000"),
        help: "Kilobits a second of all allocations of one user together, in each direction.",
    },
    Setting {
        key: "bandwidth-per-site",
        kind: Kind::Number(1_000_000_000),
        unset: Unset::Follows { from: "no limit", example: "200000" },
        help: "Kilobits a second of all allocations of all users of one site together, in each direction.",
    },
    Setting {
        key: "coalesce",
        kind: Kind::Number(1000),
        unset: Unset::Default("200"),
        help: "Microseconds that packets may wait for each other under load, which saves more than half of the work.\n\
               Nothing waits while there is little to do; 1 switches it off.",
    },
    Setting {
        key: "fast-path",
        kind: Kind::Word(&["sockets", "kernel"]),
        unset: Unset::Default("\"sockets\""),
        help: "What carries media of bound channels. `kernel`: a program in the kernel where it can, which takes Linux 6.6, CAP_BPF\n\
               and CAP_NET_ADMIN, and goes before the machine's own firewall; sockets carry the rest, and everything where it can't\n\
               be had, which log and status say. docs/admin/edge.md.",
    },
];

const ACCESS: &[Setting] = &[
    Setting {
        key: "domains",
        kind: Kind::Texts,
        unset: Unset::Required("[\"example.com\"]"),
        help: "The domains of the inside. What is for others, and of others, is refused.",
    },
    Setting {
        key: "next-hop",
        kind: Kind::Text,
        unset: Unset::Required("\"pool.example.com\""),
        help: "The name in the certificates of the servers inside: Front Ends, or a Director.",
    },
    Setting {
        key: "servers",
        kind: Kind::Texts,
        unset: Unset::Required("[\"10.0.0.10:5061\"]"),
        help: "Where these servers speak TLS. The first that answers serves.",
    },
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Follows { from: "`name`", example: "\"sip.example.com\"" },
        help: "The name or address by which clients and partners reach the Access Edge.",
    },
    Setting {
        key: "port",
        kind: Kind::Number(65_535),
        unset: Unset::Follows {
            from: "443, or 5061 where the A/V Edge has 443 of the same address",
            example: "443",
        },
        help: "Port for clients.",
    },
    Setting {
        key: "federation",
        kind: Kind::Number(65_535),
        unset: Unset::Default("5061"),
        help: "Port for partners, and for clients that like it better. Whoever connects there is asked for a certificate.",
    },
    Setting {
        key: "internal",
        kind: Kind::Number(65_535),
        unset: Unset::Default("5061"),
        help: "Port towards the inside, on `addresses.internal`.",
    },
    Setting {
        key: "partner-authorities",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "none: no partner is believed",
            example: "[\"/etc/ssl/certs/ca-certificates.crt\"]",
        },
        help: "Files with the authorities that made the certificates of partners, as PEM.",
    },
    Setting {
        key: "probe",
        kind: Kind::Number(60),
        unset: Unset::Default("15"),
        help: "Seconds after which servers inside and partners are asked whether they are there (OPTIONS). A way that works in\n\
               one direction only is told after at most three times as long.",
    },
];

const PARTNERS: &[Setting] = &[
    Setting {
        key: "domain",
        kind: Kind::Text,
        unset: Unset::Required("\"example.org\""),
        help: "The domain.",
    },
    Setting {
        key: "addresses",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "what the DNS says: _sipfederationtls._tcp or _sips._tcp of the domain, or its own address",
            example: "[\"192.0.2.80:5061\"]",
        },
        help: "Where its Edges speak TLS.",
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

pub(super) const INTERNAL_TLS: &[Setting] = &[
    Setting {
        key: "certificate",
        kind: Kind::Text,
        unset: Unset::Required("\"/etc/carillon/internal.pem\""),
        help: "File with the certificate for `name` and those between it and its root, as PEM.",
    },
    Setting {
        key: "key",
        kind: Kind::Text,
        unset: Unset::Required("\"/etc/carillon/internal.key\""),
        help: "File with its private key, as PEM.",
    },
    Setting {
        key: "trusted",
        kind: Kind::Texts,
        unset: Unset::Required("[\"/etc/carillon/inside-ca.pem\"]"),
        help: "Files with the authorities of the servers inside, as PEM.",
    },
];

const WEB_CONFERENCING: &[Setting] = &[
    Setting {
        key: "port",
        kind: Kind::Number(65_535),
        unset: Unset::Follows { from: "443, and 444 on an address that is shared", example: "444" },
        help: "Port towards the Internet, over TLS.",
    },
    Setting {
        key: "inside",
        kind: Kind::Texts,
        unset: Unset::Required("[\"10.0.0.20:8057\"]"),
        help: "The servers inside that it may connect to, in networks of `addresses.inside`. One that does not answer is left\n\
               out until it does.",
    },
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"pool.example.com\""),
        help: "The name for which all of them have a certificate.",
    },
    Setting {
        key: "connections",
        kind: Kind::Number(100_000),
        unset: Unset::Default("2000"),
        help: "Connections at once; more are closed.",
    },
    Setting {
        key: "connections-per-source",
        kind: Kind::Number(100_000),
        unset: Unset::Default("100"),
        help: "Of these, those from one address (of IPv6: from one /64).",
    },
];

const REPLICA: &[Setting] = &[
    Setting {
        key: "port",
        kind: Kind::Number(65_535),
        unset: Unset::Default("4443"),
        help: "Port on `addresses.internal`.",
    },
    Setting {
        key: "from",
        kind: Kind::Texts,
        unset: Unset::Required("[\"sip.example.com\"]"),
        help: "The names of the Front Ends that may send settings, as in their certificates.",
    },
    Setting {
        key: "store",
        kind: Kind::Text,
        unset: Unset::Default("\"/var/lib/carillon-edge/settings.json\""),
        help: "File in which they are kept.",
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

const AUTHENTICATION: &[Setting] = &[
    Setting {
        key: "port",
        kind: Kind::Number(65_535),
        unset: Unset::Default("5062"),
        help: "Port on the internal address.",
    },
    Setting {
        key: "servers",
        kind: Kind::Texts,
        unset: Unset::Required("[\"sip.example.com\"]"),
        help: "The servers that are heard: names in their certificates.",
    },
    Setting {
        key: "lifetime",
        kind: Kind::Number(604_800),
        unset: Unset::Default("28800"),
        help: "Seconds that a credential lasts.",
    },
];

const RELAY_USERS: &[Setting] = &[
    Setting { key: "name", kind: Kind::Text, unset: Unset::Required("\"trial\""), help: "The user name." },
    Setting {
        key: "password",
        kind: Kind::Text,
        unset: Unset::Required("\"correct horse battery staple\""),
        help: "The password.",
    },
];

const SERVICE: &[Setting] = &[
    Setting {
        key: "drain",
        kind: Kind::Number(86_400),
        unset: Unset::Default("30"),
        help: "On a stop, nothing new is taken on; allocations and whoever has signed in are waited for, at most so many seconds.",
    },
    Setting {
        key: "alternates",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "clients try the next server that they know",
            example: "[\"198.51.100.6:3478\"]",
        },
        help: "Other Edges: clients that would allocate meanwhile are sent to the first of their family (300, Try Alternate).",
    },
];
