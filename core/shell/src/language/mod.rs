//! The part of PowerShell that the documents of the management shell use: reading and printing scripts. Knows no cmdlets.

pub mod ast;
mod cursor;
mod expression;
mod print;
mod statement;
mod text;

pub use cursor::{Repair, Wrong};
pub use print::print;
pub(crate) use text::number;

use ast::Script;

/// Longest script, in bytes.
pub const LONGEST: usize = 1 << 20;

/// Reads a script. Reading is tolerant unless it is strict: what pages get wrong is read as it was meant and told.
///
/// # Errors
/// Where the script is wrong, and how.
pub fn parse(text: &str, strict: bool) -> Result<(Script, Vec<Repair>), Wrong> {
    if text.len() > LONGEST {
        let text = format!("the script has {} bytes; at most {LONGEST} are read", text.len());
        return Err(Wrong { line: 1, text, unfinished: false });
    }
    let mut cursor = cursor::Cursor::new(text, strict);
    let script = statement::script(&mut cursor, None)?;
    Ok((script, cursor.repairs))
}
