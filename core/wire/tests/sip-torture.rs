//! Messages made to be misread, with their verdicts: our own, committed beside this file, and those of RFC 4475 and
//! RFC 5118 where the shared reference data lie beside the checkout (or where CARILLON_SHARED says).
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests read their corpus"
)]

use std::path::{Path, PathBuf};

use carillon_wire::sip::{Decoded, Framing, Limits, Message, Name, StartLine, Transport, decode, frame};

#[derive(Debug)]
struct Outcome {
    accepted: bool,
    code: Option<u16>,
    /// Reason phrase or counter.
    text: &'static str,
}

/// A valid request may still get the answer of a proxy that looks at its scheme and hops.
fn judge(bytes: &[u8]) -> Outcome {
    match decode(bytes, Limits::default()) {
        Decoded::Valid(message) => {
            let refusal = message.check().unwrap().refusal();
            Outcome { accepted: true, code: refusal.map(|a| a.code), text: "-" }
        }
        Decoded::Wrong(_, answer) => {
            Outcome { accepted: false, code: Some(answer.code), text: answer.reason }
        }
        Decoded::Garbage(garbage) => Outcome { accepted: false, code: None, text: garbage.counter() },
        Decoded::KeepAlive => Outcome { accepted: false, code: None, text: "keep-alive" },
    }
}

fn rows(table: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(table).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sip")
}

/// The shared messages, or `None` with a word about the skipped test.
fn shared() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|dir| dir.join("shared"));
    let named = std::env::var_os("CARILLON_SHARED").map(PathBuf::from);
    let found =
        named.into_iter().chain(above).map(|dir| dir.join("data/sip-torture")).find(|dir| dir.is_dir());
    if found.is_none() {
        println!("SKIPPED: no shared/data/sip-torture beside the checkout and no CARILLON_SHARED");
    }
    found
}

#[test]
fn our_own_messages_get_their_verdicts() {
    let mut wrong = Vec::new();
    let rows = rows(&own().join("verdicts.tsv"));
    for row in &rows {
        let [name, verdict, code, reason, _note] = row.as_slice() else { panic!("{row:?}") };
        let outcome = judge(&std::fs::read(own().join(format!("{name}.sip"))).unwrap());
        let code = code.parse::<u16>().ok();
        let expected = match verdict.as_str() {
            "accept" => outcome.accepted && outcome.code == code,
            "reject" => !outcome.accepted && outcome.code == code && outcome.text == reason,
            "drop" => !outcome.accepted && outcome.code.is_none() && outcome.text == reason,
            "keep-alive" => outcome.text == "keep-alive",
            other => panic!("{name}: verdict {other}"),
        };
        if !expected {
            wrong.push(format!("{name}: wants {verdict} {code:?} {reason}, got {outcome:?}"));
        }
    }
    assert!(rows.len() >= 25 && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_message_has_a_verdict() {
    let listed = rows(&own().join("verdicts.tsv")).len();
    let files = std::fs::read_dir(own()).unwrap();
    let messages = files.filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "sip"));
    assert_eq!(messages.count(), listed);
}

/// Columns: file, section, title, parser_level, verdict, response, notes.
#[test]
fn the_messages_of_rfc_4475_and_5118_get_their_verdicts() {
    let Some(shared) = shared() else { return };
    let rows = rows(&shared.join("index.tsv"));
    let mut wrong = Vec::new();
    for row in &rows {
        let [file, _, _, level, verdict, response, ..] = row.as_slice() else { panic!("{row:?}") };
        let outcome = judge(&std::fs::read(shared.join(file)).unwrap());
        let listed = outcome.code.is_some_and(|code| response.contains(&code.to_string()));
        let expected = match (level.as_str(), verdict.as_str()) {
            ("reject", "drop") => !outcome.accepted && outcome.code.is_none(),
            ("reject", _) => !outcome.accepted && listed,
            // A refusal that is above the parser (416, 483) must be the one listed.
            ("accept", "reject") if response.starts_with("416") || response.starts_with("483") => {
                outcome.accepted && listed
            }
            ("accept", _) => outcome.accepted && outcome.code.is_none_or(|_| listed),
            ("either", _) => outcome.accepted || listed,
            other => panic!("{file}: {other:?}"),
        };
        if !expected {
            wrong.push(format!("{file}: wants {level}, {verdict} {response}; got {outcome:?}"));
        }
    }
    assert_eq!(rows.len(), 61);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_parts_of_tortuous_messages_are_read_right() {
    let Some(shared) = shared() else { return };
    let read = |name: &str| std::fs::read(shared.join(name)).unwrap();
    let wsinv = read("rfc4475/wsinv.dat");
    let wsinv = Message::parse(wsinv.as_slice()).unwrap();
    let routing = wsinv.check().unwrap();
    assert_eq!(routing.to.tag, Some(&b"1918181833n"[..]));
    assert_eq!((routing.cseq.number, routing.max_forwards), (9, Some(68)));
    assert_eq!(wsinv.vias().map(|via| via.unwrap().branch.unwrap().len()).collect::<Vec<_>>(), [9, 12, 12]);
    assert_eq!(wsinv.get(Name::Subject), Some(&b""[..]));
    assert!(wsinv.sdp().unwrap().ends_with(b"a=rtpmap:31 LPC\r\n"));

    let esc02 = read("rfc4475/esc02.dat");
    assert_eq!(Message::parse(esc02.as_slice()).unwrap().addresses(Name::Contact).count(), 2);
    let semiuri = read("rfc4475/semiuri.dat");
    let semiuri = Message::parse(semiuri.as_slice()).unwrap();
    assert_eq!(semiuri.check().unwrap().uri.unwrap().user, Some(&b"user;par=u%40example.net"[..]));
    let unreason = read("rfc4475/unreason.dat");
    let unreason = Message::parse(unreason.as_slice()).unwrap();
    assert!(matches!(unreason.start(), StartLine::Response { code: 200, reason } if reason.len() > 60));
}

#[test]
fn a_stream_splits_what_a_datagram_ignores() {
    let Some(shared) = shared() else { return };
    let read = |name: &str| std::fs::read(shared.join(name)).unwrap();
    let double = read("rfc4475/dblreq.dat");
    let Framing::Message { len, .. } = frame(&double, Transport::Tcp, Limits::default()) else { panic!() };
    let between = frame(&double[len..], Transport::Tcp, Limits::default());
    let Framing::KeepAlive { len: breaks } = between else { panic!("{between:?}") };
    let second = frame(&double[len + breaks..], Transport::Tcp, Limits::default());
    assert!(
        matches!(second, Framing::Message { message, .. } if message.method().unwrap().as_bytes() == b"INVITE")
    );
    let short = read("rfc4475/clerr.dat");
    let framed = frame(&short, Transport::Tcp, Limits::default());
    assert!(matches!(framed, Framing::More { needed } if needed > short.len()));
    for name in ["rfc4475/ncl.dat", "rfc4475/mcl01.dat"] {
        let bytes = read(name);
        let framed = frame(&bytes, Transport::Tcp, Limits::default());
        assert!(matches!(framed, Framing::Wrong { answer, .. } if answer.code == 400), "{name}");
    }
}
