//! What a collection starts from, what waits and when it is told, and what a service shows.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use carillon_qos::plan::Scope;
use carillon_qos::{Role, TrafficClass};
use carillon_shell::{Certificate, Server};
use support::Estate;

const FQDN: &str = "ConferencingServer:a.example.com";

fn ports(estate: &Estate, class: TrafficClass) -> String {
    let scope = Scope { site: None, service: Some(FQDN.to_owned()) };
    estate.plan().planned(Role::Conferencing, &scope).ports(class).unwrap().to_string()
}

#[test]
fn a_new_collection_starts_from_the_documented_defaults() {
    let mut estate = Estate::with("name = \"t\"\nbase = \"lync-kloud\"\nenabled = true\n");
    estate.done("Set-CsConferencingConfiguration -MaxContentStorageMb 600");
    let made = estate.done("New-CsConferencingConfiguration -Identity site:Redmond -Organization Litwareinc");
    assert!(
        made.warnings
            .contains("starts from the documented defaults, not from Global: MaxContentStorageMb 500, "),
        "{}",
        made.warnings
    );
    let shown = estate.done("Get-CsConferencingConfiguration site:Redmond | fl Max*StorageMb, *Enabled, ClientAudio*, ClientVideoPort, Organization").out;
    let expected = "MaxContentStorageMb         : 500\nClientMediaPortRangeEnabled : False\nClientAudioPort             : 5350\n\
                    ClientAudioPortRange        : 40\nClientVideoPort             : 5350\nOrganization                : Litwareinc";
    assert_eq!(shown, expected);
    assert_eq!(estate.done("(Get-CsConferencingConfiguration global).ClientAudioPort").out, "20000");
    let memory =
        estate.done("(New-CsConferencingConfiguration -Identity site:Dublin -InMemory).ClientAudioPort").out;
    assert_eq!(memory, "5350");
    estate.done("$x = New-CsConferencingConfiguration site:Dublin -InMemory; $x.ClientAudioPort = 7000; Set-CsConferencingConfiguration -Instance $x");
    assert_eq!(
        estate.done("Get-CsConferencingConfiguration site:Dublin | fl ClientAudioPort, ClientVideoPort").out,
        "ClientAudioPort : 7000\nClientVideoPort : 5350"
    );
    estate.done("Set-CsUCPhoneConfiguration -VoiceDiffServTag 46; New-CsUCPhoneConfiguration site:Redmond -MinPhonePinLength 8");
    assert_eq!(estate.done("(Get-CsUCPhoneConfiguration site:Redmond).VoiceDiffServTag").out, "40");
}

#[test]
fn what_waits_is_told_once_and_holds_nothing_else_back() {
    let mut estate = Estate::with(&format!("name = \"t\"\nbase = \"lync\"\n[services.\"{FQDN}\"]\n"));
    let waits = estate
        .done(&format!("Set-CsConferenceServer {FQDN} -AppSharingPortStart 60000 -AppSharingPortCount 100"));
    assert!(
        waits.warnings.contains("AppSharingPortStart, AppSharingPortCount")
            && waits.warnings.contains("does not hold yet")
    );
    let other = estate.done("Set-CsUCPhoneConfiguration -MinPhonePinLength 8");
    assert_eq!(other.warnings, "", "it was told already");
    let audio =
        estate.done(&format!("Set-CsConferenceServer {FQDN} -AudioPortStart 50000 -AudioPortCount 1000"));
    assert!(!audio.warnings.contains("does not hold yet"), "{}", audio.warnings);
    assert_eq!(ports(&estate, TrafficClass::Audio), "50000-50999", "a good range is not held back");
    assert_eq!(ports(&estate, TrafficClass::Sharing), "40803-49150");
    estate.done(&format!("Set-CsConferenceServer {FQDN} -VideoPortStart 57501 -VideoPortCount 2000"));
    assert_eq!(ports(&estate, TrafficClass::Sharing), "60000-60099");
    assert!(!estate.toml().contains("management.Conf"), "{}", estate.toml());
}

#[test]
fn ranges_that_change_places_do_so_in_one_step() {
    let mut estate = Estate::with(&format!("name = \"t\"\nbase = \"lync\"\n[services.\"{FQDN}\"]\n"));
    let done = estate.done(&format!(
        "Set-CsConferenceServer {FQDN} -AudioPortStart 57501 -AudioPortCount 8000 -VideoPortStart 49152 -VideoPortCount 8348"
    ));
    assert!(!done.warnings.contains("does not hold yet"), "{}", done.warnings);
    assert_eq!(ports(&estate, TrafficClass::Video), "49152-57499");
}

