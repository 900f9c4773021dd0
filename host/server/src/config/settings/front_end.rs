//! Settings of a Front End.

use super::kept::{HISTORY, RECORDS};
use super::{ADMIN, Kind, LOG, METRICS, Occurs, ROLES, Section, Setting, Unset};

/// Every section, in the order of the sample.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "", occurs: Occurs::Once, help: "", settings: TOP },
    Section {
        name: "listeners",
        occurs: Occurs::Repeated,
        help: "Where SIP is spoken; one block for each place. Without any block: TLS on every address, port 5061.\n\
               Plain UDP and TCP are off until a block switches them on: whoever reads the network reads them too.",
        settings: LISTENERS,
    },
    Section { name: "tls", occurs: Occurs::Once, help: "The certificate that phones see.", settings: TLS },
    Section {
        name: "registrations",
        occurs: Occurs::Once,
        help: "How long a phone stays signed in without a word, in seconds.",
        settings: REGISTRATIONS,
    },
    Section {
        name: "passwords",
        occurs: Occurs::Once,
        help: "What passwords must be when they are set, and what becomes of who gives wrong ones. What everybody tries first,\n\
               the user's own name and that of the domain are refused whatever their length.",
        settings: PASSWORDS,
    },
    Section {
        name: "directory",
        occurs: Occurs::Optional,
        help: "An LDAP directory or Active Directory that names users. It is read, never written, and judges their passwords:\n\
               they get tokens at [https] by it, and a password of their own for phones.",
        settings: DIRECTORY,
    },
    Section {
        name: "openid",
        occurs: Occurs::Optional,
        help: "An OpenID provider at which users sign in with a browser: GET /openid/begin at [https] sends them there, and they\n\
               come back to a page of `https.origins` with a token.",
        settings: OPENID,
    },
    Section {
        name: "presence",
        occurs: Occurs::Once,
        help: "Who sees whether somebody can be reached.",
        settings: PRESENCE,
    },
    Section {
        name: "history",
        occurs: Occurs::Repeated,
        help: "Instant messages that users may read again, sent and received; without any block none are kept. A block that names\n\
               users goes before one for their site, and that before one for everybody.",
        settings: HISTORY,
    },
    Section {
        name: "records",
        occurs: Occurs::Once,
        help: "Call records: one for each leg of a call (`carillon records`). They say who spoke with whom.",
        settings: RECORDS,
    },
    Section {
        name: "calls",
        occurs: Occurs::Once,
        help: "Where calls go whose users have rules for that: `carillon user rules`.",
        settings: CALLS,
    },
    Section {
        name: "dialling",
        occurs: Occurs::Repeated,
        help: "What dialled numbers mean; one block for each rule, the first that fits counts. A number from its + on needs none.\n\
               `carillon explain number` says what becomes of a number.",
        settings: DIALLING,
    },
    Section {
        name: "limits",
        occurs: Occurs::Once,
        help: "What is refused beyond a number, so that memory is bounded. Calls and registrations beyond it are\n\
               answered 503 with Retry-After and counted.",
        settings: LIMITS,
    },
    Section {
        name: "relay",
        occurs: Occurs::Once,
        help: "The relays of the Edges. Users who have proven their password are given them, with a user name and password\n\
               that end by themselves: in the document of the plan, by SERVICE, and at [https].",
        settings: RELAY,
    },
    Section {
        name: "https",
        occurs: Occurs::Once,
        help: "Relays for other clients: GET /turn in the manner of the TURN REST draft, for the user's own password (Digest).\n\
               The certificate is that of [tls].",
        settings: HTTPS,
    },
    Section {
        name: "edge",
        occurs: Occurs::Optional,
        help: "The Edge that users outside and other domains come through. It is known by its certificate, which an authority\n\
               of [tls] `trusted`, or our own, must have made; ours is shown to it.",
        settings: EDGE,
    },
    Section {
        name: "director",
        occurs: Occurs::Optional,
        help: "The Director, where several Front Ends have users of the same domains. It stands where [edge] would: users outside,\n\
               other domains and users of the other Front Ends are reached through it. It is known by its certificate, as an\n\
               Edge is, and is told who is at home here. Callers whom another Front End has proven are believed.",
        settings: DIRECTOR,
    },
    Section {
        name: "replicas",
        occurs: Occurs::Repeated,
        help: "Replicas of Edges that are sent every version of the plan; one block for each. This server proves itself with the\n\
               certificate of [tls].",
        settings: REPLICAS,
    },
    ADMIN,
    METRICS,
    LOG,
    Section { name: "service", occurs: Occurs::Once, help: "How the service stops.", settings: SERVICE },
];

