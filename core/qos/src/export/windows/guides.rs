//! What people need to know about each of the files for Windows.

use super::super::Guide;
use super::Hosts;
use super::policy::POLICIES;
use crate::role::Role;
use crate::rule::MarkingRule;

/// Where policies of the registry work.
pub(super) const SYSTEMS: &str = "Windows 7 to 11, Windows Server 2008 R2 and later. Windows Vista: published guides disagree. Windows XP: no.";

/// Where the cmdlets are.
pub(super) const NETQOS_SYSTEMS: &str =
    "Windows 8 and later, Windows Server 2012 and later. Windows 7 has no NetQos cmdlets.";

/// Where the configuration service provider is.
pub(super) const MDM_SYSTEMS: &str =
    "Windows 10 version 2004 and later, Windows 11; joined to Entra only, not to a domain as well.";

const UNTRIED: &str = "Not tried on Windows: the file was checked by other readers of its format only.";

/// On which networks a host applies its policies.
fn networks(role: Role) -> &'static str {
    match role {
        Role::Client => {
            "Clients apply these policies only on networks of their domain. Machines outside of a domain, and those that \
             work elsewhere, need `do-not-use-nla.reg` and a restart."
        }
        Role::Edge => {
            "An Edge is in no domain. Windows Server 2012 and later apply the policies on every network; Windows Server \
             2008 R2 needs `do-not-use-nla.reg` and a restart."
        }
        _ => {
            "Windows Server 2012 and later apply these policies on every network, Windows Server 2008 R2 on those of its \
             domain only."
        }
    }
}

pub(super) fn registry(hosts: &Hosts) -> Guide {
    let role = hosts.role;
    let import = format!("`reg import {role}.reg` as administrator, or a double click.");
    Guide {
        purpose: purpose(hosts, SYSTEMS),
        install: steps([one_first(role), import, applied()]),
        roll_back: steps([format!("`reg import {role}-remove.reg`"), applied()]),
        check: check(role),
        limits: limits(hosts, &[networks(role)]),
    }
}

pub(super) fn registry_removal(hosts: &Hosts) -> Guide {
    let role = hosts.role;
    Guide {
        purpose: format!("Takes back what `{role}.reg` installed: these policies and no others."),
        install: steps([format!("`reg import {role}-remove.reg`"), applied()]),
        roll_back: steps([format!("`reg import {role}.reg`")]),
        check: steps([format!(r"`reg query HKLM\{POLICIES}` lists none of them.")]),
        limits: steps([
            UNTRIED.to_owned(),
            "Rules of an older plan that this one no longer has stay: remove them with its own file."
                .to_owned(),
        ]),
    }
}

pub(super) fn nla() -> Guide {
    Guide {
        purpose: format!(
            "Lets Windows apply QoS policies on every network, not only where it has recognised its domain: for \
             machines outside of a domain, such as an Edge. {SYSTEMS}"
        ),
        install: steps([
            "`reg import do-not-use-nla.reg` as administrator.".to_owned(),
            "Restart.".to_owned(),
        ]),
        roll_back: steps(["`reg import do-not-use-nla-remove.reg`, and restart.".to_owned()]),
        check: steps([
            "Event 16512 in the system log says that network location awareness is not used.".to_owned()
        ]),
        limits: steps([UNTRIED.to_owned()]),
    }
}

pub(super) fn pol(hosts: &Hosts) -> Guide {
    let role = hosts.role;
    Guide {
        purpose: format!("{} As a local policy, without a domain.", purpose(hosts, SYSTEMS)),
        install: steps([
            one_first(role),
            "Save the old local policy: `LGPO.exe /b C:\\before`.".to_owned(),
            "`LGPO.exe /m Registry.pol` (Microsoft's Security Compliance Toolkit) adds these policies to it."
                .to_owned(),
            applied(),
        ]),
        roll_back: steps(["`LGPO.exe /g C:\\before` brings the saved policy back.".to_owned(), applied()]),
        check: check(role),
        limits: limits(
            hosts,
            &[
                networks(role),
                r"Copied over `%SystemRoot%\System32\GroupPolicy\Machine\Registry.pol` it replaces every other local policy.",
            ],
        ),
    }
}

