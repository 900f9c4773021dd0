//! The tables of settings, one for each role: the reader, the annotated sample and the documentation are made from them.
//!
//! What a value means, and what it must agree with, is decided in `resolve`.

mod director;
mod edge;
mod front_end;
mod kept;

/// What a server is, as its configuration says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ServerRole {
    /// Registrar, proxy, provisioning: everything but the Edge.
    #[default]
    FrontEnd,
    /// Between the inside and the Internet; knows no users.
    Edge,
    /// Between Edges and several Front Ends; has no users.
    Director,
}

/// A table of the configuration file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The name in brackets; empty for what stands above all brackets.
    pub name: &'static str,
    /// How often it stands in a file.
    pub occurs: Occurs,
    /// What it is about.
    pub help: &'static str,
    /// Its keys.
    pub settings: &'static [Setting],
}

/// How often a section stands in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occurs {
    /// Once; without it, what its keys say without being there.
    Once,
    /// Once, or not at all: it switches on what it is about.
    Optional,
    /// As often as one likes, in double brackets.
    Repeated,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What may stand behind it.
    pub kind: Kind,
    /// What holds without it.
    pub unset: Unset,
    /// What it does.
    pub help: &'static str,
}

/// What may stand behind a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A text in quotes.
    Text,
    /// A list of texts.
    Texts,
    /// One of these words, in quotes.
    Word(&'static [&'static str]),
    /// A whole number from 1 to this one.
    Number(u64),
}

/// What holds when a key is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unset {
    /// It must be there; this is an example, as TOML.
    Required(&'static str),
    /// This value holds, as TOML.
    Default(&'static str),
    /// Something that follows from other keys, or nothing, in words; the example is TOML.
    Follows {
        /// What holds, in words.
        from: &'static str,
        /// An example.
        example: &'static str,
    },
}

impl ServerRole {
    /// Every role.
    pub const ALL: [ServerRole; 3] = [ServerRole::FrontEnd, ServerRole::Edge, ServerRole::Director];

    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            ServerRole::FrontEnd => "front-end",
            ServerRole::Edge => "edge",
            ServerRole::Director => "director",
        }
    }

    /// Every section of its configuration, in the order of the sample.
    pub fn sections(self) -> &'static [Section] {
        match self {
            ServerRole::FrontEnd => front_end::SECTIONS,
            ServerRole::Edge => edge::SECTIONS,
            ServerRole::Director => director::SECTIONS,
        }
    }
}

/// The words of `role`.
const ROLES: Kind = Kind::Word(&["front-end", "edge", "director"]);

// What every role has.

const ADMIN: Section = Section {
    name: "admin",
    occurs: Occurs::Once,
    help: "Where `carillon user`, `carillon status` and scripts reach the running server.",
    settings: &[Setting {
        key: "socket",
        kind: Kind::Text,
        unset: Unset::Default("\"/run/carillon/admin.sock\""),
        help: "A Unix socket that only the server's own user (and root) may open.",
    }],
};

const METRICS: Section = Section {
    name: "metrics",
    occurs: Occurs::Once,
    help: "Health for load balancers (/health) and numbers for Prometheus (/metrics), over plain HTTP.",
    settings: &[Setting {
        key: "listen",
        kind: Kind::Text,
        unset: Unset::Follows { from: "nothing: it is off", example: "\"127.0.0.1:9061\"" },
        help: "Address and port.",
    }],
};

const LOG: Section = Section {
    name: "log",
    occurs: Occurs::Once,
    help: "What is told while running, on standard error.",
    settings: &[
        Setting {
            key: "level",
            kind: Kind::Word(&["error", "warn", "info", "debug", "trace"]),
            unset: Unset::Default("\"info\""),
            help: "How much. Names, addresses and numbers of people appear from debug on only.",
        },
        Setting {
            key: "format",
            kind: Kind::Word(&["text", "json"]),
            unset: Unset::Default("\"text\""),
            help: "For people, or one JSON object per line.",
        },
    ],
};
