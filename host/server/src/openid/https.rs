//! One question over HTTPS and its answer, bounded in time and size. Redirects are not followed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_net::secured::{Connected, connect};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use super::OpenId;

/// Whoever has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const LONGEST: usize = 256 << 10;

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) url: &'a str,
    /// What is sent, if something is.
    pub(super) form: Option<String>,
    /// Name and password, as a provider knows its clients (RFC 6749, 2.3.1).
    pub(super) login: Option<(&'a str, &'a str)>,
}

impl Question<'_> {
    pub(super) fn get(url: &str) -> Question<'_> {
        Question { url, form: None, login: None }
    }

    fn request(&self, uri: &Uri, host: &str) -> Result<Request<Body>, String> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().uri(path).header(header::HOST, host);
        request = request.header(header::ACCEPT, "application/json");
        if let Some((name, password)) = self.login {
            let login = format!("{}:{}", escaped(name), escaped(password));
            request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(login)));
        }
        let request = match &self.form {
            Some(form) => request
                .method(Method::POST)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(form.clone())),
            None => request.body(Body::empty()),
        };
        request.map_err(|error| error.to_string())
    }
}

impl OpenId {
    /// The body of an answer that is no refusal.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Vec<u8>, String> {
        let failed = |why: String| format!("{} does not answer: {why}", place(question.url));
        match timeout(PATIENCE, self.exchange(question)).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(failed("it takes too long".to_owned())),
        }
    }

    async fn exchange(&self, question: &Question<'_>) -> Result<Vec<u8>, String> {
        let uri: Uri = question.url.parse().map_err(|_| "it is no URL".to_owned())?;
        let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("it is no URL of HTTPS".to_owned());
        };
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(443);
        let stream = self.connect(host, self.places(host, port).await?).await?;
        let request = question.request(&uri, authority.as_str())?;
        let text = |error: hyper::Error| crate::chain(&error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
        let talking = tokio::spawn(async move { drop(connection.await) });
        let answer = sender.send_request(request).await.map_err(text)?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), LONGEST).await;
        talking.abort();
        let body = body.map_err(|error| error.to_string())?;
        match status.is_success() {
            true => Ok(body.to_vec()),
            false => Err(format!("{status}: {}", refusal(&body))),
        }
    }

    /// Connects to the first place that answers.
    async fn connect(&self, host: &str, places: Vec<SocketAddr>) -> Result<Connected, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let mark = *self.marks.borrow();
        let mut why = "it has no address".to_owned();
        for place in places {
            match connect(None, place, name.clone(), Arc::clone(&self.tls), mark).await {
                Ok(stream) => return Ok(stream),
                Err(error) => why = format!("{place}: {error}"),
            }
        }
        Err(why)
    }
}

/// A URL without what may be secret in it.
fn place(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// The word for why (RFC 6749, 5.2), and no more of what somebody else says.
fn refusal(body: &[u8]) -> String {
    let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let word = said.as_ref().and_then(|said| said.get("error")?.as_str()).unwrap_or_default();
    word.chars().filter(char::is_ascii_graphic).take(64).collect()
}

/// Fields as a form or a query has them.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("{}={}", escaped(name), escaped(value));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

/// As it may stand in one (RFC 3986, 2.3).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_sent_can_be_taken_for_something_else() {
        assert_eq!(form(&[("a", "x y&z=1"), ("b", "ü+%")]), "a=x%20y%26z%3D1&b=%C3%BC%2B%25");
        assert_eq!(place("https://p/t?code=secret#x"), "https://p/t");
        assert_eq!(
            refusal(b"{\"error\": \"invalid_grant\\n\", \"error_description\": \"x\"}"),
            "invalid_grant"
        );
        assert_eq!(refusal(b"<html>"), "");
    }
}
