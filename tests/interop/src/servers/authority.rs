//! An authority of a test, by openssl: certificates for servers that prove themselves to each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::run;

/// Its files lie in one folder: `ca.pem`, and `NAME.pem` with `NAME.key` for each certificate.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new(folder: &Path) -> Result<Authority> {
        fs::create_dir_all(folder)?;
        let authority = Authority { folder: folder.to_owned() };
        let words =
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority";
        authority.openssl(words)?;
        Ok(authority)
    }

    /// A certificate for a name, in files of that name.
    pub fn issue(&self, name: &str) -> Result<()> {
        let request = format!(
            "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name} -addext subjectAltName=DNS:{name}"
        );
        self.openssl(&request)?;
        let signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 2";
        self.openssl(&format!("x509 -req -in {name}.csr {signed} -out {name}.pem"))
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn openssl(&self, words: &str) -> Result<()> {
        run(Command::new("openssl").args(words.split(' ')).current_dir(&self.folder)).map(drop)
    }
}
