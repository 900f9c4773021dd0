//! `carillon plan export` from the outside: the folder, its page, what is renewed and what is left alone.

mod support;

use std::fs;

use support::{Folder, carillon};

#[test]
fn a_folder_holds_every_file_that_its_manifest_and_page_name() {
    let folder = Folder::new("export-all");
    let out = folder.path("out");
    let run = carillon(&["plan", "export", "all", "--plan", "lync-kloud", "--out", &out]);
    assert_eq!(run.status(), 0, "{}", run.err());
    let manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(format!("{out}/manifest.json")).unwrap()).unwrap();
    let page = fs::read_to_string(format!("{out}/index.html")).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert!(files.len() >= 4);
    for file in files {
        let path = file["path"].as_str().unwrap();
        assert_eq!(
            fs::metadata(format!("{out}/{path}")).unwrap().len(),
            file["bytes"].as_u64().unwrap(),
            "{path}"
        );
        assert!(page.contains(&format!("<a href=\"{path}\">")), "{path}");
    }
}

#[test]
fn exporting_again_renews_the_folder_and_removes_what_is_stale() {
    let folder = Folder::new("export-again");
    let out = folder.path("out");
    let export = |target: &str| carillon(&["plan", "export", target, "--plan", "schertz-vvx", "--out", &out]);
    assert_eq!(export("windows-reg").status(), 0);
    fs::write(format!("{out}/mine.txt"), "not an export").unwrap();
    let before = fs::read(format!("{out}/windows/client.reg")).unwrap();
    assert_eq!(export("windows-reg").status(), 0);
    assert_eq!(fs::read(format!("{out}/windows/client.reg")).unwrap(), before);
    let only = ["plan", "export", "windows-reg", "--plan", "schertz-vvx", "--only", "edge", "--out", &out];
    assert_eq!(carillon(&only).status(), 0);
    assert!(!fs::exists(format!("{out}/windows/client.reg")).unwrap());
    assert!(
        fs::exists(format!("{out}/windows/edge.reg")).unwrap()
            && fs::exists(format!("{out}/mine.txt")).unwrap()
    );
}

#[test]
fn a_folder_with_other_things_in_it_is_left_alone() {
    let folder = Folder::new("export-occupied");
    let out = folder.path("out");
    fs::create_dir_all(&out).unwrap();
    for manifest in ["{}", "no json", "{\"files\": [{\"path\": 7}]}"] {
        fs::write(format!("{out}/manifest.json"), manifest).unwrap();
        let run = carillon(&["plan", "export", "windows-reg", "--plan", "schertz-vvx", "--out", &out]);
        assert_eq!(run.status(), 2);
        assert!(run.err().contains("holds no earlier export"), "{}", run.err());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    }
    // A manifest cannot lead out of the folder.
    let outside = folder.path("outside");
    fs::write(&outside, "kept").unwrap();
    fs::write(format!("{out}/manifest.json"), "{\"files\": [{\"path\": \"../outside\"}]}").unwrap();
    let run = carillon(&["plan", "export", "windows-reg", "--plan", "schertz-vvx", "--out", &out]);
    assert_eq!(run.status(), 0, "{}", run.err());
    assert!(fs::exists(&outside).unwrap());
}

#[test]
fn sites_that_differ_get_a_folder_of_their_own() {
    let folder = Folder::new("export-sites");
    let plan = folder.path("plan.toml");
    let text = "name = \"two\"\nbase = \"schertz-vvx\"\n[sites.\"Old Town\".classes]\naudio = 40\n";
    fs::write(&plan, text).unwrap();
    let out = folder.path("out");
    assert_eq!(carillon(&["plan", "export", "all", "--plan", &plan, "--out", &out]).status(), 0);
    let global = fs::read(format!("{out}/windows/client.reg")).unwrap();
    let site = fs::read(format!("{out}/site-Old-Town/windows/client.reg")).unwrap();
    assert_ne!(global, site);
}

