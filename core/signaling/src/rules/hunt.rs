//! One call on its way through rules: whose rules hold now, by which stations it came (RFC 7044), and what the next is told.

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Address, Uri, Values};

use crate::address;
use crate::incoming::Incoming;
use crate::user::{domain_part, user_part};

/// Most stations of a call, those before us counted: rules that send it round end here.
const STATIONS: usize = 10;

/// Why a call goes elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    Always,
    Busy,
    NoAnswer,
    Unreachable,
}

/// Where a call is in its rules.
#[derive(Debug)]
pub(crate) struct Hunt {
    /// Whose rules say what comes next.
    pub(crate) to: Arc<str>,
    /// Who calls, if it was proven.
    pub(crate) from: Arc<str>,
    /// How long the phones may ring now, if there is a rule for afterwards.
    pub(crate) patience: Option<Duration>,
    /// Only by TLS.
    pub(crate) secure: bool,
    pub(crate) call_id: Box<[u8]>,
    /// The index of the first station that is ours to tell.
    index: String,
    /// Stations that others have told.
    before: usize,
    stations: Vec<Station>,
    /// For whom voicemail is asked, and why.
    mailbox: Option<(Arc<str>, Cause)>,
}

/// An address by which the call came.
#[derive(Clone, Debug)]
struct Station {
    /// As History-Info has it.
    uri: String,
    /// Whose it is.
    aor: Arc<str>,
    /// Which rule has brought the call here.
    by: Option<Cause>,
}

/// What a request says to a target besides what the caller wrote.
#[derive(Debug)]
pub(crate) struct Told {
    /// The Request-URI, where no phone of ours has another one.
    pub(crate) uri: String,
    /// What is added to the Request-URI.
    pub(crate) params: String,
    /// Values of History-Info.
    pub(crate) history: Vec<String>,
}

impl Cause {
    /// What a final answer means to the rules; nothing if it is no matter of where the user is.
    pub(crate) fn of(code: u16, rang: bool) -> Option<Cause> {
        match code {
            486 | 600 | 603 => Some(Cause::Busy),
            408 | 480 | 487 if rang => Some(Cause::NoAnswer),
            404 | 408 | 410 | 430 | 480 | 500..600 => Some(Cause::Unreachable),
            _ => None,
        }
    }

    /// As voicemail is told (RFC 4458, 2).
    fn code(self) -> u16 {
        match self {
            Cause::Always => 302,
            Cause::Busy => 486,
            Cause::NoAnswer => 408,
            Cause::Unreachable => 503,
        }
    }

    /// The answer, or the silence, that made the call go on (RFC 7044, 10.2).
    fn answer(self) -> Option<u16> {
        match self {
            Cause::Always => None,
            Cause::Busy => Some(486),
            Cause::NoAnswer => Some(408),
            Cause::Unreachable => Some(480),
        }
    }
}

impl Hunt {
    /// A call that somebody makes to a user, by name or by number.
    pub(crate) fn begin(
        incoming: &Incoming<'_>,
        uri: &Uri<'_>,
        from: Arc<str>,
        to: Arc<str>,
        secure: bool,
    ) -> Hunt {
        let told: Vec<&[u8]> = incoming.message.named("History-Info").flat_map(Values::of).collect();
        let index =
            told.last().and_then(|last| index(last)).map_or("1".to_owned(), |last| format!("{last}.1"));
        let raw = uri.raw.split(|byte| *byte == b'?').next().unwrap_or_default();
        let first =
            Station { uri: String::from_utf8_lossy(raw).into_owned(), aor: Arc::clone(&to), by: None };
        let mut stations = vec![first];
        if !is_named(uri, &to) {
            stations.push(Station { uri: sip(&to), aor: Arc::clone(&to), by: None });
        }
        let (before, call_id) = (told.len(), incoming.routing.call_id.into());
        Hunt { to, from, patience: None, secure, call_id, index, before, stations, mailbox: None }
    }

    /// Goes on to somebody else, unless the call was there already or has been at too many stations.
    pub(crate) fn divert(&mut self, to: Arc<str>, cause: Cause, to_voicemail: bool) -> bool {
        let seen = self.stations.iter().any(|station| station.aor == to);
        if seen || self.before + self.stations.len() >= STATIONS {
            return false;
        }
        self.mailbox = to_voicemail.then(|| (Arc::clone(&self.to), cause));
        self.stations.push(Station { uri: sip(&to), aor: Arc::clone(&to), by: Some(cause) });
        self.to = to;
        true
    }

    /// Whether a rule has sent it elsewhere.
    pub(crate) fn is_diverted(&self) -> bool {
        self.stations.iter().any(|station| station.by.is_some())
    }

    /// What the phones of the user are told: nothing as long as the call goes where the caller sent it.
    pub(crate) fn told(&self) -> Option<Arc<Told>> {
        let params = self.mailbox.as_ref().map_or(String::new(), |(of, cause)| {
            format!(";target={};cause={}", sip(of).replace('@', "%40"), cause.code())
        });
        let told = |history| Arc::new(Told { uri: sip(&self.to), params, history });
        (self.stations.len() > 1).then(|| told(self.history(&self.stations)))
    }

    /// What the phones of somebody else are told that ring at the same time; `place` tells such targets apart, from 1.
    pub(crate) fn told_along(&self, to: &Arc<str>, place: usize) -> Arc<Told> {
        let mut history = self.history(&self.stations);
        let last = self.index_of(self.stations.len() - 1);
        history.push(format!("<{}>;index={last}.{place};mp={last}", sip(to)));
        Arc::new(Told { uri: sip(to), params: String::new(), history })
    }

    fn history(&self, stations: &[Station]) -> Vec<String> {
        let next = stations.iter().skip(1).map(|station| station.by).chain([None]);
        let entry = |(place, (station, gone)): (usize, (&Station, Option<Cause>))| {
            let by = station.by.map_or(String::new(), |by| format!(";cause={}", by.code()));
            let gone = gone.and_then(Cause::answer);
            let gone = gone.map_or(String::new(), |code| format!("?Reason=SIP%3Bcause%3D{code}"));
            let mapped =
                place.checked_sub(1).map_or(String::new(), |before| format!(";mp={}", self.index_of(before)));
            format!("<{}{by}{gone}>;index={}{mapped}", station.uri, self.index_of(place))
        };
        stations.iter().zip(next).enumerate().map(entry).collect()
    }

    fn index_of(&self, place: usize) -> String {
        format!("{}{}", self.index, ".1".repeat(place))
    }
}

/// Whether a URI means somebody by name, and not by number.
pub(super) fn is_named(uri: &Uri<'_>, aor: &str) -> bool {
    address::aor(uri).is_some_and(|named| user_part(&named) == user_part(aor))
}

/// The index of an entry, if it is one.
fn index(entry: &[u8]) -> Option<&str> {
    let index = std::str::from_utf8(Address::parse(entry).ok()?.params.get("index")?).ok()?;
    let readable = index.len() <= 64 && index.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    readable.then_some(index)
}

/// The SIP URI of an address of record.
fn sip(aor: &str) -> String {
    let mut uri = "sip:".to_owned();
    for byte in user_part(aor).bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'+' => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("{uri}@{}", domain_part(aor))
}
