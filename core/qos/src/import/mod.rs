//! What is deployed: reads the spellings of `export` and what administrators paste, and says what each line means.
//!
//! Nothing is compared with a plan here (`drift` does) and nothing is guessed: a file that cannot be read whole gives
//! its errors with their places, and no facts.

mod browser;
mod cmdlet;
mod contender;
mod first;
mod linux;
mod network;
mod phone;
mod skipped;
mod windows;

pub use contender::Contender;
pub(crate) use contender::Standing;

use serde::Serialize;

use crate::class::TrafficClass;
use crate::plan::QueueMap;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::MarkingRule;
use carillon_wire::ip::Dscp;

/// What one file says.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Deployed {
    /// The file's name, as given.
    pub source: String,
    /// The spelling: `Registry.pol`, `Polycom XML`.
    pub format: &'static str,
    /// What kind of thing marks by it.
    pub marker: Marker,
    /// What it says, in the order of the file.
    pub facts: Vec<Fact>,
    /// What was mended or passed over, each with its place.
    pub notes: Vec<Note>,
}

impl Deployed {
    /// Whether rules of such files can be tied to addresses.
    pub(crate) fn names_addresses(&self) -> bool {
        self.format != network::ARUBA_SWITCH
    }
}

/// What kind of thing has a file's marking rules: it decides what a rule can look at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Marker {
    /// A host that marks what its own programs send, and knows which program it is.
    Host,
    /// A Linux host, which knows no programs, or a Linux router.
    Linux,
    /// A switch or router, which sees both directions of everybody's traffic.
    Network,
}

/// A file that a console of Windows or Linux has written, as text.
pub(crate) fn plain_text(bytes: &[u8]) -> String {
    cmdlet::text::decoded(bytes)
}

/// One statement of a file.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Fact {
    /// Where it stands: `line 12`, `offset 0x1f4`, a key's path.
    pub place: String,
    /// What it says.
    #[serde(flatten)]
    pub what: What,
    /// Why it does less than it says; empty if it does all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<Caveat>,
}

impl Fact {
    /// A statement that holds as it stands.
    pub fn new(place: impl Into<String>, what: What) -> Fact {
        Fact { place: place.into(), what, caveats: Vec::new() }
    }
}

/// Why a rule does less, or more, than its ports and its mark say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Caveat {
    /// What is left of it.
    pub reach: Reach,
    /// What is the matter, behind the rule: `only to the addresses 10.0.0.0/8`.
    pub text: String,
    /// What to do: `set `Remote IP` to `*``.
    pub fix: String,
}

/// How far a rule with a caveat reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// To no packet: the device skips it, or never gets there.
    Nothing,
    /// To some of its packets, or to all with something done to them that no plan asks for.
    Part,
    /// To packets that have other ports than these at the end that it does not look at.
    OtherEnd(PortRange),
    /// To packets with some source addresses.
    Sources,
    /// To packets with some destination addresses.
    Destinations,
    /// To what goes over some interfaces.
    Interfaces,
    /// To what passes through, not to what the host itself sends.
    Passing,
    /// To what one program sends, on a system that has no other way to say that.
    OneProgram,
    /// To everything, until the system starts again.
    UntilRestart,
    /// The file does not tell.
    Unknown,
}

impl Caveat {
    /// The rule has no effect.
    pub(crate) fn nothing(text: impl Into<String>, fix: impl Into<String>) -> Caveat {
        Caveat { reach: Reach::Nothing, text: text.into(), fix: fix.into() }
    }

    /// Whether the rule holds cannot be told from the file.
    pub(crate) fn unknown(text: impl Into<String>, fix: impl Into<String>) -> Caveat {
        Caveat { reach: Reach::Unknown, text: text.into(), fix: fix.into() }
    }

    /// The rule holds in part.
    pub(crate) fn part(text: impl Into<String>, fix: impl Into<String>) -> Caveat {
        Caveat { reach: Reach::Part, text: text.into(), fix: fix.into() }
    }
}

