//! Services: `Get-CsService` with its roles, and `Set-Cs…Server`. A service is a scope of the plan, `[services."ROLE:FQDN"]`.

use carillon_qos::plan::management::{KINDS, Scopes};
use carillon_qos::plan::{Held, ManagedKind, ManagedValue};

use super::identity::Identity;
use super::{Call, Cmdlet, From, Parameter, Run, collection};
use crate::error::{Error, Fault};
use crate::estate::Estate;
use crate::object::{Object, Value, Wildcard};

/// The role switches of Get-CsService, as identities begin with them.
const ROLES: [(&str, &[&str]); 32] = [
    ("ApplicationDatabase", &[]),
    ("ApplicationServer", &[]),
    ("ArchivingDatabase", &[]),
    ("ArchivingServer", &[]),
    ("BackupServer", &[]),
    ("CentralManagement", &[]),
    ("CentralManagementDatabase", &[]),
    ("ConferencingServer", &["ConferenceServer"]),
    ("Director", &[]),
    ("EdgeServer", &[]),
    ("FileStore", &[]),
    ("LegalInterceptServer", &[]),
    ("ManagementServer", &[]),
    ("MediationServer", &[]),
    ("MonitoringDatabase", &[]),
    ("MonitoringServer", &[]),
    ("PersistentChatComplianceDatabase", &[]),
    ("PersistentChatDatabase", &[]),
    ("PersistentChatServer", &[]),
    ("ProvisionDatabase", &[]),
    ("ProvisionServer", &[]),
    ("PstnGateway", &[]),
    ("Registrar", &[]),
    ("TrustedApplicationPool", &["ExternalServer"]),
    ("UserDatabase", &[]),
    ("UserServer", &[]),
    ("VideoGateway", &[]),
    ("VideoInteropServer", &[]),
    ("WacServer", &[]),
    ("WebServer", &[]),
    ("ReportingServer", &[]),
    ("ReportingDatabase", &[]),
];

/// Ports that one call through a Mediation Server takes: two towards the gateway, two of the relay, three more.
const PORTS_OF_A_CALL: u64 = 7;
const EDGE_NAMES: [&str; 5] = [
    "AccessEdgeExternalFqdn",
    "DataEdgeExternalFqdn",
    "AVEdgeExternalFqdn",
    "InternalInterfaceFqdn",
    "ExternalMrasFqdn",
];

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let switches = ROLES.iter().map(|(role, aliases)| Parameter::switch(role).alias(aliases));
    let identity = Parameter::text("Identity").at(0).from(From::Text);
    let first = [identity, Parameter::text("Filter"), Parameter::text("PoolFqdn")];
    let get = Cmdlet {
        name: "Get-CsService".to_owned(),
        aliases: &[],
        about: "Shows services of the topology, of one role or all.".to_owned(),
        parameters: first.into_iter().chain(switches).collect(),
        kind: None,
        run: Run::Each(get),
    };
    let set = |name: &str, kind: &'static ManagedKind, run| Cmdlet {
        name: name.to_owned(),
        aliases: &[],
        about: format!("Changes ports and neighbours of a {}.", kind.name),
        parameters: std::iter::once(identity)
            .chain(kind.properties.iter().filter(|p| p.held != Held::Printed).map(Parameter::of))
            .collect(),
        kind: Some(kind),
        run: Run::Each(run),
    };
    let mut cmdlets = vec![get];
    for kind in KINDS.iter().filter(|kind| kind.scopes == Scopes::Services) {
        match kind.name {
            "ConferencingServer" => {
                cmdlets.push(set("Set-CsConferenceServer", kind, self::set));
                cmdlets.push(set("Set-CsConferencingServer", kind, set_misnamed));
            }
            name => cmdlets.push(set(&format!("Set-Cs{name}"), kind, self::set)),
        }
    }
    cmdlets
}

/// Every service: those of the plan, and the running server.
pub(super) fn all(call: &mut Call<'_, '_>, estate: &Estate) -> Result<Vec<String>, Error> {
    let plan = &estate.plan;
    let is_service = |name: &&str| name.split_once(':').is_some_and(|(role, _)| role_of(role).is_some());
    let mut names: Vec<String> = plan.services().filter(is_service).map(str::to_owned).collect();
    let kinds = KINDS.iter().filter(|kind| kind.scopes == Scopes::Services);
    let managed = kinds.flat_map(|kind| plan.management().objects(kind).map(|(name, _)| name.to_owned()));
    let server = call.shell.host.server()?.map(|server| format!("Registrar:{}", server.fqdn));
    for name in managed.chain(server) {
        if names.iter().all(|known| !known.eq_ignore_ascii_case(&name)) {
            names.push(name);
        }
    }
    Ok(names)
}

fn role_of(word: &str) -> Option<&'static str> {
    ROLES.iter().map(|(role, _)| *role).find(|role| role.eq_ignore_ascii_case(word))
}

