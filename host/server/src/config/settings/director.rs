//! Settings of a Director.

use super::edge::INTERNAL_TLS;
use super::{ADMIN, Kind, LOG, METRICS, Occurs, ROLES, Section, Setting, Unset};

/// Every section, in the order of the sample.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "", occurs: Occurs::Once, help: "", settings: TOP },
    Section {
        name: "edge",
        occurs: Occurs::Optional,
        help: "The Edge, or a pool of them. Their files name this Director: `access.next-hop` and `access.servers`.",
        settings: EDGE,
    },
    Section {
        name: "front-ends",
        occurs: Occurs::Repeated,
        help: "The Front Ends, one block for each: at least one. Their files name this Director in [director]. Who is at home\n\
               there they say themselves.",
        settings: FRONT_ENDS,
    },
    Section {
        name: "internal-tls",
        occurs: Occurs::Optional,
        help: "What this Director proves itself with, and whom it believes: both ends of every connection between servers prove\n\
               themselves. It must be there.",
        settings: INTERNAL_TLS,
    },
    ADMIN,
    METRICS,
    LOG,
];

const TOP: &[Setting] = &[
    Setting {
        key: "role",
        kind: ROLES,
        unset: Unset::Required("\"director\""),
        help: "What this server is.",
    },
    Setting {
        key: "plan",
        kind: Kind::Text,
        unset: Unset::Required("\"lync-kloud\""),
        help: "The plan of ports and marks: the name of a preset (`carillon plan presets`), or a file. It must be that of\n\
               the Front Ends; a Director takes the mark of signaling from it.",
    },
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"director.example.com\""),
        help: "The name of this Director, as in its certificate.",
    },
    Setting {
        key: "domains",
        kind: Kind::Texts,
        unset: Unset::Required("[\"example.com\"]"),
        help: "The domains of the users, the same as on the Front Ends.",
    },
    Setting {
        key: "address",
        kind: Kind::Text,
        unset: Unset::Required("\"10.0.0.7\""),
        help: "This machine's address, which Edges and Front Ends connect to.",
    },
    Setting {
        key: "port",
        kind: Kind::Number(65_535),
        unset: Unset::Default("5061"),
        help: "The port there, over TLS.",
    },
    Setting {
        key: "probe",
        kind: Kind::Number(60),
        unset: Unset::Default("3"),
        help: "Seconds after which all servers are asked whether they are there, and the Front Ends whether users have come or gone.",
    },
];

const EDGE: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"edge.example.com\""),
        help: "The name in its certificate, or in that of the pool.",
    },
    Setting {
        key: "addresses",
        kind: Kind::Texts,
        unset: Unset::Required("[\"10.0.0.5:5061\"]"),
        help: "Where its Access Edge listens towards the inside.",
    },
];

const FRONT_ENDS: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Text,
        unset: Unset::Required("\"front1.example.com\""),
        help: "The name in its certificate.",
    },
    Setting {
        key: "addresses",
        kind: Kind::Texts,
        unset: Unset::Required("[\"10.0.0.10:5061\"]"),
        help: "Where it speaks TLS. Of several, which have the same users, the first that is there serves.",
    },
];
