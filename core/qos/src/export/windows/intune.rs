//! Intune and other MDM: the NetworkQoSPolicy configuration service provider, for clients.

use serde_json::{Value, json};

use super::super::{File, Order, Target, Unfit};
use super::xml::escaped;
use super::{Hosts, guides, hosts};
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

pub(super) const TARGET: Target =
    Target { name: "intune", title: "Intune and other MDM: NetworkQoSPolicy for Windows clients", make };

const BASE: &str = "./Device/Vendor/MSFT/NetworkQoSPolicy";

/// One setting of a device.
struct Row {
    name: String,
    uri: String,
    value: Datum,
}

enum Datum {
    Integer(u8),
    Text(String),
}

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let mut files = Vec::new();
    for hosts in hosts(order, &[Role::Client])? {
        let rows: Vec<Row> = hosts.rules.iter().flat_map(rows).collect();
        let file = |name: &str, text: String, guide| File {
            path: format!("intune/{name}"),
            bytes: text.into_bytes(),
            guide,
        };
        files.push(file("client.json", profile(&hosts, &rows), Some(guides::intune(&hosts))));
        files.push(file("client.csv", table(&rows), Some(guides::intune_table(&hosts))));
        files.push(file("client.syncml", added(&rows), Some(guides::syncml(&hosts))));
        files.push(file("client-remove.syncml", deleted(&hosts.rules), None));
    }
    Ok(files)
}

fn rows(rule: &MarkingRule) -> Vec<Row> {
    let node = node(rule);
    let row = |leaf: &str, value| Row {
        name: format!("{}: {leaf}", rule.name),
        uri: format!("{BASE}/{node}/{leaf}"),
        value,
    };
    let protocol = match rule.protocol {
        Protocol::Both => 0,
        Protocol::Tcp => 1,
        Protocol::Udp => 2,
    };
    let mut rows = vec![row("IPProtocolMatchCondition", Datum::Integer(protocol))];
    let text = |leaf, text: String| row(leaf, Datum::Text(text));
    rows.extend(rule.application.iter().map(|name| text("AppPathNameMatchCondition", name.clone())));
    rows.extend(rule.source_ports.map(|ports| text("SourcePortMatchCondition", ports.to_string())));
    rows.extend(rule.destination_ports.map(|ports| text("DestinationPortMatchCondition", ports.to_string())));
    rows.push(row("DSCPAction", Datum::Integer(rule.mark.value())));
    rows
}

/// The rule's name as a part of a path.
fn node(rule: &MarkingRule) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    rule.name.chars().map(plain).collect()
}

/// A custom profile as Microsoft Graph takes it.
fn profile(hosts: &Hosts, rows: &[Row]) -> String {
    let setting = |row: &Row| -> Value {
        let (kind, value) = match &row.value {
            Datum::Integer(number) => ("#microsoft.graph.omaSettingInteger", json!(number)),
            Datum::Text(text) => ("#microsoft.graph.omaSettingString", json!(text)),
        };
        json!({ "@odata.type": kind, "displayName": row.name, "omaUri": row.uri, "value": value })
    };
    let profile = json!({
        "@odata.type": "#microsoft.graph.windows10CustomConfiguration",
        "displayName": hosts.title,
        "description": guides::MDM_SYSTEMS,
        "omaSettings": rows.iter().map(setting).collect::<Vec<Value>>(),
    });
    format!("{profile:#}\n")
}

fn table(rows: &[Row]) -> String {
    let mut text = "Name,OMA-URI,Data type,Value\r\n".to_owned();
    for row in rows {
        let (kind, value) = match &row.value {
            Datum::Integer(number) => ("Integer", number.to_string()),
            Datum::Text(text) => ("String", text.clone()),
        };
        let fields = [row.name.as_str(), &row.uri, kind, &value].map(|field| field.replace('"', "\"\""));
        text.push_str(&format!("\"{}\"\r\n", fields.join("\",\"")));
    }
    text
}

fn added(rows: &[Row]) -> String {
    let command = |(number, row): (usize, &Row)| {
        let (format, value) = match &row.value {
            Datum::Integer(number) => ("int", number.to_string()),
            Datum::Text(text) => ("chr", escaped(text)),
        };
        let meta = format!("<Meta><Format xmlns=\"syncml:metinf\">{format}</Format></Meta>");
        let item = format!("<Target><LocURI>{}</LocURI></Target>{meta}<Data>{value}</Data>", row.uri);
        format!("    <Add><CmdID>{}</CmdID><Item>{item}</Item></Add>\n", number + 1)
    };
    document(rows.iter().enumerate().map(command).collect())
}

fn deleted(rules: &[MarkingRule]) -> String {
    let command = |(number, rule): (usize, &MarkingRule)| {
        let item = format!("<Target><LocURI>{BASE}/{}</LocURI></Target>", node(rule));
        format!("    <Delete><CmdID>{}</CmdID><Item>{item}</Item></Delete>\n", number + 1)
    };
    document(rules.iter().enumerate().map(command).collect())
}

fn document(commands: String) -> String {
    format!(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\">\n  <SyncBody>\n{commands}    <Final/>\n  </SyncBody>\n</SyncML>\n"
    )
}
