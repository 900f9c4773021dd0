//! `carillon cert publish`.

use std::fs;
use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_qos::trust::publish;

use super::chain::Chain;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{GOOD, NAME};
use crate::words::{clean, some};

/// Writes the files.
pub(super) fn run(args: &args::CertPublish, out: &mut dyn Write) -> Result<Answer, Failure> {
    let chain = Chain::read(&args.files)?;
    let pairs = chain.certificates.windows(2);
    if let Some(pair) = pairs.into_iter().find(|pair| pair[0].issuer != pair[1].subject) {
        let reason =
            format!("{:?} did not make {:?}: give every tier, in order", pair[1].name(), pair[0].name());
        return Err(Failure::new("cannot publish the chain", reason));
    }
    let bytes: Vec<&[u8]> = chain.bytes.iter().map(Vec::as_slice).collect();
    let published = publish(&chain.certificates, &bytes, &args.domain);
    if published.files.is_empty() {
        return Err(Failure::new(
            "cannot publish the chain",
            "it holds the server's own certificate only: give those above it",
        ));
    }
    fs::create_dir_all(&args.out).map_err(|error| failed(&args.out, error))?;
    for (file, place) in &published.files {
        write(&args.out, file, &pem(bytes[*place]))?;
    }
    write(&args.out, "publish.cmd", &(published.commands.join("\r\n") + "\r\n"))?;
    write(&args.out, "publish.ldif", &published.ldif)?;
    let certificates = some(published.files.len() as u64, "certificate", "certificates");
    writeln!(out, "{GOOD}{certificates} written{GOOD:#} to {}", clean(&args.out.display().to_string()))?;
    writeln!(out, "on Windows: {NAME}publish.cmd{NAME:#}; elsewhere: {NAME}ldapadd -f publish.ldif{NAME:#}")?;
    writeln!(out, "phones fetch them when they are switched on again")?;
    Ok(Answer::Yes)
}

fn write(folder: &Path, file: &str, text: &str) -> Result<(), Failure> {
    let path = folder.join(file);
    fs::write(&path, text).map_err(|error| failed(&path, error))
}

fn failed(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`", path.display()), error)
}

/// RFC 7468, with the line ends of Windows.
fn pem(bytes: &[u8]) -> String {
    let base64 = STANDARD.encode(bytes);
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\r\n{}\r\n-----END CERTIFICATE-----\r\n", lines.join("\r\n"))
}