fn get(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let roles: Vec<&str> =
        ROLES.iter().map(|(role, _)| *role).filter(|role| call.bound.is_set(role)).collect();
    let (identity, filter) = (call.bound.text("Identity"), call.bound.text("Filter"));
    if roles.len() + usize::from(identity.is_some()) + usize::from(filter.is_some()) > 1 {
        return Err(Error::new(
            Fault::AmbiguousParameterSet,
            "Parameter set cannot be resolved using the specified named parameters: one role, or -Identity, or -Filter.",
        ));
    }
    let estate = Estate::read(call.shell)?;
    let names = all(call, &estate)?;
    let pool = call.bound.text("PoolFqdn");
    let fits = |name: &&String| {
        let (role, fqdn) = name.split_once(':').unwrap_or_default();
        let in_pool = pool.as_ref().is_none_or(|pool| pool.eq_ignore_ascii_case(fqdn));
        let named = identity
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(name) || wanted.eq_ignore_ascii_case(fqdn));
        let filtered = filter.as_ref().is_none_or(|filter| Wildcard::new(filter).matches(name));
        in_pool && named && filtered && roles.iter().all(|wanted| wanted.eq_ignore_ascii_case(role))
    };
    let found: Vec<Value> =
        names.iter().filter(fits).map(|name| Value::Object(service(&estate, name))).collect();
    match (identity, found.is_empty()) {
        (Some(identity), true) => Err(not_found(&identity)),
        _ => Ok(found),
    }
}

fn not_found(identity: &str) -> Error {
    Error::new(
        Fault::ObjectNotFound,
        format!("Cannot find \"{identity}\": the topology has no such service."),
    )
}

/// A service as it prints.
fn service(estate: &Estate, name: &str) -> Object {
    let (role, fqdn) = name.split_once(':').unwrap_or((name, ""));
    let role = role_of(role).unwrap_or(role);
    let mut object = match ManagedKind::named(role) {
        Some(kind) => match Identity::read(estate, kind, name) {
            Ok(identity) => collection::object(&estate.plan, kind, &identity),
            Err(_) => Object::new(role).with("Identity", name),
        },
        None => Object::new(role).with("Identity", name),
    };
    object.kind = role.to_owned();
    if role == "EdgeServer" {
        EDGE_NAMES.into_iter().for_each(|name| object.properties.push((name.to_owned(), Value::Null)));
    }
    let mut object = object
        .with("DependentServiceList", Vec::<String>::new())
        .with("ServiceId", Value::Null)
        .with("SiteId", Value::Null)
        .with("PoolFqdn", fqdn)
        .with("Version", 5_u64)
        .with("Role", role);
    collection::show_printed(&mut object);
    object
}

fn set_misnamed(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    call.shell.warn("Set-CsConferencingServer, as some pages call it, is Set-CsConferenceServer.");
    set(call)
}

fn set(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let kind = call.kind()?;
    let estate = Estate::read(call.shell)?;
    let name = meant(call, &estate, kind)?;
    let known = all(call, &estate)?.iter().any(|known| known.eq_ignore_ascii_case(&name));
    let identity = Identity::read(&estate, kind, &name)?;
    let changes = collection::said(call, &estate, kind, &identity)?;
    if call.what_if(&identity.shown) || !call.agreed(false, &format!("Change {}?", identity.shown))? {
        return Ok(Vec::new());
    }
    let mut draft = estate.draft(&call.cmdlet.name)?;
    if !known {
        if call.shell.options.strict {
            return Err(not_found(&identity.shown));
        }
        call.shell.warn(format!("The plan had no service \"{}\"; it is added.", identity.shown));
        draft.ensure_scope(&identity.place);
    }
    collection::apply(&estate.plan, &mut draft, kind, &identity, &changes)?;
    estate.commit(call.shell, draft, call.bound.is_set("Force"))?;
    too_few_for_a_call(call, kind, &changes);
    if changes.iter().any(|(property, _)| property.name.contains("Port")) {
        call.shell
            .warn(format!("Other ports of {} hold when that service is started again.", identity.shown));
    }
    Ok(Vec::new())
}

fn too_few_for_a_call(call: &mut Call<'_, '_>, kind: &ManagedKind, changes: &collection::Changes) {
    let said = changes.iter().find(|(property, _)| property.name == "AudioPortCount");
    let Some((_, Some(ManagedValue::Integer(count)))) = said else { return };
    if kind.name == "MediationServer" && *count < PORTS_OF_A_CALL {
        call.shell.warn(format!(
            "AudioPortCount {count}: one call through a Mediation Server takes {PORTS_OF_A_CALL} ports, so these carry none."
        ));
    }
}

/// The service that is meant: `ROLE:FQDN`, its FQDN alone, or the only one of its role.
fn meant(call: &mut Call<'_, '_>, estate: &Estate, kind: &ManagedKind) -> Result<String, Error> {
    let of_role =
        |name: &String| name.split_once(':').is_some_and(|(role, _)| role.eq_ignore_ascii_case(kind.name));
    let mut known: Vec<String> = all(call, estate)?.into_iter().filter(of_role).collect();
    match call.bound.text("Identity") {
        Some(text) => match text.split_once(':') {
            None => Ok(format!("{}:{text}", kind.name)),
            Some((role, _)) if role.eq_ignore_ascii_case(kind.name) => Ok(text),
            Some((role, fqdn)) if role.eq_ignore_ascii_case("service") && of_role(&fqdn.to_owned()) => {
                Ok(fqdn.to_owned())
            }
            Some((role, _)) => {
                let text =
                    format!("Cannot validate argument on parameter 'Identity'. {role} is no {}.", kind.name);
                Err(Error::new(Fault::ParameterArgumentValidationError, text))
            }
        },
        None => match (known.pop(), known.is_empty()) {
            (Some(only), true) => Ok(only),
            (found, _) => {
                let count = known.len() + usize::from(found.is_some());
                let text =
                    format!("-Identity is needed: there are {count} services of the role {}.", kind.name);
                Err(Error::new(Fault::MissingMandatoryParameter, text))
            }
        },
    }
}
