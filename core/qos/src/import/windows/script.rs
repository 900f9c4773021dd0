//! Scripts with `New-`, `Set-` and `Remove-NetQosPolicy`, as administrators keep them. No shell: what needs a variable
//! is an error, and every other line that is not understood is named.

use super::super::skipped::Skipped;
use super::super::{Format, Note, Read};
use super::listed::{self, Listed};
use super::{Errors, text};

pub(super) const FORMAT: Format = Format { name: "script with NetQosPolicy cmdlets", recognise, read };

const NEW: &str = "new-netqospolicy";
const SET: &str = "set-netqospolicy";
const REMOVE: &str = "remove-netqospolicy";

/// Templates, which are switches.
const TEMPLATES: [&str; 6] = ["default", "smb", "iscsi", "nfs", "livemigration", "cluster"];
/// Parameters that say how a cmdlet works.
const MANNERS: [&str; 8] =
    ["confirm", "whatif", "verbose", "erroraction", "ea", "cimsession", "throttlelimit", "asjob"];
/// Cmdlets that change nothing.
const HARMLESS: [&str; 7] =
    ["get-netqospolicy", "out-null", "write-host", "write-output", "gpupdate", "param", "exit"];

/// The shell's own cmdlets make a file one for the other reader, which names what it does not know.
fn recognise(bytes: &[u8]) -> bool {
    let head = text::head(bytes).to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| head.contains(word));
    has(&[NEW, SET, REMOVE]) && !has(&["set-cs", "new-cs"])
}

fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text::decoded(bytes)?;
    let mut script = Script::default();
    let mut tokens = Tokens { rest: &text, line: 1 };
    let mut statement: Vec<Word> = Vec::new();
    loop {
        match tokens.next() {
            Ok(Some(word)) if word.is_end() => {
                script.statement(&statement);
                script.block(&word, &statement);
                statement.clear();
            }
            Ok(Some(word)) => statement.push(word),
            Ok(None) => break,
            Err(note) => return Err(vec![note]),
        }
        if script.errors.full() || script.ended {
            break;
        }
    }
    script.statement(&statement);
    script.left_out(&mut tokens);
    // A script that makes policies first takes away what an earlier one made.
    let only_removes = script.policies.is_empty();
    for (line, name, did) in std::mem::take(&mut script.removals) {
        if did || only_removes {
            let text = format!("removes policies that are called `{name}`");
            script.notes.push(Note { place: format!("line {line}"), text });
        }
    }
    script.notes.extend(script.skipped.notes());
    listed::rules(&script.policies, script.notes, script.errors)
}

/// A word of the script.
#[derive(Debug)]
struct Word {
    line: u32,
    text: String,
    quoted: bool,
    /// Whether a variable or an expression is in it.
    open: bool,
}

impl Word {
    fn is_end(&self) -> bool {
        !self.quoted && matches!(self.text.as_str(), "\n" | ";" | "{" | "}")
    }

    fn is(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word)
    }

    /// The name of a parameter.
    fn parameter(&self) -> Option<&str> {
        let name = self.text.strip_prefix('-').filter(|_| !self.quoted)?;
        name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(name)
    }
}

struct Tokens<'t> {
    rest: &'t str,
    line: u32,
}

