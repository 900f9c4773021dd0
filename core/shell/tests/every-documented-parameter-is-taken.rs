//! Each parameter that the cmdlet references name is taken, or refused by its name; none is unknown, and none that does
//! nothing is passed over in silence.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use support::Estate;

/// `Verb-Noun Parameter Switch! …`, out of the references.
const DOCUMENTED: &str = include_str!("../src/cmdlet/documented-parameters.txt");

fn taken(cmdlet: &str, parameter: &str) -> Result<(), String> {
    let line = format!("{cmdlet} -{parameter}:$null");
    let errors = Estate::installed().run(&line).errors;
    let unknown = ["[NamedParameterNotFound]", "[AmbiguousParameter]", "[CommandNotFound]", "[ParserError]"];
    match unknown.iter().any(|fault| errors.contains(fault)) {
        true => Err(format!("{line}: {errors}")),
        false => Ok(()),
    }
}

#[test]
fn every_parameter_of_the_references_is_known() {
    let rows = DOCUMENTED.lines().map(|line| line.split_once(' ').unwrap());
    let pairs = rows.flat_map(|(cmdlet, row)| row.split(' ').map(move |parameter| (cmdlet, parameter)));
    let pairs: Vec<(&str, &str)> = pairs.map(|(cmdlet, name)| (cmdlet, name.trim_end_matches('!'))).collect();
    assert!(pairs.len() > 750, "{} parameters are not the references", pairs.len());
    let wrong: Vec<String> = pairs.iter().filter_map(|(cmdlet, name)| taken(cmdlet, name).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_parameter_of_the_tables_beside_the_checkout_is_known() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/cmdlets.md");
    let Ok(text) = std::fs::read_to_string(file) else {
        eprintln!("skipped: the tables do not lie beside the checkout");
        return;
    };
    let (mut cmdlet, mut wrong, mut count) = (None, Vec::new(), 0);
    for line in text.lines() {
        match (line.strip_prefix("### "), line.strip_prefix("| ")) {
            (Some(name), _) => cmdlet = Some(name.trim()).filter(|name| !name.starts_with("Import-CsDevice")),
            (None, Some(row)) => {
                let (Some(cmdlet), Some(name)) = (cmdlet, row.split(' ').next()) else { continue };
                count += 1;
                wrong.extend((name != "Parameter").then(|| taken(cmdlet, name).err()).flatten());
            }
            _ if line.starts_with("## ") => cmdlet = None,
            _ => {}
        }
    }
    assert!(count > 500 && wrong.is_empty(), "{count} rows\n{}", wrong.join("\n"));
}

#[test]
fn a_parameter_without_effect_says_so_and_one_that_would_choose_is_refused() {
    let mut estate = Estate::installed();
    let done = estate.done("Set-CsMediaConfiguration -EnableDtls $True -MaxVideoRateAllowed CIF250K");
    assert_eq!(done.warnings, "-EnableDtls is documented, but not in Carillon: it has no effect.");
    assert_eq!(estate.done("(Get-CsMediaConfiguration).MaxVideoRateAllowed").out, "CIF250K");
    let idle =
        estate.done("Set-CsNetworkConfiguration -NetworkSites @{Add='x'} -EnableBandwidthPolicyCheck 1");
    assert!(idle.warnings.contains("-NetworkSites is documented"), "{}", idle.warnings);
    let refused = estate.refused("Get-CsUser -OU \"ou=Finance,dc=litwareinc,dc=com\" | Disable-CsUser");
    assert!(refused.contains("-OU is documented, but not in Carillon") && refused.contains("[NotSupported]"));
    let prefix = estate.done("Set-CsMediaConfiguration -EnableDt $True");
    assert!(prefix.warnings.contains("-EnableDtls is documented"), "{}", prefix.warnings);
}

#[test]
fn documented_cmdlets_without_an_object_are_known_by_name() {
    let mut estate = Estate::installed();
    for name in
        ["Get-CsVoicePolicy", "set-csdialplan", "Test-CsTopology", "Get-CsAdUser", "Get-CsTeamsMeetingPolicy"]
    {
        let error = estate.refused(name);
        assert!(
            error.contains(" : is documented, but not in Carillon: ") && error.ends_with("[NotSupported]"),
            "{error}"
        );
    }
    assert!(estate.refused("set-csdialplan").starts_with("Set-CsDialPlan : "));
    let never = estate.refused("Get-CsConferenceServer");
    assert!(
        never.contains("Get-CsService -ConferencingServer") && never.ends_with("[CommandNotFound]"),
        "{never}"
    );
    assert!(!never.contains("documented"), "{never}");
    assert!(estate.refused("Get-CsNonsense").ends_with("[CommandNotFound]"));
}

#[test]
fn parameters_of_every_cmdlet_do_what_they_say() {
    let mut estate = Estate::installed();
    let verbose = estate.done("Set-CsUCPhoneConfiguration -VoiceDiffServTag 46 -Verbose");
    assert_eq!(
        verbose.out,
        "VERBOSE: Performing the operation \"Set-CsUCPhoneConfiguration\" on target \"Global\"."
    );
    let kept = estate.done("Get-CsUCPhoneConfiguration -OutVariable x | Out-Null; $x.VoiceDiffServTag");
    assert_eq!(kept.out, "46");
    assert_eq!(estate.run("Get-CsUser nobody -ErrorAction Stop; 'on'").out, "");
    assert_eq!(estate.run("$ErrorActionPreference = 'Stop'; Get-CsNothing; 'on'").out, "");
    assert_eq!(estate.run("Get-CsUser nobody -ErrorAction Continue; 'on'").out, "on");
}
