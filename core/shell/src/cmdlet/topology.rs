//! What there is: sites, pools, the topology, replication, domains; and the versions of the plan.

use carillon_qos::plan::management::Values;

use super::identity::Identity;
use super::{Call, Cmdlet, From, Parameter, Takes, service};
use crate::error::{Error, Fault};
use crate::estate::Estate;
use crate::host::{Certificate, Server};
use crate::object::{Object, Value, View, Wildcard};

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let make = Cmdlet::each;
    let identity = Parameter::text("Identity").at(0).from(From::Text);
    let chosen = || vec![identity, Parameter::text("Filter")];
    let store = Parameter::switch("LocalStore");
    let replica = Parameter::text("ReplicaFqdn").at(0).from(From::Property);
    let file = || vec![Parameter::text("FileName").at(0).required(), store];
    let version = Parameter::new("Version", Takes::Values(Values::Integer { least: 1, most: u64::MAX >> 1 }));
    vec![
        make("Get-CsSite", "Shows the sites of the plan.", chosen(), sites),
        make(
            "Get-CsPool",
            "Shows pools: the computers behind a name.",
            [chosen(), vec![Parameter::text("Site")]].concat(),
            pools,
        ),
        make(
            "Get-CsComputer",
            "Shows computers.",
            [chosen(), vec![Parameter::text("Pool"), Parameter::switch("Local")]].concat(),
            computers,
        ),
        make(
            "Get-CsTopology",
            "Shows sites, services and computers together.",
            vec![Parameter::switch("AsXml"), store],
            topology,
        ),
        make("Get-CsSipDomain", "Shows the SIP domains of the server.", chosen(), domains),
        make(
            "Get-CsManagementStoreReplicationStatus",
            "Shows who has the newest plan.",
            vec![replica, Parameter::switch("CentralManagementStoreStatus")],
            replication,
        ),
        make(
            "Invoke-CsManagementStoreReplication",
            "Nothing is waiting: every change holds at once.",
            vec![replica],
            |_| Ok(Vec::new()),
        ),
        make(
            "Get-CsCertificate",
            "Shows certificates.",
            vec![identity, Parameter::new("Type", Takes::Texts)],
            certificates,
        ),
        make(
            "Get-CsConfigurationVersion",
            "Shows every plan that ever held (Carillon's own).",
            vec![version.at(0)],
            versions,
        ),
        make(
            "Restore-CsConfigurationVersion",
            "Has an earlier plan hold again, as a new version (Carillon's own).",
            vec![version.at(0).required().from(From::Property)],
            restore,
        ),
        make("Export-CsConfiguration", "Writes the plan into a file.", file(), export),
        make("Import-CsConfiguration", "Has the plan of a file hold.", file(), import),
    ]
}

fn filtered(call: &Call<'_, '_>, objects: Vec<Object>) -> Result<Vec<Value>, Error> {
    let wanted = call.bound.text("Identity");
    let filter = Wildcard::new(call.bound.text("Filter").as_deref().unwrap_or("*"));
    let bare = |text: &str| text.rsplit(':').next().unwrap_or(text).to_lowercase();
    let fits = |object: &Object| {
        let identity = object.identity().unwrap_or_default();
        wanted.as_ref().is_none_or(|wanted| bare(wanted) == bare(&identity)) && filter.matches(&identity)
    };
    let found: Vec<Value> = objects.into_iter().filter(fits).map(Value::Object).collect();
    match (wanted, found.is_empty()) {
        (Some(wanted), true) => Err(Error::new(Fault::ObjectNotFound, format!("Cannot find \"{wanted}\"."))),
        _ => Ok(found),
    }
}

fn sites(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let estate = Estate::read(call.shell)?;
    let site = |name: &str| {
        let identity = Identity::site(name);
        Object::new("Site").with("Identity", identity.shown).with("Name", name).with("DisplayName", name)
    };
    let found = estate.plan.sites().map(site).collect();
    filtered(call, found)
}

/// FQDNs with their services, in the order in which they were found.
fn hosts(call: &mut Call<'_, '_>) -> Result<Vec<(String, Vec<String>)>, Error> {
    let estate = Estate::read(call.shell)?;
    let mut hosts: Vec<(String, Vec<String>)> = Vec::new();
    for name in service::all(call, &estate)? {
        let Some((_, fqdn)) = name.split_once(':') else { continue };
        match hosts.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(fqdn)) {
            Some((_, services)) => services.push(name.clone()),
            None => hosts.push((fqdn.to_owned(), vec![name.clone()])),
        }
    }
    Ok(hosts)
}