#[test]
fn values_that_can_carry_nothing_or_are_none_are_told() {
    let mut estate =
        Estate::with("name = \"t\"\nbase = \"lync\"\n[services.\"MediationServer:b.example.com\"]\n");
    let few = estate.done("Set-CsMediationServer -AudioPortCount 6").warnings;
    assert!(few.contains("takes 7 ports, so these carry none"), "{few}");
    assert!(!estate.done("Set-CsMediationServer -AudioPortCount 7").warnings.contains("carry none"));
    for line in [
        "Set-CsConferencingConfiguration -ClientAudioPort $null",
        "Set-CsMediaConfiguration -EnableQoS $null",
        "Set-CsUCPhoneConfiguration -PhoneLockTimeout $null",
    ] {
        assert!(estate.refused(line).ends_with("[CannotConvertArgument]"), "{line}");
    }
    estate.done("Set-CsConferencingConfiguration -Organization x; Set-CsConferencingConfiguration -Organization $null");
    assert_eq!(estate.done("(Get-CsConferencingConfiguration).Organization").out, "");
}

#[test]
fn subnets_are_addresses_with_a_mask() {
    let mut estate = Estate::installed();
    for id in ["172.11.15.300", "reno", "2001:db8::", "172.11.15"] {
        let error = estate.refused(&format!("New-CsNetworkSubnet -SubnetID {id} -MaskBits 24"));
        assert!(error.contains("is no IPv4 address"), "{error}");
    }
    assert!(estate.refused("New-CsNetworkSubnet 172.11.15.0 -MaskBits 33").contains("outside 1 to 32"));
    let odd = estate.done("New-CsNetworkSubnet 172.29.79.0 -MaskBits 23");
    assert_eq!(odd.warnings, "172.29.79.0 with 23 bits is no network address; 172.29.78.0 is.");
    assert_eq!(estate.done("New-CsNetworkSubnet 172.11.15.0 -MaskBits 24").warnings, "");
    assert_eq!(estate.done("Set-CsNetworkSubnet 172.11.15.0 -MaskBits 32").warnings, "");
}

