//! `Registry.pol`: the registry part of a group policy, as MS-GPREG lays it out.

use super::super::{File, Order, Target, Unfit};
use super::policy::{key, utf16, values};
use super::{ROLES, guides, hosts};
use crate::rule::MarkingRule;

pub(super) const TARGET: Target =
    Target { name: "windows-pol", title: "Windows Registry.pol, one per role, for local policies", make };

/// "PReg" and version 1.
const HEAD: &[u8] = b"PReg\x01\0\0\0";

/// The registry's type of a text.
const REG_SZ: u32 = 1;

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let file = |hosts: super::Hosts| File {
        path: format!("windows/{}/Registry.pol", hosts.role),
        bytes: content(&hosts.rules),
        guide: Some(guides::pol(&hosts)),
    };
    Ok(hosts(order, &ROLES)?.into_iter().map(file).collect())
}

/// The file with these rules.
pub(super) fn content(rules: &[MarkingRule]) -> Vec<u8> {
    let mut bytes = HEAD.to_vec();
    for rule in rules {
        for (name, value) in values(rule) {
            record(&key(rule), name, &value, &mut bytes);
        }
    }
    bytes
}

/// `[key;value;type;size;data]`: delimiters and texts in UTF-16, texts with their NUL, size in bytes (MS-GPREG, 2.2.1).
fn record(key: &str, name: &str, value: &str, out: &mut Vec<u8>) {
    let data = utf16(&format!("{value}\0"));
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend(utf16(&format!("[{key}\0;{name}\0;")));
    out.extend(REG_SZ.to_le_bytes());
    out.extend(utf16(";"));
    out.extend(size.to_le_bytes());
    out.extend(utf16(";"));
    out.extend(data);
    out.extend(utf16("]"));
}
