//! `carillon plan`, `dscp`, `explain`, `completions`, `man` from the outside.

mod support;

use support::{Folder, carillon};

#[test]
fn every_spelling_of_a_mark_is_understood() {
    for spelling in ["46", "ef", "101110", "0x2e", "EF"] {
        let run = carillon(&["dscp", spelling]);
        assert_eq!(run.status(), 0);
        for part in ["EF", "0x2E", "101110", "0xB8 (184)"] {
            assert!(run.out().contains(part), "{spelling}: {}", run.out());
        }
    }
    let wrong = carillon(&["dscp", "184"]);
    assert_eq!(wrong.status(), 2);
    assert!(wrong.err().contains("as a TOS byte it is DSCP EF (46)"), "{}", wrong.err());
}

#[test]
fn the_whole_table_of_marks_has_64_rows_also_in_json() {
    assert_eq!(carillon(&["dscp"]).out().lines().count(), 65);
    let json = carillon(&["dscp", "--json"]).json();
    assert_eq!(json.as_array().unwrap().len(), 64);
    for (decimal, row) in json.as_array().unwrap().iter().enumerate() {
        assert_eq!(
            (row["decimal"].as_u64(), row["tos"].as_u64()),
            (Some(decimal as u64), Some(decimal as u64 * 4))
        );
        assert_eq!(row["binary"], format!("{decimal:06b}"));
    }
    assert_eq!(carillon(&["dscp", "AF41", "--json"]).json()["wifi_rfc8325"]["access_category"], "video");
}

#[test]
fn every_preset_can_be_shown_edited_and_read_again() {
    let folder = Folder::new("presets");
    let presets = carillon(&["plan", "presets", "--json"]).json();
    for preset in presets.as_array().unwrap() {
        let name = preset["name"].as_str().unwrap();
        assert_eq!(carillon(&["plan", "show", name]).status(), 0);
        let toml = carillon(&["plan", "show", name, "--toml"]).out();
        let file = folder.file(&format!("{name}.toml"), &toml);
        let diff = carillon(&["plan", "diff", name, &file]);
        assert_eq!(diff.status(), 0, "{name}: {}{}", diff.out(), diff.err());
        assert_eq!(carillon(&["plan", "show", &file, "--toml"]).out(), toml, "{name}");
    }
}

#[test]
fn ranges_are_shown_with_start_count_and_inclusive_end() {
    let json = carillon(&["plan", "show", "lync-kloud", "--json"]).json();
    let ports = &json["roles"][0]["rows"][1]["ports"];
    assert_eq!(ports, &serde_json::json!({ "start": 20000, "count": 40, "end": 20039 }));
}

#[test]
fn a_lint_error_is_answered_with_no_and_has_an_explanation() {
    let folder = Folder::new("lint");
    let plan = "base = \"lync-kloud\"\nroles.client.audio = \"20000-20041\"\n";
    let file = folder.file("overlap.toml", plan);
    let run = carillon(&["plan", "lint", &file]);
    assert_eq!(run.status(), 1, "{}", run.out());
    assert!(run.out().contains("ranges-overlap") && run.out().contains("20040-20041"), "{}", run.out());
    assert_eq!(carillon(&["plan", "lint", "lync-kloud"]).status(), 0);
    assert_eq!(carillon(&["explain", "lint", "ranges-overlap"]).status(), 0);
    assert_eq!(carillon(&["explain", "lint", "ranges-overlap", "--json"]).json()["level"], "error");
}

#[test]
fn a_refused_plan_gets_all_reasons_with_lines() {
    let folder = Folder::new("refused");
    let file = folder.file("bad.toml", "base = \"lync-kloud\"\n[classes]\naudoi = 46\nvideo = 99\n");
    for verb in [&["plan", "show"][..], &["plan", "lint"]] {
        let run = carillon(&[verb, &[file.as_str()]].concat());
        assert_eq!(run.status(), 2);
        let message = run.err();
        assert!(message.contains("line 3") && message.contains("`audio`"), "{message}");
        assert!(message.contains("line 4"), "{message}");
    }
    let slip = carillon(&["plan", "show", "lync-klud"]);
    assert!(slip.err().contains("did you mean `lync-kloud`?"), "{}", slip.err());
}

#[test]
fn a_difference_between_plans_is_answered_with_no() {
    let run = carillon(&["plan", "diff", "lync-kloud", "schertz-vvx"]);
    assert_eq!(run.status(), 1);
    assert!(run.out().contains("roles.client.audio.ports: \"20000-20039\" → \"6000-6024\""), "{}", run.out());
}