#[test]
fn sites_of_similar_names_do_not_share_a_folder_and_what_is_gone_leaves_none() {
    let folder = Folder::new("export-similar");
    let plan = folder.path("plan.toml");
    let text = "name = \"two\"\nbase = \"schertz-vvx\"\n[sites.\"Oslo 1\".classes]\naudio = 40\n[sites.\"oslo-1\".classes]\naudio = 44\n";
    fs::write(&plan, text).unwrap();
    let out = folder.path("out");
    assert_eq!(carillon(&["plan", "export", "all", "--plan", &plan, "--out", &out]).status(), 0);
    let read = |site: &str| fs::read(format!("{out}/{site}/windows/client.reg")).unwrap();
    assert_ne!(read("site-Oslo-1"), read("site-oslo-1-2"));
    assert_eq!(carillon(&["plan", "export", "all", "--plan", "schertz-vvx", "--out", &out]).status(), 0);
    assert!(
        !fs::exists(format!("{out}/site-Oslo-1")).unwrap() && fs::exists(format!("{out}/windows")).unwrap()
    );
}

#[test]
fn one_file_can_be_printed_and_several_cannot() {
    let of = |only: &str| {
        carillon(&["plan", "export", "windows-reg", "--plan", "schertz-vvx", "--only", only, "--out", "-"])
    };
    assert!(of("client.reg").0.stdout.starts_with(&[0xff, 0xfe]));
    let several = of(".reg");
    assert_eq!(several.status(), 2);
    assert!(several.err().contains("choose one with --only: windows/"), "{}", several.err());
}

#[test]
fn what_cannot_be_exported_is_said_with_the_reason() {
    let unknown = carillon(&["plan", "export", "windows-rag", "--plan", "teams"]);
    assert_eq!(unknown.status(), 2);
    assert!(unknown.err().contains("did you mean `windows-reg`?"), "{}", unknown.err());
    let without = carillon(&["plan", "export", "windows-reg"]);
    assert_eq!(without.status(), 2);
    assert!(without.err().contains("name one with --plan"), "{}", without.err());
    let off = carillon(&["plan", "export", "windows-reg", "--plan", "lync"]);
    assert_eq!(off.status(), 2);
    assert!(off.err().contains("not in force"), "{}", off.err());
    assert!(carillon(&["plan", "export", "list"]).out().contains("windows-reg"));
}

