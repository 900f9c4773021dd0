//! `.reg` files: policies per role, their removal, and the switch for machines outside of a domain.

use super::super::{File, Order, Target, Unfit};
use super::policy::{NLA, key, utf16, values};
use super::{ROLES, guides, hosts};
use crate::rule::MarkingRule;

pub(super) const TARGET: Target =
    Target { name: "windows-reg", title: "Windows registry files, one per role", make };

const HIVE: &str = "HKEY_LOCAL_MACHINE";

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let mut files = Vec::new();
    for hosts in hosts(order, &ROLES)? {
        let role = hosts.role;
        let head = format!("; {}\r\n; {}\r\n\r\n", hosts.title, guides::SYSTEMS);
        files.push(File {
            path: format!("windows/{role}.reg"),
            bytes: encoded(&(head.clone() + &install(&hosts.rules))),
            guide: Some(guides::registry(&hosts)),
        });
        files.push(File {
            path: format!("windows/{role}-remove.reg"),
            bytes: encoded(&(head + &remove(&hosts.rules))),
            guide: Some(guides::registry_removal(&hosts)),
        });
    }
    files.push(nla("windows/do-not-use-nla.reg", "\"1\""));
    files.push(File { guide: None, ..nla("windows/do-not-use-nla-remove.reg", "-") });
    Ok(files)
}

fn install(rules: &[MarkingRule]) -> String {
    let mut text = String::new();
    for rule in rules {
        text.push_str(&format!("[{HIVE}\\{}]\r\n", key(rule)));
        for (name, value) in values(rule) {
            text.push_str(&format!("\"{name}\"={}\r\n", quoted(&value)));
        }
        text.push_str("\r\n");
    }
    text
}

fn remove(rules: &[MarkingRule]) -> String {
    rules.iter().map(|rule| format!("[-{HIVE}\\{}]\r\n\r\n", key(rule))).collect()
}

fn nla(path: &str, value: &str) -> File {
    let (key, name) = NLA;
    let text = format!("[{HIVE}\\{key}]\r\n\"{name}\"={value}\r\n\r\n");
    File { path: path.to_owned(), bytes: encoded(&text), guide: Some(guides::nla()) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// With the first line that Windows asks for, in UTF-16 with its byte order mark.
fn encoded(text: &str) -> Vec<u8> {
    utf16(&format!("\u{feff}Windows Registry Editor Version 5.00\r\n\r\n{text}"))
}
