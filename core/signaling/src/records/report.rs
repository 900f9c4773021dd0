//! How phones say that they heard a call: voice quality reports (RFC 6035), and a field in the BYE of some.
//!
//! Marks are not in RFC 6035. Carillon's own phone says them in a line `X-Carillon:` of the report, which others pass over;
//! see docs/admin/records.md.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use carillon_wire::sip::Message;

use super::{Path, Side};

/// The event package.
pub const EVENT: &str = "vq-rtcpxr";
/// The type of its document.
pub const DOCUMENT: &str = "application/vq-rtcpxr";

/// Most marks that are told apart: as many as there are.
const MARKS: usize = 64;

/// What a phone reports of its leg of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct QualityReport {
    /// Of which call: its Call-ID.
    pub call_id: Arc<str>,
    /// Who reports, proven.
    pub user: Arc<str>,
    /// Of which leg; `None` where it does not say: of the user's.
    pub side: Option<Side>,
    /// What it says.
    pub quality: Quality,
}

/// What was sent and heard, as far as it was said.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Quality {
    /// Where the phone heard.
    pub local: Option<SocketAddr>,
    /// By which way its media went.
    pub path: Option<Path>,
    /// RTP packets.
    pub packets_sent: Option<u64>,
    /// RTP packets.
    pub packets_received: Option<u64>,
    /// RTP packets that did not arrive here.
    pub packets_lost: Option<u64>,
    /// Share of what should have arrived, in percent.
    pub loss: Option<f64>,
    /// Share of what should have arrived and came too late to be played, in percent.
    pub discarded: Option<f64>,
    /// Interarrival jitter in milliseconds.
    pub jitter: Option<f64>,
    /// Round trip in milliseconds.
    pub round_trip: Option<f64>,
    /// Listening quality, 1 to 5.
    pub mos_listening: Option<f64>,
    /// Conversational quality, 1 to 5.
    pub mos_conversation: Option<f64>,
    /// Marks of what was sent, with the number of packets.
    pub marks_sent: Vec<(u8, u64)>,
    /// Marks of what arrived, with the number of packets.
    pub marks_received: Vec<(u8, u64)>,
}

impl QualityReport {
    /// Reads the document of a session, interval or alert report; `user` has sent it. `None` if it names no call.
    pub(crate) fn read(document: &[u8], user: &Arc<str>) -> Option<QualityReport> {
        let text = std::str::from_utf8(document).ok()?;
        let kind = text.trim_start().split([':', '\r', '\n']).next()?.trim();
        if !["VQSessionReport", "VQIntervalReport", "VQAlertReport"].contains(&kind) {
            return None;
        }
        // What the other side has measured is in its own report.
        let lines: Vec<(&str, &str)> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim(), value.trim()))
            .take_while(|(name, _)| !name.eq_ignore_ascii_case("RemoteMetrics"))
            .collect();
        let line = |wanted: &str| {
            lines.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
        };
        let call_id = line("CallID").filter(|id| !id.is_empty())?.into();
        let caller = line("OrigID").zip(line("LocalID")).map(|(origin, local)| uri(origin) == uri(local));
        let side = caller.map(|is| if is { Side::Caller } else { Side::Callee });
        Some(QualityReport { call_id, user: Arc::clone(user), side, quality: quality(line) })
    }

    /// The document of a session that is over, with begin and end as RFC 3339 writes times.
    pub fn document(&self, peer: &str, times: [&str; 2]) -> String {
        let (user, quality) = (&self.user, &self.quality);
        let origin = if self.side == Some(Side::Callee) { peer } else { user };
        let [start, stop] = times;
        let mut text = format!(
            "VQSessionReport: CallTerm\r\nCallID: {}\r\nLocalID: <sip:{user}>\r\nRemoteID: <sip:{peer}>\r\n\
             OrigID: <sip:{origin}>\r\n",
            self.call_id
        );
        if let Some(local) = quality.local {
            text += &format!("LocalAddr: IP={} PORT={} SSRC=0x00000000\r\n", local.ip(), local.port());
        }
        text += &format!("LocalMetrics:\r\nTimestamps: START={start} STOP={stop}\r\n");
        for (name, values) in metrics(quality) {
            let said: Vec<String> = values.into_iter().flatten().collect();
            if !said.is_empty() {
                text += &format!("{name}: {}\r\n", said.join(" "));
            }
        }
        text
    }
}

