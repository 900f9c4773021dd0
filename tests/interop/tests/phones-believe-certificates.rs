//! `carillon cert` beside OpenSSL: the table of roots against the real ones that Debian ships, chains that OpenSSL made, and what
//! is published against Samba's reader of LDIF.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use carillon_interop::Result;
use carillon_interop::process::{installed, run};
use carillon_interop::verdict::program;
use carillon_qos::trust::day;
use serde_json::Value;

/// Roots that browsers trust or have trusted, from the package ca-certificates.
const DEBIAN: &str = "/usr/share/ca-certificates/mozilla";

fn carillon(words: &[&str]) -> Result<(Option<i32>, String)> {
    let output = Command::new(program()?).args(words).output()?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn roots() -> Result<Vec<Value>> {
    Ok(serde_json::from_str(&carillon(&["cert", "roots", "--json"])?.1)?)
}

fn openssl(folder: &Path, words: &str) -> Result<String> {
    run(Command::new("openssl").args(words.split(' ')).current_dir(folder))
}

/// The trust of each phone, and the codes of what is wrong.
fn judged(words: &[&str]) -> Result<(Option<i32>, Vec<String>, Vec<String>)> {
    let (status, json) = carillon(&[&["cert", "check", "--json"], words].concat())?;
    let rows: Vec<Value> = serde_json::from_str(&json)?;
    let trust = rows.iter().map(|row| row["trust"].as_str().unwrap_or_default().to_owned()).collect();
    let findings = rows.iter().flat_map(|row| row["findings"].as_array().into_iter().flatten());
    let codes = findings.map(|finding| finding["code"].as_str().unwrap_or_default().to_owned()).collect();
    Ok((status, trust, codes))
}

#[test]
fn the_table_says_of_real_roots_what_openssl_says() -> Result<()> {
    let Ok(files) = fs::read_dir(DEBIAN) else {
        writeln!(std::io::stderr(), "skipped: ca-certificates is not installed")?;
        return Ok(());
    };
    let (table, mut known) = (roots()?, 0);
    for file in files {
        let path = file?.path();
        let asked =
            ["x509", "-noout", "-fingerprint", "-sha1", "-enddate", "-dateopt", "iso_8601", "-text", "-in"];
        let said = run(Command::new("openssl").args(asked).arg(&path))?;
        let line =
            |head: &str| said.lines().find_map(|line| line.trim().strip_prefix(head)).unwrap_or_default();
        let thumbprint = line("sha1 Fingerprint=").replace(':', "");
        let Some(root) = table.iter().find(|root| root["thumbprint"] == thumbprint.as_str()) else {
            continue;
        };
        known += 1;
        // The table has the days of American clocks: what ends at midnight in Greenwich ends on the day before.
        let (ends, midnight) = (line("notAfter="), i64::from(line("notAfter=").contains(" 00:00:00")));
        let expires = root["expires"].as_str().and_then(day).ok_or("no day")?;
        let misprint = if root["name"] == "AAA Certificate Services" { 8 * 365 + 2 } else { 0 };
        assert_eq!(ends.get(..10).and_then(day), Some(expires + midnight + misprint), "{root} {said}");
        let signature = format!("{}WithRSAEncryption", root["signature"].as_str().ok_or("no signature")?);
        assert_eq!(line("Signature Algorithm: "), signature, "{root}");
        assert!(line("Public-Key: ").starts_with(&format!("({} bit", root["bits"])), "{root} {said}");
        // The same file, read by ourselves, is believed from the release on that it came with.
        let file = path.to_str().ok_or("no name")?;
        let (_, trust, _) = judged(&[file, "--at", "2014-10-28"])?;
        let since = ["RTM", "CU10", "CU11"]
            .iter()
            .position(|release| root["added"] == *release)
            .ok_or("no release")?;
        let expected: Vec<&str> =
            (0..3).map(|at| if at >= since { "trusted" } else { "untrusted" }).collect();
        assert_eq!(trust, expected, "{root}");
    }
    assert!(known >= 8, "Debian ships {known} of the roots only");
    Ok(())
}

#[test]
fn a_chain_of_openssl_is_believed_only_where_its_root_is_published() -> Result<()> {
    if !installed("openssl") {
        writeln!(std::io::stderr(), "skipped: openssl is not installed")?;
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let folder = work.path();
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    two_tiers(folder)?;
    let chain = [file("server.pem"), file("sub.pem"), file("root.pem")];
    let [server, sub, root] = chain.each_ref().map(String::as_str);
    let untrusted = vec!["untrusted".to_owned(); 3];
    let (status, trust, codes) = judged(&[server, sub, root])?;
    assert_eq!((status, trust, codes), (Some(1), untrusted, vec!["private-authority".to_owned(); 3]));
    let (status, trust, codes) = judged(&[server, sub, root, "--published", root])?;
    assert_eq!(
        (status, trust, codes),
        (Some(0), vec!["trusted".to_owned(); 3], vec!["needs-restart".to_owned(); 3])
    );
    // Without its root nobody can say.
    assert_eq!(judged(&[server, sub])?.0, Some(2));
    let (status, _, codes) =
        judged(&[sub, server, root, "--published", root, "--firmware", "4.0.7577.4420"])?;
    assert_eq!((status, codes.first().map(String::as_str)), (Some(1), Some("chain-out-of-order")));
    // Phones by name: the one without a firmware is taken for the oldest.
    fs::write(folder.join("phones.csv"), "name,firmware\nLobby,4.0.7577.4420\nCellar,\n")?;
    let real = format!("{DEBIAN}/DigiCert_Global_Root_CA.crt");
    let (status, trust, _) = judged(&[&real, "--phones", &file("phones.csv"), "--at", "2014-10-28"])?;
    assert_eq!((status, trust), (Some(1), vec!["trusted".to_owned(), "untrusted".to_owned()]));
    Ok(())
}

#[test]
fn what_is_published_is_read_by_openssl_and_by_samba() -> Result<()> {
    if !installed("openssl") {
        writeln!(std::io::stderr(), "skipped: openssl is not installed")?;
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let folder = work.path();
    two_tiers(folder)?;
    let out = folder.join("out");
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let [server, sub, root] = ["server.pem", "sub.pem", "root.pem"].map(file);
    let publish = |files: &[&str]| {
        let out = out.to_string_lossy().into_owned();
        carillon(&[&["cert", "publish"], files, &["--domain", "carillon.test", "--out", &out]].concat())
    };
    assert_eq!(publish(&[&server, &root])?.0, Some(2), "a gap");
    assert_eq!(publish(&[&server, &sub, &root])?.0, Some(0));
    let commands = fs::read_to_string(out.join("publish.cmd"))?;
    let named: Vec<&str> = commands.lines().filter_map(|line| line.split(' ').nth(3)).collect();
    assert_eq!(named.len(), 2, "{commands}");
    for (name, original) in named.iter().zip(["root.pem", "sub.pem"]) {
        let print = |path: PathBuf| {
            run(Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-in"]).arg(path))
        };
        assert_eq!(print(out.join(name))?, print(folder.join(original))?);
    }
    let reader = "import sys, ldb, hashlib\n\
        for kind, entry in ldb.Ldb().parse_ldif(open(sys.argv[1]).read()):\n\
        \x20   print(entry.dn, hashlib.sha1(entry['cACertificate'][0]).hexdigest().upper(), sep='|')\n";
    let read = run(Command::new("/usr/bin/python3").args(["-c", reader]).arg(out.join("publish.ldif")))?;
    let services = "CN=Public Key Services,CN=Services,CN=Configuration,DC=carillon,DC=test";
    let mut expected = Vec::new();
    for (name, original) in [("Test Root", "root.pem"), ("Test Sub", "sub.pem")] {
        let print = openssl(folder, &format!("x509 -noout -fingerprint -sha1 -in {original}"))?;
        let print = print.trim().rsplit('=').next().unwrap_or_default().replace(':', "");
        for container in ["Certification Authorities", "AIA"] {
            expected.push(format!("CN={name},CN={container},{services}|{print}"));
        }
    }
    assert_eq!(read.lines().collect::<Vec<_>>(), expected);
    Ok(())
}

/// A root, what it made, and what that made for a server.
fn two_tiers(folder: &Path) -> Result<()> {
    fs::write(folder.join("ca.ext"), "basicConstraints=critical,CA:TRUE\n")?;
    let steps = [
        "req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 900 -subj /CN=Test\u{a0}Root",
        "req -newkey rsa:2048 -nodes -keyout sub.key -out sub.csr -subj /CN=Test\u{a0}Sub",
        "x509 -req -in sub.csr -CA root.pem -CAkey root.key -CAcreateserial -days 800 -extfile ca.ext -out sub.pem",
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=fe.carillon.test",
        "x509 -req -in server.csr -CA sub.pem -CAkey sub.key -CAcreateserial -days 400 -out server.pem",
    ];
    for step in steps {
        let words = step.split(' ').map(|word| word.replace('\u{a0}', " "));
        run(Command::new("openssl").args(words).current_dir(folder))?;
    }
    Ok(())
}