pub(super) fn gpo(hosts: &[Hosts]) -> Guide {
    let names: Vec<String> = hosts.iter().map(|hosts| format!("`{}`", hosts.title)).collect();
    let first = hosts.first().map_or("", |hosts| hosts.title.as_str());
    let import = |name: &str| {
        format!("`Import-GPO -BackupGpoName '{name}' -Path FOLDER -TargetName '{name}' -CreateIfNeeded`")
    };
    let mut limits = vec![
        UNTRIED.to_owned(),
        "Linked to nothing by itself: a policy that nobody links does nothing.".to_owned(),
        "The backups carry no `gpreport.xml`, so that the console shows no settings of theirs before they are imported, and \
         a fixed date, so that the same plan gives the same folder."
            .to_owned(),
        "They name the registry extension only, not the one of policy-based QoS, for whose editor no public source has the \
         identifier: computers get the keys, and take them up when they start; the console lists them as extra registry \
         settings."
            .to_owned(),
        "An Edge is in no domain: it gets `windows/edge.reg` or `windows/edge/Registry.pol`.".to_owned(),
    ];
    limits.extend(hosts.iter().flat_map(|hosts| {
        let said = meant(hosts).into_iter().chain(hosts.unmarked_signaling.clone());
        said.map(|text| format!("Role {}: {text}", hosts.role)).chain(left_out(hosts)).collect::<Vec<_>>()
    }));
    Guide {
        purpose: format!("Group policies of a domain: {}. {SYSTEMS}", names.join(", ")),
        install: steps([
            "Copy this whole folder to a machine with the group policy tools.".to_owned(),
            format!("{}, and so for each.", import(first)),
            "Link it to an organizational unit with a few test computers first; on one of them `gpupdate /force`, \
             restart, and look at a call. Then link it for everyone."
                .to_owned(),
            format!(
                "Where computers work outside of the domain's networks: {} as well, and restart them.",
                import("Carillon QoS Do not use NLA")
            ),
        ]),
        roll_back: steps([
            "Remove the link, then `gpupdate /force`: Windows takes the policies away with it.".to_owned(),
            "The NLA switch is a preference and stays: `do-not-use-nla-remove.reg`.".to_owned(),
        ]),
        check: check(Role::Client),
        limits,
    }
}

pub(super) fn netqos(hosts: &Hosts) -> Guide {
    let role = hosts.role;
    let run =
        format!("`powershell -ExecutionPolicy Bypass -File {role}.ps1` as administrator. Again is harmless.");
    let mut check =
        steps(["`Get-NetQosPolicy | Where-Object Name -like 'Carillon *'` lists them.".to_owned()]);
    check.push(compare("its output, saved to a file"));
    Guide {
        purpose: purpose(hosts, NETQOS_SYSTEMS),
        install: steps([one_first(role), run]),
        roll_back: steps([format!("`powershell -ExecutionPolicy Bypass -File {role}-remove.ps1`")]),
        check,
        limits: limits(hosts, &["For a domain policy add `-PolicyStore 'GPO:DOMAIN\\NAME'` to each cmdlet."]),
    }
}

pub(super) fn netqos_removal(hosts: &Hosts) -> Guide {
    let role = hosts.role;
    Guide {
        purpose: format!("Removes every policy whose name begins with `Carillon {role} `, and no other."),
        install: steps([format!("`powershell -ExecutionPolicy Bypass -File {role}-remove.ps1`")]),
        roll_back: steps([format!("`powershell -ExecutionPolicy Bypass -File {role}.ps1`")]),
        check: steps(["`Get-NetQosPolicy` lists none of them.".to_owned()]),
        limits: steps([UNTRIED.to_owned()]),
    }
}

pub(super) fn intune(hosts: &Hosts) -> Guide {
    Guide {
        purpose: format!("{} As a custom profile of Intune.", purpose(hosts, MDM_SYSTEMS)),
        install: steps([
            "POST it to `https://graph.microsoft.com/v1.0/deviceManagement/deviceConfigurations`.".to_owned(),
            "Assign the profile to a group with a few test devices first, then to everyone.".to_owned(),
        ]),
        roll_back: steps(["Remove the assignment, or delete the profile.".to_owned()]),
        check: steps([
            "The profile's device status; on a device `Get-NetQosPolicy -PolicyStore ActiveStore`."
                .to_owned(),
        ]),
        limits: limits(hosts, &["Not together with QoS policies of a domain, which win."]),
    }
}

