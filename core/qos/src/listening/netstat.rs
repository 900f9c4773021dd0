//! `netstat -abn` of Windows: a line for each socket, and below it the program in brackets, perhaps after a component of it.
//!
//! Words are of the system's language, so that only columns and addresses are read.

use std::net::SocketAddr;

use super::Row;

pub(super) fn rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    // Those that still wait for their program: with `-b` it stands below.
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(row) = row(at + 1, line) {
            rows.push(row);
            open = true;
        } else if let Some(program) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            rows.last_mut().into_iter().filter(|_| open).for_each(|row| row.program = Some(clean(program)));
            open = false;
        }
    }
    rows
}

/// `TCP    10.0.0.5:5061    0.0.0.0:0    LISTENING    1234`, `UDP    10.0.0.5:3478    *:*`.
fn row(line: usize, text: &str) -> Option<Row> {
    let mut words = text.split_ascii_whitespace();
    let is_stream = match words.next()? {
        word if word.eq_ignore_ascii_case("tcp") => true,
        word if word.eq_ignore_ascii_case("udp") => false,
        _ => return None,
    };
    let local = address(words.next()?)?;
    // Who waits knows no other end: port 0, or nothing at all.
    let foreign = words.next()?;
    let waits = address(foreign).map_or(foreign == "*:*", |foreign| foreign.port() == 0);
    Some(Row { line, is_stream, local, waits, program: None })
}

/// `[fe80::1%12]:5061` has the number of an interface.
fn address(text: &str) -> Option<SocketAddr> {
    match text.split_once('%').zip(text.rsplit_once(']')) {
        Some(((ip, _), (_, port))) => format!("{ip}]{port}").parse().ok(),
        None => text.parse().ok(),
    }
}

/// Names of files only, and not without end.
fn clean(program: &str) -> String {
    program.chars().filter(|c| !c.is_control()).take(100).collect()
}
