//! Numbers of event logs: `carillon explain event`.

use std::io::Write;

use carillon_qos::plan::nearest;
use carillon_qos::reference::{Code, Decoded, decode};

use crate::answer::{Answer, Failure};
use crate::style::{DOUBT, FAINT, FIX, STRONG};
use crate::verb::print_json;

/// Takes a number apart; no for one that is known to nobody here.
pub fn run(code: &str, json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let decoded = decode(code).ok_or_else(|| unreadable(code))?;
    let answer = if decoded.known.is_some() { Answer::Yes } else { Answer::No };
    if json {
        print_json(&decoded)?;
    } else {
        print(&decoded, out)?;
    }
    Ok(answer)
}

fn unreadable(code: &str) -> Failure {
    let lower: Vec<(String, &str)> = Code::names().map(|name| (name.to_ascii_lowercase(), name)).collect();
    let near = nearest(&code.replace('_', "-"), lower.iter().map(|(lower, _)| lower.as_str()));
    let name = near.and_then(|near| lower.iter().find(|(lower, _)| lower == near));
    let hint = match name {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => {
            "write it as the event log does: -2147014848, 0x80072740, 10048, or a name such as WSAEADDRINUSE"
                .to_owned()
        }
    };
    Failure::new(format!("`{code}` is no number of 32 bits"), hint)
}

fn print(decoded: &Decoded, out: &mut dyn Write) -> Result<(), Failure> {
    let Decoded { signed, unsigned, hex, hresult, known } = decoded;
    match known {
        Some(code) => {
            writeln!(out, "{STRONG}{}{STRONG:#}  {} ({})", code.name, code.number, code.layer.words())?;
            writeln!(out, "{}\n  {FIX}fix:{FIX:#} {}", code.meaning, code.fix)?;
        }
        None => writeln!(out, "{DOUBT}not known here{DOUBT:#}")?,
    }
    let number = match i64::from(*signed) == i64::from(*unsigned) {
        true => signed.to_string(),
        false => format!("{signed} or {unsigned}"),
    };
    writeln!(out, "  {FAINT}as a number{FAINT:#}    {number}, {hex}")?;
    if let Some(parts) = hresult {
        let facility = parts
            .facility_name
            .map_or(parts.facility.to_string(), |name| format!("{} ({name})", parts.facility));
        writeln!(
            out,
            "  {FAINT}as an HRESULT{FAINT:#}  a failure of facility {facility}, code {}",
            parts.code
        )?;
    }
    Ok(())
}
