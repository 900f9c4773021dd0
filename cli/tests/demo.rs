//! `carillon demo` as an ordinary user runs it: with namespaces, and where those are forbidden.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The program where everyone may run it, and a directory that everyone may write to.
fn prepared() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let everyone = fs::Permissions::from_mode(0o777);
    fs::set_permissions(place.path(), everyone.clone()).unwrap();
    let program = place.path().join("carillon");
    fs::copy(env!("CARGO_BIN_EXE_carillon"), &program).unwrap();
    fs::set_permissions(&program, everyone).unwrap();
    place
}

/// Runs a shell line as `nobody`, or as who we are if that is an ordinary user already.
fn as_ordinary_user(place: &Path, line: &str) -> Output {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "sh", "-c"]);
        command
    } else {
        let mut command = Command::new("sh");
        command.arg("-c");
        command
    };
    command.arg(line).current_dir(place).env("TMPDIR", place).output().unwrap()
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

fn verdicts(place: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(place.join("out/verdict.json")).unwrap()).unwrap()
}

fn told(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn an_ordinary_user_sees_green_then_each_fault_with_its_cause_then_green() {
    let place = prepared();
    let output = as_ordinary_user(place.path(), "./carillon demo --out out");
    let told = told(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let account = verdicts(place.path());
    assert_eq!(account["passed"], true, "{told}");
    let acts: Vec<(&str, &str)> = account["acts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| {
            let cause = act["diagnoses"].get(0).map_or("", |found| found["cause"].as_str().unwrap());
            (act["verdict"].as_str().unwrap(), cause)
        })
        .collect();
    let expected = [
        ("pass", ""),
        ("fail", "remarked-between-points"),
        ("fail", "endpoint-not-configured"),
        ("pass", "range-exhausted"),
        ("pass", ""),
    ];
    assert_eq!(acts, expected, "{told}");
    for cause in ["remarked-between-points", "endpoint-not-configured", "range-exhausted", "Fix: "] {
        assert!(told.contains(cause), "{told}");
    }
    // Congestion costs marked voice nothing, and bleached voice most of it (row 7).
    let losses = |act: usize| -> Vec<f64> {
        let rows = account["acts"][act]["rows"].as_array().unwrap();
        let percent =
            |row: &Value| row["loss"].as_str().unwrap().trim_end_matches(" %").parse().unwrap_or(100.0);
        rows.iter().map(percent).collect()
    };
    assert!(losses(0).iter().all(|loss| *loss < 1.0), "{told}");
    assert!(losses(1).iter().any(|loss| *loss > 20.0), "{told}");
    let page = fs::read_to_string(place.path().join("out/report.html")).unwrap();
    assert!(page.contains("PASS"));
    a_foreign_judge_agrees(&place.path().join("out/call.pcapng"));
}

/// tshark, not our decoder: RTP of the last act leaves from the plan's range, and every packet of it is EF.
fn a_foreign_judge_agrees(capture: &Path) {
    let fields = ["-T", "fields", "-e", "udp.srcport", "-e", "ip.dsfield.dscp"];
    let decode = ["-d", "udp.port==50000-50019,rtp", "-Y", "udp.port >= 50000 && udp.port <= 50019 && !icmp"];
    let output = Command::new("tshark").arg("-r").arg(capture).args(decode).args(fields).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let packets: Vec<Vec<u16>> =
        text.lines().map(|line| line.split('\t').map(|field| field.parse().unwrap()).collect()).collect();
    assert!(packets.len() > 1000, "{text}");
    for packet in packets {
        assert!((50000..=50019).contains(&packet[0]) && packet[1] == 46, "{packet:?}");
    }
}

#[test]
fn where_namespaces_are_forbidden_it_says_so_and_shows_the_rest() {
    let place = prepared();
    let line = "unshare --user --map-root-user sh -c \
        'echo 0 > /proc/sys/user/max_user_namespaces && exec ./carillon demo --out out'";
    let output = as_ordinary_user(place.path(), line);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("this machine forbids namespaces")
            && told.contains("congestion and bleaching not shown")
    );
    let account = verdicts(place.path());
    assert_eq!(
        (&account["passed"], &account["not_shown"]),
        (&true.into(), &"congestion and bleaching not shown".into())
    );
    let acts: Vec<&str> =
        account["acts"].as_array().unwrap().iter().map(|act| act["verdict"].as_str().unwrap()).collect();
    assert_eq!(acts, ["pass", "fail", "pass", "pass"], "{told}");
    assert!(told.contains("port-outside-range") && told.contains("range-exhausted"), "{told}");
    assert!(!place.path().join("out/call.pcapng").exists());
}
