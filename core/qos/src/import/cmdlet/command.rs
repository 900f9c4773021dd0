//! Lines that set values: `Set-CsConferencingConfiguration -ClientAudioPort 20000 …`.

use super::property::{self, Object};
use super::settings::{Settings, Speaker};
use super::text::{is_dash, is_double_quote, is_single_quote, without_prompt};
use crate::role::Role;

/// Cmdlets that set what a plan knows, in lower case, and what about.
const CMDLETS: [(&str, Object); 11] = [
    ("set-csconferencingconfiguration", Object::Clients),
    ("new-csconferencingconfiguration", Object::Clients),
    ("set-csconferenceserver", Object::Service(Role::Conferencing)),
    ("set-csconferencingserver", Object::Service(Role::Conferencing)),
    ("set-csapplicationserver", Object::Service(Role::Application)),
    ("set-csmediationserver", Object::Service(Role::Mediation)),
    ("set-csedgeserver", Object::Service(Role::Edge)),
    ("set-csucphoneconfiguration", Object::Phones),
    ("new-csucphoneconfiguration", Object::Phones),
    ("set-csmediaconfiguration", Object::Media),
    ("new-csmediaconfiguration", Object::Media),
];

/// Parameters that say how a cmdlet works and not what it sets.
const MANNERS: [&str; 9] = [
    "identity",
    "confirm",
    "force",
    "verbose",
    "debug",
    "erroraction",
    "warningaction",
    "passthru",
    "description",
];

/// Whether a line holds a cmdlet of the product.
pub(super) fn begins(line: &str) -> bool {
    let line: String = line.chars().map(|c| if is_dash(c) { '-' } else { c.to_ascii_lowercase() }).collect();
    ["set-cs", "get-cs", "new-cs", "remove-cs", "grant-cs", "test-cs"].iter().any(|verb| line.contains(verb))
}

/// A word of a command.
#[derive(Clone, PartialEq, Debug)]
struct Word {
    line: u32,
    text: String,
    quoted: bool,
}

impl Word {
    /// The name of a parameter, if it is one.
    fn parameter(&self) -> Option<&str> {
        let name = self.text.strip_prefix('-').filter(|_| !self.quoted)?;
        name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(name)
    }
}

/// The command that is being read, over several lines where it is wrapped.
#[derive(Default)]
pub(super) struct Lines {
    words: Vec<Word>,
    goes_on: bool,
}

/// Longest command in words.
const MAX_WORDS: usize = 4096;

impl Lines {
    /// Whether this line belongs to the command before it.
    pub(super) fn continues(&self, text: &str) -> bool {
        let wrapped = without_prompt(text).starts_with(is_dash);
        !self.words.is_empty() && (self.goes_on || wrapped)
    }

    /// Adds a line; one that does not go on with the command before ends it.
    pub(super) fn add(&mut self, line: u32, text: &str, settings: &mut Settings) {
        if !self.continues(text) {
            self.end(settings);
        } else if !self.goes_on {
            settings
                .note(line, "goes on with the command of the line before, which has no backtick at its end");
        }
        let text = without_prompt(text);
        self.goes_on = text.ends_with('`');
        let text = text.trim_end_matches('`');
        let room = MAX_WORDS.saturating_sub(self.words.len());
        if !text.starts_with('#') {
            self.words.extend(words(line, text, settings).into_iter().take(room));
        }
        if room == 0 {
            settings.error(line, format!("a command of more than {MAX_WORDS} words"));
            self.words.clear();
        }
    }

    /// The command is complete.
    pub(super) fn end(&mut self, settings: &mut Settings) {
        self.goes_on = false;
        let words = std::mem::take(&mut self.words);
        for part in words.split(|word| !word.quoted && ["|", "{", "}", ";"].contains(&word.text.as_str())) {
            let Some((first, rest)) = part.split_first() else { continue };
            let name = first.text.to_ascii_lowercase();
            match CMDLETS.iter().find(|(cmdlet, _)| *cmdlet == name) {
                Some((_, object)) => run(*object, first, rest, settings),
                None if changes(&name) => {
                    settings.note(
                        first.line,
                        format!("{} is passed over: it sets nothing that a plan knows", first.text),
                    );
                }
                None if harmless(&name) => {}
                None => {
                    let text: Vec<&str> = part.iter().map(|word| word.text.as_str()).collect();
                    settings.skip(first.line, &text.join(" "));
                }
            }
        }
    }
}

/// Cmdlets that only show something, and what stands around others.
const HARMLESS: [&str; 18] = [
    "foreach-object",
    "foreach",
    "%",
    "where-object",
    "where",
    "?",
    "fl",
    "format-list",
    "ft",
    "format-table",
    "select",
    "select-object",
    "sort-object",
    "out-null",
    "out-file",
    "import-module",
    "gpupdate",
    "invoke-csmanagementstorereplication",
];

fn harmless(name: &str) -> bool {
    let shows = ["get-", "test-cs", "enable-cstopology", "write-", "export-"]
        .iter()
        .any(|verb| name.starts_with(verb));
    shows || HARMLESS.contains(&name)
}

fn changes(name: &str) -> bool {
    ["set-cs", "new-cs", "remove-cs"].iter().any(|verb| name.starts_with(verb))
}