fn quality<'a>(line: impl Fn(&str) -> Option<&'a str>) -> Quality {
    let text = |name: &str, key: &str| value(line(name)?, key);
    let number = |name: &str, key: &str| within(text(name, key)?, 1e6);
    let count = |key: &str| text("X-Carillon", key)?.parse::<u64>().ok().map(bounded);
    let share = |key: &str| within(text("PacketLoss", key)?, 100.0);
    let mos = |key: &str| within(text("QualityEst", key)?, 5.0).filter(|mos| *mos >= 1.0);
    let ip = text("LocalAddr", "IP").and_then(|ip| ip.parse::<IpAddr>().ok());
    let port = text("LocalAddr", "PORT").and_then(|port| port.parse::<u16>().ok());
    Quality {
        local: ip.zip(port).map(SocketAddr::from),
        path: text("X-Carillon", "PATH").and_then(Path::named),
        packets_sent: count("PS"),
        packets_received: count("PR"),
        packets_lost: count("PL"),
        loss: share("NLR"),
        discarded: share("JDR"),
        jitter: number("Delay", "IAJ"),
        round_trip: number("Delay", "RTD"),
        mos_listening: mos("MOSLQ"),
        mos_conversation: mos("MOSCQ"),
        marks_sent: text("X-Carillon", "MARKS-SENT").map(marks).unwrap_or_default(),
        marks_received: text("X-Carillon", "MARKS-RECEIVED").map(marks).unwrap_or_default(),
    }
}

/// The lines of metrics; what is not known is left out.
fn metrics(quality: &Quality) -> [(&'static str, Vec<Option<String>>); 4] {
    let real = |key: &str, value: Option<f64>| value.map(|value| format!("{key}={value:.1}"));
    let whole = |key: &str, value: Option<f64>| value.map(|value| format!("{key}={value:.0}"));
    let count = |key: &str, value: Option<u64>| value.map(|value| format!("{key}={value}"));
    let marks = |key: &str, marks: &[(u8, u64)]| {
        let each: Vec<String> = marks.iter().map(|(mark, packets)| format!("{mark}:{packets}")).collect();
        (!each.is_empty()).then(|| format!("{key}={}", each.join(",")))
    };
    [
        ("PacketLoss", vec![real("NLR", quality.loss), real("JDR", quality.discarded)]),
        ("Delay", vec![whole("RTD", quality.round_trip), whole("IAJ", quality.jitter)]),
        ("QualityEst", vec![real("MOSLQ", quality.mos_listening), real("MOSCQ", quality.mos_conversation)]),
        (
            "X-Carillon",
            vec![
                quality.path.map(|path| format!("PATH={}", path.name())),
                count("PS", quality.packets_sent),
                count("PR", quality.packets_received),
                count("PL", quality.packets_lost),
                marks("MARKS-SENT", &quality.marks_sent),
                marks("MARKS-RECEIVED", &quality.marks_received),
            ],
        ),
    ]
}

/// What a BYE carries of `P-RTP-Stat` (Cisco) or `X-RTP-Stat` (AVM, baresip): `PR=1375;PS=1476;PL=12,4;JI=11.2,9.5`. The first
/// of two numbers is of what was heard. `clock` is what the jitter of the latter counts in a second.
pub(super) fn rtp_stat(bye: &Message<&[u8]>, clock: u32) -> Option<Quality> {
    let field = |name| bye.named(name).next().map(|value| String::from_utf8_lossy(value).into_owned());
    let (text, separator, unit) = match (field("X-RTP-Stat"), field("P-RTP-Stat")) {
        (Some(text), _) => (text, ';', f64::from(clock.max(1000)) / 1000.0),
        (None, text) => (text?, ',', 1.0),
    };
    let find = |key: &str| {
        let mut params = text.split(separator).filter_map(|param| param.trim().split_once('='));
        params.find(|(name, _)| *name == key).and_then(|(_, value)| value.split(',').next())
    };
    let count = |key| find(key)?.parse::<u64>().ok().map(bounded);
    let (received, lost) = (count("PR"), count("PL"));
    let should =
        received.zip(lost).map(|(received, lost)| received.saturating_add(lost)).filter(|sum| *sum > 0);
    let quality = Quality {
        packets_sent: count("PS"),
        packets_received: received,
        packets_lost: lost,
        loss: should.zip(lost).map(|(sum, lost)| lost as f64 * 100.0 / sum as f64),
        jitter: find("JI").and_then(|value| within(value, 1e9)).map(|jitter| jitter / unit),
        round_trip: find("LA").or(find("DL")).and_then(|value| within(value, 1e6)),
        ..Quality::default()
    };
    (quality != Quality::default()).then_some(quality)
}

/// `46:500,0:3`.
fn marks(text: &str) -> Vec<(u8, u64)> {
    let mark = |item: &str| {
        let (mark, packets) = item.split_once(':')?;
        Some((mark.parse::<u8>().ok().filter(|mark| *mark < 64)?, bounded(packets.parse().ok()?)))
    };
    text.split(',').filter_map(mark).take(MARKS).collect()
}

/// The value of a key in `KEY=value KEY= value`.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let mut words = line.split_ascii_whitespace();
    while let Some(word) = words.next() {
        if let Some((name, value)) = word.split_once('=')
            && name.eq_ignore_ascii_case(key)
        {
            return if value.is_empty() { words.next() } else { Some(value) };
        }
    }
    None
}

