//! How values compare: texts in any case, time spans as time, `1` and `0` as Booleans where a Boolean is compared.

use std::cmp::Ordering;

use carillon_qos::plan::TimeSpan;

use super::{Value, Wildcard};

/// `-eq`.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    compare(left, right) == Some(Ordering::Equal)
}

/// Which is larger, by the type of the left one; nothing if they can't be compared.
pub(crate) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Null, other) | (other, Value::Null) => match other {
            Value::Text(text) if text.is_empty() => None,
            _ => None,
        },
        (Value::Boolean(left), right) => Some(left.cmp(&truth(right)?)),
        (left, Value::Boolean(right)) => Some(truth(left)?.cmp(right)),
        (Value::Integer(left), right) => Some(left.cmp(&integer(right)?)),
        (Value::Span(left), right) => Some(left.cmp(&span(right)?)),
        (left, Value::Span(right)) => Some(span(left)?.cmp(right)),
        (left, right) if date(left).is_some() => Some(date(left)?.cmp(&date(right)?)),
        (Value::Object(left), Value::Object(right)) => (left == right).then_some(Ordering::Equal),
        (left, right) => Some(left.text().to_lowercase().cmp(&right.text().to_lowercase())),
    }
}

/// A date as `year-month-day hour:minute:second`: of `2026-11-21 18:05:59Z`, and of `9/1/2018 4:30 PM` as documents write it.
fn date(value: &Value) -> Option<String> {
    let Value::Text(text) = value else { return None };
    let (day, clock) = text.trim().split_once(' ').unwrap_or((text.trim(), "00:00:00"));
    let numbers = |text: &str, by: char| -> Option<Vec<u32>> {
        let number = |part: &str| part.parse().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
        text.split(by).map(number).collect()
    };
    let (year, month, day) = match (numbers(day, '-').as_deref(), numbers(day, '/').as_deref()) {
        (Some([year @ 1000..=9999, month, day]), _) | (_, Some([month, day, year @ 1000..=9999])) => {
            (*year, *month, *day)
        }
        _ => return None,
    };
    let (clock, afternoon) = match clock.rsplit_once(' ') {
        Some((clock, word)) => (clock, Some(word.eq_ignore_ascii_case("pm"))),
        None => (clock, None),
    };
    let (hour, rest) = match numbers(clock.trim_end_matches('Z'), ':').as_deref() {
        Some([hour, minute]) => (*hour, [*minute, 0]),
        Some([hour, minute, second]) => (*hour, [*minute, *second]),
        _ => return None,
    };
    let hour = afternoon.map_or(hour, |afternoon| hour % 12 + if afternoon { 12 } else { 0 });
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{:02}:{:02}", rest[0], rest[1]))
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(value) => Some(*value),
        Value::Integer(number) => Some(*number != 0),
        Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Text(text) => crate::language::number(text.trim()),
        _ => None,
    }
}

fn span(value: &Value) -> Option<TimeSpan> {
    match value {
        Value::Span(span) => Some(*span),
        Value::Text(text) => TimeSpan::parse(text),
        Value::Integer(days) => TimeSpan::parse(&days.to_string()),
        _ => None,
    }
}

/// `-like`.
pub(crate) fn like(value: &Value, pattern: &Value) -> bool {
    Wildcard::new(&pattern.text()).matches(&value.text())
}

/// `-contains`.
pub(crate) fn contains(list: &Value, value: &Value) -> bool {
    match list {
        Value::List(items) => items.iter().any(|item| equal(item, value)),
        only => equal(only, value),
    }
}

/// `-match`: the parts of regular expressions that are used to look for a text: `^`, `$`, `.`, `.*`, `\.`, `|`.
///
/// # Errors
/// What else is in the expression.
pub(crate) fn matches(value: &Value, pattern: &Value) -> Result<bool, String> {
    let (text, pattern) = (value.text(), pattern.text());
    for alternative in pattern.split('|') {
        let (start, rest) = match alternative.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, alternative),
        };
        let (end, rest) = match rest.strip_suffix('$') {
            Some(rest) if !rest.ends_with('\\') => (true, rest),
            _ => (false, rest),
        };
        let inner = as_wildcard(rest)?;
        let wildcard = format!("{}{inner}{}", if start { "" } else { "*" }, if end { "" } else { "*" });
        if Wildcard::new(&wildcard).matches(&text) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn as_wildcard(pattern: &str) -> Result<String, String> {
    let mut wildcard = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '.' if chars.next_if_eq(&'*').is_some() => wildcard.push('*'),
            '.' if chars.next_if_eq(&'+').is_some() => wildcard.push_str("?*"),
            '.' => wildcard.push('?'),
            '\\' => match chars.next() {
                Some(c) if !c.is_alphanumeric() => wildcard.push(c),
                _ => return Err(unknown(pattern)),
            },
            '+' | '*' | '?' | '(' | ')' | '{' | '}' | '^' | '$' => return Err(unknown(pattern)),
            c => wildcard.push(c),
        }
    }
    Ok(wildcard)
}

fn unknown(pattern: &str) -> String {
    format!(
        "`{pattern}`: of regular expressions `-match` knows only ^ $ . .* .+ [a-z] | and \\ before a sign; -like may do"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_compare_as_time_and_texts_in_any_case() {
        let span = |text| Value::Span(TimeSpan::parse(text).unwrap());
        assert_eq!(compare(&span("00:10:00"), &"9:59".into()), Some(Ordering::Less));
        assert_eq!(compare(&span("10.00:00:00"), &"02:00:00".into()), Some(Ordering::Greater));
        assert!(equal(&"LG-Nortel".into(), &"lg-nortel".into()));
        assert!(equal(&Value::Boolean(true), &Value::Integer(1)) && !equal(&Value::Null, &"".into()));
    }

    #[test]
    fn dates_compare_as_time_however_they_are_written() {
        let left: Value = "2026-11-21 18:05:59Z".into();
        let order = |right: &str| compare(&left, &right.into());
        assert_eq!(order("9/1/2018"), Some(Ordering::Greater));
        assert_eq!(order("11/21/2026 6:05 PM"), Some(Ordering::Greater));
        assert_eq!(order("11/21/2026 6:06 PM"), Some(Ordering::Less));
        assert_eq!(order("2026-11-21 18:05:59"), Some(Ordering::Equal));
        assert_eq!(order("soon"), None);
    }

    #[test]
    fn simple_expressions_match_and_others_are_refused() {
        let fits = |text: &str, pattern: &str| matches(&text.into(), &pattern.into());
        assert_eq!(fits("atl-cs-001", "cs"), Ok(true));
        assert_eq!(fits("atl-cs-001", "^atl.*1$"), Ok(true));
        assert_eq!(fits("atl-cs-001", "^cs|-001$"), Ok(true));
        assert_eq!(fits("a.b", "a\\.b"), Ok(true));
        assert!(fits("x", "(a|b)+").is_err());
    }
}