#[test]
fn the_winner_of_every_value_is_explained() {
    let folder = Folder::new("explained");
    let plan = "base = \"lync-kloud\"\n[sites.Oslo.roles.client]\naudio = \"7000-7039\"\n";
    let file = folder.file("sites.toml", plan);
    let run = carillon(&["plan", "show", &file, "--site", "Oslo", "--explain"]);
    assert!(run.out().contains("wins      site:Oslo roles.client.audio.ports = 7000-7039"), "{}", run.out());
    assert!(run.out().contains("overruled global roles.client.audio.ports = 20000-20039"), "{}", run.out());
    let unknown = carillon(&["plan", "show", &file, "--site", "Bergen"]);
    assert_eq!(unknown.status(), 2);
    assert!(unknown.err().contains("it names Oslo"), "{}", unknown.err());
}

#[test]
fn findings_are_listed_explained_and_suggested() {
    let all = carillon(&["explain", "finding", "--json"]).json();
    for finding in all.as_array().unwrap() {
        let run = carillon(&["explain", "finding", finding["name"].as_str().unwrap()]);
        assert!(run.out().contains(finding["fix"].as_str().unwrap()), "{}", run.out());
    }
    let slip = carillon(&["explain", "finding", "rtcp-unmarkd"]);
    assert_eq!(slip.status(), 2);
    assert!(slip.err().contains("did you mean `rtcp-unmarked`?"), "{}", slip.err());
}

#[test]
fn the_document_of_verdicts_is_what_the_program_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verdicts.md");
    let written = std::fs::read_to_string(path).unwrap();
    let said = carillon(&["explain", "finding", "--markdown"]).out();
    assert!(written == said, "write it anew: carillon explain finding --markdown > docs/verdicts.md");
}

#[test]
fn links_are_planned_with_what_error_correction_may_add() {
    let all = carillon(&["plan", "bandwidth"]).out();
    let row = |codec: &str| {
        let line = all.lines().find(|line| line.starts_with(codec)).unwrap_or_default();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("G722"), ["64", "80", "96", "160"]);
    assert_eq!(row("SILK/16000"), ["36", "52", "64", "100"]);
    assert_eq!(row("X-MSRTA/16000"), ["29", "45", "57", "86"]);
    let folder = Folder::new("bandwidth");
    let plan = "base = \"lync\"\n[management.NetworkConfiguration.Global]\nEnableBandwidthPolicyCheck = true\n\
        [management.NetworkBandwidthPolicyProfile.Thin]\n\
        BWPolicy = [\"BWLimit=1000;BWSessionLimit=160;BWPolicyModality=Audio\"]\n\
        [management.NetworkRegion.North]\n[management.NetworkSite.Oslo]\nNetworkRegionID = \"North\"\n\
        BWPolicyProfileID = \"Thin\"\n";
    let file = folder.file("links.toml", plan);
    let links = carillon(&["plan", "bandwidth", &file]).out();
    let oslo = links.lines().find(|line| line.starts_with("Oslo")).unwrap_or_default();
    // 1000 by 156, 160 and 100.
    assert_eq!(
        oslo.split_whitespace().collect::<Vec<_>>(),
        ["Oslo", "1000", "any", "6", "6", "10"],
        "{links}"
    );
    let facts = carillon(&["plan", "bandwidth", &file, "--json"]).json();
    assert_eq!(facts["links"][0]["calls"], serde_json::json!({ "PCMU": 6, "G722": 6, "opus": 10 }));
    let none = carillon(&["plan", "bandwidth", "lync"]).out();
    assert!(none.contains("limits no link"), "{none}");
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let script = carillon(&["completions", shell]).out();
        for word in ["verify", "limit-flows", "dscp", "presets"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let folder = Folder::new("man");
    let run = carillon(&["man", &folder.path("man1")]);
    assert_eq!(run.status(), 0, "{}", run.err());
    for page in ["carillon.1", "carillon-verify.1", "carillon-plan-lint.1", "carillon-explain-finding.1"] {
        assert!(run.out().contains(page), "{}", run.out());
        let text = std::fs::read_to_string(folder.0.join("man1").join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn wrong_usage_is_no_answer() {
    assert_eq!(carillon(&[]).status(), 2);
    assert_eq!(carillon(&["verfy"]).status(), 2);
    assert_eq!(carillon(&["verify"]).status(), 2);
    assert_eq!(carillon(&["--help"]).status(), 0);
}
