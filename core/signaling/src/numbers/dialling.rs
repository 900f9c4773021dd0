//! Rules by which what is dialled becomes a number: in order, the first that fits counts. No rule can take long: the patterns
//! are automata, and what they read is short.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::{Dialled, Number};

/// Bytes that the automaton of one pattern may have.
const SIZE: usize = 1 << 16;

/// A rule: what is dialled like this means that number.
#[derive(Clone, Debug)]
pub struct DialRule {
    site: Option<String>,
    context: Option<String>,
    pattern: Regex,
    template: String,
}

/// The rules of a server.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Dialling {
    rules: Vec<DialRule>,
}

/// Why what was dialled is no number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undialled {
    /// No rule fits.
    NoRule,
    /// The rule that fits, by its place from 0, makes something else of it.
    NoNumber(usize),
}

impl DialRule {
    /// A rule for callers of a site of the plan (for all without it), and for numbers without a context, or for the local ones of
    /// this context (RFC 3966, 5.1.5).
    /// `dialled` is a regular expression from `^` to `$`, `number` a `+` followed by digits and by its groups: `$1`, `${1}`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(
        site: Option<&str>,
        context: Option<&str>,
        dialled: &str,
        number: &str,
    ) -> Result<DialRule, String> {
        let inside = dialled.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
        let inside = inside.ok_or_else(|| {
            format!("{dialled:?} does not say where it begins and ends: write ^ in front and $ behind")
        })?;
        // In a group of its own, so that `^1|2$` fits from beginning to end, too.
        let mut builder = RegexBuilder::new(&format!("^(?:{inside})$"));
        let pattern = builder.unicode(false).size_limit(SIZE).build();
        let pattern = pattern.map_err(|error| format!("{dialled:?} is no regular expression: {error}"))?;
        check_template(number, pattern.captures_len())?;
        let owned = |text: &str| text.to_owned();
        Ok(DialRule {
            site: site.map(owned),
            context: context.map(str::to_ascii_lowercase),
            pattern,
            template: number.to_owned(),
        })
    }

    fn is_for(&self, site: Option<&str>, context: Option<&str>) -> bool {
        self.context.as_deref() == context && (self.site.is_none() || self.site.as_deref() == site)
    }

    fn expand(&self, digits: &str) -> Option<String> {
        let groups = self.pattern.captures(digits.as_bytes())?;
        let mut number = Vec::new();
        groups.expand(self.template.as_bytes(), &mut number);
        String::from_utf8(number).ok()
    }
}

/// Regular expressions are the same if they are written alike.
impl PartialEq for DialRule {
    fn eq(&self, other: &DialRule) -> bool {
        let parts = |rule: &DialRule| (rule.site.clone(), rule.context.clone(), rule.template.clone());
        parts(self) == parts(other) && self.pattern.as_str() == other.pattern.as_str()
    }
}

impl Dialling {
    /// These rules, in this order.
    pub fn new(rules: Vec<DialRule>) -> Dialling {
        Dialling { rules }
    }

    /// Whether nothing is said of what is dialled.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The number that somebody at a site means who dials this, and the place of the rule that says so: none for what is a
    /// number already.
    ///
    /// # Errors
    /// Why it is none.
    pub fn number_of(&self, site: Option<&str>, dialled: &str) -> Result<(Number, Option<usize>), Undialled> {
        let dialled = Dialled::typed(dialled).ok_or(Undialled::NoRule)?;
        self.number(site, &dialled)
    }

    pub(crate) fn number(
        &self,
        site: Option<&str>,
        dialled: &Dialled,
    ) -> Result<(Number, Option<usize>), Undialled> {
        if dialled.digits.starts_with('+') {
            return Number::parse(&dialled.digits).map(|number| (number, None)).ok_or(Undialled::NoRule);
        }
        let context = dialled.context.as_deref();
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| rule.is_for(site, context));
        for (place, rule) in rules {
            if let Some(text) = rule.expand(&dialled.digits) {
                let number = Number::parse(&text).ok_or(Undialled::NoNumber(place))?;
                return Ok((number, Some(place)));
            }
        }
        Err(Undialled::NoRule)
    }
}

/// A `+` first, then only digits and groups that there are.
fn check_template(template: &str, groups: usize) -> Result<(), String> {
    let wrong = |why: String| Err(format!("{template:?} makes no number: {why}"));
    let Some(mut rest) = template.strip_prefix('+') else {
        return wrong("it does not begin with +".to_owned());
    };
    while let Some(first) = rest.chars().next() {
        let Some(named) = rest.strip_prefix('$') else {
            if !first.is_ascii_digit() {
                return wrong(format!("`{first}` is neither a digit nor a group such as $1"));
            }
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let (name, after) = group(named);
        // What is not there would become nothing without a word.
        match name.parse::<usize>() {
            Ok(group) if (1..groups).contains(&group) => rest = after,
            _ => return wrong(format!("there is no group `{name}` in the pattern")),
        }
    }
    Ok(())
}

/// The name of a group behind its `$`, as the library reads it, and what follows.
fn group(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        return (name, after);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

impl fmt::Display for Undialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undialled::NoRule => f.write_str("no rule for dialled numbers fits"),
            Undialled::NoNumber(_) => f.write_str("the rule that fits makes no number of it"),
        }
    }
}

impl std::error::Error for Undialled {}
