//! Roots and subordinates into Active Directory, where phones and servers of a domain look for them: what to type on Windows,
//! and the same as LDIF (RFC 2849) for whoever has no Windows.
//!
//! `certutil -dspublish FILE RootCA` puts a certificate under *Certification Authorities* and under *AIA*; subordinates go the
//! same way, for phones fetch from the first only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Certificate;

/// What publishes a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// A file name for each certificate, and the certificate's place in the chain.
    pub files: Vec<(String, usize)>,
    /// Commands for a Windows machine of the domain.
    pub commands: Vec<String>,
    /// Entries of the directory.
    pub ldif: String,
}

/// What publishes every certificate of a chain but the server's own in the forest with this domain name. `bytes` are those of
/// each certificate of the chain.
pub fn publish(chain: &[Certificate], bytes: &[&[u8]], domain: &str) -> Published {
    let forest: Vec<String> = domain.split('.').map(|part| format!("DC={}", escaped(part))).collect();
    let services = format!("CN=Public Key Services,CN=Services,CN=Configuration,{}", forest.join(","));
    let mut published = Published { files: Vec::new(), commands: Vec::new(), ldif: String::new() };
    // The root first: what stands on it is believed at once.
    for (place, certificate) in
        chain.iter().enumerate().filter(|(place, one)| *place > 0 || one.is_root()).rev()
    {
        let file = format!("{}-{}.cer", place, file_name(certificate.name()));
        published.commands.push(format!("certutil -f -dspublish {file} RootCA"));
        published.files.push((file, place));
        for container in ["Certification Authorities", "AIA"] {
            let name = escaped(certificate.name());
            let entry = format!("CN={name},CN={container},{services}");
            published.ldif.push_str(&entry_of(
                &entry,
                certificate.name(),
                bytes.get(place).copied().unwrap_or_default(),
            ));
        }
    }
    published
}

fn entry_of(dn: &str, name: &str, bytes: &[u8]) -> String {
    let lines = [
        attribute("dn", dn),
        "changetype: add".to_owned(),
        "objectClass: certificationAuthority".to_owned(),
        attribute("cn", name),
        folded(&format!("cACertificate:: {}", STANDARD.encode(bytes))),
        // Lists that a certification authority must have; those of ours are empty.
        "authorityRevocationList:: AA==".to_owned(),
        "certificateRevocationList:: AA==".to_owned(),
    ];
    format!("\n{}\n", lines.join("\n"))
}

/// What is not plain ASCII is not for a line as it is.
fn attribute(name: &str, value: &str) -> String {
    let plain = value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ');
    folded(&if plain { format!("{name}: {value}") } else { format!("{name}:: {}", STANDARD.encode(value)) })
}

/// Lines of at most 76 characters; the next ones begin with a space.
fn folded(line: &str) -> String {
    let mut out = String::new();
    for (at, character) in line.chars().enumerate() {
        if at == 76 || (at > 76 && (at - 76) % 75 == 0) {
            out.push_str("\n ");
        }
        out.push(character);
    }
    out
}

/// A value in a distinguished name (RFC 4514, 2.4).
fn escaped(value: &str) -> String {
    let mut out = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let at_the_end = character == ' ' && (at == 0 || at == last);
        if at_the_end || (character == '#' && at == 0) || ",+\"\\<>;=".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// What every file system takes.
fn file_name(name: &str) -> String {
    let kept = name.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '-' });
    let words: String = kept.collect();
    words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(subject: &str, issuer: &str) -> Certificate {
        let (subject, issuer) = (format!("CN={subject}"), format!("CN={issuer}"));
        let thumbprint = String::new();
        Certificate { subject, issuer, thumbprint, begins: 0, ends: 0, signature: None, bits: None }
    }

    #[test]
    fn every_tier_but_the_servers_own_goes_to_both_containers_the_root_first() {
        let chain = [
            certificate("fe", "Sub+CA"),
            certificate("Sub+CA", "Grüne CA"),
            certificate("Grüne CA", "Grüne CA"),
        ];
        let published = publish(&chain, &[b"", &[b'A'; 60], &[b'B'; 90]], "schertz.name");
        let files: Vec<_> = published.files.iter().map(|(file, place)| (file.as_str(), *place)).collect();
        assert_eq!(files, [("2-Gr-ne-CA.cer", 2), ("1-Sub-CA.cer", 1)]);
        assert_eq!(published.commands[1], "certutil -f -dspublish 1-Sub-CA.cer RootCA");
        let lines: Vec<&str> = published.ldif.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= 76), "{}", published.ldif);
        let unfolded = published.ldif.replace("\n ", "");
        let services = "CN=Public Key Services,CN=Services,CN=Configuration,DC=schertz,DC=name";
        for container in ["Certification Authorities", "AIA"] {
            assert!(
                unfolded.contains(&format!("\ndn: CN=Sub\\+CA,CN={container},{services}\n")),
                "{unfolded}"
            );
        }
        assert!(
            unfolded.contains("\ncn: Sub+CA\n") && unfolded.contains("\ncn:: R3LDvG5lIENB\n"),
            "{unfolded}"
        );
        assert!(unfolded.contains(&format!("\ncACertificate:: {}\n", "QkJC".repeat(30))), "{unfolded}");
    }
}
