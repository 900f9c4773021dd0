//! What is pasted out of the management shell: listings, and lines that set values with the misprints of public pages.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use carillon_qos::import::{self, Deployed, Fact, What};

fn read(text: &str) -> Deployed {
    import::read("listing", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}

fn facts(deployed: &Deployed) -> Vec<String> {
    let what = |fact: &Fact| match &fact.what {
        What::Enabled { scope, enabled } => format!("{scope} enabled {enabled}"),
        What::Ports { scope, role, class, ports } => {
            format!("{scope} {role} {} {ports}", class.map_or("all", |class| class.name()))
        }
        What::Mark { role, class, mark } => format!("{role} {class} {}", mark.value()),
        other => format!("{other:?}"),
    };
    deployed.facts.iter().map(|fact| format!("{}: {}", fact.place, what(fact))).collect()
}

fn notes(deployed: &Deployed) -> Vec<String> {
    deployed.notes.iter().map(ToString::to_string).collect()
}

fn errors(text: &str) -> Vec<String> {
    import::read("listing", text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
}

const CLIENTS: &str = "\
PS C:\\> Get-CsConferencingConfiguration | fl client*

Identity                    : Global
ClientMediaPortRangeEnabled : True
ClientMediaPort             : 20160
ClientMediaPortRange        : 40
ClientAudioPort             : 20000
ClientAudioPortRange        : 40
ClientVideoPort             : 20040
ClientVideoPortRange        : 40
ClientAppSharingPort        : 20080
ClientAppSharingPortRange   : 40
ClientFileTransferPort      : 20120
ClientTransferPortRange     : 40
ClientSipDynamicPort        : 7100
ClientSipDynamicPortRange   : 3

Identity                    : Site:Redmond
ClientMediaPortRangeEnabled : False
ClientAudioPort             : 5350
ClientAudioPortRange        : 40
";

#[test]
fn the_listing_of_client_ranges_is_read_scope_by_scope() {
    let deployed = read(CLIENTS);
    assert_eq!(deployed.format, "Lync management shell (listings, Set-Cs lines)");
    assert_eq!(
        facts(&deployed),
        [
            "line 4: global enabled true",
            "line 5: global client all 20160-20199",
            "line 7: global client audio 20000-20039",
            "line 9: global client video 20040-20079",
            "line 11: global client sharing 20080-20119",
            "line 13: global client file-transfer 20120-20159",
            "line 19: site:Redmond enabled false",
            "line 20: site:Redmond client audio 5350-5389",
        ]
    );
    assert_eq!(
        notes(&deployed),
        [
            "line 14: ClientTransferPortRange is a misprint of ClientFileTransferPortRange: taken as that",
            "line 15: ClientSipDynamicPort is ignored: it does nothing",
            "line 16: ClientSipDynamicPortRange is ignored: it does nothing",
        ]
    );
}

#[test]
fn services_and_phones_are_read() {
    let text = "\
Identity            : ConferencingServer:pool.litwareinc.com
AudioPortStart      : 49152
AudioPortCount      : 8348
VideoPortStart      : 57501
VideoPortCount      : 8034
AppSharingPortStart : 40803
AppSharingPortCount : 8348
DependentServiceList : {Registrar:a,
                       Registrar:b}
Role                : ConferencingServer

Identity            : MediationServer:med
AudioPortStart      : 60000
AudioPortCount      : 1000
VideoPortStart      :

Identity                     : EdgeServer:edge
MediaCommunicationPortStart  : 50000
MediaCommunicationPortCount  : 10000

Identity             : Global
VoiceDiffServTag     : 40
LoggingLevel         : Off

Identity            : WebServer:pool
AppSharingPortStart : 49152
";
    let deployed = read(text);
    assert_eq!(
        facts(&deployed),
        [
            "line 2: ConferencingServer:pool.litwareinc.com conferencing audio 49152-57499",
            "line 4: ConferencingServer:pool.litwareinc.com conferencing video 57501-65534",
            "line 6: ConferencingServer:pool.litwareinc.com conferencing sharing 40803-49150",
            "line 13: MediationServer:med mediation audio 60000-60999",
            "line 18: EdgeServer:edge edge all 50000-59999",
            "line 22: phone audio 40",
        ]
    );
    assert_eq!(
        notes(&deployed),
        ["line 25: is a listing of something that a plan knows nothing about: passed over"]
    );
}

#[test]
fn the_lines_of_public_pages_are_read_and_every_repair_is_named() {
    let text = "\
PS C:\\> Set-CsConferencingConfiguration -ClientMediaPortRangeEnabled 1
Set-CsConferencingConfiguration -Identity global -ClientAudioPort 50020 -ClientAudioPortRange 20 - ClientFileTransferPort 42020 -ClientFileTransferPortRange 20
Set-CsConferencingConfiguration –Identity \"site:Redmond\" –ClientVideoPort 58000
-ClientVideoPortRange 20
Set-CsConferenceServer -Identity ConferencingServer:cs `
  -AppSharingPortStart 40803 -AppSharingPortCount 8348
Get-CsService -MediationServer | ForEach-Object {Set-CsMediationServer -Identity $_.Identity -AudioPortStart 60000 -AudioPortCount 1000}
Set-CsUCPhoneConfiguration -identity global -VoiceDiffServTag 46
Set-CsUserServer -Identity x
Set-CsConferencingConfiguration -Identity site:Oslo -ClientMediaPortRangeEnabled $True -WhatIf
";
    let deployed = read(text);
    assert_eq!(
        facts(&deployed),
        [
            "line 1: global enabled true",
            "line 2: global client audio 50020-50039",
            "line 2: global client file-transfer 42020-42039",
            "line 3: site:Redmond client video 58000-58019",
            "line 6: ConferencingServer:cs conferencing sharing 40803-49150",
            "line 7: global mediation audio 60000-60999",
            "line 8: phone audio 46",
        ]
    );
    assert_eq!(
        notes(&deployed),
        [
            "line 2: `- ClientFileTransferPort` has a blank after its dash: read as `-ClientFileTransferPort`",
            "line 3: `\u{2013}Identity` has another dash than the hyphen: read as `-Identity`",
            "line 3: `\u{2013}ClientVideoPort` has another dash than the hyphen: read as `-ClientVideoPort`",
            "line 4: goes on with the command of the line before, which has no backtick at its end",
            "line 9: Set-CsUserServer is passed over: it sets nothing that a plan knows",
            "line 10: Set-CsConferencingConfiguration is passed over: -WhatIf changes nothing",
        ]
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_nothing_counts() {
    for (text, error) in [
        ("ClientAudioPort : 70000\nClientAudioPortRange : 40\n", "line 1: ClientAudioPort is \"70000\""),
        (
            "ClientAudioPort : 65530\nClientAudioPortRange : 40\n",
            "line 1: the ports for audio of client (global): 40 ports",
        ),
        (
            "ClientAudioPort : 5350 \nClientAudioPort : 5351\n",
            "line 2: ClientAudioPort of global is 5351; line 1 says 5350",
        ),
        ("ClientMediaPortRangeEnabled : maybe\n", "line 1: ClientMediaPortRangeEnabled is \"maybe\""),
        ("Set-CsUCPhoneConfiguration -VoiceDiffServTag 64\n", "line 1: VoiceDiffServTag is \"64\": no DSCP"),
        (
            "Set-CsConferenceServer –Identity: -AudioPortStart 49152\n",
            "line 1: -Identity has no value (MissingArgument)",
        ),
        (
            "Set-CsConferencingConfiguration -ClientA 1\n",
            "line 1: -ClientA is the beginning of several parameters",
        ),
    ] {
        let errors = errors(text);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(error), "{errors:?}");
    }
}

#[test]
fn half_a_range_is_no_range() {
    let deployed = read("Set-CsConferencingConfiguration -ClientAudioPort 20000 -ClientVideoPortRange 40\n");
    assert_eq!(facts(&deployed), [""; 0]);
    assert_eq!(
        notes(&deployed),
        [
            "line 1: the ports for audio of client (global) have a first port and no number of ports: not counted",
            "line 1: the ports for video of client (global) have a number of ports and no first port: not counted",
        ]
    );
}

#[test]
fn utf_16_and_the_western_code_page_are_read() {
    let utf16: Vec<u8> = format!("\u{feff}{CLIENTS}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(facts(&import::read("x", &utf16).unwrap()), facts(&read(CLIENTS)));
    let western = b"Set-CsMediationServer \x96AudioPortStart 60000 \x96AudioPortCount 1000\n";
    assert_eq!(facts(&import::read("x", western).unwrap()), ["line 1: global mediation audio 60000-60999"]);
}
