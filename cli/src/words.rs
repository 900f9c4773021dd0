//! Numbers, marks and places in words: the same in the terminal and on the page.

use std::net::IpAddr;

use carillon_qos::dscp;
use carillon_qos::verify::report::{Content, Evidence, FlowReport, MarkCount, Report, RtpReport, Verdict};
use carillon_wire::ip::Dscp;

/// Without control characters: what comes from captures, arguments and files cannot steer a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidi(c) { '\u{fffd}' } else { c }).collect()
}

/// Characters that turn the direction of text around them.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1,204,551`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 flow`, `2 flows`.
pub fn some(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `12.9 %` of a whole; nothing if there is no whole.
pub fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => String::new(),
        _ => percent(part as f64 * 100.0 / whole as f64),
    }
}

/// Few digits, but never 0 for what is more than nothing, nor 100 for what is less than all.
pub fn percent(value: f64) -> String {
    match value {
        v if v > 0.0 && v < 0.01 => "<0.01 %".to_owned(),
        v if v > 99.9 && v < 100.0 => ">99.9 %".to_owned(),
        v if v == 0.0 || v == 100.0 => format!("{v:.0} %"),
        v if v < 1.0 => format!("{v:.2} %"),
        v => format!("{v:.1} %"),
    }
}

/// `2.25 ms`, `148 ms`.
pub fn milliseconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.2} ms") } else { format!("{value:.0} ms") }
}

