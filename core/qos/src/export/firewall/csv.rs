//! The flows as comma-separated values: a line each, and a line for what the columns are.

use super::flows::Opening;

pub(super) fn text(openings: &[Opening]) -> String {
    let mut text =
        "from,to,protocol,source ports,destination ports,number of ports,purpose,reading,source\r\n"
            .to_owned();
    for opening in openings {
        let fields = [
            opening.from.name(),
            opening.to.name(),
            opening.protocols(),
            &opening.source_ports_text(),
            &opening.ports_text(),
            &opening.count().map_or_else(|| "any".to_owned(), |count| count.to_string()),
            opening.service,
            opening.reading.name(),
            opening.source,
        ];
        text.push_str(&fields.map(quoted).join(","));
        text.push_str("\r\n");
    }
    text
}

/// Fields with a comma, a quote or an end of line stand in quotes (RFC 4180, 2).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

impl Opening {
    /// `UDP and TCP`.
    pub(super) fn protocols(&self) -> &'static str {
        match self.protocol {
            crate::rule::Protocol::Both => "UDP and TCP",
            crate::rule::Protocol::Udp => "UDP",
            crate::rule::Protocol::Tcp => "TCP",
        }
    }

    /// `20000-20159`, `80 443`, `any`.
    pub(super) fn ports_text(&self) -> String {
        let ranges: Vec<String> = self.ports.iter().map(|range| range.to_string()).collect();
        if ranges.is_empty() { "any".to_owned() } else { ranges.join(" ") }
    }

    /// `50000-59999`, `any`.
    pub(super) fn source_ports_text(&self) -> String {
        self.source_ports.map_or_else(|| "any".to_owned(), |range| range.to_string())
    }

    /// Destination ports; `None` for any.
    pub(super) fn count(&self) -> Option<u32> {
        (!self.ports.is_empty()).then(|| self.ports.iter().map(|range| range.count()).sum())
    }

    /// `UDP and TCP 20000-20159`, `TCP from 50000-59999`.
    pub(super) fn wire(&self) -> String {
        match self.source_ports {
            Some(range) => format!("{} from {range}", self.protocols()),
            None => format!("{} {}", self.protocols(), self.ports_text()),
        }
    }
}