/// A number that is one, from 0 to this.
fn within(text: &str, most: f64) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| (0.0..=most).contains(number))
}

/// What a column of SQLite and a number of JSON can hold.
fn bounded(number: u64) -> u64 {
    number.min(1 << 53)
}

/// The URI of `Name <uri>`, without what does not tell who it is.
fn uri(text: &str) -> &str {
    let inside = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(text, |(uri, _)| uri);
    inside.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form of RFC 6035, 4.6.1.
    const REPORT: &str = "VQSessionReport: CallTerm\r\nCallID: 1890463548@alice.example\r\nLocalID: Alice <sip:alice@example.org>\r\n\
        RemoteID: Bill <sip:bill@example.net>\r\nOrigID: Alice <sip:alice@example.org>\r\nLocalAddr: IP=10.10.1.100 PORT=5000 SSRC=1a3b5c7d\r\n\
        LocalMAC: 00:1f:5b:cc:21:0f\r\nRemoteAddr: IP=11.1.1.150 PORT=5002 SSRC=0x2468abcd\r\nLocalMetrics:\r\n\
        Timestamps: START=2004-10-10T18:23:43Z STOP=2004-10-01T18:26:02Z\r\nSessionDesc: PT=18 PD=G729 SR=8000 FD=20\r\n\
        PacketLoss: NLR=5.0 JDR=2.0\r\nDelay: RTD=200 ESD=140 IAJ=2 MAJ=10\r\nQualityEst: RLQ=90 MOSLQ=4.2 MOSCQ=4.3 QoEEstAlg=P.564\r\n\
        RemoteMetrics:\r\nX-Carillon: PATH=host\r\nDialogID: 1890463548@alice.example;to-tag=8472761;from-tag=9123dh311\r\n";

    fn read(text: &str) -> Option<QualityReport> {
        QualityReport::read(text.as_bytes(), &"alice@example.org".into())
    }

    #[test]
    fn a_report_is_read_as_the_rfc_writes_it() {
        let report = read(REPORT).unwrap();
        let quality = Quality {
            local: Some("10.10.1.100:5000".parse().unwrap()),
            loss: Some(5.0),
            discarded: Some(2.0),
            jitter: Some(2.0),
            round_trip: Some(200.0),
            mos_listening: Some(4.2),
            mos_conversation: Some(4.3),
            ..Quality::default()
        };
        assert_eq!((report.call_id.as_ref(), report.side), ("1890463548@alice.example", Some(Side::Caller)));
        assert_eq!(report.quality, quality, "and nothing of the other side's metrics");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let quality = Quality {
            local: Some("10.1.0.7:50000".parse().unwrap()),
            path: Some(Path::Reflexive),
            packets_sent: Some(500),
            packets_received: Some(490),
            packets_lost: Some(10),
            loss: Some(2.0),
            discarded: Some(0.5),
            jitter: Some(3.0),
            round_trip: Some(40.0),
            mos_listening: None,
            mos_conversation: Some(4.1),
            marks_sent: vec![(46, 505)],
            marks_received: vec![(0, 3), (46, 492)],
        };
        for side in [Side::Caller, Side::Callee] {
            let (call_id, user) = ("c1@host".into(), "alice@example.org".into());
            let report = QualityReport { call_id, user, side: Some(side), quality: quality.clone() };
            let text = report.document("bob@example.org", ["2026-11-22T08:00:00Z", "2026-11-22T08:01:00Z"]);
            assert_eq!(read(&text), Some(report));
        }
    }

    #[test]
    fn marks_and_the_path_are_in_a_line_of_our_own() {
        let ours = "LocalMetrics:\r\nX-Carillon: PATH=relayed PS=500 PR=497 PL=3 MARKS-SENT=46:500 MARKS-RECEIVED=46:490,0:7,99:1,x\r\n";
        let quality = read(&REPORT.replace("LocalMetrics:\r\n", ours)).unwrap().quality;
        assert_eq!((quality.marks_sent, quality.marks_received), (vec![(46, 500)], vec![(46, 490), (0, 7)]));
        assert_eq!((quality.path, quality.packets_lost), (Some(Path::Relayed), Some(3)));
    }

    #[test]
    fn what_phones_write_otherwise_is_read_and_nonsense_is_not() {
        for (from, to, expected) in [
            ("IP=10.10.1.100 PORT", "IP= 10.10.1.100 PORT", 4.2),
            ("LocalMetrics:", "Metrics:", 4.2),
            ("VQSessionReport: CallTerm", "VQSessionReport", 4.2),
            ("VQSessionReport: CallTerm", "VQIntervalReport", 4.2),
            ("\r\n", "\n", 4.2),
            ("MOSLQ=4.2", "MOSLQ=12.7", 0.0),
            ("MOSLQ=4.2", "MOSLQ=NaN", 0.0),
            ("MOSLQ=4.2", "MOSLQ=0.0", 0.0),
        ] {
            let report = read(&REPORT.replace(from, to)).unwrap();
            assert_eq!(report.quality.mos_listening.unwrap_or_default(), expected, "{to}");
            assert_eq!(report.quality.local.map(|local| local.port()), Some(5000), "{to}");
        }
        assert_eq!(
            read(&REPORT.replace("OrigID: Alice <sip:alice@", "OrigID: <sip:bob@")).unwrap().side,
            Some(Side::Callee)
        );
        assert_eq!(read(&REPORT.replace("CallID", "Call")), None);
        assert_eq!(read("VQOther: x\r\nCallID: 1\r\n"), None);
    }

    fn bye(field: &str, clock: u32) -> Option<Quality> {
        let text = format!("BYE sip:b@x SIP/2.0\r\n{field}\r\n\r\n");
        rtp_stat(&Message::parse(text.as_bytes()).unwrap(), clock)
    }

    #[test]
    fn a_bye_may_carry_numbers_in_two_spellings() {
        let heard = |packets_sent, packets_received, packets_lost, loss, jitter, round_trip| {
            Some(Quality {
                packets_sent,
                packets_received,
                packets_lost,
                loss,
                jitter,
                round_trip,
                ..Quality::default()
            })
        };
        let baresip = "X-RTP-Stat: EX=BareSip;CS=0;CD=4;PR=190;PS=200;PL=10,4;PD=0,0;JI=16.0,9.7;IP=10.0.0.1:1,10.0.0.2:2";
        assert_eq!(bye(baresip, 8000), heard(Some(200), Some(190), Some(10), Some(5.0), Some(2.0), None));
        let cisco = "P-RTP-Stat: PS=200,OS=3,PR=190,OR=9,PL=10,JI=2,LA=30,DU=108,EN=G711u";
        assert_eq!(bye(cisco, 8000), heard(Some(200), Some(190), Some(10), Some(5.0), Some(2.0), Some(30.0)));
        assert_eq!(bye("X-RTP-Stat: none", 8000), None);
        assert_eq!(bye("Subject: no", 8000), None);
        assert_eq!(bye("X-RTP-Stat: PR=0;PL=0;JI=-1", 0).unwrap().loss, None, "nothing should have come");
    }
}
