//! A MESSAGE without what belongs to the way that it came, and with what belongs to the way that it goes.

use std::time::Duration;

use carillon_wire::sip::{Builder, Message, Method, Name};

use crate::contract::{Binding, Letter};

/// What belongs to one hop, or was for us.
const LEFT_BEHIND: [Name; 13] = [
    Name::Via,
    Name::Route,
    Name::RecordRoute,
    Name::MaxForwards,
    Name::Contact,
    Name::ContentLength,
    Name::Authorization,
    Name::ProxyAuthorization,
    Name::ProxyRequire,
    Name::Expires,
    Name::Path,
    Name::PAssertedIdentity,
    Name::PPreferredIdentity,
];
/// Says that nobody knows whether the phone has had it before.
const AGAIN: (&[u8], &[u8]) = (b"Carillon-Delivery", b"again");

/// The fields and the body that are kept: a message without a way. Says when it came, if it does not say so itself.
pub(super) fn strip(request: &Message<&[u8]>, now: Duration) -> Option<Vec<u8>> {
    let mut builder = Builder::request(Method::Message, b"sip:kept").ok()?;
    for header in request.headers().filter(|header| !LEFT_BEHIND.contains(&header.name)) {
        let name = if header.name == Name::Other { header.spelling } else { header.name.as_str().as_bytes() };
        builder = builder.header(name, &unfolded(header.value)).ok()?;
    }
    if request.get(Name::Date).is_none() {
        builder = builder.header(b"Date", date(now).as_bytes()).ok()?;
    }
    Some(builder.finish(request.body()))
}

/// The request to one phone, without its Via.
pub(super) fn address(letter: &Letter, to: &Binding) -> Option<Vec<u8>> {
    let kept = Message::parse(letter.text.as_slice()).ok()?;
    let mut builder = Builder::request(Method::Message, to.contact.as_bytes()).ok()?;
    for hop in &to.path {
        builder = builder.header(b"Route", hop.as_bytes()).ok()?;
    }
    builder = builder.header(b"Max-Forwards", b"70").ok()?;
    for header in kept.headers().filter(|header| header.name != Name::ContentLength) {
        let name = if header.name == Name::Other { header.spelling } else { header.name.as_str().as_bytes() };
        builder = builder.header(name, header.value).ok()?;
    }
    if letter.tried {
        builder = builder.header(AGAIN.0, AGAIN.1).ok()?;
    }
    Some(builder.finish(kept.body()))
}

fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}

/// As SIP writes dates (RFC 3261, 20.17).
fn date(time: Duration) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let (days, seconds) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Years that begin in March, so that a leap day is the last of its year; counted from the year 0.
    let since = days + 719_468;
    let (era, day) = (since / 146_097, since % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let name = |names: &[&'static str], at: u64| {
        usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or_default()
    };
    let (weekday, month) = (name(&DAYS, days % 7), name(&MONTHS, month));
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {of_month:02} {month} {year:04} {hours:02}:{minutes:02}:{seconds:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_289_692_049, "Sat, 13 Nov 2010 23:47:29 GMT"),
            (1_800_000_000, "Fri, 15 Jan 2027 08:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)), text);
        }
    }
}
