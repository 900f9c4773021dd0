//! What `Get-NetQosPolicy` prints: its own view, and that of `Format-List -Property *`.

use super::super::{Format, Note, Read};
use super::listed::{self, Listed};
use super::{Errors, text};

pub(super) const FORMAT: Format = Format { name: "Get-NetQosPolicy", recognise, read };

/// Both views print it for every policy, and no other listing has it beside a mark.
fn recognise(bytes: &[u8]) -> bool {
    let head = text::head(bytes);
    let has = |name: &str| head.lines().any(|line| property(line).is_some_and(|(key, _)| key == name));
    has("networkprofile") && has("name")
}

fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text::decoded(bytes)?;
    let mut errors = Errors::default();
    let mut notes = Vec::new();
    let listed = listings(&text, &mut notes, &mut errors);
    listed::rules(&listed, notes, errors)
}

/// `DSCPValue      : 46` as its name in small letters, without what the twins of `Format-List *` add, and its value.
fn property(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    Some((listed::short(name), value.trim()))
}

/// Policies are apart by blank lines.
fn listings(text: &str, notes: &mut Vec<Note>, errors: &mut Errors) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    let mut open = false;
    let mut last: Option<String> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            open = false;
        } else if line.trim_start().starts_with("PS ") && line.contains('>') {
            notes.push(Note { place: format!("line {number}"), text: "a prompt was passed over".to_owned() });
        } else if let Some((name, value)) = property(line) {
            if !open {
                all.push(Listed::at(number));
                open = true;
            }
            if let Some(listed) = all.last_mut() {
                listed.set(number, &name, value);
            }
            last = Some(name);
        } else if let (true, true, Some(name), Some(listed)) =
            (open, line.starts_with(' '), last.as_ref(), all.last_mut())
        {
            if let Some(value) = listed.value_mut(name) {
                *value = format!("{value} {}", line.trim());
            }
            let text = "goes on with the value above and was joined to it with a blank; `Out-File -Width 4096` avoids it";
            notes.push(Note { place: format!("line {number}"), text: text.to_owned() });
        } else {
            errors.add(format!("line {number}"), "is no `property : value` of Get-NetQosPolicy");
        }
    }
    all
}
