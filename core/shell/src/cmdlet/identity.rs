//! What an identity means: input in any case and spelling, one spelling in print, one place in the plan.

use carillon_qos::plan::ManagedKind;
use carillon_qos::plan::management::Scopes;

use crate::error::{Error, Fault};
use crate::estate::{Estate, Place};

/// An identity of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// `Global`, `Site:Redmond`, `Service:MediationServer:fqdn`, `MediationServer:fqdn`, a name.
    pub(crate) shown: String,
    /// As `[management.KIND]` has it.
    pub(crate) key: String,
    /// Where its ports and marks stand.
    pub(crate) place: Place,
}

/// The place of an identity as the plan has it; names have none of their own.
pub(crate) fn place_of(kind: &ManagedKind, key: &str) -> Option<Place> {
    let lower = key.to_ascii_lowercase();
    let rest = |prefix: &str| lower.strip_prefix(prefix).and(key.get(prefix.len()..)).map(str::to_owned);
    match kind.scopes {
        Scopes::Names => Some(Place::Global),
        Scopes::Services => Some(Place::Service(key.to_owned())),
        _ if lower == "global" => Some(Place::Global),
        _ => rest("site:").map(Place::Site).or_else(|| rest("service:").map(Place::Service)),
    }
}

impl Identity {
    /// The global one.
    pub(crate) fn global() -> Identity {
        Identity { shown: "Global".to_owned(), key: "global".to_owned(), place: Place::Global }
    }

    /// What was typed, in the spelling that the plan has for it.
    pub(crate) fn read(estate: &Estate, kind: &ManagedKind, text: &str) -> Result<Identity, Error> {
        let text = text.trim();
        let wrong = |wrong: String| Error::new(Fault::ParameterArgumentValidationError, wrong);
        let text = match kind.scopes {
            // New-CsMediaConfiguration takes the service without its scope word.
            Scopes::Collections(roles) if is_service(roles, text) => format!("service:{text}"),
            _ => text.to_owned(),
        };
        kind.scopes.check(&text).map_err(wrong)?;
        let place = place_of(kind, &text).ok_or_else(|| wrong(format!("{text:?} is no identity here")))?;
        Ok(match (kind.scopes, place) {
            (Scopes::Names, place) => {
                let known = estate.plan.management().objects(kind);
                let known = known.map(|(known, _)| known).find(|known| known.eq_ignore_ascii_case(&text));
                let name = known.unwrap_or(&text).to_owned();
                Identity { shown: name.clone(), key: name, place }
            }
            (_, Place::Global) => Identity::global(),
            (_, Place::Site(name)) => Identity::site(&estate.site(&name).unwrap_or(name)),
            (scopes, Place::Service(name)) => {
                let name = spelled(&estate.service(&name).unwrap_or(name));
                let shown = if scopes == Scopes::Services { name.clone() } else { format!("Service:{name}") };
                let key = if scopes == Scopes::Services { name.clone() } else { format!("service:{name}") };
                Identity { shown, key, place: Place::Service(name) }
            }
        })
    }

    /// A site, as the plan spells it.
    pub(crate) fn site(name: &str) -> Identity {
        Identity {
            shown: format!("Site:{name}"),
            key: format!("site:{name}"),
            place: Place::Site(name.to_owned()),
        }
    }

    /// A service of a collection, as the plan spells it.
    pub(crate) fn service(name: &str) -> Identity {
        let place = Place::Service(name.to_owned());
        Identity { shown: format!("Service:{name}"), key: format!("service:{name}"), place }
    }
}

fn is_service(roles: &[&str], text: &str) -> bool {
    let role = text.split_once(':').map(|(role, _)| role);
    role.is_some_and(|role| roles.iter().any(|known| known.eq_ignore_ascii_case(role)))
}

/// The role in the case in which the documents write it.
fn spelled(name: &str) -> String {
    let Some((role, fqdn)) = name.split_once(':') else { return name.to_owned() };
    let known = carillon_qos::plan::management::KINDS
        .iter()
        .find(|kind| kind.scopes == Scopes::Services && kind.name.eq_ignore_ascii_case(role));
    format!("{}:{fqdn}", known.map_or(role, |kind| kind.name))
}