/// The words of a line, with dashes and blanks mended.
fn words(line: u32, text: &str, settings: &mut Settings) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let length = if is_double_quote(c) {
            quoted(rest, is_double_quote)
        } else if is_single_quote(c) {
            quoted(rest, is_single_quote)
        } else if "|{};".contains(c) {
            c.len_utf8()
        } else {
            rest.find(|c: char| c.is_whitespace() || "|{};".contains(c)).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(length);
        push(&mut words, line, word, settings);
        rest = after.trim_start();
    }
    words
}

/// Length of a text in quotes, both with it; to the end of the line if it is not closed.
fn quoted(text: &str, is_quote: fn(char) -> bool) -> usize {
    let closing = text.char_indices().skip(1).find(|(_, c)| is_quote(*c));
    closing.map_or(text.len(), |(at, c)| at + c.len_utf8())
}

fn push(words: &mut Vec<Word>, line: u32, text: &str, settings: &mut Settings) {
    let quote = |c: char| is_double_quote(c) || is_single_quote(c);
    if text.starts_with(quote) {
        let text = text.trim_matches(quote).to_owned();
        return words.push(Word { line, text, quoted: true });
    }
    let mut text = with_hyphen(line, text, settings);
    let lone = words.last().is_some_and(|word| word.text == "-" && !word.quoted);
    if lone && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        settings.note(line, format!("`- {text}` has a blank after its dash: read as `-{text}`"));
        words.pop();
        text.insert(0, '-');
    }
    match text.split_once(':') {
        Some((name, value)) if text.starts_with('-') => {
            words.push(Word { line, text: name.to_owned(), quoted: false });
            if !value.is_empty() {
                words.push(Word { line, text: value.trim_matches(quote).to_owned(), quoted: true });
            }
        }
        _ => words.push(Word { line, text, quoted: false }),
    }
}

/// Parameters and cmdlets have a hyphen, whatever a word processor made of it.
fn with_hyphen(line: u32, text: &str, settings: &mut Settings) -> String {
    let mended: String = text.chars().map(|c| if is_dash(c) { '-' } else { c }).collect();
    if mended != text {
        settings.note(line, format!("`{text}` has another dash than the hyphen: read as `{mended}`"));
    }
    mended
}

/// Applies a command.
fn run(object: Object, cmdlet: &Word, words: &[Word], settings: &mut Settings) {
    let mut identity = None;
    let mut values: Vec<(&Word, (&'static str, property::Meaning), &str)> = Vec::new();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let Some(name) = word.parameter() else {
            identity = identity.or(Some(word.text.as_str()));
            continue;
        };
        let value = rest.next_if(|next| next.parameter().is_none()).map(|next| next.text.as_str());
        match (Parameter::named(object, name, word.line, settings), value) {
            (Parameter::Identity | Parameter::Property(_), None) => {
                settings.error(word.line, format!("-{name} has no value (MissingArgument)"));
            }
            (Parameter::Identity, value) => identity = value,
            (Parameter::Property(property), Some(value)) => values.push((word, property, value)),
            (Parameter::WhatIf, _) => {
                return settings
                    .note(word.line, format!("{} is passed over: -WhatIf changes nothing", cmdlet.text));
            }
            (Parameter::Other, _) => {}
        }
    }
    let scope = scope(object, cmdlet, identity, settings);
    for (word, property, value) in values {
        settings.set(word.line, object, &scope, property, (Speaker::Command, value));
    }
}

/// Whose values: all of them, where a pipe goes through all services.
fn scope(object: Object, cmdlet: &Word, identity: Option<&str>, settings: &mut Settings) -> String {
    match (object, identity) {
        (Object::Service(_), None) => {
            settings.note(
                cmdlet.line,
                format!("{} has no identity: taken as every service of its role", cmdlet.text),
            );
            "global".to_owned()
        }
        (_, Some(identity)) if !identity.starts_with('$') => property::scope(identity),
        _ => "global".to_owned(),
    }
}

/// What a parameter is.
enum Parameter {
    Identity,
    WhatIf,
    Property((&'static str, property::Meaning)),
    Other,
}

impl Parameter {
    /// By its name, a unique beginning of it, or a known misprint.
    fn named(object: Object, name: &str, line: u32, settings: &mut Settings) -> Parameter {
        let lower = name.to_ascii_lowercase();
        if let Some(property) = property::named(object, name) {
            return Parameter::Property(property);
        }
        if let Some(right) = property::misprint(name)
            && let Some(property) = property::named(object, right)
        {
            settings.note(line, format!("-{name} is a misprint of -{right}: taken as that"));
            return Parameter::Property(property);
        }
        if "identity".starts_with(&lower) {
            return Parameter::Identity;
        }
        if "whatif".starts_with(&lower) {
            return Parameter::WhatIf;
        }
        let candidates = property::of_object(object).iter();
        let mut beginning = candidates.filter(|(full, _)| full.to_ascii_lowercase().starts_with(&lower));
        match (beginning.next(), beginning.next()) {
            (Some(property), None) => Parameter::Property(*property),
            (Some(_), Some(_)) => {
                settings.error(
                    line,
                    format!("-{name} is the beginning of several parameters (AmbiguousParameter)"),
                );
                Parameter::Other
            }
            _ => {
                if !MANNERS.iter().any(|manner| manner.starts_with(&lower)) {
                    settings.note(line, format!("-{name} sets nothing that a plan knows: passed over"));
                }
                Parameter::Other
            }
        }
    }
}
