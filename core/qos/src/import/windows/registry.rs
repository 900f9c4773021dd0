//! `.reg` files, whole exports of a registry among them.

use super::super::{Format, Note, Read};
use super::policies::{Data, Policies};
use super::{Errors, text};

pub(super) const FORMAT: Format = Format { name: "Windows .reg", recognise, read };

fn recognise(bytes: &[u8]) -> bool {
    let head = text::head(bytes);
    let first = head.trim_start().lines().next().unwrap_or_default().trim();
    first.starts_with("Windows Registry Editor Version") || first == "REGEDIT4"
}

fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text::decoded(bytes)?;
    let mut reader =
        Reader { rest: &text, line: 1, key: None, policies: Policies::default(), errors: Errors::default() };
    reader.first_line();
    while !reader.rest.is_empty() && !reader.errors.full() {
        reader.statement();
    }
    reader.policies.read(reader.errors)
}

struct Reader<'t> {
    rest: &'t str,
    /// Of the rest's beginning, from 1.
    line: u32,
    /// The key that values belong to: `None` before the first one, and below a removed or foreign one.
    key: Option<&'t str>,
    policies: Policies,
    errors: Errors,
}

impl<'t> Reader<'t> {
    fn first_line(&mut self) {
        self.blanks();
        let line = self.take_line().trim();
        if line != "Windows Registry Editor Version 5.00" && line != "REGEDIT4" {
            self.errors.add("line 1", format!("`{line}` is no version of .reg files that is known"));
        }
    }

    /// One key, value or comment.
    fn statement(&mut self) {
        self.blanks();
        let place = self.place();
        match self.rest.chars().next() {
            None => {}
            Some(';') => {
                self.take_line();
            }
            Some('[') => self.key_line(&place),
            Some('"' | '@') => self.value_line(&place),
            Some(_) => {
                self.take_line();
                self.errors.add(place, "neither a key in brackets nor a value");
            }
        }
    }

    /// `[HKEY_LOCAL_MACHINE\…]`, or `[-…]` to remove it. A name may hold brackets itself: the last one counts.
    fn key_line(&mut self, place: &str) {
        self.key = None;
        let line = self.take_line().trim_end();
        let Some(path) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) else {
            return self.errors.add(place, "the key's bracket is not closed");
        };
        let (removed, path) = match path.strip_prefix('-') {
            Some(path) => (true, path),
            None => (false, path),
        };
        let Some((hive, below)) = path.split_once('\\') else { return };
        let Some((user, below)) = owner(hive, below) else { return self.policies.key(place, "") };
        self.policies.user = user;
        if removed {
            return self.policies.remove(place, below);
        }
        self.policies.key(place, below);
        self.key = Some(below);
    }

    /// `"name"="text"`, `"name"=-`, `"name"=dword:…`, `@=…`.
    fn value_line(&mut self, place: &str) {
        let name = match self.rest.strip_prefix('@') {
            Some(rest) => {
                self.rest = rest;
                Some(String::new())
            }
            None => self.quoted(),
        };
        let Some(name) = name else { return self.errors.add(place, "the name's quotes are not closed") };
        let Some(rest) = self.rest.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            self.take_line();
            return self.errors.add(place, format!("`{name}` has no `=` and value"));
        };
        self.rest = rest.trim_start_matches([' ', '\t']);
        if self.rest.starts_with('"') {
            let Some(text) = self.quoted() else {
                return self.errors.add(place, format!("the quotes of `{name}` are not closed"));
            };
            let behind = self.take_line().trim();
            if !behind.is_empty() && !behind.starts_with(';') {
                return self.errors.add(place, format!("`{name}` is followed by `{behind}`"));
            }
            return self.set(place, &name, Data::Text(text));
        }
        self.other_value(place, &name);
    }

    fn other_value(&mut self, place: &str, name: &str) {
        let mut value = String::new();
        loop {
            let line = self.take_line().trim();
            let line = line.split(';').next().unwrap_or_default().trim_end();
            match line.strip_suffix('\\') {
                Some(begun) if !self.rest.is_empty() => value.push_str(begun.trim()),
                _ => break value.push_str(line),
            }
        }
        if value == "-" {
            if let Some(key) = self.key {
                self.policies.unset(key, Some(name));
            }
            return;
        }
        match data(&value) {
            Some(data) => self.set(place, name, data),
            None => self
                .errors
                .add(place, format!("the value of `{name}` is no text in quotes, `dword:` or `hex:`")),
        }
    }

    fn set(&mut self, place: &str, name: &str, data: Data) {
        if let Some(key) = self.key {
            self.policies.set(place, key, name, data);
        }
    }

    /// A text in quotes, which may go over lines; `None` if it is not closed, and then the file is at its end.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Some(text);
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                '\n' => {
                    self.line = self.line.saturating_add(1);
                    text.push(c);
                }
                c => text.push(c),
            }
        }
        self.rest = "";
        None
    }

    fn blanks(&mut self) {
        let rest = self.rest.trim_start();
        let skipped = self.rest.len() - rest.len();
        self.count(skipped);
        self.rest = rest;
    }

    /// The rest of the line without its end.
    fn take_line(&mut self) -> &'t str {
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.count(end);
        self.rest = rest;
        line.trim_end_matches(['\r', '\n'])
    }

    fn count(&mut self, bytes: usize) {
        let lines = self
            .rest
            .as_bytes()
            .get(..bytes)
            .unwrap_or_default()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
    }

    fn place(&self) -> String {
        format!("line {}", self.line)
    }
}

/// Whose registry a key is in, and the key there: nobody's for the computer's.
fn owner<'k>(hive: &str, below: &'k str) -> Option<(String, &'k str)> {
    match hive.to_ascii_uppercase().as_str() {
        "HKEY_LOCAL_MACHINE" | "HKLM" => Some((String::new(), below)),
        "HKEY_CURRENT_USER" | "HKCU" => Some(("the user whose registry this is".to_owned(), below)),
        "HKEY_USERS" | "HKU" => {
            let (user, below) = below.split_once('\\')?;
            Some((format!("the user {user}"), below))
        }
        _ => None,
    }
}

/// `dword:0000002e`, `hex:…`, and `hex(1):…`, which is a text again.
fn data(value: &str) -> Option<Data> {
    let (kind, rest) = value.split_once(':')?;
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if kind == "dword" {
        let number = u32::from_str_radix(rest, 16).ok().filter(|_| rest.len() <= 8 && hex(rest));
        return number.map(Data::Number);
    }
    let number = match kind.strip_prefix("hex")? {
        "" => "3",
        number => number.strip_prefix('(')?.strip_suffix(')')?,
    };
    let bytes = rest.split(',').map(str::trim).filter(|byte| !byte.is_empty());
    let bytes: Option<Vec<u8>> = bytes
        .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2 && hex(byte)))
        .collect();
    let bytes = bytes?;
    let units: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    Some(match number {
        "1" => Data::Text(String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned()),
        "2" => Data::Other("REG_EXPAND_SZ"),
        "4" => Data::Number(bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))),
        _ => Data::Other("bytes"),
    })
}
