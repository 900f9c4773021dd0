//! The outer form of a Junos configuration: statements and blocks, from braces or from `set` lines.

use super::note;
use crate::import::Note;
use crate::import::skipped::Skipped;

/// Deepest nesting; real configurations have about ten.
const MAX_DEPTH: usize = 64;

/// A statement, or a block with statements.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    pub(super) children: Vec<Node>,
}

impl Node {
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// The words behind the first, without the brackets of a list.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str).filter(|word| !matches!(*word, "[" | "]"))
    }

    /// The children of that name.
    pub(super) fn blocks<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.children.iter().filter(move |child| child.word(0) == name)
    }
}

/// Reads braces, or the lines that `display set` prints; what is done to a configuration beside is remarked.
pub(super) fn read(text: &str) -> Result<(Node, Vec<Note>), Note> {
    let commands = text.lines().any(|line| line.trim_start().starts_with("set "));
    if commands && !text.contains(';') {
        return set_lines(text);
    }
    let (mut root, mut notes) = (tree(text)?, Vec::new());
    without_inactive(&mut root, &mut notes);
    Ok((root, notes))
}

fn tree(text: &str) -> Result<Node, Note> {
    let mut open = vec![Node::default()];
    let mut words: Vec<String> = Vec::new();
    let mut start = 1;
    for (line, token) in tokens(text)? {
        if words.is_empty() {
            start = line;
        }
        match token {
            "{" => {
                if open.len() >= MAX_DEPTH {
                    return Err(note(line, format!("blocks are nested more than {MAX_DEPTH} deep")));
                }
                open.push(Node { line: start, words: std::mem::take(&mut words), children: Vec::new() });
            }
            "}" => {
                if !words.is_empty() {
                    return Err(note(start, format!("`{}` ends without `;`", words.join(" "))));
                }
                let closed = open.pop().unwrap_or_default();
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => return Err(note(line, "a brace closes what was never opened")),
                }
            }
            ";" if words.is_empty() => {}
            ";" => {
                let node = Node { line: start, words: std::mem::take(&mut words), children: Vec::new() };
                if let Some(parent) = open.last_mut() {
                    parent.children.push(node);
                }
            }
            word => words.push(word.to_owned()),
        }
    }
    match (open.len(), open.pop()) {
        (1, Some(root)) if words.is_empty() => Ok(root),
        (1, _) => Err(note(start, format!("`{}` ends without `;`", words.join(" ")))),
        (_, unclosed) => Err(note(unclosed.map_or(1, |node| node.line), "a block is never closed")),
    }
}

/// Words, quoted texts, brackets and braces, each with its line; comments are passed over.
fn tokens(text: &str) -> Result<Vec<(usize, &str)>, Note> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                rest.find("*/").map(|at| at + 2).ok_or_else(|| note(line, "a comment is never closed"))?
            }
            '"' => {
                let end = rest.get(1..).and_then(|inside| inside.find('"'));
                end.map(|at| at + 2).ok_or_else(|| note(line, "a quoted text is never closed"))?
            }
            '{' | '}' | ';' | '[' | ']' => 1,
            c if c.is_whitespace() => c.len_utf8(),
            _ => rest.find(|c: char| c.is_whitespace() || "{};[]\"".contains(c)).unwrap_or(rest.len()),
        };
        let (token, behind) = rest.split_at(length);
        let passed = first == '#' || token.starts_with("/*") || first.is_whitespace();
        if !passed {
            tokens.push((line, token));
        }
        line += token.bytes().filter(|byte| *byte == b'\n').count();
        rest = behind;
    }
    Ok(tokens)
}

/// Blocks that `set` lines go through, with the words behind their name.
const BLOCKS: [(&str, usize); 13] = [
    ("firewall", 0),
    ("family", 1),
    ("filter", 1),
    ("term", 1),
    ("from", 0),
    ("then", 0),
    ("class-of-service", 0),
    ("classifiers", 0),
    ("rewrite-rules", 0),
    ("dscp", 1),
    ("dscp-ipv6", 1),
    ("forwarding-class", 1),
    ("loss-priority", 1),
];

/// Each line is a path of blocks with a statement at its end.
fn set_lines(text: &str) -> Result<(Node, Vec<Note>), Note> {
    let mut root = Node::default();
    let (mut skipped, mut notes) = (Skipped::default(), Vec::new());
    for (line, text) in (1..).zip(text.lines()) {
        let words: Vec<&str> = tokens(text)
            .map_err(|error| Note { place: format!("line {line}"), ..error })?
            .into_iter()
            .map(|(_, word)| word)
            .collect();
        match words.as_slice() {
            [] => {}
            ["set", path @ ..] => place(&mut root, line, path),
            ["deactivate" | "delete", path @ ..] if remove(&mut root, path) => {
                notes.push(note(line, format!("`{}` takes it out of force", text.trim())));
            }
            _ => skipped.add(u32::try_from(line).unwrap_or(u32::MAX), text),
        }
    }
    notes.extend(skipped.notes());
    Ok((root, notes))
}

/// Takes away what a path names, with all below it; whether there was any.
fn remove(node: &mut Node, path: &[&str]) -> bool {
    let names = |child: &Node, count: usize| {
        child.words.iter().map(String::as_str).eq(path.iter().take(count).copied())
    };
    let before = node.children.len();
    // A statement may be kept as a whole where the path goes on.
    node.children
        .retain(|child| child.words.len() < path.len() || !child.words.iter().zip(path).all(|(a, b)| a == b));
    let gone = node.children.len() < before;
    let mut below = false;
    for child in &mut node.children {
        let count = child.words.len();
        if count > 0 && count < path.len() && names(child, count) {
            below |= remove(child, path.get(count..).unwrap_or(&[]));
        }
    }
    gone || below
}

/// What stands there and is not in force.
fn without_inactive(node: &mut Node, notes: &mut Vec<Note>) {
    for child in node.children.iter().filter(|child| child.word(0) == "inactive:") {
        let text = child.words.get(1..).unwrap_or(&[]).join(" ");
        notes.push(note(child.line, format!("`{text}` is not in force")));
    }
    node.children.retain(|child| child.word(0) != "inactive:");
    for child in &mut node.children {
        without_inactive(child, notes);
    }
}

fn place(root: &mut Node, line: usize, path: &[&str]) {
    let mut node = root;
    let mut rest = path;
    // Below `from` and `then` stand statements, and so do marks in front of a name.
    while let Some((first, behind)) = rest.split_first() {
        let inside = node.word(0);
        let names = BLOCKS.iter().find(|(name, _)| name == first).map(|(_, names)| *names);
        let Some(names) = names.filter(|names| !matches!(inside, "from" | "then") && behind.len() > *names)
        else {
            break;
        };
        let (head, behind) = rest.split_at(names + 1);
        let same = |child: &Node| child.words.iter().map(String::as_str).eq(head.iter().copied());
        let at = node.children.iter().position(same).unwrap_or_else(|| {
            let words = head.iter().map(|word| (*word).to_owned()).collect();
            node.children.push(Node { line, words, children: Vec::new() });
            node.children.len() - 1
        });
        let Some(child) = node.children.get_mut(at) else { return };
        node = child;
        rest = behind;
    }
    if !rest.is_empty() {
        let words = rest.iter().map(|word| (*word).to_owned()).collect();
        node.children.push(Node { line, words, children: Vec::new() });
    }
}
