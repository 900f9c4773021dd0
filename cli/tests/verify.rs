//! `carillon verify` from the outside: exit status, output, files.

mod support;

use support::{Capture, Folder, carillon, carillon_with};

#[test]
fn a_kept_plan_is_answered_with_yes() {
    let folder = Folder::new("kept");
    let file = folder.file("good.pcap", Capture::new().call(0, 46, 46).call(1, 46, 46).finish());
    let run = carillon(&["verify", &file, "--plan", "lync-kloud"]);
    assert_eq!(run.status(), 0, "{}{}", run.out(), run.err());
    assert!(run.out().starts_with("PASS  All 4 judged flows keep plan lync-kloud."), "{}", run.out());
    assert!(run.out().contains("1,200 frames in"), "{}", run.out());
}

#[test]
fn a_broken_plan_is_answered_with_no_a_cause_and_a_frame() {
    let folder = Folder::new("broken");
    let file = folder.file("bad.pcap", Capture::new().call(0, 46, 0).call(1, 46, 0).finish());
    let run = carillon(&["verify", &file, "--plan", "lync-kloud"]);
    assert_eq!(run.status(), 1, "{}{}", run.out(), run.err());
    assert!(run.out().starts_with("FAIL  2 of 4 judged flows break plan lync-kloud."), "{}", run.out());
    assert!(
        run.out().contains("return-path-unmarked") && run.out().contains("frame.number == "),
        "{}",
        run.out()
    );
}

#[test]
fn json_has_verdict_flows_and_findings_with_cause_fix_flow_and_frame() {
    let folder = Folder::new("json");
    let file = folder.file("bad.pcap", Capture::new().call(0, 46, 0).finish());
    let run = carillon(&["verify", &file, "--plan", "lync-kloud", "--json"]);
    let json = run.json();
    assert_eq!((run.status(), json["verdict"].as_str()), (1, Some("fail")));
    assert_eq!(json["flows"].as_array().unwrap().len(), 2);
    let finding = &json["findings"][0];
    assert_eq!(finding["cause"], "return-path-unmarked");
    assert!(finding["fix"].is_string() && finding["flow"].is_u64() && finding["frame"].is_u64(), "{finding}");
}

#[test]
fn the_verdict_does_not_depend_on_the_number_of_cores() {
    let folder = Folder::new("cores");
    let many = (0..35).fold(Capture::new(), |capture, call| {
        capture.call(call, if call % 5 == 0 { 0 } else { 46 }, if call % 7 == 0 { 40 } else { 46 })
    });
    let bytes = many.finish();
    assert!(bytes.len() > 4 << 20, "several blocks");
    let file = folder.file("many.pcap", bytes);
    let judged =
        |cores| carillon(&["verify", &file, "--plan", "lync-kloud", "--json", "--cores", cores]).out();
    let one = judged("1");
    assert!(one.contains("\"frames\": 21000"));
    for cores in ["2", "3", "16"] {
        assert!(judged(cores) == one, "{cores} cores judge otherwise");
    }
}

#[test]
fn without_a_plan_the_best_preset_is_named_and_the_answer_is_open() {
    let folder = Folder::new("fit");
    let file = folder.file("good.pcap", Capture::new().call(0, 46, 46).finish());
    let run = carillon(&["verify", &file]);
    assert_eq!(run.status(), 2);
    assert!(run.out().contains("lync-kloud fits best"), "{}", run.out());
    assert!(run.out().contains("--plan lync-kloud"), "{}", run.out());
}

#[test]
fn standard_input_and_gzip_give_the_same_verdict_as_a_file() {
    let folder = Folder::new("stdin");
    let bytes = Capture::new().call(0, 46, 0).finish();
    let file = folder.file("plain.pcap", &bytes);
    let plain = carillon(&["verify", &file, "--plan", "lync-kloud", "--json"]).json();
    let piped = carillon_with(&["verify", "-", "--plan", "lync-kloud", "--json"], &bytes).json();
    assert_eq!(plain["flows"], piped["flows"]);
    let gzip = std::process::Command::new("gzip").arg("-k").arg(&file).status().unwrap();
    assert!(gzip.success());
    let packed = carillon(&["verify", &format!("{file}.gz"), "--plan", "lync-kloud", "--json"]).json();
    assert_eq!(plain["flows"], packed["flows"]);
}

