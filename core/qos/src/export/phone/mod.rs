//! Desk phones and gateways: what each family can be told, and nothing that it cannot.

mod asterisk;
mod audiocodes;
mod cube;
mod lync;
mod polycom;
pub(crate) mod settings;
mod snom;
mod yealink;

use super::{File, Guide, Target};

pub(super) const TARGETS: &[Target] = &[
    polycom::TARGET,
    yealink::TARGET,
    snom::TARGET,
    lync::TARGET,
    audiocodes::PHONES,
    audiocodes::GATEWAY,
    cube::TARGET,
    asterisk::TARGET,
];

/// A text file with its guide.
fn file(path: &str, text: String, guide: Guide) -> File {
    File { path: path.to_owned(), bytes: text.into_bytes(), guide: Some(guide) }
}

/// Steps or remarks of a guide.
fn lines<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