pub(super) fn intune_table(hosts: &Hosts) -> Guide {
    Guide {
        purpose: "The same rows as `client.json`, to be typed into a custom profile or another MDM."
            .to_owned(),
        ..intune(hosts)
    }
}

pub(super) fn syncml(hosts: &Hosts) -> Guide {
    Guide {
        purpose: format!("{} As SyncML, for other MDM servers.", purpose(hosts, MDM_SYSTEMS)),
        install: steps(["Send it to a few test devices first, then to everyone.".to_owned()]),
        roll_back: steps(["Send `client-remove.syncml`.".to_owned()]),
        ..intune(hosts)
    }
}

fn purpose(hosts: &Hosts, systems: &str) -> String {
    let what = match hosts.role {
        Role::Client => {
            "Marks what client programs send, by program and source port; signaling by its destination."
        }
        Role::Conferencing => "Marks what Front Ends and conferencing servers send, by source port.",
        Role::Mediation => "Marks the audio of Mediation Servers and branch appliances, by source port.",
        Role::Edge => {
            "Marks what the A/V Edge sends towards the inside, by destination port: install it on the Edge itself."
        }
        _ => "Marks what these hosts send.",
    };
    format!("{}: {what} {systems}", hosts.title)
}

fn one_first(role: Role) -> String {
    match role {
        Role::Client => "On one computer first, then on those of one site, then everywhere.".to_owned(),
        role => format!("On one server of the role {role} first."),
    }
}

fn applied() -> String {
    "Restart it: Windows reads these keys when it starts. `gpupdate /force` may do, where its policy-based QoS is refreshed \
     by it."
        .to_owned()
}

fn check(role: Role) -> Vec<String> {
    steps([
        format!(r"`reg export HKLM\{POLICIES} qos.reg` there, then {}", compare("`qos.reg`")),
        format!(
            "Capture a call and let `carillon verify` judge it: what comes from hosts of the role {role} is marked."
        ),
    ])
}

fn compare(what: &str) -> String {
    format!("`carillon plan check` with {what} says match, missing, different or extra for every rule.")
}

fn limits(hosts: &Hosts, more: &[&str]) -> Vec<String> {
    let mut limits = vec![UNTRIED.to_owned()];
    limits.extend(more.iter().map(|text| (*text).to_owned()));
    if hosts.role == Role::Edge {
        limits.extend([
            "The Edge's other media, sharing and file transfer, has no rule.".to_owned(),
            "The rules look at no addresses, like the published ones: what goes to the Internet, to a port of these ranges, \
             is marked too. To mark on the inside only, put the Edge's inner address into `Local IP` of each rule and `32` \
             into `Local IP Prefix Length` (in scripts: `-IPSrcPrefixMatchCondition ADDRESS/32`)."
                .to_owned(),
            "They see the last leg alone, from the Edge to who plays the media: what goes to another relay's 3478 or 443 has \
             no port of a class, and what comes to the Edge is marked by who sends it, or not at all. (Published guides \
             disagree: four such rules in one, no marks on an Edge at all in another.)"
                .to_owned(),
        ]);
    }
    limits.extend(meant(hosts));
    limits.extend(hosts.unmarked_signaling.clone());
    limits.extend(left_out(hosts));
    limits
}

/// What to say of rules whose ports Windows gives to any program.
fn meant(hosts: &Hosts) -> Option<String> {
    let text = "Every program of these hosts is meant, like in the published sets for servers: whatever else Windows gives a port \
                of these ranges, which it does from 49152 on, is marked too.";
    hosts.rules.iter().any(is_of_anybody).then(|| text.to_owned())
}

fn is_of_anybody(rule: &MarkingRule) -> bool {
    rule.application.is_none() && rule.source_ports.is_some_and(|ports| ports.end() >= FIRST_DYNAMIC)
}

/// The first port of `netsh int ipv4 show dynamicport`, as installed.
const FIRST_DYNAMIC: u16 = 49152;

fn left_out(hosts: &Hosts) -> Option<String> {
    let names = hosts.left_out.join(", ");
    (!names.is_empty()).then(|| format!("Left out, because Windows takes only names of .exe files: {names}"))
}

fn steps<const N: usize>(steps: [String; N]) -> Vec<String> {
    steps.into()
}