#[test]
fn a_cut_file_is_judged_up_to_the_cut_on_any_number_of_cores() {
    let folder = Folder::new("cut");
    let bytes = Capture::new().call(0, 46, 0).finish();
    let file = folder.file("cut.pcap", &bytes[..bytes.len() - 7]);
    for cores in ["1", "2"] {
        let run = carillon(&["verify", &file, "--plan", "lync-kloud", "--json", "--cores", cores]);
        let json = run.json();
        assert_eq!((run.status(), json["totals"]["frames"].as_u64()), (1, Some(599)));
        let causes: Vec<_> =
            json["findings"].as_array().unwrap().iter().map(|f| f["cause"].clone()).collect();
        assert!(causes.contains(&"capture-truncated".into()), "{causes:?}");
        assert!(causes.contains(&"return-path-unmarked".into()), "{causes:?}");
    }
    let good = Capture::new().call(0, 46, 46).finish();
    let file = folder.file("good-but-cut.pcap", &good[..good.len() - 7]);
    let run = carillon(&["verify", &file, "--plan", "lync-kloud"]);
    assert_eq!(run.status(), 2, "{}", run.out());
}

#[test]
fn what_is_no_capture_is_refused() {
    let folder = Folder::new("garbage");
    let file = folder.file("letter.txt", "Dear Sir or Madam, this is no capture.");
    for cores in ["1", "2"] {
        let run = carillon(&["verify", &file, "--cores", cores]);
        assert_eq!(run.status(), 2);
        assert!(run.err().contains("is no capture: neither pcap nor pcapng"), "{}", run.err());
    }
    let missing = carillon(&["verify", "/does/not/exist.pcap"]);
    assert_eq!(missing.status(), 2);
    assert!(missing.err().contains("/does/not/exist.pcap"), "{}", missing.err());
}

#[test]
fn a_mark_lost_between_two_points_is_named() {
    let folder = Folder::new("between");
    let before = folder.file("phone.pcap", Capture::new().call(0, 46, 46).finish());
    let after = folder.file("server.pcap", Capture::new().call(0, 0, 46).finish());
    let run = carillon(&["verify", "--between", &before, &after, "--plan", "lync-kloud", "--json"]);
    let json = run.json();
    assert_eq!(run.status(), 1);
    assert_eq!(json["findings"][0]["cause"], "remarked-between-points", "{}", json["findings"]);
    assert_eq!(json["points"][1]["name"], after.as_str());
}

#[test]
fn the_page_is_written_and_stands_alone() {
    let folder = Folder::new("page");
    let file = folder.file("bad.pcap", Capture::new().call(0, 46, 0).finish());
    let page = folder.path("report.html");
    let run = carillon(&["verify", &file, "--plan", "lync-kloud", "--html", &page]);
    assert_eq!(run.status(), 1);
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"));
    assert!(text.contains("The plan is not kept") && text.contains("20000-20039"));
    let nowhere = carillon(&["verify", &file, "--html", "/does/not/exist/report.html"]);
    assert_eq!(nowhere.status(), 2);
}

#[test]
fn the_limit_of_flows_is_told() {
    let folder = Folder::new("limit");
    let many = (0..30).fold(Capture::new(), |capture, call| capture.call(call, 46, 46));
    let file = folder.file("many.pcap", many.finish());
    let run = carillon(&["verify", &file, "--plan", "lync-kloud", "--limit-flows", "16"]);
    assert_eq!(run.status(), 2, "{}", run.out());
    assert!(run.out().contains("limit-reached"), "{}", run.out());
}

