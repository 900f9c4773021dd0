//! What is kept of people: their messages, and who spoke with whom.

use super::{Kind, Setting, Unset};

pub(super) const HISTORY: &[Setting] = &[
    Setting {
        key: "users",
        kind: Kind::Texts,
        unset: Unset::Follows { from: "nobody by name", example: "[\"alice@example.com\"]" },
        help: "Whose messages.",
    },
    Setting {
        key: "site",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "no site; a block with neither is for everybody",
            example: "\"Berlin\"",
        },
        help: "Of users of this site, as users have it.",
    },
    Setting {
        key: "keep",
        kind: Kind::Word(&["on", "off"]),
        unset: Unset::Default("\"on\""),
        help: "Whether they are kept. What there is of those of whom nothing is kept any more goes within minutes.",
    },
    Setting {
        key: "days",
        kind: Kind::Number(36_500),
        unset: Unset::Default("30"),
        help: "For how many days.",
    },
    Setting {
        key: "messages",
        kind: Kind::Number(1_000_000),
        unset: Unset::Default("10000"),
        help: "How many of each user at most; the oldest go first.",
    },
];

pub(super) const RECORDS: &[Setting] = &[
    Setting {
        key: "file",
        kind: Kind::Text,
        unset: Unset::Follows {
            from: "`records.db` beside the store",
            example: "\"/var/lib/carillon/records.db\"",
        },
        help: "The file. It may be deleted while the server does not run.",
    },
    Setting {
        key: "days",
        kind: Kind::Number(36_500),
        unset: Unset::Default("90"),
        help: "For how many days a record is kept.",
    },
    Setting {
        key: "legs",
        kind: Kind::Number(1_000_000_000),
        unset: Unset::Default("1000000"),
        help: "How many records are kept at most; the oldest go first. One needs about half a kilobyte.",
    },
    Setting {
        key: "names",
        kind: Kind::Word(&["whole", "cut", "hashed"]),
        unset: Unset::Default("\"whole\""),
        help: "How much of a name is in a record: all of it; cut, `xxx` for its last three characters; hashed, another name that\n\
               is always the same for the same one. It holds for calls from then on.",
    },
];
