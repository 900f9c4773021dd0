//! Time spans as the management shell writes them: `hh:mm:ss`, `d.hh:mm:ss`.

use super::ManagedValue;

/// A time span in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimeSpan(pub u64);

impl TimeSpan {
    /// Reads `hh:mm`, `hh:mm:ss`, `d.hh:mm:ss`, or a number of days.
    pub fn parse(text: &str) -> Option<TimeSpan> {
        let number = |text: &str, below: u64| {
            let digits = !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|number: &u64| digits && *number < below)
        };
        let text = text.trim();
        if !text.contains(':') {
            return Some(TimeSpan(number(text, 10_675_199)? * 86_400));
        }
        let (days, clock) = match text.split_once('.') {
            Some((days, clock)) if days.len() < text.find(':')? => (number(days, 10_675_199)?, clock),
            _ => (0, text),
        };
        let parts: Vec<&str> = clock.split(':').collect();
        let (hours, minutes, seconds) = match parts.as_slice() {
            [hours, minutes] => (number(hours, 24)?, number(minutes, 60)?, 0),
            [hours, minutes, seconds] => (number(hours, 24)?, number(minutes, 60)?, number(seconds, 60)?),
            _ => return None,
        };
        Some(TimeSpan(((days * 24 + hours) * 60 + minutes) * 60 + seconds))
    }
}

impl std::fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TimeSpan(seconds) = *self;
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        if days > 0 {
            write!(f, "{days}.")?;
        }
        write!(f, "{hours:02}:{minutes:02}:{:02}", seconds % 60)
    }
}

/// The span in its one spelling, if it lies between these seconds.
pub(super) fn within(text: &str, least: u64, most: u64) -> Result<ManagedValue, String> {
    let Some(span) = TimeSpan::parse(text) else {
        return Err(format!("{text:?} is no time span; write \"hh:mm:ss\" or \"d.hh:mm:ss\""));
    };
    match (least..=most).contains(&span.0) {
        true => Ok(ManagedValue::Text(span.to_string())),
        false => Err(format!("{span} is outside {} to {}", TimeSpan(least), TimeSpan(most))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_as_the_documents_do() {
        let again = |text: &str| TimeSpan::parse(text).map(|span| span.to_string());
        assert_eq!(again("00:10:00").as_deref(), Some("00:10:00"));
        assert_eq!(again("15.00:00:00").as_deref(), Some("15.00:00:00"));
        assert_eq!(again("22:05").as_deref(), Some("22:05:00"));
        assert_eq!(again("20").as_deref(), Some("20.00:00:00"));
        assert_eq!(["24:00:00", "1:2:3:4", "", "x", "00:60:00"].map(again), [const { None }; 5]);
    }
}