#[test]
fn objects_print_the_documented_properties_and_no_others() {
    let mut estate = Estate::with(
        "name = \"t\"\nbase = \"lync\"\n[services.\"WebServer:w.example.com\"]\n[management.NetworkRegion.W]\nCentralSite = \"R\"\n",
    );
    let names = |out: &str| {
        out.lines()
            .map(|line| line.split(" :").next().unwrap().trim().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let site = estate.done("New-CsNetworkSite Reno -NetworkRegionID W -EnableLocationBasedRouting $true").out;
    assert_eq!(
        names(&site),
        "Identity NetworkSiteID Description NetworkRegionID BypassID BWPolicyProfileID LocationPolicy"
    );
    assert_eq!(estate.done("(Get-CsNetworkSite Reno).EnableLocationBasedRouting").out, "True");
    estate.done("Set-CsWebServer -ReachPrimaryPsomServerPort 8070");
    let web = estate.done("Get-CsService -WebServer").out;
    assert!(web.contains("ReachPrimaryPsomServerPort      : 8070\nReachExternalPsomServerPort     : 8061\nAppSharingPortStart"), "{web}");
    assert!(names(&web).ends_with(
        "CscpInternalUri ReachExternalUri ReachInternalUri WebTicketExternalUri WebTicketInternalUri ExternalFqdn InternalFqdn \
         DependentServiceList ServiceId SiteId PoolFqdn Version Role"
    ));
}

#[test]
fn what_only_a_server_knows_is_said_over_a_file() {
    let mut estate = Estate::installed();
    for line in ["Get-CsCertificate", "Get-CsManagementStoreReplicationStatus"] {
        let done = estate.done(line);
        assert!(
            done.warnings.contains("is known by a server, and --plan edits a file"),
            "{line}: {}",
            done.warnings
        );
    }
}

#[test]
fn the_certificate_of_the_server_is_shown() {
    let mut estate = Estate::installed();
    let certificate = Certificate {
        issuer: "CN=MyCa".into(),
        subject: "CN=fe.example.com".into(),
        not_before: "2026-11-21 00:00:00Z".into(),
        not_after: "2027-11-21 00:00:00Z".into(),
        serial: "0A".into(),
        names: vec!["fe.example.com".into()],
        thumbprint: "AB12".into(),
        uses: vec!["Default".into(), "WebServicesExternal".into()],
    };
    estate.server = Some(Server {
        fqdn: "fe.example.com".into(),
        domains: Vec::new(),
        program: "1".into(),
        certificates: vec![certificate],
    });
    let shown = estate.done("Get-CsCertificate -Type Default | fl Issuer,Use,Thumbprint").out;
    assert_eq!(shown, "Issuer     : CN=MyCa\nUse        : Default\nThumbprint : AB12");
    assert_eq!(estate.done("(Get-CsCertificate).Use").out, "Default\nWebServicesExternal");
    assert_eq!(estate.done("Get-CsCertificate -Type WebServicesInternal").out, "");
    assert_eq!(estate.done("(Get-CsCertificate -Type WebServicesExternal).Thumbprint").out, "AB12");
    assert_eq!(estate.done("Get-CsCertificate | Where-Object {$_.NotAfter -lt \"9/1/2018\"}").out, "");
    assert_eq!(
        estate.done("(Get-CsCertificate -Type Default | where {$_.NotAfter -lt '12/31/2027'}).Subject").out,
        "CN=fe.example.com"
    );
}

#[test]
fn lists_are_changed_entry_by_entry() {
    let mut estate = Estate::with(
        "name = \"t\"\nbase = \"lync\"\n[management.NetworkRegion.W]\nCentralSite = \"R\"\n[management.NetworkRegion.E]\nCentralSite = \"R\"\n",
    );
    estate.done("Set-CsNetworkRegion W -AudioAlternatePath $false");
    estate.done("$a = Get-CsNetworkRegion W; $a.BWAlternatePaths | foreach {Set-CsNetworkRegion -Identity E -BWAlternatePaths @{add=$_}}");
    let paths = estate.done("(Get-CsNetworkRegion E).BWAlternatePaths").out;
    assert_eq!(
        paths,
        "BWPolicyModality=Audio;AlternatePath=False\nBWPolicyModality=Video;AlternatePath=True"
    );
    estate.done("$a = (Get-CsNetworkConfiguration).MediaBypassSettings; $a.AlwaysBypass = $true; Set-CsNetworkConfiguration -MediaBypassSettings $a");
    assert_eq!(estate.done("(Get-CsNetworkConfiguration).MediaBypassSettings.AlwaysBypass").out, "True");
    assert_eq!(
        estate.done("(New-CsNetworkMediaBypassConfiguration -Enabled $true).InternalBypassMode").out,
        "Any"
    );
}

#[test]
fn users_are_found_by_what_documents_ask_for() {
    let mut estate = Estate::installed();
    estate.server = Some(Server {
        fqdn: "fe.example.com".into(),
        domains: vec!["example.com".into()],
        program: "1".into(),
        certificates: Vec::new(),
    });
    estate.done("Enable-CsUser 'Ken Myer' -RegistrarPool fe.example.com -SipAddressType FirstLastName -SipDomain example.com -ProxyPool x; Enable-CsUser -Identity pilar@example.com -RegistrarPool fe.example.com");
    let mut found = |asked: &str| estate.done(&format!("Get-CsUser {asked} | select -expand SipAddress")).out;
    assert_eq!(found("\"Ken Myer\""), "sip:ken.myer@example.com");
    assert_eq!(found("-Identity \"pil*\""), "sip:pilar@example.com");
    assert_eq!(
        found("-Filter {SipAddress -like \"*ken*\" -and Enabled -eq $True}"),
        "sip:ken.myer@example.com"
    );
    assert_eq!(
        found("-Filter {(SipAddress -like '*ken*') -or (SipAddress -like '*pilar*')} -ResultSize 1"),
        "sip:ken.myer@example.com"
    );
    assert_eq!(found("-Filter \"EnterpriseVoiceEnabled -eq `$True\""), "");
    assert_eq!(found("-OnLyncServer").lines().count(), 2);
    assert_eq!(found("-UnassignedUser"), "");
    assert!(estate.refused("Disable-CsUser *").contains("takes no wildcards"));
    estate.done("Disable-CsUser \"Ken Myer\"");
    assert_eq!(estate.users.len(), 1);
}
