//! What cmdlets act on: a plan that was read, a draft of the next one, and the way from one to the other.

mod draft;
mod slot;
mod verdict;

pub(crate) use draft::{Draft, Place};
pub(crate) use slot::{Part, Slot, part};
pub(crate) use verdict::range;

use carillon_qos::Plan;
use carillon_qos::plan::Scope;

use crate::error::{Error, Fault};
use crate::shell::Shell;

/// The plan as it was read.
pub(crate) struct Estate {
    pub(crate) plan: Plan,
    toml: String,
    version: u64,
}

impl Estate {
    /// Reads the plan that holds.
    pub(crate) fn read(shell: &mut Shell<'_>) -> Result<Estate, Error> {
        let stored = shell.host.plan()?;
        let plan = parse(&stored.toml)?;
        Ok(Estate { plan, toml: stored.toml, version: stored.version })
    }

    /// A draft of the next one. Values that it sets name the cmdlet as their source.
    pub(crate) fn draft(&self, source: &str) -> Result<Draft, Error> {
        Draft::new(&self.toml, source)
    }

    /// The site of that name in any case, as the plan spells it.
    pub(crate) fn site(&self, name: &str) -> Option<String> {
        self.plan.sites().find(|site| site.eq_ignore_ascii_case(name)).map(str::to_owned)
    }

    /// The service of that name in any case, as the plan spells it.
    pub(crate) fn service(&self, name: &str) -> Option<String> {
        self.plan.services().find(|service| service.eq_ignore_ascii_case(name)).map(str::to_owned)
    }

    /// Checks the draft and has it hold. `force` takes it in spite of what `plan lint` calls errors, and tells them.
    pub(crate) fn commit(&self, shell: &mut Shell<'_>, draft: Draft, force: bool) -> Result<(), Error> {
        let why = draft.source().to_owned();
        let settled = verdict::settle(self, draft, force)?;
        settled.warnings.iter().for_each(|warning| shell.warn(warning));
        if settled.toml != self.toml {
            shell.host.store(&settled.toml, self.version, &why)?;
        }
        Ok(())
    }
}

impl Place {
    /// The scope of the plan.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Place::Global => Scope::default(),
            Place::Site(name) => Scope { site: Some(name.clone()), service: None },
            Place::Service(name) => Scope { site: None, service: Some(name.clone()) },
        }
    }
}

fn parse(toml: &str) -> Result<Plan, Error> {
    Plan::from_toml(toml).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::new(Fault::InvalidOperation, format!("the plan would be refused: {}", problems.join("; ")))
    })
}
