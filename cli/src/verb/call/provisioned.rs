//! What the phone was given: the document as it came, and what it means, with who decided each value.

use std::io::Write;

use carillon_signaling::provisioning::Provisioned;
use carillon_signaling::{RelayServer, RelayService};
use serde_json::{Value, json};

use crate::answer::Failure;
use crate::style::{FAINT, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words;

/// One line about it.
pub(super) fn sentence(plan: &Provisioned) -> String {
    match &plan.source {
        Some(source) => {
            format!(
                "provisioned by plan {}, version {}, values of {}",
                source.plan, source.version, source.scope
            )
        }
        None => "provisioned by a server that does not name its plan".to_owned(),
    }
}

/// The same for programs.
pub(super) fn facts(plan: &Provisioned) -> Value {
    let class = |given: &carillon_signaling::provisioning::Given| {
        json!({
            "class": given.class,
            "ports": given.ports,
            "ports_from": given.ports_from,
            "mark": given.mark.value(),
            "mark_from": given.mark_from,
        })
    };
    let source = plan.source.as_ref();
    json!({
        "plan": source.map(|source| &source.plan),
        "version": source.map(|source| source.version),
        "scope": source.map(|source| &source.scope),
        "enabled": plan.enabled,
        "enabled_from": source.map(|source| &source.enabled),
        "classes": plan.classes.iter().map(class).collect::<Vec<_>>(),
        "relays": plan.relays.as_ref().map(relays),
    })
}

/// Where relays are and until when; what opens them is nobody's to see.
fn relays(service: &RelayService) -> Value {
    let server = |server: &RelayServer| json!({ "uri": server.uri.to_string(), "class": server.class });
    json!({
        "expires": service.expires.as_secs(),
        "servers": service.servers.iter().map(server).collect::<Vec<_>>(),
    })
}

/// The document as it came, but for what opens relays.
fn shown(plan: &Provisioned, document: &str) -> String {
    let credentials = plan.relays.iter().flat_map(|service| &service.credentials);
    credentials.fold(document.to_owned(), |text, credential| {
        text.replace(&format!("password=\"{}\"", credential.password), "password=\"…\"")
    })
}

/// The document, and the table of its values.
pub(super) fn print(
    plan: &Provisioned,
    document: &str,
    out: &mut dyn Write,
    as_json: bool,
) -> Result<(), Failure> {
    let document = shown(plan, document);
    if as_json {
        let mut facts = facts(plan);
        if let Value::Object(facts) = &mut facts {
            facts.insert("document".to_owned(), document.into());
        }
        serde_json::to_writer_pretty(&mut *out, &facts)?;
        return Ok(writeln!(out)?);
    }
    for line in document.lines() {
        writeln!(out, "{FAINT}{}{FAINT:#}", words::clean(line))?;
    }
    writeln!(out, "\n{STRONG}{}{STRONG:#}", words::clean(&sentence(plan)))?;
    if let Some(source) = &plan.source {
        let state = if plan.enabled { "in force" } else { "not in force: any port, no mark" };
        writeln!(
            out,
            "{state}, as {} says; each value is from the most specific scope that sets it",
            source.enabled
        )?;
    }
    let mut table = Table::new([
        Column::left("class"),
        Column::left("ports"),
        Column::left("from"),
        Column::left("mark"),
        Column::left("from"),
    ]);
    for given in &plan.classes {
        let ports = given.ports.map_or_else(|| "any".to_owned(), |ports| ports.to_string());
        let cells =
            [given.class.name(), &ports, &given.ports_from, &words::mark(given.mark), &given.mark_from];
        table.row(cells.map(Cell::from));
    }
    Ok(table.print(out, terminal_width())?)
}

#[cfg(test)]
mod tests {
    use carillon_signaling::RelayCredential;
    use carillon_signaling::provisioning::parse;

    use super::*;

    #[test]
    fn what_opens_a_relay_is_not_shown() {
        let document = "<l><provisionGroup name=\"ServerConfiguration\"/>\
            <relays xmlns=\"urn:carillon:relays:1\" expires=\"9\"><server uri=\"turn:e\"/>\
            <credential username=\"9:a\" password=\"c2VjcmV0\"/></relays></l>";
        let plan = parse(document).unwrap();
        let credential =
            RelayCredential { class: None, username: "9:a".to_owned(), password: "c2VjcmV0".to_owned() };
        assert_eq!(plan.relays.as_ref().unwrap().credentials, [credential]);
        for as_json in [false, true] {
            let mut out = Vec::new();
            print(&plan, document, &mut out, as_json).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains("turn:e") && !text.contains("c2VjcmV0"), "{text}");
        }
    }
}
