//! Lines as documents and articles print them, typographic dashes and wrapped lines included, and what they do.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use carillon_qos::plan::Scope;
use carillon_qos::{Role, TrafficClass};
use support::Estate;

fn client_lines(estate: &mut Estate) -> Vec<String> {
    let out = estate.done("Get-CsConferencingConfiguration | fl client*").out;
    out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn ports(estate: &Estate, role: Role, class: TrafficClass, service: Option<&str>) -> String {
    let scope = Scope { site: None, service: service.map(str::to_owned) };
    estate.plan().planned(role, &scope).ports(class).unwrap().to_string()
}

const DEFAULTS: &str = "\
ClientMediaPortRangeEnabled : False
ClientMediaPort             : 5350
ClientMediaPortRange        : 40
ClientAudioPort             : 5350
ClientAudioPortRange        : 40
ClientVideoPort             : 5350
ClientVideoPortRange        : 40
ClientAppSharingPort        : 5350
ClientAppSharingPortRange   : 40
ClientFileTransferPort      : 5350
ClientFileTransferPortRange : 40
ClientSipDynamicPort        : 7100
ClientSipDynamicPortRange   : 3";

const KLOUD: &str = "Set-CsConferencingConfiguration -ClientAudioPort 20000 -ClientAudioPortRange 40 -ClientVideoPort 20040 \
    -ClientVideoPortRange 40 -ClientAppSharingPort 20080 -ClientAppSharingPortRange 40 -ClientFileTransferPort 20120 \
    -ClientFileTransferPortRange 40 -ClientMediaPort 20160 -ClientMediaPortRange 40";

/// What stands around the cmdlets in administrators' scripts.
#[test]
fn texts_over_lines_tables_by_key_and_messages_are_read() {
    let mut estate = Estate::installed();
    for (text, out) in [
        ("$x = 3; @\"\nports \"$x\" and $(1+1)\n\"@", "ports \"3\" and 2"),
        ("$t = @'\nraw $x 'y'\n\nend\n'@; $t", "raw $x 'y'\n\nend"),
        ("@'\n'@", ""),
        ("[void](Get-CsConferencingConfiguration)", ""),
        (
            "$p = @{}; $p[\"VoiceDiffServTag\"] = 46; $p.Add('Identity', 'global'); Set-CsUCPhoneConfiguration @p; (Get-CsUCPhoneConfiguration).VoiceDiffServTag",
            "46",
        ),
        (
            "Set-StrictMode -Version Latest; Write-Verbose x; Get-Help Set-CsUCPhoneConfiguration -Parameter Voice8021p | Measure-Object | select -Expand Count",
            "1",
        ),
    ] {
        assert_eq!(estate.done(text).out.trim_end(), out, "{text}");
    }
    assert_eq!(estate.done("Write-Warning careful").warnings, "careful");
    let thrown = estate.run("throw 'no'; Set-CsUCPhoneConfiguration -VoiceDiffServTag 40");
    assert!(thrown.errors.contains("no"), "{}", thrown.errors);
    assert_eq!(estate.done("(Get-CsUCPhoneConfiguration).VoiceDiffServTag").out, "46");
    for open in ["@\"\nx", "@' x\n'@"] {
        assert!(estate.run(open).outcome.is_none(), "{open}");
    }
}

#[test]
fn the_defaults_print_as_documented() {
    let mut estate = Estate::installed();
    assert_eq!(estate.done("Get-CsConferencingConfiguration | fl client*").out, DEFAULTS);
    let phone = "\
Identity             : Global
CalendarPollInterval : 00:03:00
EnforcePhoneLock     : True
PhoneLockTimeout     : 00:10:00
MinPhonePinLength    : 6
SIPSecurityMode      : High
VoiceDiffServTag     : 40
Voice8021p           : 0
LoggingLevel         : Off";
    assert_eq!(estate.done("Get-CsUCPhoneConfiguration").out, phone);
    let media = estate.done("Get-CsMediaConfiguration").out;
    assert!(
        media.starts_with(
            "Identity                          : Global\nEnableQoS                         : False\n"
        ),
        "{media}"
    );
}

#[test]
fn the_switch_before_the_ranges_is_kept_and_holds_with_them() {
    let mut estate = Estate::installed();
    let switched = estate.done("Set-CsConferencingConfiguration -ClientMediaPortRangeEnabled 1");
    assert_eq!(switched.out, "");
    for range in ["audio 5350-5389", "video 5350-5389", "sharing 5350-5389", "file-transfer 5350-5389"] {
        assert!(switched.warnings.contains(range), "{}", switched.warnings);
    }
    assert_eq!(client_lines(&mut estate)[0], "ClientMediaPortRangeEnabled : True");
    assert!(!estate.plan().enabled(), "four identical ranges are in force");
    let ranges = estate.done(KLOUD);
    assert_eq!((ranges.out.as_str(), ranges.warnings.as_str()), ("", ""));
    assert!(estate.plan().enabled());
    assert!(!estate.toml().contains("management"), "{}", estate.toml());
    assert_eq!(ports(&estate, Role::Client, TrafficClass::Video, None), "20040-20079");
    assert_eq!(client_lines(&mut estate)[9], "ClientFileTransferPort : 20120");
}

#[test]
fn lines_wrapped_without_a_backtick_go_on() {
    let mut estate = Estate::installed();
    let done = estate.done(
        "Set-CsConferencingConfiguration -ClientMediaPortRangeEnabled $true\n-ClientAudioPort 6000 -ClientAudioPortRange 25 \
         -ClientVideoPort 6025\n-ClientVideoPortRange 25 -ClientAppSharingPort 6050 -ClientAppSharingPortRange 25\n\
         -ClientFileTransferPort 6075 -ClientFileTransferPortRange 25",
    );
    assert_eq!(done.repairs.lines().count(), 3, "{}", done.repairs);
    assert!(estate.plan().enabled());
    let classes =
        [TrafficClass::Audio, TrafficClass::Video, TrafficClass::Sharing, TrafficClass::FileTransfer];
    let found = classes.map(|class| ports(&estate, Role::Client, class, None));
    assert_eq!(found, ["6000-6024", "6025-6049", "6050-6074", "6075-6099"]);
}

#[test]
fn a_blank_behind_the_dash_is_joined_unless_reading_is_strict() {
    let line = "Set-CsConferencingConfiguration -Identity global -ClientAudioPort 50020 -ClientAudioPortRange 20 -ClientVideoPort \
                58000 -ClientVideoPortRange 20 -ClientAppSharingPort 42000 -ClientAppSharingPortRange 20 - \
                ClientFileTransferPort 42020 -ClientFileTransferPortRange 20";
    let mut estate = Estate::installed();
    let strict = estate.run_with(line, carillon_shell::Options { strict: true, json: false });
    assert!(
        strict.errors.contains("A positional parameter cannot be found that accepts argument '-'"),
        "{}",
        strict.errors
    );
    let done = estate.done(line);
    assert_eq!(done.repairs, "line 1: `- ClientFileTransferPort` is read as `-ClientFileTransferPort`");
    assert_eq!(ports(&estate, Role::Client, TrafficClass::FileTransfer, None), "42020-42039");
    estate.done("Set-CsConferencingConfiguration -ClientTransferPortRange 30");
    assert_eq!(ports(&estate, Role::Client, TrafficClass::FileTransfer, None), "42020-42049");
}

#[test]
fn a_collection_of_a_site_is_made_changed_and_removed() {
    let mut estate = Estate::installed();
    let line =
        "Set-CsConferencingConfiguration -Identity \"site:Redmond\" -ClientMediaPortRangeEnabled $True";
    assert!(estate.refused(line).contains("Cannot find \"Site:Redmond\""));
    let made = estate.done("New-CsConferencingConfiguration -Identity site:Redmond -Organization Litwareinc");
    assert!(
        made.out.starts_with("Identity                           : Site:Redmond\n")
            && made.out.contains(": Litwareinc")
    );
    assert!(
        estate.refused("New-CsConferencingConfiguration -Identity site:redmond").contains("already exists")
    );
    estate.done(line);
    let get = "(Get-CsConferencingConfiguration -Identity site:Redmond).ClientMediaPortRangeEnabled";
    assert_eq!(estate.done(get).out, "True");
    assert!(
        estate
            .done("Get-CsConferencingConfiguration -Filter site:* | Remove-CsConferencingConfiguration")
            .out
            .is_empty()
    );
    assert_eq!(estate.done("Get-CsConferencingConfiguration | select -expand Identity").out, "Global");
    assert!(estate.refused("New-CsConferencingConfiguration -Identity global").contains("always exists"));
}

#[test]
fn an_object_in_memory_is_changed_and_then_committed() {
    let mut estate = Estate::installed();
    let text = "$x = New-CsConferencingConfiguration -Identity site:Redmond -InMemory\n$x.Organization = \"Litwareinc\"\n\
                Set-CsConferencingConfiguration -Instance $x";
    assert_eq!(estate.done(text).out, "");
    let shown = estate.done("Get-CsConferencingConfiguration site:Redmond | fl Organization");
    assert_eq!(shown.out, "Organization : Litwareinc");
}

#[test]
fn piped_objects_are_written_back_to_their_own_scope() {
    let mut estate = Estate::with(
        "name = \"t\"\nbase = \"lync\"\n[sites.Redmond1]\n[management.MediaConfiguration.\"site:Redmond1\"]\n",
    );
    estate.done("Get-CsMediaConfiguration | Set-CsMediaConfiguration -EnableQoS $True");
    assert_eq!(estate.done("Get-CsMediaConfiguration | select -expand EnableQoS").out, "True\nTrue");
    estate.done("Set-CsMediaConfiguration site:Redmond1 -EncryptionLevel donotsupportencryption");
    let shown = estate.done("Get-CsMediaConfiguration | ft Identity, EncryptionLevel").out;
    assert_eq!(shown.lines().nth(3), Some("Site:Redmond1 DoNotSupportEncryption"));
}

#[test]
fn the_mark_of_phones_is_the_one_that_is_handed_out() {
    let mut estate = Estate::with("name = \"t\"\nbase = \"lync-kloud\"\nenabled = true\n");
    estate.done("Set-CsUCPhoneConfiguration -identity global -VoiceDiffServTag 40");
    let mark = |estate: &Estate| {
        estate.plan().policy(Role::Phone, &Scope::default()).mark(TrafficClass::Audio).value()
    };
    assert_eq!(mark(&estate), 40);
    estate.done("Set-CsUCPhoneConfiguration -identity global -VoiceDiffServTag 46");
    assert_eq!(mark(&estate), 46);
    let text = "Get-CsUCPhoneConfiguration | Where-Object {$_.EnforcePhoneLock -eq $False -or $_.MinPhonePinLength -lt 6}";
    assert_eq!(estate.done(text).out, "");
    estate.done("Set-CsUCPhoneConfiguration -MinPhonePinLength 5");
    assert!(estate.done(text).out.contains("MinPhonePinLength    : 5"));
}

#[test]
fn services_take_their_ports_into_their_own_scope() {
    let mut estate = Estate::installed();
    let fqdn = "ConferencingServer:atl-cs-001.litwareinc.com";
    let added = estate.done(&format!(
        "Set-CsConferenceServer -Identity {fqdn} -AppSharingPortStart 40803 -AppSharingPortCount 8348"
    ));
    assert!(added.warnings.contains("it is added"), "{}", added.warnings);
    assert_eq!(ports(&estate, Role::Conferencing, TrafficClass::Sharing, Some(fqdn)), "40803-49150");
    estate.done("Get-CsService -ConferencingServer | ForEach-Object {Set-CsConferenceServer -Identity $_.Identity -AppSharingPortStart 40900 -AppSharingPortCount 100}");
    let shown = estate.done("Get-CsService -ConferencingServer | Select-Object Identity, AudioPortStart, AudioPortCount, VideoPortStart, VideoPortCount, AppSharingPortStart, AppSharingPortCount");
    let expected = format!(
        "\
Identity            : {fqdn}
AudioPortStart      : 49152
AudioPortCount      : 8348
VideoPortStart      : 57501
VideoPortCount      : 8034
AppSharingPortStart : 40900
AppSharingPortCount : 100"
    );
    assert_eq!(shown.out, expected);
    let listed = estate.done("Get-CsService -ConferencingServer | fl Identity,*port*").out;
    assert!(
        listed.starts_with("Identity            : ") && listed.contains("ImSipPort           : 5062"),
        "{listed}"
    );
    estate.done("Set-CsMediationServer -Identity \"MediationServer:atl-cs-001.litwareinc.com\" -AudioPortStart 60000 -AudioPortCount 1000");
    let mediation = ports(
        &estate,
        Role::Mediation,
        TrafficClass::Audio,
        Some("MediationServer:atl-cs-001.litwareinc.com"),
    );
    assert_eq!(mediation, "60000-60999");
    estate.done("Set-CsEdgeServer -Identity EdgeServer:atl-edge-001.litwareinc.com -MediaCommunicationPortStart 40803 -MediaCommunicationPortCount 24730");
    assert_eq!(estate.plan().edge_ports().unwrap().to_string(), "40803-65532");
}

#[test]
fn a_range_of_a_server_waits_for_the_one_that_it_collides_with() {
    let mut estate = Estate::installed();
    let fqdn = "ConferencingServer:atl-cs-001.litwareinc.com";
    let done = estate.done(&format!(
        "Set-CsConferenceServer -Identity {fqdn} -AppSharingPortStart 60000 -AppSharingPortCount 100"
    ));
    assert!(
        done.warnings.contains("video 57501-65534 and sharing 60000-60099 share 60000-60099"),
        "{}",
        done.warnings
    );
    assert_eq!(estate.done("(Get-CsService -ConferencingServer).AppSharingPortStart").out, "60000");
    assert_eq!(ports(&estate, Role::Conferencing, TrafficClass::Sharing, Some(fqdn)), "40803-49150");
    estate
        .done(&format!("Set-CsConferenceServer -Identity {fqdn} -VideoPortStart 57501 -VideoPortCount 2000"));
    assert_eq!(ports(&estate, Role::Conferencing, TrafficClass::Sharing, Some(fqdn)), "60000-60099");
}

#[test]
fn an_empty_value_and_typographic_dashes() {
    let mut estate = Estate::installed();
    let line = "Set-CsConferenceServer \u{2013}Identity: -AudioPortStart 49152 \u{2013}AudioPortCount 8348 -VideoPortStart 57501";
    let error = estate.refused(line);
    assert!(
        error.contains("Missing an argument for parameter 'Identity'")
            && error.ends_with("[MissingArgument]"),
        "{error}"
    );
}

#[test]
fn policies_are_rules_of_the_plan() {
    let mut estate = Estate::installed();
    let line = "New-NetQosPolicy -Name \"TeamsClientAudio\" -AppPathName \"Teams.exe\" -IPProtocol Both -IPSrcPortStart 50000 -IPSrcPortEnd 50019 -DSCPValue 46";
    let expected = "\
Name           : TeamsClientAudio
Owner          : Group Policy (Machine)
NetworkProfile : All
Precedence     : 127
AppPathName    : Teams.exe
IPProtocol     : Both
IPSrcPortStart : 50000
IPSrcPortEnd   : 50019
DSCPValue      : 46";
    assert_eq!(estate.done(line).out, expected);
    assert_eq!(estate.plan().rules()[0].marking.source_ports.unwrap().to_string(), "50000-50019");
    assert!(estate.refused(line).contains("already exists"));
    assert_eq!(estate.done("(Get-NetQosPolicy TeamsClientAudio).DSCPAction").out, "46");
    estate.done("New-NetQosPolicy -Name Backup -IPDstPortStart 3500 -IPDstPortEnd 3509 -ThrottleRate 1MB");
    estate.done("Set-NetQosPolicy -Name \"Backup\" -IPDstPortStart 3501 -IPDstPortEnd 3510");
    let shown = estate.done("Get-NetQosPolicy -Name Backup").out;
    assert!(
        shown.contains("IPDstPortEnd   : 3510") && shown.contains("ThrottleRate   : 1.049 MBits/sec"),
        "{shown}"
    );
    assert!(estate.refused("Remove-NetQosPolicy -Name Backup").contains("-Confirm:$false"));
    estate.done("Remove-NetQosPolicy -Name Backup -Confirm:$false");
    assert_eq!(estate.done("Get-NetQosPolicy | select -expand Name").out, "TeamsClientAudio");
    assert!(estate.refused("New-NetQosPolicy x -IPSrcPort 5").contains("needs an action"));
}

#[test]
fn bandwidth_objects_refer_to_each_other() {
    let mut estate = Estate::installed();
    let line = "New-CsNetworkBandwidthPolicyProfile -Identity LowBWLimits -AudioBWLimit 2000 -AudioBWSessionLimit 200 -VideoBWLimit 1400 -VideoBWSessionLimit 500";
    let made = estate.done(line).out;
    assert!(made.contains("BWPolicy          : {BWLimit=2000;BWSessionLimit=200;BWPolicyModality=Audio, BWLimit=1400;BWSessionLimit=500;BWPolicyModality=Video}"), "{made}");
    assert!(estate.refused(line).contains("already exists"));
    estate.done("Set-CsNetworkConfiguration -EnableBandwidthPolicyCheck 1");
    assert_eq!(
        estate.done("Get-CsNetworkConfiguration | fl BW*, Enable*").out.lines().last(),
        Some("EnableBandwidthPolicyCheck : True")
    );
    assert!(
        estate
            .refused("New-CsNetworkSite -NetworkSiteID Reno -NetworkRegionID West")
            .contains("there is no NetworkRegion \"West\"")
    );
    estate.done("New-CsNetworkRegion -Identity West -CentralSite Redmond -Description \"all of it\"");
    estate.done("New-CsNetworkSite -NetworkSiteID Reno -NetworkRegionID west -BWPolicyProfileID LowBWLimits");
    estate.done("New-CsNetworkSubnet -SubnetID 172.11.15.0 -MaskBits 24 -NetworkSiteID Reno");
    assert!(estate.refused("Remove-CsNetworkRegion West").contains("NetworkSite \"Reno\" refers to it"));
    assert!(
        estate
            .refused("New-CsNetworkRegionLink a -NetworkRegionID1 West -NetworkRegionID2 West")
            .contains("are the same")
    );
    let limits = "New-CsNetworkBandwidthPolicyProfile x -AudioBWSessionLimit 39";
    assert!(estate.refused(limits).contains("39 is outside 40 to"));
}

#[test]
fn what_carillon_has_not_says_so() {
    let mut estate = Estate::installed();
    assert_eq!(estate.done("Get-CsCertificate | fl Issuer,Use,Thumbprint").out, "");
    assert_eq!(
        estate.done("Get-CsManagementStoreReplicationStatus | Where-Object {$_.UpToDate -eq $False}").out,
        ""
    );
    assert_eq!(estate.done("Get-CsDeviceUpdateRule | Where-Object {$_.Brand -eq \"LG-Nortel\"} | Approve-CsDeviceUpdateRule").out, "");
    let tested = estate.done("Test-CsRegistration -TargetFqdn atl-cs-001.litwareinc.com").out;
    let names: Vec<&str> = tested.lines().map(|line| line.split(" : ").next().unwrap().trim()).collect();
    assert_eq!(names, ["Target Fqdn", "Result", "Latency", "Error Message", "Diagnosis"]);
    assert!(estate.done("Test-CsAVEdgeConnectivity -TargetFqdn \"a.example.com\"").out.contains("Failure"));
    let import = "Import-CsDeviceUpdate -Identity \"service:WebServer:atl-cs-001.litwareinc.com\" -FileName C:\\Updates\\UCUpdates.cab";
    assert!(
        estate.refused(import).starts_with("Import-CsDeviceUpdate : is documented, but not in Carillon: ")
    );
    assert!(estate.refused("Get-CsConferenceServer").contains("Get-CsService -ConferencingServer"));
    assert!(
        estate
            .refused("Get-CsConferencingConfigurations")
            .contains("Did you mean Get-CsConferencingConfiguration?")
    );
    assert_eq!(estate.done("Get-CsTopology | Select-Object -ExpandProperty Machines").out, "");
}

#[test]
fn every_public_example_beside_the_checkout_is_read() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/cmdlet-examples.jsonl");
    let Ok(text) = std::fs::read_to_string(file) else {
        eprintln!("skipped: the examples do not lie beside the checkout");
        return;
    };
    for line in text.lines() {
        let example: serde_json::Value = serde_json::from_str(line).unwrap();
        let command = example["cmd"].as_str().unwrap();
        let mut estate = Estate::with(
            "name = \"t\"\nbase = \"lync\"\n[sites.Redmond1]\n[management.MediaConfiguration.\"site:Redmond1\"]\n[management.ConferencingConfiguration.\"site:Redmond\"]\n[sites.Redmond]\n[management.NetQosPolicy.Backup]\nThrottleRate = 1000000\n",
        );
        if command.starts_with("New-CsConf") || command.starts_with("$x") {
            estate = Estate::installed();
        }
        let done = estate.run(command);
        let fails = ["Import-CsDeviceUpdate", "Set-CsConferenceServer \u{2013}Identity:"]
            .iter()
            .any(|f| command.starts_with(f));
        assert_eq!(done.errors.is_empty(), !fails, "{command}\n{}", done.errors);
    }
}

#[test]
fn removing_the_global_collection_resets_it() {
    let mut estate = Estate::with("name = \"t\"\nbase = \"lync-kloud\"\n");
    estate.done("Set-CsConferencingConfiguration -Organization Litwareinc");
    estate.done("Remove-CsConferencingConfiguration -Identity global");
    assert_eq!(estate.done("Get-CsConferencingConfiguration | fl client*").out, DEFAULTS);
    assert_eq!(estate.done("(Get-CsConferencingConfiguration).Organization").out, "");
}