/// `8.4 s`, `2:05`, `1:02:05`.
pub fn duration(nanoseconds: i64) -> String {
    let tenths = nanoseconds.max(0) / 100_000_000;
    match tenths / 10 {
        seconds @ 0..60 => format!("{seconds}.{} s", tenths % 10),
        seconds @ 60..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        seconds => format!("{}:{:02}:{:02} h", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// `2024-05-31 09:12:44 UTC` from nanoseconds since 1970.
pub fn date(nanoseconds: i64) -> String {
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    let (days, in_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// `2024-05-31T09:12:44Z` (RFC 3339) from nanoseconds since 1970.
pub fn timestamp(nanoseconds: i64) -> String {
    date(nanoseconds).replacen(' ', "T", 1).replace(" UTC", "Z")
}

/// The Gregorian date so many days after 1970-01-01, counted in eras of 400 years that start in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let since_0000_03_01 = days + 719_468;
    let (era, day_of_era) = (since_0000_03_01.div_euclid(146_097), since_0000_03_01.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// What was found, in one sentence.
pub fn headline(report: &Report) -> String {
    let judged = report.flows.iter().filter(|flow| flow.expected.is_some()).count() as u64;
    let broken = report.flows.iter().filter(|flow| flow.verdict == Verdict::Fail).count() as u64;
    match (&report.plan, report.verdict) {
        (None, _) => match report.fit.first().filter(|best| best.score > 0.0) {
            Some(best) => {
                format!(
                    "No plan was given. Of the presets, {} fits best: {}.",
                    best.plan,
                    percent(best.score)
                )
            }
            None => "No plan was given, and no media was seen that a preset could explain.".to_owned(),
        },
        (Some(plan), Verdict::Fail) if broken == 0 => format!("Plan {plan} is not kept."),
        (Some(plan), Verdict::Fail) => {
            let verb = if broken == 1 { "breaks" } else { "break" };
            format!(
                "{} of {} {verb} plan {plan}.",
                count(broken),
                some(judged, "judged flow", "judged flows")
            )
        }
        (Some(plan), Verdict::Pass) if judged == 1 => format!("The one judged flow keeps plan {plan}."),
        (Some(plan), Verdict::Pass) => {
            format!("All {} keep plan {plan}.", some(judged, "judged flow", "judged flows"))
        }
        (Some(plan), Verdict::Unjudged) if judged == 0 => {
            format!("Nothing in this capture could be judged by plan {plan}.")
        }
        (Some(plan), Verdict::Unjudged) => {
            format!("What could be judged keeps plan {plan}, but not everything could.")
        }
    }
}

/// `PASS`, `FAIL`, `UNJUDGED`.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Unjudged => "UNJUDGED",
    }
}

/// The mark for a table: `EF`, `AF41`, `unmarked`, `11`.
pub fn mark(mark: Dscp) -> String {
    match mark {
        Dscp::DEFAULT => "unmarked".to_owned(),
        _ => dscp::name(mark),
    }
}

/// Marks with their counts, most frequent first: `EF`, or `EF ×1,204, unmarked ×12`.
pub fn marks(marks: &[MarkCount]) -> String {
    match marks {
        [only] => mark(only.dscp),
        many => {
            let each =
                many.iter().map(|found| format!("{} \u{d7}{}", mark(found.dscp), count(found.packets)));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Whether a flow fails with another mark than the planned one. On a transport that a browser shares between classes
/// the mark of another class may be right.
pub fn off_mark(flow: &FlowReport) -> bool {
    let planned = flow.expected.filter(|_| flow.verdict == Verdict::Fail);
    planned.is_some_and(|planned| flow.marks.iter().any(|found| found.dscp != planned))
}

/// Address and port, IPv6 in brackets.
pub fn endpoint(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// `audio`, `audio RTCP`, or what the packets are where they belong to no class.
pub fn class(flow: &FlowReport) -> String {
    match (flow.class, flow.content) {
        (Some(class), Content::Rtcp | Content::Stun | Content::Dtls) => {
            format!("{class} {}", content_name(flow.content))
        }
        (Some(class), _) => class.name().to_owned(),
        (None, content) => content_name(content).to_owned(),
    }
}

/// What packets are, in the spelling of their standards.
pub fn content_name(content: Content) -> &'static str {
    match content {
        Content::Rtp => "RTP",
        Content::Unconfirmed => "RTP?",
        Content::Cut => "cut",
        Content::Rtcp => "RTCP",
        Content::Stun => "STUN",
        Content::Dtls => "DTLS",
        Content::Sip => "SIP",
        Content::Tls => "TLS",
        Content::Quic => "QUIC",
        Content::Relayed => "TURN data",
        Content::Other => "other",
    }
}

/// How the class was told.
pub fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Sdp => "by SDP",
        Evidence::Port => "by port",
        Evidence::Shape => "by shape",
    }
}

/// Loss for a table; a question mark where it could not be judged.
pub fn loss(rtp: Option<&RtpReport>) -> String {
    match rtp {
        None => String::new(),
        Some(rtp) if !rtp.loss_judged => "?".to_owned(),
        Some(rtp) => percent(rtp.loss_percent.max(0.0)),
    }
}

/// Mean jitter for a table; `~` marks an assumed clock rate.
pub fn jitter(rtp: Option<&RtpReport>) -> String {
    match rtp.and_then(|rtp| Some((rtp.jitter_mean_ms?, rtp.clock_assumed))) {
        None => String::new(),
        Some((jitter, false)) => milliseconds(jitter),
        Some((jitter, true)) => format!("~{}", milliseconds(jitter)),
    }
}

/// Mean opinion score for a table.
pub fn mos(rtp: Option<&RtpReport>) -> String {
    rtp.and_then(|rtp| rtp.mos).map_or(String::new(), |mos| format!("{mos:.2}"))
}

/// A display filter for Wireshark that shows the flow.
pub fn wireshark_filter(flow: &FlowReport) -> String {
    if let Some(ssrc) = flow.ssrc.filter(|_| flow.content == Content::Rtp) {
        return format!("rtp.ssrc == 0x{ssrc:08x}");
    }
    let ip = if flow.src.is_ipv6() { "ipv6" } else { "ip" };
    let (FlowReport { src, dst, src_port, dst_port, protocol, .. }, and) = (flow, "&&");
    format!(
        "{ip}.src == {src} {and} {protocol}.srcport == {src_port} {and} {ip}.dst == {dst} {and} {protocol}.dstport == {dst_port}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let texts = [0, 7, 999, 1000, 1_204_551, u64::MAX].map(count);
        assert_eq!(texts, ["0", "7", "999", "1,000", "1,204,551", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn a_small_share_is_never_shown_as_nothing_nor_a_large_one_as_all() {
        assert_eq!(share(1, 1_000_000), "<0.01 %");
        assert_eq!(share(999_999, 1_000_000), ">99.9 %");
        assert_eq!((share(0, 9), share(9, 9), share(1, 0)), ("0 %".into(), "100 %".into(), String::new()));
        assert_eq!((share(1, 3), share(1, 300)), ("33.3 %".into(), "0.33 %".into()));
    }

    #[test]
    fn dates_agree_with_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_400_000_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(1_717_146_764_999_999_999), "2024-05-31 09:12:44 UTC");
        assert_eq!(date(-1), "1969-12-31 23:59:59 UTC");
    }

    #[test]
    fn times_of_any_length_are_readable() {
        let texts = [8_450_000_000, 125_000_000_000, 3_725_000_000_000, -5].map(duration);
        assert_eq!(texts, ["8.4 s", "2:05 min", "1:02:05 h", "0.0 s"]);
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31m\nb\u{202e}"), "a\u{fffd}[31m\u{fffd}b\u{fffd}");
    }
}