/// What a device can be told.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// Packets that look like this get this mark.
    Rule(MarkingRule),
    /// Whether the ranges of this scope (`global`, `site:X`) are in force.
    Enabled {
        /// Whose.
        scope: String,
        /// Whether.
        enabled: bool,
    },
    /// The ports of a role's class; without a class the single range of old clients.
    Ports {
        /// Whose: `global`, `site:X`, a service.
        scope: String,
        /// The role.
        role: Role,
        /// The class.
        class: Option<TrafficClass>,
        /// The ports.
        ports: PortRange,
    },
    /// The mark of a role's class, told to the device itself.
    Mark {
        /// The role.
        role: Role,
        /// The class.
        class: TrafficClass,
        /// The mark.
        #[serde(with = "crate::dscp::number")]
        mark: Dscp,
    },
    /// What is set on phones of a family.
    Phone {
        /// The family's name in plans.
        family: &'static str,
        /// The class that it is about.
        class: TrafficClass,
        /// First port, if set.
        start: Option<u16>,
        /// Last port, if set.
        end: Option<u16>,
        /// The mark, if set.
        #[serde(skip_serializing_if = "Option::is_none")]
        mark: Option<Mark>,
    },
    /// A switch's table from mark to queue.
    #[serde(skip)]
    Queues(QueueMap),
    /// Marks that one queue of a device has for itself.
    Queue {
        /// The class or forwarding class that it is.
        name: String,
        /// The marks.
        marks: Vec<Mark>,
    },
    /// Packets that come with one of these marks leave with another.
    Remarked {
        /// The marks that are lost.
        from: Vec<Mark>,
        /// The mark in their place.
        to: Mark,
        /// Where, as the device calls it.
        by: String,
    },
    /// The ports from which browsers send.
    Browser {
        /// The ports.
        ports: PortRange,
    },
    /// A setting of the system that decides whether marks are set at all.
    System {
        /// Its name.
        name: &'static str,
        /// The value that it has.
        value: String,
        /// The value that it must have.
        wanted: &'static str,
        /// What happens otherwise.
        why: &'static str,
    },
    /// A policy of Windows, whether it marks or not, with what decides between it and others.
    Policy(Contender),
    /// Something that could not be read or judged: whatever it says is unknown.
    Unread {
        /// The role and class that it is about, where that is known.
        role: Option<Role>,
        /// What it is: `policy Voice`, `the ports for audio of client (global)`.
        what: String,
        /// Why it could not be read.
        why: String,
        /// What to do.
        fix: String,
    },
    /// Ports that a firewall lets pass.
    Open {
        /// From whom.
        from: Role,
        /// To whom.
        to: Role,
        /// The rule without a mark that counts.
        rule: MarkingRule,
    },
}

/// A mark as a number in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
pub struct Mark(#[serde(with = "crate::dscp::number")] pub Dscp);

/// Something to know about a place in a file: what is wrong with it, or what was made of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Note {
    /// Where: `line 12`, `offset 0x1f4`.
    pub place: String,
    /// What.
    pub text: String,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// A spelling that can be read.
struct Format {
    name: &'static str,
    /// Whether the file looks like it; cheap, and never wrong about another format's files.
    recognise: fn(&[u8]) -> bool,
    read: fn(&[u8]) -> Result<Read, Vec<Note>>,
}

/// What a reader found.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) facts: Vec<Fact>,
    pub(crate) notes: Vec<Note>,
}

/// The first that recognises a file reads it.
fn formats() -> impl Iterator<Item = (Marker, &'static Format)> {
    let groups = [
        (Marker::Host, windows::FORMATS),
        (Marker::Host, browser::FORMATS),
        (Marker::Host, cmdlet::FORMATS),
        (Marker::Host, phone::FORMATS),
        (Marker::Network, network::FORMATS),
        (Marker::Linux, linux::FORMATS),
    ];
    groups.into_iter().flat_map(|(marker, formats)| formats.iter().map(move |format| (marker, format)))
}

/// Largest file that is read, in bytes.
pub const MAX_FILE: usize = 16 << 20;

/// Reads a file of any known spelling, told by its content.
///
/// # Errors
/// Everything that is wrong with the file, each with its place; nothing of it counts then.
pub fn read(source: &str, bytes: &[u8]) -> Result<Deployed, Vec<Note>> {
    let whole = |text: String| vec![Note { place: "file".to_owned(), text }];
    if bytes.len() > MAX_FILE {
        return Err(whole(format!("{} bytes; at most {MAX_FILE} are read", bytes.len())));
    }
    let Some((marker, format)) = formats().find(|(_, format)| (format.recognise)(bytes)) else {
        let names: Vec<&str> = formats().map(|(_, format)| format.name).collect();
        return Err(whole(format!("is in none of the spellings that are known: {}", names.join(", "))));
    };
    let Read { facts, notes } = (format.read)(bytes)?;
    Ok(Deployed { source: source.to_owned(), format: format.name, marker, facts, notes })
}