const REPLICAS: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"edge.example.com\""),
        help: "The name of the Edge, as in its certificate of [internal-tls], whose authority is in `tls.trusted`.",
    },
    Setting {
        key: "address",
        kind: Kind::Text,
        unset: Unset::Required("\"10.0.0.5:4443\""),
        help: "Address and port, as its section [replica] has them.",
    },
];

const TOP: &[Setting] = &[
    Setting {
        key: "role",
        kind: ROLES,
        unset: Unset::Default("\"front-end\""),
        help: "What this server is. An Edge and a Director have other keys: `carillon check-config --sample edge`, or `director`.",
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

const EDGE: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"edge.example.com\""),
        help: "The name in its certificate: that of the Edge, or of the pool, towards the inside.",
    },
    Setting {
        key: "addresses",
        kind: Kind::Texts,
        unset: Unset::Required("[\"10.0.0.5:5061\"]"),
        help: "Where its Access Edge listens towards the inside; requests for other domains go to the first.",
    },
];

const DIRECTOR: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"director.example.com\""),
        help: "The name in its certificate.",
    },
    Setting {
        key: "addresses",
        kind: Kind::Texts,
        unset: Unset::Required("[\"10.0.0.7:5061\"]"),
        help: "Where it listens.",
    },
];

const PRESENCE: &[Setting] = &[Setting {
    key: "watchers",
    kind: Kind::Word(&["allow", "confirm", "block", "polite-block"]),
    unset: Unset::Default("\"allow\""),
    help: "What becomes of a watcher of whom the watched user has not said anything: allow; confirm, wait for the user to\n\
           decide; block, refuse; polite-block, show somebody who is never there.",
}];

const CALLS: &[Setting] = &[Setting {
    key: "voicemail",
    kind: Kind::Text,
    unset: Unset::Follows {
        from: "none: rules that say voicemail are not followed",
        example: "\"voicemail@example.com\"",
    },
    help: "The user as which the voicemail system signs in. It is told for whom and why (RFC 4458).",
}];

const DIALLING: &[Setting] = &[
    Setting {
        key: "site",
        kind: Kind::Text,
        unset: Unset::Follows { from: "callers of every site", example: "\"Berlin\"" },
        help: "The site of the callers for whom it holds, as users have it.",
    },
    Setting {
        key: "context",
        kind: Kind::Text,
        unset: Unset::Follows { from: "numbers that come without a context", example: "\"+4930\"" },
        help: "Only for local numbers that say that they are of here (`phone-context`, RFC 3966).",
    },
    Setting {
        key: "dialled",
        kind: Kind::Text,
        unset: Unset::Required("\"^0([1-9][0-9]+)$\""),
        help: "A regular expression, from ^ to $. What is dialled comes without separators.",
    },
    Setting {
        key: "number",
        kind: Kind::Text,
        unset: Unset::Required("\"+49$1\""),
        help: "The number that is meant: +, digits, and what stood in the parentheses: $1, or ${1} before a digit.",
    },
];