/// Whoever asks for a firewall's rules before there is a plan gets few ports, by both readings, and is told whose.
#[test]
fn a_firewall_needs_no_plan_and_gets_a_hundred_client_ports_by_both_readings() {
    let folder = Folder::new("export-firewall");
    let out = folder.path("out");
    let run = carillon(&["plan", "export", "firewall", "--out", &out]);
    assert_eq!(run.status(), 0, "{}", run.err());
    let said = run.out().split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["no plan was named", "preset schertz-vvx", "100 ports between clients"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    for (file, ports) in
        [("firewall.nft", "4 ports from the Internet"), ("firewall-relay-inbound.nft", "20004 ports")]
    {
        assert!(said.contains(ports), "{ports} in {said}");
        assert!(fs::read_to_string(format!("{out}/firewall/{file}")).unwrap().contains("6000-6099"));
    }
    let flows = fs::read_to_string(format!("{out}/firewall/flows.md")).unwrap();
    assert!(flows.contains("| between clients, one range: 6000-6099 | 100 |"), "{flows}");
    let named = carillon(&["plan", "export", "firewall", "--plan", "teams", "--out", &folder.path("teams")]);
    assert!(!named.out().contains("no plan was named"));
}

#[test]
fn a_firewall_between_two_roles_has_their_rules_alone() {
    let folder = Folder::new("export-between");
    let out = folder.path("out");
    let export = |target: &str, zones: &str| {
        carillon(&["plan", "export", target, "--plan", "lync-kloud", "--between", zones, "--out", &out])
    };
    let run = export("firewall", "edge-int,fe");
    assert_eq!(run.status(), 0, "{}", run.err());
    let rules = fs::read_to_string(format!("{out}/firewall/firewall.nft")).unwrap();
    assert!(
        rules.contains("chain conferencing_to_edge {") && rules.contains("chain edge_to_conferencing {"),
        "{rules}"
    );
    assert!(!rules.contains("client"), "{rules}");
    for (target, zones, says) in [
        ("firewall", "edge,fr", "there is no role `fr`; there are client, conferencing"),
        ("firewall", "client,internet", "nothing passes between client and internet"),
        ("cisco", "edge,fe", "--between is for one target"),
        ("all", "edge,fe", "--between is for one target"),
    ] {
        let run = export(target, zones);
        assert!(run.status() == 2 && run.err().contains(says), "{target} {zones}: {}", run.err());
    }
}

#[test]
fn a_file_of_which_something_cannot_be_read_is_no_yes_and_no_plan() {
    let folder = Folder::new("check-unread");
    let file = folder.file(
        "listing.txt",
        "ClientMediaPortRangeEnabled : True\nClientAudioPort : 20000\nClientVideoPort : 20040\nClientVideoPortRange : 40\n",
    );
    let check = carillon(&["plan", "check", &file, "--plan", "lync-kloud"]);
    assert_eq!(check.status(), 2, "{}", check.out());
    assert!(
        check.out().contains("1 thing could not be judged, the rest is as")
            && !check.out().contains("as planned by"),
        "{}",
        check.out()
    );
    let import = carillon(&["plan", "import", &file]);
    assert_eq!((import.status(), import.out().as_str()), (2, ""));
    assert!(
        import
            .err()
            .contains("line 2: the ports for audio of client (global): a first port and no number of ports"),
        "{}",
        import.err()
    );
}

#[test]
fn what_was_exported_matches_the_plan_and_nothing_else_does() {
    let folder = Folder::new("check");
    let out = folder.path("out");
    assert_eq!(carillon(&["plan", "export", "all", "--plan", "lync-kloud", "--out", &out]).status(), 0);
    let files =
        ["windows/client.reg", "windows/conferencing.reg", "linux/marks-client.nft", "phone/polycom/qos.cfg"]
            .map(|file| format!("{out}/{file}"));
    let check = |plan: &str| {
        let names = files.iter().map(String::as_str);
        carillon(
            &["plan", "check"].into_iter().chain(names).chain(["--plan", plan, "--json"]).collect::<Vec<_>>(),
        )
    };
    let same = check("lync-kloud");
    assert_eq!(same.status(), 0, "{} {}", same.out(), same.err());
    let lines = same.json()["lines"].as_array().unwrap().clone();
    assert!(lines.len() >= 8 && lines.iter().all(|line| line["state"] == "match"), "{lines:?}");

    let other = check("schertz-vvx");
    assert_eq!(other.status(), 1);
    let states: Vec<_> =
        other.json()["lines"].as_array().unwrap().iter().map(|l| l["state"].clone()).collect();
    assert!(states.contains(&"different".into()) && states.contains(&"extra".into()), "{states:?}");
    let text = carillon(&["plan", "check", &files[0], "--plan", "schertz-vvx"]);
    assert!(text.out().contains("set the source ports to 6000-6024, they are 20000-20039"), "{}", text.out());
}

#[test]
fn what_holds_in_part_is_a_no_and_what_a_phone_cannot_do_is_none() {
    let folder = Folder::new("check-part");
    let reg = "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\Windows\\QoS\\Voice]\r\n\
               \"Version\"=\"1.0\"\r\n\"Application Name\"=\"*\"\r\n\"Protocol\"=\"*\"\r\n\"Local Port\"=\"49152:57500\"\r\n\
               \"Remote IP\"=\"10.1.2.3\"\r\n\"Remote Port\"=\"*\"\r\n\"DSCP Value\"=\"46\"\r\n";
    let narrowed = folder.file("narrowed.reg", reg);
    let run = carillon(&["plan", "check", &narrowed, "--plan", "lync-kloud", "--role", "mediation"]);
    assert_eq!(run.status(), 1, "{}", run.out());
    assert!(run.out().contains("set `Remote IP` and its prefix length to `*`"), "{}", run.out());
    let yealink = "static.network.qos.audiotos = 46\nstatic.network.qos.videotos = 34\nstatic.network.qos.signaltos = 24\n\
                   static.network.port.min_rtpport = 6000\nstatic.network.port.max_rtpport = 6024\n";
    let phone = folder.file("phone.cfg", yealink);
    let run = carillon(&["plan", "check", &phone, "--plan", "schertz-vvx"]);
    assert_eq!(run.status(), 0, "{}", run.out());
    assert!(run.out().contains("cannot") && run.out().contains("as planned"), "{}", run.out());
}

#[test]
fn files_that_say_nothing_are_no_answer_and_classes_in_one_queue_are_a_no() {
    let folder = Folder::new("check-nothing");
    let key = "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\Windows\\QoS]\r\n";
    let empty = folder.file("empty.reg", key);
    let run = carillon(&["plan", "check", &empty, "--plan", "lync-kloud"]);
    assert_eq!(run.status(), 2, "{}", run.out());
    assert!(run.out().contains("nothing here sets a port or a mark"), "{}", run.out());
    let lacking = carillon(&["plan", "check", &empty, "--plan", "lync-kloud", "--role", "mediation"]);
    assert_eq!(lacking.status(), 1);
    assert!(lacking.out().contains("missing"), "{}", lacking.out());
    let import = carillon(&["plan", "import", &empty]);
    assert_eq!((import.status(), import.out()), (2, String::new()));
    assert!(import.err().contains("say nothing of ports, marks or queues"), "{}", import.err());
    let queues = folder.file("queues.txt", "CS3 1\nAF41 2\nEF 2\n");
    let shared = carillon(&["plan", "check", &queues, "--plan", "lync-kloud"]);
    assert_eq!(shared.status(), 1, "{}", shared.out());
    assert!(
        shared.out().contains("queue-shared") && !shared.out().contains("as planned"),
        "{}",
        shared.out()
    );
}

#[test]
fn a_plan_made_of_what_is_deployed_gives_the_same_exports() {
    let folder = Folder::new("import");
    let (out, again, plan) = (folder.path("out"), folder.path("again"), folder.path("plan.toml"));
    let export =
        |plan: &str, out: &str| carillon(&["plan", "export", "windows-reg", "--plan", plan, "--out", out]);
    assert_eq!(export("schertz-vvx", &out).status(), 0);
    let files =
        ["client", "conferencing", "mediation", "edge"].map(|role| format!("{out}/windows/{role}.reg"));
    let mut arguments = vec!["plan", "import", "--out", &plan];
    arguments.extend(files.iter().map(String::as_str));
    let import = carillon(&arguments);
    assert_eq!(import.status(), 0, "{}", import.err());
    assert_eq!(export(&plan, &again).status(), 0);
    for role in ["client", "conferencing", "mediation", "edge"] {
        // Two bytes to a character; what stands behind a semicolon names the plan.
        let read = |folder: &str| {
            let bytes = fs::read(format!("{folder}/windows/{role}.reg")).unwrap();
            let text: String = bytes.iter().step_by(2).map(|byte| char::from(*byte)).collect();
            text.lines()
                .filter(|line| !line.starts_with(';'))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        };
        assert_eq!(read(&out), read(&again), "{role}");
    }
    // A plan is never written over.
    assert_eq!(carillon(&arguments).status(), 2);
}

#[test]
fn one_bad_file_stops_an_import_with_every_reason_and_place() {
    let folder = Folder::new("import-bad");
    let bad = folder.file("bad.reg", "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\Windows\\QoS\\a]\r\n\"DSCP Value\"=\"99\"\r\n");
    let strange = folder.file("strange.bin", [0u8, 1, 2]);
    let run = carillon(&["plan", "import", &bad, &strange]);
    assert_eq!(run.status(), 2);
    assert!(run.out().is_empty() && run.err().contains("nothing was taken"), "{}", run.err());
    assert!(run.err().contains("line 4") && run.err().contains("strange.bin"), "{}", run.err());
}