impl Tokens<'_> {
    /// The next word; the end of a line, a semicolon and a brace are words too.
    fn next(&mut self) -> Result<Option<Word>, Note> {
        loop {
            let rest = self.rest;
            let Some(first) = rest.chars().next() else { return Ok(None) };
            let line = self.line;
            let plain = |text: &str| Word { line, text: text.to_owned(), quoted: false, open: false };
            let length = match first {
                '\n' => {
                    self.take(1);
                    return Ok(Some(plain("\n")));
                }
                '#' => rest.find('\n').unwrap_or(rest.len()),
                '<' if rest.starts_with("<#") => rest.find("#>").map_or(rest.len(), |at| at + 2),
                '`' if rest.trim_start_matches('`').trim_start_matches([' ', '\r']).starts_with('\n') => {
                    rest.find('\n').map_or(rest.len(), |at| at + 1)
                }
                ';' | '{' | '}' | '|' => {
                    self.take(1);
                    return Ok(Some(plain(&first.to_string())));
                }
                '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' => return self.quoted(true).map(Some),
                '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' => {
                    return self.quoted(false).map(Some);
                }
                c if c.is_whitespace() => c.len_utf8(),
                _ => return Ok(Some(self.bare())),
            };
            self.take(length);
        }
    }

    fn bare(&mut self) -> Word {
        let ends = |c: char| c.is_whitespace() || "|;{}\"'`".contains(c);
        let first = self.rest.chars().next().map_or(0, char::len_utf8);
        let behind = self.rest.get(first..).unwrap_or_default();
        let length = first + behind.find(ends).unwrap_or(behind.len());
        let text = hyphened(self.rest.get(..length).unwrap_or_default());
        let word = Word { line: self.line, open: text.contains(['$', '(', '@']), text, quoted: false };
        self.take(length);
        word
    }

    /// A text in quotes: doubled quotes stand for one, in double quotes a backtick for the character behind it.
    fn quoted(&mut self, double: bool) -> Result<Word, Note> {
        let line = self.line;
        let quote = |c: char| {
            if double {
                "\"\u{201c}\u{201d}\u{201e}".contains(c)
            } else {
                "'\u{2018}\u{2019}\u{201a}\u{201b}".contains(c)
            }
        };
        let (mut text, mut open) = (String::new(), false);
        let mut chars = self.rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                c if quote(c) && chars.peek().is_some_and(|(_, next)| quote(*next)) => {
                    text.extend(chars.next().map(|(_, c)| c));
                }
                c if quote(c) => {
                    self.take(at + c.len_utf8());
                    return Ok(Word { line, text, quoted: true, open });
                }
                '`' if double => text.extend(chars.next().map(|(_, c)| c)),
                c => {
                    open |= double && c == '$';
                    text.push(c);
                }
            }
        }
        Err(Note { place: format!("line {line}"), text: "a quote is not closed".to_owned() })
    }

    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        let newlines = taken.bytes().filter(|byte| *byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        self.rest = rest;
    }
}

/// Web pages make other dashes of the hyphen before a parameter, and inside of a cmdlet's name.
fn hyphened(text: &str) -> String {
    text.replace(['\u{2013}', '\u{2014}', '\u{2212}'], "-")
}

#[derive(Default)]
struct Script {
    policies: Vec<Listed>,
    /// What a filter before a removal asks the name for.
    pattern: Option<String>,
    /// Lines and names of removals, and whether they took away what stood before.
    removals: Vec<(u32, String, bool)>,
    notes: Vec<Note>,
    skipped: Skipped,
    errors: Errors,
    /// What is wrong with the command that is being read.
    wrong: Vec<String>,
    /// What stands before the braces that are open, where it decides whether or how often their inside runs.
    blocks: Vec<Option<String>>,
    /// Whether the script ends here, whatever follows.
    ended: bool,
}

/// Words before braces whose inside does not always run, or not once.
const CONDITIONS: [&str; 14] = [
    "if",
    "elseif",
    "else",
    "switch",
    "while",
    "until",
    "do",
    "for",
    "foreach",
    "function",
    "filter",
    "catch",
    "trap",
    "foreach-object",
];

/// Words that end a script.
const ENDS: [&str; 3] = ["exit", "return", "throw"];

/// Most policies that a script makes.
const MAX_POLICIES: usize = 10_000;

