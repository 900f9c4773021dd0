//! OpenSSL accepts the certificates of our own authority and speaks TLS with our listener: both versions, by name and
//! by address. What it must refuse, it refuses.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::process::{Process, installed, run, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stream-marks");
const LIMIT: Duration = Duration::from_secs(20);
const MESSAGE: &str = "MESSAGE sip:sip.example.com SIP/2.0\r\nContent-Length: 9\r\n\r\nyou close";

#[test]
fn openssl_is_content_with_certificate_and_connection() -> Result<()> {
    if !installed("openssl") {
        writeln!(std::io::stderr(), "skipped: openssl is not installed")?;
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let (_server, port) = serve(work.path())?;
    let right = work.path().join("ca.pem");
    for (version, negotiated) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        for check in [["-verify_hostname", "sip.example.com"], ["-verify_ip", "127.0.0.1"]] {
            let said = converse(port, &right, &[version, check[0], check[1]])?;
            assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
            assert!(said.contains(&format!("New, {negotiated}")), "{said}");
            assert!(said.contains("\r\n\r\nxxxx"), "no answer: {said}");
        }
    }
    // Wrong names and authorities, and versions that are too old.
    let said = converse(port, &right, &["-verify_hostname", "other.example.com"])?;
    assert!(said.contains("Verify return code: 62 (hostname mismatch)"), "{said}");
    let other = work.path().join("other");
    let (_other, _) = serve(&other)?;
    let said = converse(port, &other.join("ca.pem"), &[])?;
    assert!(!said.contains("Verify return code: 0"), "{said}");
    let said = converse(port, &right, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])?;
    assert!(said.contains("Cipher is (NONE)"), "{said}");
    Ok(())
}

#[test]
fn the_certificates_say_what_they_are_for() -> Result<()> {
    if !installed("openssl") {
        writeln!(std::io::stderr(), "skipped: openssl is not installed")?;
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let _server = serve(work.path())?;
    let shown = |file: &str| {
        let mut openssl = Command::new("openssl");
        run(openssl.args(["x509", "-noout", "-text", "-in"]).arg(work.path().join(file)))
    };
    let (authority, server) = (shown("ca.pem")?, shown("server.pem")?);
    for (text, expected) in [
        (&authority, "CA:TRUE, pathlen:0"),
        (&authority, "Certificate Sign, CRL Sign"),
        (&authority, "Subject: CN = Carillon interop"),
        (&server, "CA:FALSE"),
        (&server, "Digital Signature\n"),
        (&server, "TLS Web Server Authentication, TLS Web Client Authentication"),
        (&server, "DNS:sip.example.com, IP Address:127.0.0.1"),
        (&server, "ASN1 OID: prime256v1"),
        (&server, "ecdsa-with-SHA256"),
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // The strictest judge: every extension as RFC 5280 wants it.
    for purpose in ["sslserver", "sslclient"] {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
            .arg(work.path().join("ca.pem"));
        run(openssl.arg(work.path().join("server.pem")))?;
    }
    Ok(())
}

/// Starts a server with its authority in the directory; returns its port.
fn serve(directory: &Path) -> Result<(Process, u16)> {
    std::fs::create_dir_all(directory)?;
    let mut command = Command::new(PROGRAM);
    command.arg("serve").arg(directory).arg("TLS/127.0.0.1:0");
    let mut server = Process::start(&mut command, &directory.join("server.log"))?;
    server.wait_for("\n", LIMIT)?;
    let printed = server.printed();
    let port = printed.trim_end().rsplit(':').next().unwrap_or_default().parse();
    Ok((server, port.map_err(|_| printed)?))
}

/// What openssl says about a connection on which it sends a message and awaits the end.
fn converse(port: u16, authority: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-CAfile"]).arg(authority);
    command.args(arguments).arg("-nocommands");
    let (input, output, errors) = (Stdio::piped(), Stdio::piped(), Stdio::null());
    let mut openssl = command.stdin(input).stdout(output).stderr(errors).spawn()?;
    let (mut input, output) = (openssl.stdin.take().ok_or("no pipe")?, openssl.stdout.take());
    // Where it is refused, it may not read any more.
    let _ = input.write_all(MESSAGE.as_bytes());
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        output.map(|mut output| output.read_to_end(&mut said));
        said
    });
    let ended = wait_until("end of openssl", LIMIT, || Ok(openssl.try_wait()?.is_some()));
    if ended.is_err() {
        openssl.kill()?;
        openssl.wait()?;
    }
    let said = reader.join().map_err(|_| "the reader failed")?;
    let said = String::from_utf8_lossy(&said).into_owned();
    ended.map(|()| said)
}
