//! Telephone numbers: what is dialled becomes a number of E.164, by rules of the caller's site; whose number it is says the
//! [`crate::rules`].

mod dialled;
mod dialling;

use std::fmt;

pub(crate) use dialled::Dialled;
pub use dialling::{DialRule, Dialling, Undialled};

/// Most digits of a number (ITU-T E.164, 6.2.1), and what is too short to be one.
const DIGITS: std::ops::RangeInclusive<usize> = 3..=15;

/// A number of E.164: `+` and digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Number(Box<str>);

impl Number {
    /// Reads `+49301234`; `None` if it is something else. Separators are not taken off.
    pub fn parse(text: &str) -> Option<Number> {
        let digits = text.strip_prefix('+')?;
        let fits = DIGITS.contains(&digits.len()) && !digits.starts_with('0');
        (fits && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| Number(text.into()))
    }

    /// With its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_plus_and_three_to_fifteen_digits() {
        for good in ["+491", "+49301234", "+123456789012345"] {
            assert_eq!(Number::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "+", "49301234", "+49", "+0301234", "+1234567890123456", "+49 30", "+49a", "++491", "+٤٩٣٠"]
        {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }
}
