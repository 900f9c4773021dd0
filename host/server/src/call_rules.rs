//! Call rules as users and administrators write them: checked, and as the Front End knows them.

use std::sync::Arc;
use std::time::Duration;

use carillon_signaling::{CallRules, Goal, Number};
use serde::{Deserialize, Serialize};

use crate::rosters::is_address;

/// Most targets that ring along, and most delegates: all their phones ring at once.
const ALONG: usize = 10;
/// Seconds that phones may ring: behind that the call ends by itself (timer C).
const AFTER: std::ops::RangeInclusive<u64> = 1..=170;
/// What stands for the voicemail of the server.
const VOICEMAIL: &str = "voicemail";

/// Call rules as they are written. A target is `bob@example.com`, `+49301234` or `voicemail`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CallRulesFile {
    /// Every call goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<String>,
    /// Where a call goes that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<String>,
    /// Where a call goes that nobody has taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<String>,
    /// Seconds until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Where a call goes while no phone is signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
    /// Whose phones ring at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<String>,
    /// Users who may call on behalf of this one, and whose phones ring at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<String>,
}

impl CallRulesFile {
    /// The rules, or all that is wrong with them.
    ///
    /// # Errors
    /// One line for each mistake, with its place.
    pub fn rules(&self) -> Result<CallRules, Vec<String>> {
        let mut wrong = Vec::new();
        let mut one = |place: &str, text: &Option<String>| {
            text.as_ref()
                .and_then(|text| goal(text).map_err(|why| wrong.push(format!("{place}: {why}"))).ok())
        };
        let (always, busy) = (one("always", &self.always), one("busy", &self.busy));
        let no_answer = one("no-answer", &self.no_answer);
        let unreachable = one("unreachable", &self.unreachable);
        let along = self.along(&mut wrong);
        let delegates = self.delegates(&mut wrong);
        let after = self.after.filter(|after| !AFTER.contains(after));
        wrong.extend(
            after.map(|after| {
                format!("after: {after} s; {} to {} s are possible", AFTER.start(), AFTER.end())
            }),
        );
        let defaults = CallRules::default();
        let patience = self.after.map_or(defaults.patience, Duration::from_secs);
        match wrong.is_empty() {
            true => Ok(CallRules { always, busy, no_answer, unreachable, patience, along, delegates }),
            false => Err(wrong),
        }
    }

    fn along(&self, wrong: &mut Vec<String>) -> Vec<Goal> {
        let mut goals = Vec::new();
        for (place, text) in self.along.iter().enumerate() {
            match goal(text) {
                Ok(Goal::Voicemail) => wrong.push(format!("along[{place}]: voicemail would take every call")),
                Ok(goal) => goals.push(goal),
                Err(why) => wrong.push(format!("along[{place}]: {why}")),
            }
        }
        too_many("along", self.along.len(), wrong);
        goals
    }

    fn delegates(&self, wrong: &mut Vec<String>) -> Vec<Arc<str>> {
        let mut delegates = Vec::new();
        for (place, text) in self.delegates.iter().enumerate() {
            match is_address(text) {
                true => delegates.push(Arc::from(text.to_lowercase())),
                false => {
                    wrong.push(format!("delegates[{place}]: `{text}` is no address like bob@example.com"))
                }
            }
        }
        too_many("delegates", self.delegates.len(), wrong);
        delegates
    }
}

/// Reads a target.
fn goal(text: &str) -> Result<Goal, String> {
    if text == VOICEMAIL {
        return Ok(Goal::Voicemail);
    }
    if let Some(number) = Number::parse(text) {
        return Ok(Goal::Number(number));
    }
    match is_address(text) {
        true => Ok(Goal::Address(Arc::from(text.to_lowercase()))),
        false => Err(format!(
            "`{text}` is neither an address like bob@example.com, nor a number like +49301234, nor voicemail"
        )),
    }
}

fn too_many(place: &str, count: usize, wrong: &mut Vec<String>) {
    if count > ALONG {
        wrong.push(format!("{place}: {count} are too many; {ALONG} are possible"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<CallRules, Vec<String>> {
        serde_json::from_str::<CallRulesFile>(text).unwrap().rules()
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        let text = r#"{"always":"Carol@Example.com","busy":"+49301234","no-answer":"voicemail","after":12,
            "unreachable":"voicemail","along":["dave@example.com"],"delegates":["Erin@example.com"]}"#;
        let address = |text: &str| Goal::Address(text.into());
        let expected = CallRules {
            always: Some(address("carol@example.com")),
            busy: Some(Goal::Number(Number::parse("+49301234").unwrap())),
            no_answer: Some(Goal::Voicemail),
            unreachable: Some(Goal::Voicemail),
            patience: Duration::from_secs(12),
            along: vec![address("dave@example.com")],
            delegates: vec!["erin@example.com".into()],
        };
        assert_eq!(read(text), Ok(expected));
        assert_eq!(read("{}"), Ok(CallRules::default()));
        assert!(serde_json::from_str::<CallRulesFile>(r#"{"allways":"a@b.c"}"#).is_err());
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = r#"{"always":"bob","busy":"0301234","no-answer":"","after":171,"along":["voicemail","x"],
            "delegates":["+49301234","","","","","","","","","",""]}"#;
        let wrong = read(text).unwrap_err();
        let none = "is neither an address like bob@example.com, nor a number like +49301234, nor voicemail";
        assert_eq!(wrong[0], format!("always: `bob` {none}"));
        assert_eq!(wrong[1], format!("busy: `0301234` {none}"));
        assert_eq!(wrong[2], format!("no-answer: `` {none}"));
        assert_eq!(wrong[3], "along[0]: voicemail would take every call");
        assert_eq!(wrong[4], format!("along[1]: `x` {none}"));
        assert_eq!(wrong[5], "delegates[0]: `+49301234` is no address like bob@example.com");
        assert_eq!(wrong[16], "delegates: 11 are too many; 10 are possible");
        assert_eq!(wrong[17], "after: 171 s; 1 to 170 s are possible");
        assert_eq!(wrong.len(), 18);
    }
}