const LISTENERS: &[Setting] = &[
    Setting {
        key: "transport",
        kind: Kind::Word(&["tls", "tcp", "udp", "wss", "ws"]),
        unset: Unset::Required("\"tls\""),
        help: "What is spoken there; `wss` and `ws` are for phones in browsers (WebSocket), from pages of `https.origins`.",
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
        unset: Unset::Follows {
            from: "5061 for tls, 5060 for tcp and udp, 443 for wss, 80 for ws",
            example: "5061",
        },
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

const PASSWORDS: &[Setting] = &[
    Setting {
        key: "length",
        kind: Kind::Number(64),
        unset: Unset::Default("8"),
        help: "Characters at least.",
    },
    Setting {
        key: "denied",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "the most common ones only, which are always refused",
            example: "\"/etc/carillon/denied-passwords\"",
        },
        help: "File with more passwords that nobody may have, one in each line.",
    },
    Setting {
        key: "attempts",
        kind: Kind::Number(1000),
        unset: Unset::Default("10"),
        help: "Wrong passwords for a user after which who gave them is locked out of that user: an IPv4 address, or 64 bits of an\n\
               IPv6 one. From the fifth on each takes longer; a right one, or a quarter of an hour, makes good.",
    },
    Setting {
        key: "locked",
        kind: Kind::Number(86_400),
        unset: Unset::Default("900"),
        help: "For how many seconds, if nobody unlocks the user.",
    },
];

const DIRECTORY: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"dc.example.com\""),
        help: "The name in the certificate of its servers.",
    },
    Setting {
        key: "addresses",
        kind: Kind::Texts,
        unset: Unset::Required("[\"10.0.0.9:636\"]"),
        help: "Address and port of each, in the order in which they are tried.",
    },
    Setting {
        key: "security",
        kind: Kind::Word(&["tls", "start-tls"]),
        unset: Unset::Default("\"tls\""),
        help: "TLS from the first byte on (ldaps), or asked for on a connection in clear. Nothing is said without TLS.",
    },
    Setting {
        key: "authorities",
        kind: Kind::Texts,
        unset: Unset::Required("[\"/etc/carillon/directory-ca.pem\"]"),
        help: "Files with the authorities of its certificate, as PEM.",
    },
    Setting {
        key: "bind",
        kind: Kind::Text,
        unset: Unset::Required("\"cn=carillon,ou=services,dc=example,dc=com\""),
        help: "Who reads: the distinguished name of an account that may read users and nothing else.",
    },
    Setting {
        key: "secret",
        kind: Kind::Text,
        unset: Unset::Required("\"/etc/carillon/directory-secret\""),
        help: "File with its password in one line.",
    },
    Setting {
        key: "base",
        kind: Kind::Text,
        unset: Unset::Required("\"dc=example,dc=com\""),
        help: "The entry below which users are.",
    },
    Setting {
        key: "kind",
        kind: Kind::Word(&["active-directory", "inetorgperson"]),
        unset: Unset::Default("\"active-directory\""),
        help: "What the keys below follow.",
    },
    Setting {
        key: "filter",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "everybody with an address",
            example: "\"(&(objectClass=person)(mail=*))\"",
        },
        help: "Which entries are users (RFC 4515).",
    },
    Setting {
        key: "id",
        kind: Kind::Text,
        unset: Unset::Follows { from: "objectGUID, or entryUUID", example: "\"entryUUID\"" },
        help: "The attribute that an entry keeps for ever.",
    },
    Setting {
        key: "address",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "msRTCSIP-PrimaryUserAddress, proxyAddresses, mail; or mail",
            example: "[\"mail\"]",
        },
        help: "Attributes with addresses: the first one in a domain of ours is the user.",
    },
    Setting {
        key: "number",
        kind: Kind::Texts,
        unset: Unset::Follows {
            from: "msRTCSIP-Line, telephoneNumber; or telephoneNumber",
            example: "[\"telephoneNumber\"]",
        },
        help: "Attributes with numbers: the first one that begins with + and is nobody else's.",
    },
    Setting {
        key: "display",
        kind: Kind::Text,
        unset: Unset::Follows { from: "displayName", example: "\"cn\"" },
        help: "The attribute with what people call the user.",
    },
    Setting {
        key: "administrators",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "roles are given here: `carillon user role`",
            example: "\"cn=carillon-admins,ou=groups,dc=example,dc=com\"",
        },
        help: "The group whose members (`member`) are administrators. Where a group is named, groups alone give the roles of\n\
               the directory's users.",
    },
    Setting {
        key: "help-desk",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "roles are given here",
            example: "\"cn=carillon-help,ou=groups,dc=example,dc=com\"",
        },
        help: "The group whose members are of the help desk.",
    },
    Setting {
        key: "interval",
        kind: Kind::Number(86_400),
        unset: Unset::Default("300"),
        help: "Seconds from one reading to the next.",
    },
    Setting {
        key: "locks-at",
        kind: Kind::Number(1000),
        unset: Unset::Default("5"),
        help: "So many wrong passwords lock an account in the directory; or 1000, if none is ever locked. It is asked about fewer.",
    },
    Setting {
        key: "resets-after",
        kind: Kind::Number(86_400),
        unset: Unset::Default("1800"),
        help: "Seconds without a wrong password after which the directory counts from the beginning.",
    },
];

