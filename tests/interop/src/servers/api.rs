//! The admin API over HTTPS, asked by curl from another host.

use serde_json::Value;

use super::carillon::Carillon;
use crate::Result;
use crate::network::Host;
use crate::process::run;
use crate::site::DOMAIN;

/// What opens it, in the configuration of a server.
pub const HTTPS: &str = "https.listen = \"[::]:8443\"\nhttps.administration = \"on\"\n\
    https.origins = [\"https://panel.carillon.test\"]\n";

/// Who asks whom.
#[derive(Clone, Copy)]
pub struct Api<'a> {
    /// Where curl runs.
    pub host: &'a Host,
    /// Who answers.
    pub server: &'a Carillon,
}

impl Api<'_> {
    /// The field that proves a user, by its name and password.
    pub fn token(self, (name, password): (&str, &str)) -> Result<String> {
        let (given, status) =
            self.curl(&["--digest", "-u", &format!("{name}:{password}"), &url("/token")])?;
        let token = given["access_token"].as_str().ok_or_else(|| format!("{status}: {given}"))?;
        Ok(format!("Authorization: Bearer {token}"))
    }

    /// A request with a token; the body and the status.
    pub fn ask(self, token: &str, method: &str, path: &str, body: &str) -> Result<(Value, u16)> {
        let url = url(&format!("/api{path}"));
        let mut words = vec!["-X", method, "-H", token, &url];
        if !body.is_empty() {
            words.extend(["-H", "Content-Type: application/json", "--data-binary", body]);
        }
        self.curl(&words)
    }

    /// What curl is told; the body and the status.
    pub fn curl(self, words: &[&str]) -> Result<(Value, u16)> {
        let mut command = self.host.command("curl");
        command.args(["-sS", "-w", "\n%{http_code}", "--cacert"]).arg(&self.server.ca).args(words);
        let said = run(&mut command)?;
        let (body, status) = said.rsplit_once('\n').ok_or("no status")?;
        Ok((serde_json::from_str(body).unwrap_or(Value::Null), status.parse()?))
    }
}

/// Where a path is.
pub fn url(path: &str) -> String {
    format!("https://{DOMAIN}:8443{path}")
}