fn pools(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let pool = |(fqdn, services): (String, Vec<String>)| {
        Object::new("Cluster")
            .with("Identity", fqdn.as_str())
            .with("Services", services)
            .with("Computers", vec![fqdn.clone()])
            .with("Fqdn", fqdn)
            .with("BackupPoolFqdn", Value::Null)
            .with("Site", Value::Null)
    };
    if call.bound.text("Site").is_some() {
        call.shell
            .warn("Get-CsPool -Site: pools belong to no site here, so none is shown; without -Site all are.");
        return Ok(Vec::new());
    }
    let found = hosts(call)?.into_iter().map(pool).collect();
    filtered(call, found)
}

fn computers(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let computer = |(fqdn, _): (String, Vec<String>)| {
        Object::new("Computer").with("Identity", fqdn.as_str()).with("Pool", fqdn.as_str()).with("Fqdn", fqdn)
    };
    let pool = call.bound.text("Pool");
    let local = match call.bound.is_set("Local") {
        true => call.shell.host.server()?.map(|server| server.fqdn),
        false => None,
    };
    let is_meant = |fqdn: &str| {
        pool.as_ref().is_none_or(|pool| pool.eq_ignore_ascii_case(fqdn))
            && local.as_ref().is_none_or(|local| local.eq_ignore_ascii_case(fqdn))
    };
    let found = hosts(call)?.into_iter().filter(|(fqdn, _)| is_meant(fqdn)).map(computer).collect();
    filtered(call, found)
}

fn topology(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    if call.bound.is_set("AsXml") {
        return Err(Error::new(
            Fault::NotSupported,
            "-AsXml: Carillon has no topology document; Export-CsConfiguration writes the plan instead.",
        ));
    }
    let estate = Estate::read(call.shell)?;
    let hosts = hosts(call)?;
    let services: Vec<String> = hosts.iter().flat_map(|(_, services)| services.clone()).collect();
    let machines: Vec<String> = hosts.into_iter().map(|(fqdn, _)| fqdn).collect();
    let sites: Vec<String> = estate.plan.sites().map(|name| Identity::site(name).shown).collect();
    let object = Object::new("Topology")
        .with("Identity", estate.plan.name())
        .with("Sites", sites)
        .with("Clusters", machines.clone())
        .with("Machines", machines)
        .with("Services", services);
    Ok(vec![Value::Object(object)])
}

fn server(call: &mut Call<'_, '_>) -> Result<Server, Error> {
    call.shell.host.server()?.ok_or_else(|| {
        let text = "this is known by a server, and --plan edits a file; leave it out to speak to the server";
        Error::new(Fault::HostFailure, text)
    })
}

fn domains(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let domains = server(call)?.domains;
    let domain = |(place, name): (usize, &String)| {
        Object::new("SipDomain")
            .with("Identity", name.as_str())
            .with("Name", name.as_str())
            .with("IsDefault", place == 0)
    };
    let found = domains.iter().enumerate().map(domain).collect();
    filtered(call, found)
}

/// Says that a plan file does not know it.
fn needs_a_server(call: &mut Call<'_, '_>, what: &str) -> Result<Vec<Value>, Error> {
    let name = &call.cmdlet.name;
    call.shell.warn(format!(
        "{name}: {what} is known by a server, and --plan edits a file; leave it out to ask the server."
    ));
    Ok(Vec::new())
}

/// One server, one store: it has the newest plan whenever it answers. A file has no replicas.
fn replication(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let Some(server) = call.shell.host.server()? else {
        return needs_a_server(call, "who has the newest plan");
    };
    let asked = call.bound.text("ReplicaFqdn");
    if let Some(other) = asked.filter(|asked| !asked.eq_ignore_ascii_case(&server.fqdn)) {
        return Err(Error::new(Fault::ObjectNotFound, format!("Cannot find the replica \"{other}\".")));
    }
    if call.bound.is_set("CentralManagementStoreStatus") {
        let object = Object::new("CentralManagementStoreStatus")
            .with("LastUpdatedOn", Value::Null)
            .with("ActiveMasterFqdn", server.fqdn)
            .with("ActiveMasterLastHeartbeat", Value::Null)
            .with("ActiveFileTransferAgentFqdn", Value::Null)
            .with("ActiveFileTransferAgentLastHeartbeat", Value::Null)
            .with("DeletedReplicas", Vec::<String>::new());
        return Ok(vec![Value::Object(object)]);
    }
    let object = Object::new("ReplicaState")
        .with("UpToDate", true)
        .with("ReplicaFqdn", server.fqdn)
        .with("LastStatusReport", Value::Null)
        .with("LastUpdateCreation", Value::Null)
        .with("ProductVersion", server.program);
    Ok(vec![Value::Object(object)])
}

