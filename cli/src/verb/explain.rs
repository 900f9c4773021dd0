//! `carillon explain`: findings, lints, ports, flows, dialled numbers, and numbers of event logs.

pub mod event;
pub mod finding;
pub mod flow;
pub mod lint;
pub mod number;
pub mod port;

use std::io::Write;

use carillon_qos::plan::nearest;

use crate::answer::{Answer, Failure};
use crate::args::Explain;

/// Explains one name, or lists all.
pub fn run(what: &Explain, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        Explain::Finding { markdown: true, .. } => finding::markdown(out),
        Explain::Finding { name: None, json, .. } => finding::list(*json, out),
        Explain::Finding { name: Some(name), json, .. } => finding::one(name, *json, out),
        Explain::Lint { name: None, json } => lint::list(*json, out),
        Explain::Lint { name: Some(name), json } => lint::one(name, *json, out),
        Explain::Port { port, plan, json } => port::run(port, plan, *json, out),
        Explain::Flow { source, destination, transport, plan, roles, json } => {
            let asked =
                flow::Asked { source: *source, destination: *destination, transport: *transport, roles };
            flow::run(&asked, plan, *json, out)
        }
        Explain::Number { dialled, site, config, json } => {
            number::run(dialled, site.as_deref(), config, *json, out)
        }
        Explain::Event { code, json } => event::run(code, *json, out),
    }
}

/// What to say about a name that does not exist.
fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Failure {
    let hint = match nearest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("`carillon explain {kind}` lists them"),
    };
    Failure::new(format!("there is no {kind} `{name}`"), hint)
}