/// Conditions and actions by their short names.
const KNOWN: [&str; 19] = [
    "name",
    "apppathname",
    "ipprotocol",
    "ipport",
    "ipsrcport",
    "ipsrcportstart",
    "ipsrcportend",
    "ipdstport",
    "ipdstportstart",
    "ipdstportend",
    "ipsrcprefix",
    "ipdstprefix",
    "user",
    "networkprofile",
    "throttlerate",
    "dscpvalue",
    "priorityvalue",
    "precedence",
    "policystore",
];
/// Conditions of policies that are not about media.
const OTHERS: [&str; 4] = ["uri", "urirecursive", "netdirectport", "minbandwidthweight"];

impl Script {
    /// One line, or what stands between braces.
    fn statement(&mut self, words: &[Word]) {
        let Some(first) = words.first() else { return };
        if self.blocks.is_empty() && ENDS.iter().any(|word| first.is(word)) {
            self.ended = true;
            return;
        }
        if let Some(at) = words.iter().position(|word| word.is(NEW) || word.is(SET)) {
            return self.makes(words.get(at..).unwrap_or_default());
        }
        if let Some(at) = words.iter().position(|word| word.is(REMOVE)) {
            return self.removes(first.line, words.get(at + 1..).unwrap_or_default());
        }
        let preference = first.is("$ErrorActionPreference");
        let harmless = preference || HARMLESS.iter().any(|word| first.is(word)) || self.filters(words);
        if !harmless && !words.iter().all(|word| word.text == "|") {
            let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            self.skipped.add(first.line, &text.join(" "));
        }
    }

    /// Braces open or close behind a statement.
    fn block(&mut self, end: &Word, before: &[Word]) {
        match end.text.as_str() {
            "{" => {
                let text: Vec<&str> = before.iter().map(|word| word.text.as_str()).collect();
                let starts = |word: &Word| {
                    let name = word.text.split('(').next().unwrap_or_default().to_ascii_lowercase();
                    !word.quoted && (CONDITIONS.contains(&name.as_str()) || name == "%")
                };
                let decides = before.iter().any(starts);
                self.blocks.push(decides.then(|| text.join(" ").chars().take(60).collect()));
            }
            "}" => {
                self.blocks.pop();
            }
            _ => {}
        }
    }

    /// Why what stands here may not run.
    fn condition(&self) -> Option<String> {
        let condition = self.blocks.iter().flatten().next()?;
        Some(format!("it depends on `{condition}`, which is not worked out here"))
    }

    /// What stands behind the end of a script never runs.
    fn left_out(&mut self, tokens: &mut Tokens<'_>) {
        let line = tokens.line;
        let mut rest = std::iter::from_fn(|| tokens.next().ok().flatten());
        if self.ended && rest.any(|word| !word.is_end()) {
            let text = "the script ends before this line: what follows never runs".to_owned();
            self.notes.push(Note { place: format!("line {line}"), text });
        }
    }

    /// `$_.Name -like 'Carillon client *'`: what the removal behind it is limited to.
    fn filters(&mut self, words: &[Word]) -> bool {
        let [subject, operator, pattern] = words else { return false };
        let is = subject.is("$_.Name") && (operator.is("-like") || operator.is("-eq"));
        if is {
            self.pattern = Some(pattern.text.clone());
        }
        is
    }

    fn makes(&mut self, words: &[Word]) {
        let Some((cmdlet, rest)) = words.split_first() else { return };
        let Some(set) = self.parameters(cmdlet, rest) else { return };
        let name = set.iter().find(|(_, name, _)| name == "name").map(|(_, _, value)| value.to_lowercase());
        let doubts: Vec<String> =
            std::mem::take(&mut self.wrong).into_iter().chain(self.condition()).collect();
        let known = self.policies.iter_mut().find(|policy| policy.name().map(str::to_lowercase) == name);
        if let (Some(policy), true) = (known, cmdlet.is(SET)) {
            for (line, name, value) in set.iter().filter(|(_, name, _)| name != "name") {
                policy.replace(*line, name, value);
            }
            return doubts.into_iter().for_each(|why| policy.doubt(why));
        }
        if self.policies.len() >= MAX_POLICIES {
            return self
                .errors
                .add(format!("line {}", cmdlet.line), format!("more than {MAX_POLICIES} policies"));
        }
        let mut policy = Listed::at(cmdlet.line);
        for (line, name, value) in &set {
            policy.set(*line, name, value);
        }
        policy.set(cmdlet.line, "networkprofile", "All");
        doubts.into_iter().for_each(|why| policy.doubt(why));
        if cmdlet.is(SET) {
            policy.doubt(
                "the script changes it and does not make it: what else it has is not known".to_owned(),
            );
        }
        self.policies.push(policy);
    }

