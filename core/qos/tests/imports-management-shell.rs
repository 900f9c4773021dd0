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
        What::Unread { what, why, .. } => format!("{what} not known, {why}"),
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
            "line 18: EdgeServer:edge edge audio 50000-59999",
            "line 18: EdgeServer:edge edge video 50000-59999",
            "line 18: EdgeServer:edge edge sharing 50000-59999",
            "line 18: EdgeServer:edge edge file-transfer 50000-59999",
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
        ("ClientMediaPortRangeEnabled : maybe\n", "line 1: ClientMediaPortRangeEnabled is \"maybe\""),
        (
            "ClientMediaPortRangeEnabled : True\nClientMediaPortRangeEnabled : False\n",
            "line 2: ClientMediaPortRangeEnabled of global is false; line 1 says true",
        ),
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
fn a_range_of_which_something_is_wrong_is_not_known_and_the_others_count() {
    let video = "ClientVideoPort : 20040\nClientVideoPortRange : 40\n";
    for (text, unread) in [
        (
            "ClientAudioPort : 70000\nClientAudioPortRange : 40\n",
            "ClientAudioPort is \"70000\": no number from 1 to 65535",
        ),
        ("ClientAudioPort : 65530\nClientAudioPortRange : 40\n", "40 ports from 65530 on pass 65535"),
        ("ClientAudioPort : 5350\n", "a first port and no number of ports"),
        ("ClientAudioPortRange : 40\n", "a number of ports and no first port"),
    ] {
        let said = facts(&read(&format!("{text}{video}")));
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(
            said[0],
            format!("line 1: the ports for audio of client (global) not known, {unread}"),
            "{said:?}"
        );
        assert!(said[1].ends_with("global client video 20040-20079"), "{said:?}");
    }
    let twice = read(&format!("ClientAudioPort : 5350 \nClientAudioPort : 5351\n{video}"));
    assert_eq!(
        facts(&twice)[0],
        "line 2: the ports for audio of client (global) not known, ClientAudioPort of global is 5351; line 1 says 5350"
    );
}

#[test]
fn a_dash_before_a_name_of_a_listing_is_no_part_of_it() {
    for dash in ["- ", "-", "\u{2013} ", "\u{2013}"] {
        let text = format!(
            "ClientAudioPort : 20000\nClientAudioPortRange : 40\n{dash}ClientFileTransferPort : 21000\n{dash}ClientTransferPortRange : 40\n"
        );
        assert_eq!(
            facts(&read(&text)),
            ["line 1: global client audio 20000-20039", "line 3: global client file-transfer 21000-21039"],
            "{text}"
        );
    }
}

#[test]
fn a_table_of_services_is_read_row_by_row() {
    let text = "\n\
Identity                                     AudioPortStart AudioPortCount\n\
--------                                     -------------- --------------\n\
MediationServer:atl-cs-001.litwareinc.com    60000          1000\n\
ConferencingServer:atl-cs-001.litwareinc.com          49152           8348\n\
Registrar:atl-cs-001.litwareinc.com\n\n\
Set-CsMediationServer -Identity MediationServer:b -AudioPortStart 60000 -AudioPortCount 10\n";
    assert_eq!(
        facts(&read(text)),
        [
            "line 4: MediationServer:atl-cs-001.litwareinc.com mediation audio 60000-60999",
            "line 5: ConferencingServer:atl-cs-001.litwareinc.com conferencing audio 49152-57499",
            "line 8: MediationServer:b mediation audio 60000-60009",
        ]
    );
    let cut = text.replace(
        "MediationServer:atl-cs-001.litwareinc.com    ",
        "MediationServer:atl-cs-001.litwarei...    ",
    );
    assert!(
        facts(&read(&cut))[0]
            .contains("line 4 of the table not known, `MediationServer:atl-cs-001.litwarei...` is cut off")
    );
}

#[test]
fn what_speaks_of_ports_and_is_not_understood_is_not_known() {
    let said = facts(&read(
        "ClientMediaPortRangeEnabled : True\nClientAudioPorts : 20000\nClient Audio Port = 20000\n",
    ));
    assert_eq!(
        said[1..],
        [
            "line 2: ClientAudioPorts of global not known, no property of that name is known",
            "line 3: `Client Audio Port = 20000` not known, the line is not understood",
        ]
    );
}

#[test]
fn of_two_commands_the_later_one_counts() {
    let deployed = read(
        "Set-CsConferencingConfiguration -ClientAudioPort 20000 -ClientAudioPortRange 40\n\
         Set-CsConferencingConfiguration -ClientAudioPort 30000\n",
    );
    assert_eq!(facts(&deployed), ["line 2: global client audio 30000-30039"]);
    assert_eq!(notes(&deployed), ["line 2: sets ClientAudioPort of global again: line 1 counts no more"]);
}

#[test]
fn utf_16_and_the_western_code_page_are_read() {
    let utf16: Vec<u8> = format!("\u{feff}{CLIENTS}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(facts(&import::read("x", &utf16).unwrap()), facts(&read(CLIENTS)));
    let western = b"Set-CsMediationServer \x96AudioPortStart 60000 \x96AudioPortCount 1000\n";
    assert_eq!(facts(&import::read("x", western).unwrap()), ["line 1: global mediation audio 60000-60999"]);
}
