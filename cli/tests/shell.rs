//! `carillon shell` as people run it: over a plan file and over a running server.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use support::server::Server;
use support::{Folder, carillon};

#[test]
fn a_plan_file_is_made_changed_and_shown() {
    let folder = Folder::new("shell");
    let plan = folder.path("plan.toml");
    let shell = |text: &str| carillon(&["shell", "--plan", &plan, "-c", text]);
    let switched = shell("Set-CsConferencingConfiguration -ClientMediaPortRangeEnabled 1");
    assert_eq!((switched.status(), switched.out().as_str()), (0, ""));
    assert!(switched.err().contains(
        "audio 5350-5389, video 5350-5389, sharing 5350-5389, file-transfer 5350-5389 are the same"
    ));
    let lint = carillon(&["plan", "lint", &plan]);
    assert!(lint.status() == 0 && lint.out().contains("warning waits: "), "{}", lint.out());
    let shown = shell("Get-CsConferencingConfiguration | fl client*").out();
    assert!(
        shown.starts_with("ClientMediaPortRangeEnabled : True\nClientMediaPort             : 5350\n"),
        "{shown}"
    );
    assert_eq!(shell("Get-CsNothing").status(), 1);
    assert_eq!(shell("'").status(), 2);
    let script = folder.file("s.ps1", "Set-CsUCPhoneConfiguration -VoiceDiffServTag 46\n");
    assert_eq!(carillon(&["shell", "--plan", &plan, &script]).status(), 0);
    for (script, status) in [
        ("exit 3; Get-CsNothing", 3),
        ("if (1 -eq 1) { exit 4; Get-CsNothing }; exit 5", 4),
        ("Get-CsNothing; exit 0", 0),
        ("Get-CsNothing; exit", 1),
        ("foreach ($i in 1..3) { exit $i }", 1),
        ("exit", 0),
        ("exit -1", 255),
    ] {
        assert_eq!(shell(script).status(), status, "{script}");
    }
    let json = carillon(&[
        "shell",
        "--plan",
        &plan,
        "--json",
        "-c",
        "Get-CsUCPhoneConfiguration | select Identity, VoiceDiffServTag",
    ]);
    assert_eq!(json.out(), "{\"Identity\":\"Global\",\"VoiceDiffServTag\":46}\n");
}

#[test]
fn ports_set_over_a_running_server_reach_a_phone_and_are_rolled_back() {
    let server = Server::dev();
    let shell = |text: &str| server.carillon(&["shell", "-c", text], "");
    let set = shell(
        "Set-CsConferencingConfiguration -ClientAudioPort 21000 -ClientAudioPortRange 50; Set-CsUCPhoneConfiguration -VoiceDiffServTag 40",
    );
    assert_eq!((set.status(), set.out(), set.err()), (0, String::new(), String::new()));
    let document = || {
        let password = server.folder.path().join("password");
        std::fs::write(&password, server.password("alice")).unwrap();
        let (address, file) = (server.address("UDP").to_string(), password.to_str().unwrap().to_owned());
        let arguments = [
            "call",
            "--server",
            &address,
            "--transport",
            "udp",
            "--user",
            "alice@localhost",
            "--password-file",
            &file,
            "--show-provisioning",
        ];
        carillon(&arguments).out()
    };
    let given = document();
    let keys =
        ["<ucMinAudioPort>21000<", "<ucMaxAudioPort>21049<", "<ucDiffServVoice>40<", "<qosEnabled>true<"];
    for key in keys {
        assert!(given.contains(key), "{key}: {given}");
    }
    let audit = server.http("GET /audit?limit=1", "");
    assert!(
        audit.contains("\"what\":\"plan.put\"")
            && audit.contains("\"before\":2")
            && audit.contains("\"after\":3"),
        "{audit}"
    );
    let refused = shell("Set-CsConferencingConfiguration -ClientAudioPort 5050");
    assert!(refused.status() == 1 && refused.err().contains("contains 5061"), "{}", refused.err());
    assert_eq!(shell("Get-CsConfigurationVersion | select -ExpandProperty Version").out(), "3\n2\n1\n");
    assert_eq!(shell("Restore-CsConfigurationVersion 1").status(), 0);
    assert!(document().contains("<ucMinAudioPort>20000<"));
    let media = "Set-CsMediaConfiguration -EnableQoS $False -EncryptionLevel RequireEncryption; (Get-CsMediaConfiguration).EnableQoS";
    assert_eq!(shell(media).out(), "False\n");
    let given = document();
    for key in ["<qosEnabled>false<", "<ucPC2PCAVEncryption>RequireEncryption<"] {
        assert!(given.contains(key), "{key}: {given}");
    }
    let certificate = shell("Get-CsCertificate | fl Issuer,Use,Thumbprint").out();
    assert!(
        certificate
            .starts_with("Issuer     : CN=Carillon own authority\nUse        : Default\nThumbprint : "),
        "{certificate}"
    );
    let users = shell("Get-CsUser | ft Identity, Enabled").out();
    assert!(users.contains("alice@localhost True"), "{users}");
}
