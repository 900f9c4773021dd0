//! Documented cmdlets about things that Carillon doesn't have, or has elsewhere: each says so by name.

use super::{Call, Cmdlet, From, Parameter, Run, Takes};
use crate::error::{Error, Fault};
use crate::object::{Object, Value};

/// Names, and where the nearest thing is.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "Set-CsUser",
        "of these Carillon keeps nothing; `carillon user` changes passwords, Enable- and Disable-CsUser add and remove",
    ),
    ("Move-CsUser", "there is one pool; users stand in its store"),
    (
        "Grant-CsConferencingPolicy",
        "there are no per-user policies; a user's site decides, see `carillon user`",
    ),
    (
        "Import-CsDeviceUpdate",
        "there is no device update store; phones take firmware from their vendor's own server",
    ),
    (
        "New-CsSipDomain",
        "domains stand in the server's configuration (`domains`); Get-CsSipDomain shows them",
    ),
    (
        "Remove-CsSipDomain",
        "domains stand in the server's configuration (`domains`); Get-CsSipDomain shows them",
    ),
    (
        "Publish-CsTopology",
        "there is no topology document; the plan is the topology, and a change holds at once",
    ),
    (
        "Enable-CsTopology",
        "there is no topology document; the plan is the topology, and a change holds at once",
    ),
    ("Enable-CsComputer", "a computer is enabled by running `carillon serve` on it"),
    ("Enable-CsReplica", "there are no replicas; one server holds the plan"),
    ("Request-CsCertificate", "certificates are files that the server's configuration names"),
    ("Set-CsCertificate", "certificates are files that the server's configuration names"),
    ("Import-CsCertificate", "certificates are files that the server's configuration names"),
    ("Remove-CsCertificate", "certificates are files that the server's configuration names"),
    ("Start-CsWindowsService", "the service manager starts it: `systemctl start carillon`"),
    ("Stop-CsWindowsService", "the service manager stops it: `systemctl stop carillon`"),
    ("Get-CsWindowsService", "`carillon status` says what the server is doing"),
    ("Get-CsNetworkInterface", "addresses stand in the server's configuration (`listeners`)"),
    ("Get-CsAccessEdgeConfiguration", "there is no federation yet"),
    ("Set-CsAccessEdgeConfiguration", "there is no federation yet"),
    ("Get-CsConferencingPolicy", "there are no per-user policies"),
    (
        "New-CsHealthMonitoringConfiguration",
        "synthetic transactions are `carillon call`, with users of its own",
    ),
    ("Set-CsTestUserCredential", "synthetic transactions are `carillon call`, with users of its own"),
    ("Get-CsWatcherNodeConfiguration", "synthetic transactions are `carillon call`"),
    ("Set-CsWatcherNodeConfiguration", "synthetic transactions are `carillon call`"),
    ("New-CsWatcherNodeConfiguration", "synthetic transactions are `carillon call`"),
    ("Clear-CsDeviceUpdateFile", "there is no device update store"),
    ("Clear-CsDeviceUpdateLog", "there is no device update store"),
    ("Get-Credential", "passwords are never typed into scripts; `carillon user` asks for them"),
    ("ConvertTo-SecureString", "passwords are never typed into scripts; `carillon user` asks for them"),
    (
        "Set-CsTeamsMeetingConfiguration",
        "this is Teams; Set-CsConferencingConfiguration sets the same ports here",
    ),
    (
        "Get-CsTeamsMeetingConfiguration",
        "this is Teams; Get-CsConferencingConfiguration shows the same ports here",
    ),
];

/// Names that people expect, and that Lync has not either: what there is instead.
const NEVER_WERE: [(&str, &str); 7] = [
    ("Get-CsConferenceServer", "Get-CsService -ConferencingServer"),
    ("Get-CsConferencingServer", "Get-CsService -ConferencingServer"),
    ("Get-CsApplicationServer", "Get-CsService -ApplicationServer"),
    ("Get-CsMediationServer", "Get-CsService -MediationServer"),
    ("Get-CsEdgeServer", "Get-CsService -EdgeServer"),
    ("Get-CsWebServer", "Get-CsService -WebServer"),
    ("Get-CsDeviceUpdate", "Get-CsDeviceUpdateRule"),
];

/// Synthetic transactions that are documented.
const TESTS: [&str; 18] = [
    "Test-CsRegistration",
    "Test-CsIM",
    "Test-CsGroupIM",
    "Test-CsPresence",
    "Test-CsP2PAV",
    "Test-CsAVConference",
    "Test-CsASConference",
    "Test-CsDataConference",
    "Test-CsAVEdgeConnectivity",
    "Test-CsFederatedPartner",
    "Test-CsMcxP2PIM",
    "Test-CsMcxConference",
    "Test-CsPstnPeerToPeerCall",
    "Test-CsPstnOutboundCall",
    "Test-CsDialInConferencing",
    "Test-CsExUMConnectivity",
    "Test-CsPhoneBootstrap",
    "Test-CsAddressBookService",
];

