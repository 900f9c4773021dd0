//! The same messages before another parser (`sipx-sip`): where the two disagree, one of them is wrong or the
//! difference is meant and named below.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests read their corpus"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use carillon_wire::sip::{Decoded, Limits, decode};

/// What sipx-sip judges otherwise.
const MEANT: &[(&str, &str)] = &[
    ("regbadct", "a question mark outside brackets: RFC 4475 allows both"),
    ("empty-contact-value", "it does not read Contact"),
    ("second-via-broken", "it reads the top Via only"),
    ("via-trailing-comma", "it reads the top Via only"),
    ("tag-without-value", "it takes a tag without a value for none"),
    ("leading-breaks", "it skips line breaks on streams only"),
    ("length-twice-equal", "it refuses any repeated Content-Length"),
];

fn ours(bytes: &[u8]) -> bool {
    matches!(decode(bytes, Limits::default()), Decoded::Valid(_))
}

/// A missing Max-Forwards is for a proxy to repair, and for both parsers none to refuse.
fn theirs(bytes: &[u8]) -> bool {
    let parsed = sipx_sip::parse_datagram(bytes.to_vec().into(), &sipx_sip::Limits::datagram());
    parsed.is_ok_and(|message| sipx_sip::validate(&message).iter().all(sipx_sip::Finding::is_repairable))
}

fn messages() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sip");
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|dir| dir.join("shared"));
    let named = std::env::var_os("CARILLON_SHARED").map(PathBuf::from);
    let shared =
        named.into_iter().chain(above).map(|dir| dir.join("data/sip-torture")).find(|dir| dir.is_dir());
    if shared.is_none() {
        println!("SKIPPED in part: no shared/data/sip-torture beside the checkout and no CARILLON_SHARED");
    }
    let folders = shared.iter().flat_map(|dir| [dir.join("rfc4475"), dir.join("rfc5118")]).chain([own]);
    let files = folders.flat_map(|dir| std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()));
    let mut messages: Vec<_> =
        files.filter(|f| f.extension().is_some_and(|e| e == "sip" || e == "dat")).collect();
    messages.sort();
    messages
}

#[test]
fn another_parser_agrees_but_for_the_differences_meant() {
    let meant: BTreeSet<&str> = MEANT.iter().map(|(name, _)| *name).collect();
    let mut surprises = Vec::new();
    for path in messages() {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (ours, theirs) = (ours(&bytes), theirs(&bytes));
        if (ours != theirs) != meant.contains(name) {
            surprises.push(format!("{name}: we {ours}, they {theirs}"));
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}