const OPENID: &[Setting] = &[
    Setting {
        key: "issuer",
        kind: Kind::Text,
        unset: Unset::Required("\"https://login.example.com\""),
        help: "What the provider calls itself. What else is to be known of it, it says itself (Discovery).",
    },
    Setting {
        key: "client",
        kind: Kind::Text,
        unset: Unset::Required("\"carillon\""),
        help: "What it calls this server (client_id).",
    },
    Setting {
        key: "secret",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "none: a public client, with PKCE",
            example: "\"/etc/carillon/openid-secret\"",
        },
        help: "File with what this server proves itself with (client_secret_basic), in one line.",
    },
    Setting {
        key: "redirect",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "`name` with the port of `https.listen`",
            example: "\"https://sip.example.com:8443/openid/return\"",
        },
        help: "Where browsers come back to, as the provider knows it (redirect_uri). It ends in /openid/return.",
    },
    Setting {
        key: "authorities",
        kind: Kind::Text,
        unset: Unset::Default("\"/etc/ssl/certs/ca-certificates.crt\""),
        help: "File with the authorities of its certificate, as PEM.",
    },
    Setting {
        key: "addresses",
        kind: Kind::Texts,
        unset: Unset::Follows { from: "where the DNS says", example: "[\"10.0.0.8:443\"]" },
        help: "Addresses and ports of its servers.",
    },
    Setting {
        key: "claim",
        kind: Kind::Text,
        unset: Unset::Default("\"sub\""),
        help: "Which claim names the user: `alice`, or an address in a domain of ours. Of `email` only a verified one counts. It must be one that users of the provider cannot change themselves.",
    },
    Setting {
        key: "create",
        kind: Kind::Word(&["off", "on"]),
        unset: Unset::Default("\"off\""),
        help: "Whether somebody for whom the provider vouches, and who is no user, becomes one.",
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

const RELAY: &[Setting] = &[
    Setting {
        key: "servers",
        kind: Kind::Texts,
        unset: Unset::Follows { from: "no relay", example: "[\"edge.example.com\"]" },
        help: "Names or addresses of the Edges, as users reach them. Inside, a name may lead to the internal address.",
    },
    Setting {
        key: "secret",
        kind: Kind::Text,
        unset: Unset::Follows { from: "no relay", example: "\"/etc/carillon/relay-secret\"" },
        help: "File with the secret in one line, the same as on the Edges (`credentials.secrets`).",
    },
    Setting {
        key: "lifetime",
        kind: Kind::Number(604_800),
        unset: Unset::Default("28800"),
        help: "Seconds that a user name and password last. Clients come for new ones after half of it.",
    },
    Setting {
        key: "udp",
        kind: Kind::Number(65_535),
        unset: Unset::Default("3478"),
        help: "Port over UDP, for every class. It and those below are as on the Edges.",
    },
    Setting {
        key: "audio",
        kind: Kind::Number(65_535),
        unset: Unset::Default("3479"),
        help: "Port over UDP for audio.",
    },
    Setting {
        key: "video",
        kind: Kind::Number(65_535),
        unset: Unset::Default("3480"),
        help: "Port over UDP for video.",
    },
    Setting {
        key: "sharing",
        kind: Kind::Number(65_535),
        unset: Unset::Default("3481"),
        help: "Port over UDP for sharing.",
    },
    Setting { key: "tcp", kind: Kind::Number(65_535), unset: Unset::Default("443"), help: "Port over TCP." },
    Setting {
        key: "tls",
        kind: Kind::Number(65_535),
        unset: Unset::Follows { from: "nobody is told to use TLS", example: "5349" },
        help: "Port over TLS, if the Edges have a certificate for it.",
    },
];

const HTTPS: &[Setting] = &[
    Setting {
        key: "listen",
        kind: Kind::Text,
        unset: Unset::Follows { from: "nothing: it is off", example: "\"[::]:8443\"" },
        help: "Address and port.",
    },
    Setting {
        key: "origins",
        kind: Kind::Texts,
        unset: Unset::Follows { from: "none: no page may ask", example: "[\"https://example.com\"]" },
        help: "Where web pages come from that may ask here for their users (CORS), and open WebSockets at listeners.",
    },
    Setting {
        key: "trusted-proxies",
        kind: Kind::Texts,
        unset: Unset::Follows { from: "none: nobody is believed", example: "[\"10.0.0.7\"]" },
        help: "Addresses of reverse proxies that say, here and at WebSockets, for whom they ask. What is limited for each\n\
               source is so for whom they name.",
    },
    Setting {
        key: "forwarded",
        kind: Kind::Word(&["x-forwarded-for", "forwarded"]),
        unset: Unset::Default("\"x-forwarded-for\""),
        help: "The field in which they say so; what stands in the other one is anybody's.",
    },
    Setting {
        key: "administration",
        kind: Kind::Word(&["off", "on"]),
        unset: Unset::Default("\"off\""),
        help: "Whether the admin API is here too, under /api, for the tokens of users: each may do what its role lets it.",
    },
];

const SERVICE: &[Setting] = &[Setting {
    key: "drain",
    kind: Kind::Number(3600),
    unset: Unset::Default("30"),
    help: "On a stop, new calls are refused at once; running ones are waited for, at most so many seconds.",
}];
