//! Errors of binding, of values and of plans: each in PowerShell's words, and nothing is changed.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use carillon_shell::{Outcome, Server, User};
use support::Estate;

#[test]
fn parameters_are_found_by_name_prefix_and_alias_or_refused() {
    let mut estate = Estate::installed();
    assert!(
        estate
            .refused("Set-CsUCPhoneConfiguration -VoiceDiffServ64 1")
            .contains("Did you mean -VoiceDiffServTag?")
    );
    assert!(estate.refused("Set-CsConferencingConfiguration -ClientA 1").contains("is ambiguous"));
    estate.done("Set-CsUCPhoneConfiguration -VoiceD 46");
    assert!(estate.refused("Set-CsUCPhoneConfiguration global extra").contains("accepts argument 'extra'"));
    assert!(
        estate
            .refused("New-CsUCPhoneConfiguration -VoiceDiffServTag 46")
            .contains("missing mandatory parameters: Identity")
    );
    assert!(estate.refused("Set-CsUCPhoneConfiguration -VoiceDiffServTag").contains("[MissingArgument]"));
}

#[test]
fn values_of_the_wrong_type_or_outside_their_range_are_refused() {
    let mut estate = Estate::installed();
    for (line, part) in [
        (
            "Set-CsUCPhoneConfiguration -VoiceDiffServTag 64",
            "64 is outside 0 to 63. [ParameterArgumentValidationError]",
        ),
        ("Set-CsUCPhoneConfiguration -MinPhonePinLength 3", "3 is outside 4 to 15"),
        ("Set-CsConferencingConfiguration -ClientAudioPort 1023", "1023 is outside 1024 to 65535"),
        ("Set-CsMediaConfiguration -EnableQoS \"true\"", "Boolean parameters accept only"),
        ("Set-CsMediaConfiguration -EncryptionLevel maybe", "is none of SupportEncryption"),
        ("Set-CsUCPhoneConfiguration -PhoneLockTimeout 01:00:00", "01:00:00 is outside"),
        ("Set-CsConferencingConfiguration -ClientAudioPort 65530", "does not end inside 1 to 65535"),
        ("Get-CsService -ArchivingServer -MonitoringServer", "[AmbiguousParameterSet]"),
        ("Get-CsMediaConfiguration -Identity global -Filter site:*", "either -Identity or -Filter"),
        ("Get-CsMediaConfiguration -Identity site:*", "-Identity takes no wildcards"),
        ("Set-CsConferenceServer -AudioPortStart 50000", "there are 0 services"),
        ("Set-CsConferencingConfiguration -Identity <PoolFQDN>", "stands for a value of your own"),
        ("& notepad.exe", "only cmdlets are"),
    ] {
        let error = estate.refused(line);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn a_change_that_lint_calls_an_error_is_refused_unless_forced() {
    let mut estate = Estate::with("name = \"t\"\nbase = \"lync-kloud\"\n");
    let listener = estate.refused("Set-CsConferencingConfiguration -ClientAudioPort 5050");
    assert!(listener.contains("audio 5050-5089 contains 5061"), "{listener}");
    let shared = estate.refused("Set-CsConferencingConfiguration -ClientAudioPort 20020");
    assert!(shared.contains("audio 20020-20059 and video 20040-20079 share 20040-20059"), "{shared}");
    assert!(
        estate.refused("Set-CsConferencingConfiguration -ClientAudioPortRange 19").contains("19 ports of 20")
    );
    let forced = estate.done("Set-CsConferencingConfiguration -ClientAudioPortRange 19 -Force");
    assert!(forced.warnings.contains("19 ports of 20"));
}

#[test]
fn phones_that_a_change_leaves_behind_are_named_and_do_not_stop_it() {
    let mut estate = Estate::with("name = \"t\"\nbase = \"schertz-vvx\"\n");
    let done = estate.done(
        "Set-CsConferencingConfiguration -ClientAudioPort 20000 -ClientAudioPortRange 40 -ClientVideoPort 20040 -ClientVideoPortRange 40",
    );
    assert!(done.warnings.contains("vvx: phone will use 6000-6023 for audio"), "{}", done.warnings);
    assert!(estate.done("Get-CsConferencingConfiguration | fl ClientAudioPort").out.contains("20000"));
}

#[test]
fn a_limit_of_one_modality_leaves_the_other_alone() {
    let mut estate = Estate::installed();
    estate.done("New-CsNetworkBandwidthPolicyProfile P -AudioBWLimit 2000 -AudioBWSessionLimit 200");
    estate.done("Set-CsNetworkBandwidthPolicyProfile P -VideoBWLimit 1400 -VideoBWSessionLimit 500");
    estate.done("Set-CsNetworkBandwidthPolicyProfile P -AudioBWLimit 3000");
    let policy = estate.done("Get-CsNetworkBandwidthPolicyProfile P | fl BWPolicy").out;
    let expected = "{BWLimit=3000;BWSessionLimit=200;BWPolicyModality=Audio, BWLimit=1400;BWSessionLimit=500;BWPolicyModality=Video}";
    assert!(policy.contains(expected), "{policy}");
    estate.done("New-CsNetworkRegion -Identity NA -CentralSite Redmond");
    estate.done("Set-CsNetworkRegion NA -AudioAlternatePath $false");
    estate.done("Set-CsNetworkRegion NA -VideoAlternatePath $false");
    let paths = estate.done("Get-CsNetworkRegion NA | fl BWAlternatePaths").out;
    assert_eq!(paths.matches("AlternatePath=False").count(), 2, "{paths}");
}

#[test]
fn ranges_of_clients_and_of_servers_that_are_too_small_are_refused_alike_unless_forced() {
    let mut estate = Estate::with("name = \"t\"\nbase = \"lync-kloud\"\n");
    for line in [
        "Set-CsConferenceServer -Identity a.example.com -AudioPortStart 49152 -AudioPortCount 10",
        "Set-CsConferencingConfiguration -ClientAudioPortRange 10",
    ] {
        let refused = estate.refused(line);
        assert!(
            refused.contains("nothing was changed")
                && refused.contains("has 10 ports")
                && refused.contains("-Force takes it all the same."),
            "{refused}"
        );
        let forced = estate.done(&format!("{line} -Force"));
        assert!(forced.warnings.contains("taken because of -Force"), "{}", forced.warnings);
    }
}

#[test]
fn what_only_shows_has_no_confirm_to_be_abbreviated() {
    let mut estate = Estate::installed();
    estate.done("Get-CsService -Conf");
    let ambiguous = estate.refused("Set-CsConferencingConfiguration -ClientA 1");
    assert!(ambiguous.contains("is ambiguous"), "{ambiguous}");
}

#[test]
fn a_list_that_a_cmdlet_makes_holds_nothing_else() {
    let mut estate = Estate::installed();
    estate.done("New-CsNetworkRegion -Identity NA -CentralSite Redmond");
    for line in [
        "Set-CsNetworkRegion NA -BWAlternatePaths {x}",
        "Set-CsNetworkRegion NA -BWAlternatePaths @{add=\"x\"}",
        "New-CsNetworkRegion -Identity B -CentralSite Redmond -BWAlternatePaths x",
    ] {
        assert!(estate.refused(line).contains("New-CsNetworkBWAlternatePath makes one"), "{line}");
    }
    estate.done("$p = New-CsNetworkBWAlternatePath -BWPolicyModality Audio -AlternatePath $true; Set-CsNetworkRegion NA -BWAlternatePaths @{add=$p}");
}

#[test]
fn cmdlets_of_powershell_itself_are_called_so() {
    let mut estate = Estate::installed();
    for name in ["Get-Date", "get-childitem", "Start-Sleep", "dir"] {
        let refused = estate.refused(name);
        assert!(refused.contains("is a cmdlet of PowerShell itself, not supported here"), "{refused}");
    }
    assert!(estate.refused("Get-Dat").contains("there is no such cmdlet"));
}

#[test]
fn what_is_edited_keeps_comments_and_order() {
    let toml = "# ours\nname = \"t\" # short\nbase = \"lync\"\n\n[roles.client] # the clients\nvideo = \"7000-7039\" # wide\naudio = \"6000-6039\" # narrow\n\n[classes]\naudio = \"EF\"\n";
    let mut estate = Estate::with(toml);
    estate.done("Set-CsConferencingConfiguration -ClientAudioPort 6100");
    let expected = toml.replace(
        "audio = \"6000-6039\" # narrow",
        "audio = { start = 6100, count = 40, source = \"Set-CsConferencingConfiguration\" } # narrow",
    );
    assert_eq!(estate.toml().replace("{ ports", "{ports").replace("  ", " "), expected);
}

#[test]
fn whatif_and_confirm_change_nothing_without_a_yes() {
    let mut estate = Estate::installed();
    let only = estate.done("Set-CsUCPhoneConfiguration -VoiceDiffServTag 46 -WhatIf");
    assert_eq!(
        only.out,
        "What if: Performing the operation \"Set-CsUCPhoneConfiguration\" on target \"Global\"."
    );
    estate.yes = Some(false);
    estate.done("Set-CsUCPhoneConfiguration -VoiceDiffServTag 46 -Confirm");
    assert_eq!(estate.versions.len(), 1);
    estate.yes = Some(true);
    estate.done("Set-CsUCPhoneConfiguration -VoiceDiffServTag 46 -Confirm");
    assert_eq!(estate.versions.len(), 2);
}

#[test]
fn an_error_ends_its_statement_and_not_the_script() {
    let mut estate = Estate::installed();
    let done = estate.run("Get-CsNothing; Set-CsUCPhoneConfiguration -VoiceDiffServTag 46");
    assert_eq!((done.outcome, estate.versions.len()), (Some(Outcome::Failed), 2));
    let silent = estate.run("Get-CsUser nobody -ErrorAction SilentlyContinue; 'on'");
    assert_eq!((silent.out.as_str(), silent.errors.as_str()), ("on", ""));
}

#[test]
fn an_earlier_plan_is_restored_as_a_new_version() {
    let mut estate = Estate::installed();
    estate.done("Set-CsUCPhoneConfiguration -VoiceDiffServTag 46");
    assert_eq!(estate.done("Get-CsConfigurationVersion | select -expand Version").out, "2\n1");
    estate.done("Restore-CsConfigurationVersion 1");
    assert_eq!((estate.versions.len(), estate.versions[0] == estate.versions[2]), (3, true));
    estate.done("Export-CsConfiguration -FileName p.toml");
    assert_eq!(estate.files["p.toml"], estate.versions[2]);
}

#[test]
fn users_are_shown_enabled_and_disabled() {
    let mut estate = Estate::installed();
    estate.server = Some(Server {
        fqdn: "fe.example.com".into(),
        domains: vec!["example.com".into()],
        program: "1".into(),
        certificates: Vec::new(),
    });
    estate.users = vec![User { name: "alice@example.com".into(), site: None }];
    let shown = estate
        .done("Get-CsUser -Identity \"sip:alice@example.com\" | fl SipAddress, Enabled, RegistrarPool")
        .out;
    assert_eq!(
        shown,
        "SipAddress    : sip:alice@example.com\nEnabled       : True\nRegistrarPool : fe.example.com"
    );
    let enabled = estate
        .done("Enable-CsUser -Identity Bob -RegistrarPool fe.example.com -SipAddress sip:bob@example.com");
    assert!(enabled.warnings.contains("made-up"));
    estate.done("Get-CsUser bob | Disable-CsUser");
    assert_eq!(estate.users.len(), 1);
    assert!(estate.done("Get-CsManagementStoreReplicationStatus").out.contains("UpToDate           : True"));
    assert!(
        estate
            .done("Get-CsService -Registrar")
            .out
            .starts_with("Identity             : Registrar:fe.example.com")
    );
}

#[test]
fn scripts_use_variables_loops_lists_and_files() {
    let mut estate = Estate::installed();
    let text = "PS C:\\> $sites = 'Redmond', \u{201c}Dublin\u{201d} # two\nforeach ($s in $sites) { New-CsUCPhoneConfiguration -Identity \"site:$s\" | Out-Null }\n\
                (Get-CsUCPhoneConfiguration).Count\nif ($sites.Count -eq 2) { 'two' } else { 'no' }\n\
                Get-CsUCPhoneConfiguration | where PhoneLockTimeout -gt 00:05:00 | sort Identity -Descending | select -First 1 -ExpandProperty Identity\n\
                $p = @{ Identity = 'site:Dublin'; VoiceDiffServTag = 46 }\nSet-CsUCPhoneConfiguration @p\n\
                Get-CsUCPhoneConfiguration | ft Identity, Voice* > out.txt";
    let done = estate.done(text);
    assert_eq!(done.out, "3\ntwo\nSite:Redmond");
    assert!(estate.files["out.txt"].contains("Site:Dublin  46"), "{}", estate.files["out.txt"]);
    estate.done("Set-CsDeviceUpdateConfiguration -ValidLogFileTypes @{Add=\"Trace\"}");
    assert!(
        estate
            .refused("Set-CsDeviceUpdateConfiguration -ValidLogFileTypes @{Add='Trace'}")
            .contains("duplicate key sequence 'Trace'")
    );
    assert!(
        estate
            .done("Get-CsDeviceUpdateConfiguration | fl Valid*Types")
            .out
            .ends_with("{Watson, Config, Diaglog, CELog...}")
    );
}