fn certificates(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let Some(server) = call.shell.host.server()? else {
        return needs_a_server(call, "which certificates there are");
    };
    let types = call.bound.texts("Type");
    let types: Vec<&str> = types.iter().flat_map(|types| types.split(',')).map(str::trim).collect();
    let is_wanted = |of: &str| types.is_empty() || types.iter().any(|wanted| wanted.eq_ignore_ascii_case(of));
    let shown = |certificate: &Certificate, of: &str| {
        let text = |text: &String| Value::from(text.as_str());
        let object = Object::new("CertificateReference")
            .with("Issuer", text(&certificate.issuer))
            .with("NotAfter", text(&certificate.not_after))
            .with("NotBefore", text(&certificate.not_before))
            .with("SerialNumber", text(&certificate.serial))
            .with("Subject", text(&certificate.subject))
            .with("AlternativeNames", certificate.names.clone())
            .with("Thumbprint", text(&certificate.thumbprint))
            .with("EffectiveDate", Value::Null)
            .with("PreviousThumbprint", Value::Null)
            .with("UpdateTime", Value::Null)
            .with("Use", of)
            .with("SourceScope", "Global");
        Value::Object(object)
    };
    let each = |certificate: &Certificate| -> Vec<Value> {
        let uses = certificate.uses.iter().filter(|of| is_wanted(of));
        uses.map(|of| shown(certificate, of)).collect()
    };
    Ok(server.certificates.iter().flat_map(each).collect())
}

fn versions(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let wanted = call.bound.get("Version").cloned();
    let row = |version: crate::host::Version| {
        let object = Object::new("ConfigurationVersion")
            .with("Version", version.version)
            .with("Time", utc(version.time))
            .with("Who", version.who)
            .with("Source", version.source);
        Object { view: View::Table, ..object }
    };
    let rows = call.shell.host.versions()?.into_iter().map(row);
    let fits = |object: &Object| wanted.is_none() || object.get("Version") == wanted.as_ref();
    Ok(rows.filter(fits).map(Value::Object).collect())
}

/// Seconds since the Unix epoch as `2026-11-21 18:05:59Z` (days from civil, H. Hinnant).
fn utc(time: f64) -> String {
    let seconds = time.clamp(0.0, 253_402_300_799.0) as i64;
    let (days, clock) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", clock / 3600, clock / 60 % 60, clock % 60)
}

fn restore(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let Some(Value::Integer(version)) = call.bound.get("Version").cloned() else { return Ok(Vec::new()) };
    if call.what_if(&format!("version {version}"))
        || !call.agreed(false, &format!("Restore version {version}?"))?
    {
        return Ok(Vec::new());
    }
    let earlier = call.shell.host.version(u64::try_from(version).unwrap_or_default())?;
    let now = call.shell.host.plan()?;
    call.shell.host.store(&earlier.toml, now.version, "Restore-CsConfigurationVersion")?;
    Ok(Vec::new())
}

fn export(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let plan = call.shell.host.plan()?;
    let path = call.bound.text("FileName").unwrap_or_default();
    call.shell.host.write(&path, &plan.toml, false)?;
    Ok(Vec::new())
}

/// The whole plan is replaced; it is checked like every other change.
fn import(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let path = call.bound.text("FileName").unwrap_or_default();
    let toml = call.shell.host.read(&path)?;
    let estate = Estate::read(call.shell)?;
    let draft = crate::estate::Draft::new(&toml, "Import-CsConfiguration")?;
    if call.what_if(&path)
        || !call.agreed(true, &format!("Put the plan of {path} in place of the one that holds?"))?
    {
        return Ok(Vec::new());
    }
    estate.commit(call.shell, draft, call.bound.is_set("Force"))?;
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn seconds_are_told_as_a_date() {
        assert_eq!(utc(1_795_284_359.5), "2026-11-21 18:05:59Z");
        assert_eq!(utc(951_782_400.0), "2000-02-29 00:00:00Z");
    }
}
