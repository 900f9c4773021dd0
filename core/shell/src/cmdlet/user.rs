//! Users: who may sign in. Enabling one makes a password up, since there is no directory that has one.

use super::{Call, Cmdlet, From, Parameter, Takes};
use crate::error::{Error, Fault};
use crate::host::User;
use crate::object::{Object, Value, Wildcard};

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let identity = Parameter::text("Identity").at(0).from(From::Text);
    let make = Cmdlet::each;
    let size = Parameter::new("ResultSize", Takes::Any);
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
        make("Get-CsUser", "Shows who may sign in.", vec![identity, Parameter::text("Filter"), size], get),
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
        .with("SipAddress", format!("sip:{}", user.name))
        .with("Enabled", true)
        .with("RegistrarPool", pool)
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
    let filter = Wildcard::new(&call.bound.text("Filter").map_or("*".to_owned(), |filter| bare(&filter)));
    let named = |user: &User, wanted: &str| {
        let local = user.name.split('@').next().unwrap_or_default();
        user.name.eq_ignore_ascii_case(wanted) || local.eq_ignore_ascii_case(wanted)
    };
    let fits =
        |user: &&User| wanted.as_ref().is_none_or(|wanted| named(user, wanted)) && filter.matches(&user.name);
    let limit = match call.bound.get("ResultSize") {
        Some(Value::Integer(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let found: Vec<Value> = users.iter().filter(fits).take(limit).map(|user| object(user, &pool)).collect();
    match (wanted, found.is_empty()) {
        (Some(wanted), true) => Err(not_found(&wanted)),
        _ => Ok(found),
    }
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
        (None, Some(domain)) if !identity.contains('@') => {
            let local: String = identity.to_lowercase().split_whitespace().collect::<Vec<_>>().join(".");
            format!("{}@{domain}", local.rsplit('\\').next().unwrap_or(&local))
        }
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
    let name = bare(&call.bound.text("Identity").unwrap_or_default());
    if call.what_if(&name) || !call.agreed(false, &format!("Disable {name}?"))? {
        return Ok(Vec::new());
    }
    match call.shell.host.remove_user(&name)? {
        true => Ok(Vec::new()),
        false => Err(not_found(&name)),
    }
}
