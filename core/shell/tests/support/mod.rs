//! A host in memory: versions of a plan, what was shown, and a few users.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::collections::BTreeMap;

use carillon_qos::Plan;
use carillon_shell::{Failed, Host, Options, Outcome, Server, Shell, Stored, Stream, User, Version};

#[derive(Default)]
pub(crate) struct Estate {
    pub versions: Vec<String>,
    pub shown: Vec<(Stream, String)>,
    pub files: BTreeMap<String, String>,
    pub users: Vec<User>,
    pub server: Option<Server>,
    pub yes: Option<bool>,
}

/// What a text did.
pub(crate) struct Done {
    pub outcome: Option<Outcome>,
    pub out: String,
    pub warnings: String,
    pub repairs: String,
    pub errors: String,
}

impl Estate {
    /// A plan as installed.
    pub(crate) fn installed() -> Estate {
        Estate::with("name = \"t\"\nbase = \"lync\"\n")
    }

    pub(crate) fn with(toml: &str) -> Estate {
        Estate { versions: vec![toml.to_owned()], ..Estate::default() }
    }

    pub(crate) fn run(&mut self, text: &str) -> Done {
        self.run_with(text, Options::default())
    }

    pub(crate) fn run_with(&mut self, text: &str, options: Options) -> Done {
        self.shown.clear();
        let outcome = match Shell::new(self, options).run(text) {
            Ok(outcome) => Some(outcome),
            Err(wrong) => {
                self.shown.push((Stream::Error, wrong.to_string()));
                None
            }
        };
        let of = |wanted: Stream| {
            let lines = self.shown.iter().filter(|(stream, _)| *stream == wanted);
            lines.map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
        };
        Done {
            outcome,
            out: of(Stream::Output),
            warnings: of(Stream::Warning),
            repairs: of(Stream::Repair),
            errors: of(Stream::Error),
        }
    }

    /// Runs what must be done without an error.
    pub(crate) fn done(&mut self, text: &str) -> Done {
        let done = self.run(text);
        assert_eq!((done.outcome, done.errors.as_str()), (Some(Outcome::Done), ""), "{text}");
        done
    }

    /// Runs what must fail, and change nothing.
    pub(crate) fn refused(&mut self, text: &str) -> String {
        let before = self.versions.clone();
        let done = self.run(text);
        assert_ne!(done.outcome, Some(Outcome::Done), "{text} is done: {}", done.out);
        assert_eq!(self.versions, before, "{text} has changed something");
        done.errors
    }

    pub(crate) fn toml(&self) -> &str {
        self.versions.last().unwrap()
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan::from_toml(self.toml()).unwrap()
    }
}

impl Host for Estate {
    fn plan(&mut self) -> Result<Stored, Failed> {
        Ok(Stored { toml: self.toml().to_owned(), version: self.versions.len() as u64 })
    }

    fn store(&mut self, toml: &str, seen: u64, _: &str) -> Result<u64, Failed> {
        if seen != self.versions.len() as u64 {
            return Err(Failed("changed meanwhile".to_owned()));
        }
        Plan::from_toml(toml).map_err(|problems| Failed(format!("{problems:?}")))?;
        self.versions.push(toml.to_owned());
        Ok(seen + 1)
    }

    fn versions(&mut self) -> Result<Vec<Version>, Failed> {
        let version =
            |version: u64| Version { version, time: 0.0, who: "t".to_owned(), source: "admin".to_owned() };
        Ok((1..=self.versions.len() as u64).rev().map(version).collect())
    }

    fn version(&mut self, version: u64) -> Result<Stored, Failed> {
        let place = usize::try_from(version - 1).unwrap();
        let toml = self.versions.get(place).ok_or_else(|| Failed("there is no such version".to_owned()))?;
        Ok(Stored { toml: toml.clone(), version })
    }

    fn server(&mut self) -> Result<Option<Server>, Failed> {
        Ok(self.server.clone())
    }

    fn users(&mut self) -> Result<Vec<User>, Failed> {
        Ok(self.users.clone())
    }

    fn add_user(&mut self, name: &str, site: Option<&str>) -> Result<String, Failed> {
        self.users.push(User { name: name.to_owned(), site: site.map(str::to_owned) });
        Ok("made-up".to_owned())
    }

    fn remove_user(&mut self, name: &str) -> Result<bool, Failed> {
        let before = self.users.len();
        self.users.retain(|user| user.name != name);
        Ok(self.users.len() < before)
    }

    fn write(&mut self, path: &str, text: &str, append: bool) -> Result<(), Failed> {
        let file = self.files.entry(path.to_owned()).or_default();
        *file = if append { format!("{file}{text}") } else { text.to_owned() };
        Ok(())
    }

    fn read(&mut self, path: &str) -> Result<String, Failed> {
        self.files.get(path).cloned().ok_or_else(|| Failed(format!("cannot read `{path}`")))
    }

    fn confirm(&mut self, _: &str) -> Option<bool> {
        self.yes
    }

    fn show(&mut self, stream: Stream, line: &str) {
        self.shown.push((stream, line.to_owned()));
    }
}
