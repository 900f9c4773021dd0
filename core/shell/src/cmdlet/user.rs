//! Users: who may sign in. Enabling one makes a password up, since there is no directory that has one.

use super::{Call, Cmdlet, From, Parameter, Takes, condition};
use crate::error::{Error, Fault};
use crate::host::User;
use crate::object::{Object, Value, Wildcard};

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let identity = Parameter::text("Identity").at(0).from(From::Text);
    let make = Cmdlet::each;
    let shown = vec![
        identity,
        Parameter::new("Filter", Takes::Any),
        Parameter::new("ResultSize", Takes::Any),
        Parameter::switch("OnLyncServer").alias(&["OnModernServer"]),
        Parameter::switch("OnOfficeCommunicationServer"),
        Parameter::switch("UnAssignedUser"),
    ];
    let enable = vec![
        identity.required(),
        Parameter::text("RegistrarPool").alias(&["Target"]),
        Parameter::text("SipAddress"),
        Parameter::text("SipAddressType"),
        Parameter::text("SipDomain"),
        Parameter::switch("PassThru"),
        Parameter::text("DomainController"),
    ];
    vec![
        make("Get-CsUser", "Shows who may sign in.", shown, get),
        make(
            "Enable-CsUser",
            "Lets somebody sign in, with a password that is made up and shown.",
            enable,
            self::enable,
        ),
        make("Disable-CsUser", "Removes a user with all registrations.", vec![identity.required()], disable),
    ]
}

fn object(user: &User, pool: &str) -> Value {
    let site = user.site.as_deref().map_or(Value::Null, |site| format!("Site:{site}").into());
    let object = Object::new("User")
        .with("Identity", user.name.as_str())
        .with("RegistrarPool", pool)
        .with("Enabled", true)
        .with("SipAddress", format!("sip:{}", user.name))
        .with("LineURI", Value::Null)
        .with("EnterpriseVoiceEnabled", false)
        .with("DisplayName", Value::Null)
        .with("SamAccountName", Value::Null)
        .with("Site", site);
    Value::Object(object)
}

fn pool(call: &mut Call<'_, '_>) -> Result<String, Error> {
    Ok(call.shell.host.server()?.map(|server| server.fqdn).unwrap_or_default())
}

/// `sip:alice@example.com` without the scheme.
fn bare(text: &str) -> String {
    match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("sip:") => text.get(4..).unwrap_or_default().to_owned(),
        _ => text.to_owned(),
    }
}

fn get(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let users = call.shell.host.users()?;
    let pool = pool(call)?;
    let wanted = call.bound.text("Identity").map(|wanted| bare(&wanted));
    // Everybody is here: nobody is left on another server, or on none.
    let elsewhere = call.bound.is_set("OnOfficeCommunicationServer") || call.bound.is_set("UnAssignedUser");
    let limit = call.bound.count("ResultSize").unwrap_or(usize::MAX);
    let fits = |user: &&User| !elsewhere && wanted.as_ref().is_none_or(|wanted| is_called(user, wanted));
    let found = users.iter().filter(fits).map(|user| object(user, &pool)).collect();
    let found: Vec<Value> = filtered(call, found)?.into_iter().take(limit).collect();
    match (wanted, found.is_empty()) {
        (Some(wanted), true) if !Wildcard::is_one(&wanted) => Err(not_found(&wanted)),
        _ => Ok(found),
    }
}

/// Whether a user is meant: by address, by its first part, by a name with blanks, by any of them with wildcards.
fn is_called(user: &User, wanted: &str) -> bool {
    let local = user.name.split('@').next().unwrap_or_default();
    [wanted, &account(wanted)].iter().any(|wanted| {
        let wanted = Wildcard::new(wanted);
        wanted.matches(&user.name) || wanted.matches(local)
    })
}

/// Those for which `-Filter` holds: a condition, or the name with wildcards.
fn filtered(call: &mut Call<'_, '_>, users: Vec<Value>) -> Result<Vec<Value>, Error> {
    let Some(filter) = call.bound.get("Filter").cloned() else { return Ok(users) };
    let condition = match &filter {
        Value::Text(text) if !text.contains(" -") => None,
        filter => condition::condition(filter)?,
    };
    let mut found = Vec::new();
    for user in users {
        let holds = match (&condition, &user) {
            (Some(condition), user) => Value::of_items(call.shell.with_item(condition, user)?).is_true(),
            (None, Value::Object(user)) => {
                Wildcard::new(&bare(&filter.text())).matches(&user.identity().unwrap_or_default())
            }
            _ => false,
        };
        found.extend(holds.then_some(user));
    }
    Ok(found)
}

/// `DOMAIN\\Ken Myer` as the first part of an address: `ken.myer`.
fn account(text: &str) -> String {
    let name = text.rsplit('\\').next().unwrap_or(text).to_lowercase();
    name.split_whitespace().collect::<Vec<_>>().join(".")
}

fn not_found(name: &str) -> Error {
    Error::new(Fault::ObjectNotFound, format!("Management object not found for identity \"{name}\"."))
}

fn enable(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let identity = bare(&call.bound.text("Identity").unwrap_or_default());
    let name = match (call.bound.text("SipAddress"), call.bound.text("SipDomain")) {
        (Some(address), _) if !address.to_ascii_lowercase().starts_with("sip:") => {
            let text = format!(
                "Cannot validate argument on parameter 'SipAddress'. \"{address}\" must begin with sip:."
            );
            return Err(Error::new(Fault::ParameterArgumentValidationError, text));
        }
        (Some(address), _) => bare(&address),
        (None, Some(domain)) if !identity.contains('@') => format!("{}@{domain}", account(&identity)),
        _ => identity,
    };
    if call.what_if(&name) || !call.agreed(false, &format!("Enable {name}?"))? {
        return Ok(Vec::new());
    }
    let users = call.shell.host.users()?;
    if users.iter().any(|user| user.name.eq_ignore_ascii_case(&name)) {
        return Err(Error::new(
            Fault::ObjectExists,
            format!("{name} may sign in already; nothing was changed."),
        ));
    }
    let password = call.shell.host.add_user(&name, None)?;
    call.shell.warn(format!(
        "{name} signs in with the password {password}; `carillon user passwd` gives another one."
    ));
    match call.bound.is_set("PassThru") {
        true => {
            let pool = pool(call)?;
            Ok(vec![object(&User { name, site: None }, &pool)])
        }
        false => Ok(Vec::new()),
    }
}

fn disable(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let wanted = bare(&call.bound.text("Identity").unwrap_or_default());
    if Wildcard::is_one(&wanted) {
        let text = format!("-Identity takes no wildcards here; Get-CsUser {wanted} | Disable-CsUser");
        return Err(Error::new(Fault::ParameterArgumentValidationError, text));
    }
    let users = call.shell.host.users()?;
    let Some(user) = users.iter().find(|user| is_called(user, &wanted)) else {
        return Err(not_found(&wanted));
    };
    if call.what_if(&user.name) || !call.agreed(false, &format!("Disable {}?", user.name))? {
        return Ok(Vec::new());
    }
    match call.shell.host.remove_user(&user.name)? {
        true => Ok(Vec::new()),
        false => Err(not_found(&wanted)),
    }
}
