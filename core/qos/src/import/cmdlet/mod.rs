//! The management shell's listings (`Get-CsConferencingConfiguration`, `Get-CsService`, `Get-CsUCPhoneConfiguration`) and
//! lines that set the same values, as people paste them: with prompts, dashes of word processors, wrapped lines.
//!
//! No shell: nothing is executed, variables and pipes are not followed.

mod command;
mod listing;
mod property;
mod settings;
mod table;
pub(super) mod text;

use super::{Format, Note, Read};
use settings::Settings;
use table::Table;

pub(super) const FORMATS: &[Format] =
    &[Format { name: "Lync management shell (listings, Set-Cs lines)", recognise, read }];

fn recognise(bytes: &[u8]) -> bool {
    let head = text::decoded(bytes.get(..1 << 16).unwrap_or(bytes));
    head.lines().any(|line| command::begins(line) || listing::begins(line)) || tables(&head)
}

/// Whether a table has a column that this reader is for.
fn tables(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    lines.windows(2).any(|pair| {
        let [names, hyphens] = pair else { return false };
        let known = |name: &str| listing::begins(&format!("{name} : x"));
        Table::begins(names, hyphens).is_some_and(|table| table.names().any(known))
    })
}

/// A listing's lines have a colon between blanks, a table goes to the next empty line; what else has words is a command.
fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let decoded = text::decoded(bytes);
    let mut settings = Settings::default();
    let mut block = listing::Block::default();
    let mut commands = command::Lines::default();
    let mut table: Option<Table> = None;
    let mut lines = (1..).zip(decoded.lines()).peekable();
    while let Some((line, text)) = lines.next() {
        if let Some(begun) = lines.peek().and_then(|(_, hyphens)| Table::begins(text, hyphens)) {
            block.end(&mut settings);
            commands.end(&mut settings);
            table = Some(begun);
            lines.next();
            continue;
        }
        if let Some(columns) = table.as_ref().filter(|_| !text.trim().is_empty()) {
            match columns.row(text) {
                Ok(cells) => {
                    cells.iter().for_each(|(name, value)| block.add(line, name, value, &mut settings))
                }
                Err(cut) => {
                    let why = format!("`{cut}` is cut off; print it with `Format-List`");
                    settings.unread(line, format!("line {line} of the table"), why);
                }
            }
            block.end(&mut settings);
            continue;
        }
        table = None;
        match listing::property(text) {
            Some((name, value)) if !commands.continues(text) => {
                commands.end(&mut settings);
                block.add(line, name, value, &mut settings);
            }
            _ => {
                let wrapped = text.starts_with([' ', '\t']) && !text.trim().is_empty();
                if !wrapped {
                    block.end(&mut settings);
                } else if block.is_open() && !commands.continues(text) && !command::begins(text) {
                    // The value above goes on.
                    continue;
                }
                commands.add(line, text, &mut settings);
            }
        }
    }
    block.end(&mut settings);
    commands.end(&mut settings);
    settings.finish()
}
