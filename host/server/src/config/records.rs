//! `[records]`: where call records are kept, for how long, and how much of a name is in them.

use std::path::PathBuf;
use std::time::Duration;

use carillon_store::Retention;

use super::raw::Block;
use super::resolve::Resolver;

/// How call records are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallRecordsConfig {
    /// The file.
    pub file: PathBuf,
    /// For how long, and how many.
    pub keep: Retention,
    /// How much of a name is in them.
    pub names: Names,
}

/// How much of a name is in records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// All of it.
    Whole,
    /// Without its last three characters, which are `xxx` instead.
    Cut,
    /// A keyed hash: the same for the same name, and not to be turned back without the store.
    Hashed,
}

impl Resolver<'_> {
    /// The file is beside the store unless it is said otherwise.
    pub(super) fn records(&self, block: &Block, top: &Block) -> Option<CallRecordsConfig> {
        let beside = || Some(self.path(top, "store")?.with_file_name("records.db"));
        let file = self.path(block, "file").or_else(beside)?;
        let days = block.number("days")?.value;
        let keep = Retention { age: Duration::from_secs(days * 86_400), legs: block.number("legs")?.value };
        let names = match block.text("names")?.value.as_str() {
            "cut" => Names::Cut,
            "hashed" => Names::Hashed,
            _ => Names::Whole,
        };
        Some(CallRecordsConfig { file, keep, names })
    }
}