#[test]
fn a_switch_with_audio_and_video_in_one_queue_is_found() {
    let folder = Folder::new("queues");
    let file = folder.file("good.pcap", Capture::new().call(0, 46, 46).finish());
    let map = folder.file("switch.txt", "EF 2\nAF41 2\nCS3 1\n");
    let run = carillon(&["verify", &file, "--plan", "lync-kloud", "--map", &map]);
    assert!(run.out().contains("shared-queue"), "{}", run.out());
    let wrong = folder.file("wrong.txt", "EF two\n");
    let refused = carillon(&["verify", &file, "--plan", "lync-kloud", "--map", &wrong]);
    assert_eq!(refused.status(), 2);
    assert!(refused.err().contains("line 1"), "{}", refused.err());
}

#[test]
fn nothing_is_coloured_in_a_pipe_unless_asked() {
    let folder = Folder::new("colour");
    let file = folder.file("good.pcap", Capture::new().call(0, 46, 46).finish());
    let plain = carillon(&["verify", &file, "--plan", "lync-kloud"]).out();
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let coloured = carillon(&["--color", "always", "verify", &file, "--plan", "lync-kloud"]).out();
    assert!(coloured.contains("\u{1b}["), "{coloured:?}");
}

/// Python's strict XML parser reads the page, although HTML asks for less; it also follows every link.
const CHECK_PAGE: &str = "
import sys, xml.etree.ElementTree as xml
page = xml.parse(sys.argv[1]).getroot()
ids = [e.get('id') for e in page.iter() if e.get('id')]
assert len(ids) == len(set(ids)), 'an id occurs twice'
links = [e.get('href') for e in page.iter('a')]
assert links and all(l.startswith('#') and l[1:] in ids for l in links), links
assert page.findtext('.//h1') == 'The plan is not kept'
assert {'script', 'img', 'link', 'iframe'}.isdisjoint(e.tag for e in page.iter())
print(len(page.findall('.//svg')))
";

#[test]
fn the_page_is_well_formed_and_its_links_lead_somewhere() {
    let folder = Folder::new("well-formed");
    let hostile = folder.file("<b>&\"'.pcap", Capture::new().call(0, 46, 0).call(1, 0, 46).finish());
    let page = folder.path("report.html");
    assert_eq!(carillon(&["verify", &hostile, "--plan", "lync-kloud", "--html", &page]).status(), 1);
    let Ok(python) = std::process::Command::new("python3").args(["-c", CHECK_PAGE, &page]).output() else {
        println!("skipped: there is no python3");
        return;
    };
    let pictures = String::from_utf8(python.stdout).unwrap();
    assert!(python.status.success(), "{}", String::from_utf8(python.stderr).unwrap());
    // The port map, and three strips for each of four flows.
    assert_eq!(pictures.trim(), "13");
}

#[test]
fn a_live_interface_is_judged_for_the_time_given() {
    let sender = std::thread::spawn(|| {
        // Not a socket of the product: something has to be heard on the loopback interface.
        let ping = ["-q", "-i", "0.2", "-c", "8", "127.0.0.1"];
        std::process::Command::new("ping").args(ping).output().is_ok()
    });
    let run = carillon(&["verify", "--live", "lo", "--duration", "1", "--plan", "lync-kloud", "--json"]);
    let sent = sender.join().unwrap();
    if run.err().contains("lo") && run.0.stdout.is_empty() {
        println!("skipped: no right to capture: {}", run.err());
        return;
    }
    let json = run.json();
    assert_eq!((run.status(), json["verdict"].as_str()), (2, Some("unjudged")));
    assert!(!sent || json["totals"]["frames"].as_u64() > Some(0), "{}", json["totals"]);
    let nowhere = carillon(&["verify", "--live", "no-such-if0", "--duration", "1"]);
    assert_eq!(nowhere.status(), 2);
    assert!(nowhere.err().contains("no-such-if0"), "{}", nowhere.err());
}

#[test]
fn ctrl_c_ends_a_live_capture_with_a_verdict() {
    use std::io::Read;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_carillon"));
    command.args(["verify", "--live", "lo", "--plan", "lync-kloud", "--json"]);
    let mut running =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    if let Some(status) = running.try_wait().unwrap() {
        println!("skipped: no right to capture ({status})");
        return;
    }
    let interrupted =
        std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let status = running.wait().unwrap();
    let mut out = String::new();
    running.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status.code(), json["verdict"].as_str()), (Some(2), Some("unjudged")));
}