    /// Conditions and actions with their lines; `None` if the command changes nothing.
    fn parameters(&mut self, cmdlet: &Word, words: &[Word]) -> Option<Vec<(u32, String, String)>> {
        let mut words = words.iter().take_while(|word| word.quoted || word.text != "|").peekable();
        let mut set = Vec::new();
        while let Some(word) = words.next() {
            let Some(parameter) = word.parameter() else {
                set.push((word.line, "name".to_owned(), self.value(word)));
                continue;
            };
            let (name, joined) = parameter.split_once(':').unwrap_or((parameter, ""));
            let name = listed::short(name);
            if name == "whatif" {
                let text = "is passed over: -WhatIf changes nothing".to_owned();
                self.notes.push(Note { place: format!("line {}", cmdlet.line), text });
                return None;
            }
            let value = match joined {
                "" => words.next_if(|next| next.parameter().is_none()).map(|next| self.value(next)),
                joined => Some(joined.to_owned()),
            };
            match value {
                _ if TEMPLATES.contains(&name.as_str()) => set.push((word.line, "template".to_owned(), name)),
                Some(value) if KNOWN.contains(&name.as_str()) || OTHERS.contains(&name.as_str()) => {
                    set.push((word.line, name, value));
                }
                _ if MANNERS.contains(&name.as_str()) => {}
                None => self.wrong.push(format!("{} has no value", word.text)),
                Some(_) => self.wrong.push(format!("{} is no parameter of NetQosPolicy", word.text)),
            }
        }
        Some(set)
    }

    /// What stands for itself; what a variable holds is not known.
    fn value(&mut self, word: &Word) -> String {
        if word.open {
            self.wrong.push(format!("`{}` is worked out when the script runs: write the value", word.text));
        }
        word.text.clone()
    }

    /// Those of that name, or like the pattern before; all, if neither is said.
    fn removes(&mut self, line: u32, words: &[Word]) {
        let word = words.iter().find(|word| word.parameter().is_none());
        let open = word.filter(|word| word.open).map(|word| {
            format!("line {line} removes `{}`, which is worked out when the script runs", word.text)
        });
        let name = word.filter(|word| !word.open).map(|word| word.text.clone());
        let pattern = name.or(self.pattern.take()).unwrap_or_else(|| "*".to_owned());
        if let Some(why) = open.or(self.condition()) {
            let named = |policy: &&mut Listed| policy.name().is_some_and(|name| like(name, &pattern));
            return self.policies.iter_mut().filter(named).for_each(|policy| policy.doubt(why.clone()));
        }
        let before = self.policies.len();
        self.policies.retain(|policy| !policy.name().is_some_and(|name| like(name, &pattern)));
        self.removals.push((line, pattern, self.policies.len() < before));
    }
}

/// `-like` with stars, whatever the case.
fn like(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.to_lowercase(), pattern.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars() {
        for (name, pattern, is) in [
            ("Carillon client audio", "carillon client *", true),
            ("Carillon edge", "Carillon client *", false),
            ("ab", "*b*", true),
            ("ab", "a", false),
            ("a", "a", true),
            ("x", "*", true),
            ("abcb", "a*c", false),
        ] {
            assert_eq!(like(name, pattern), is, "{name} {pattern}");
        }
    }
}