/// What device update rules can be told.
const RULES: [&str; 4] = ["Approve", "Reset", "Restore", "Remove"];

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let make = |name: &str, about: String, parameters: Vec<Parameter>, run| Cmdlet {
        name: name.to_owned(),
        aliases: &[],
        about,
        parameters,
        kind: None,
        run,
    };
    let elsewhere = |(name, why): &(&str, &str)| {
        make(name, format!("Not in Carillon: {why}."), Vec::new(), Run::Raw(absent))
    };
    let mut cmdlets: Vec<Cmdlet> = ELSEWHERE.iter().map(elsewhere).collect();
    for name in TESTS {
        let about = "Not carried out: it answers with a failure that says what to do instead.".to_owned();
        cmdlets.push(make(name, about, test_parameters(), Run::Each(test)));
    }
    let identity = Parameter::text("Identity").at(0);
    let rules = vec![identity, Parameter::text("Filter"), Parameter::switch("LocalStore")];
    let about = "Shows device update rules; Carillon has none.".to_owned();
    cmdlets.push(make("Get-CsDeviceUpdateRule", about, rules, Run::Each(no_rules)));
    for verb in RULES {
        let name = format!("{verb}-CsDeviceUpdateRule");
        let parameters =
            vec![identity.from(From::Property), Parameter::new("Instance", Takes::Any).from(From::Object)];
        cmdlets.push(make(
            &name,
            "About device update rules, of which Carillon has none.".to_owned(),
            parameters,
            Run::Each(no_rules),
        ));
    }
    cmdlets
}

/// Why a documented cmdlet is not here, by its name.
pub(super) fn why(name: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, why)| *why)
}

/// That a documented cmdlet has nothing to act on.
pub(super) fn not_supported(name: &str, why: &str) -> Error {
    Error::new(Fault::NotSupported, format!("{name} : is documented, but not in Carillon: {why}."))
}

/// What there is instead of a cmdlet that never was.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    NEVER_WERE.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, instead)| *instead)
}

fn absent(
    _: &mut crate::shell::Shell<'_>,
    _: &[crate::language::ast::Element],
    _: Vec<Value>,
) -> Result<Vec<Value>, Error> {
    Err(Error::new(Fault::NotSupported, "Carillon does not have it"))
}

fn test_parameters() -> Vec<Parameter> {
    let any = |name: &'static str, aliases: &'static [&'static str]| {
        Parameter::new(name, Takes::Any).alias(aliases)
    };
    vec![
        Parameter::text("TargetFqdn").at(0).alias(&["t"]),
        any("UserCredential", &["uc"]),
        any("UserSipAddress", &["ua"]),
        any("SenderCredential", &["sc"]),
        any("SenderSipAddress", &["sa"]),
        any("ReceiverCredential", &["rc"]),
        any("ReceiverSipAddress", &["ra"]),
        any("PublisherSipAddress", &["pa"]),
        any("SubscriberSipAddress", &[]),
        any("TargetPstnPhoneNumber", &["rpn"]),
        any("TargetUri", &["twsu"]),
        any("PhoneOrExt", &["ph", "PhoneOrExtension"]),
        any("PIN", &[]),
        any("Domain", &["d"]),
        any("ProxyFqdn", &["pe"]),
        any("AVEdgeAddress", &[]),
        any("AVEdgeTCPPort", &[]),
        any("AVEdgeUDPPort", &[]),
        any("IPVersion", &["ipv"]),
        any("TestJoinLauncher", &[]),
        Parameter::text("RegistrarPort").alias(&["rp"]),
        Parameter::text("Authentication").alias(&["Ath"]),
        Parameter::text("OutLoggerVariable").alias(&["olv"]),
        Parameter::text("OutVerboseVariable").alias(&["ovv"]),
    ]
}

/// The documented answer where nobody is configured to try it with. It never says that something works.
fn test(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let target = call.bound.text("TargetFqdn").unwrap_or_default();
    let object = Object::new("TaskOutput")
        .with("Target Fqdn", target.as_str())
        .with("Result", "Failure")
        .with("Latency", Value::Span(carillon_qos::plan::TimeSpan(0)))
        .with("Error Message", "There are no test users: this was not tried.")
        .with(
            "Diagnosis",
            format!("`carillon call --server {target} --user USER@DOMAIN …` signs in, calls and reports."),
        );
    Ok(vec![Value::Object(object)])
}

fn no_rules(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    match call.bound.text("Identity") {
        Some(identity) => {
            let text = format!("Cannot find \"{identity}\": Carillon has no device update rules.");
            Err(Error::new(Fault::ObjectNotFound, text))
        }
        None => Ok(Vec::new()),
    }
}
