//! The management shell's listings (`Get-CsConferencingConfiguration`, `Get-CsService`, `Get-CsUCPhoneConfiguration`) and
//! lines that set the same values, as people paste them: with prompts, dashes of word processors, wrapped lines.
//!
//! No shell: nothing is executed, variables and pipes are not followed.

mod command;
mod listing;
mod property;
mod settings;
mod text;

use super::{Format, Note, Read};
use settings::Settings;

pub(super) const FORMATS: &[Format] =
    &[Format { name: "Lync management shell (listings, Set-Cs lines)", recognise, read }];

fn recognise(bytes: &[u8]) -> bool {
    let head = text::decoded(bytes.get(..1 << 16).unwrap_or(bytes));
    head.lines().any(|line| command::begins(line) || listing::begins(line))
}

/// A listing's lines have a colon between blanks; what else has words is a command.
fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let decoded = text::decoded(bytes);
    let mut settings = Settings::default();
    let mut block = listing::Block::default();
    let mut commands = command::Lines::default();
    for (line, text) in (1..).zip(decoded.lines()) {
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
