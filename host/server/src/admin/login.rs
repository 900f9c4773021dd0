//! `GET /token` for who shows a password as it is (Basic, RFC 7617): the directory judges it. Where there is no directory, such
//! passwords are not looked at.

use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::door::{Asked, Public, challenge as unproven, token_json, too_soon};
use super::refusal::Refusal;
use crate::directory::Judgement;
use crate::turn::Server;

/// Longer ones are not decoded, in bytes.
const LONGEST: usize = 1024;

/// A name and a password.
pub(super) struct Login {
    name: String,
    password: String,
}

/// Whom they are of.
struct Meant {
    aor: String,
    /// What the directory calls it; `None` if it is none of its users who may sign in.
    dn: Option<String>,
}

/// What is shown, if there is a directory to judge it.
pub(super) fn shown(public: &Public, asked: &Asked) -> Option<Login> {
    public.directory.as_ref()?;
    read(asked.headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// What else to be challenged with.
pub(super) fn challenge(public: &Public) -> Option<String> {
    public.directory.as_ref().map(|_| "Basic realm=\"directory\", charset=\"UTF-8\"".to_owned())
}

/// A token for who is right; wrong passwords count together with those of Digest and SIP.
pub(super) async fn token(public: &Public, asked: &Asked, login: Login) -> Result<Response, Refusal> {
    let Some(directory) = &public.directory else { return Err(Refusal::unknown("there is no directory")) };
    let (remote, name) = (asked.remote, login.name);
    let meant = match public.desk.ask(move |server| server.meant(&name, remote)).await?? {
        Ok(meant) => meant,
        Err(left) => return Ok(too_soon(left)),
    };
    let right = match directory.judge(remote, &meant.aor, meant.dn.as_deref(), &login.password).await {
        Judgement::Right => true,
        Judgement::Wrong => false,
        Judgement::TooMany => return Ok(too_soon(Duration::from_secs(1))),
        Judgement::Silent(why) => {
            tracing::warn!("nobody can sign in by the directory: {why}");
            let reason =
                "the directory does not answer; by Digest, who has a password for phones can sign in";
            return Err(Refusal::unavailable(reason));
        }
    };
    let given = public.desk.ask(move |server| {
        let now = server.clock.now();
        server.front_end.tried(now, &meant.aor, remote, right);
        right.then(|| server.front_end.token_for(now, &meant.aor)).flatten()
    });
    let refused = || unproven(&challenge(public).into_iter().collect::<Vec<_>>());
    Ok(given.await?.as_ref().map_or_else(refused, token_json).into_response())
}

/// Reads the credentials of a request (RFC 7617, 2).
fn read(authorization: &str) -> Option<Login> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") || encoded.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(Login { name: name.to_owned(), password: password.to_owned() })
}

impl Server {
    /// Whom a name means; or how long it is still to be waited before a password of it is tried. In a turn.
    fn meant(
        &mut self,
        name: &str,
        remote: std::net::SocketAddr,
    ) -> Result<Result<Meant, Duration>, Refusal> {
        // Who could not be a user is guessed at as slowly as who is none.
        let aor = self.estate.rules().aor(name).unwrap_or_else(|_| name.to_lowercase());
        if let Err(left) = self.front_end.may_try(self.clock.now(), &aor, remote) {
            return Ok(Err(left));
        }
        let entry = self.store.user(&aor)?.and_then(|record| record.entry);
        Ok(Ok(Meant { aor, dn: entry.filter(|entry| !entry.disabled).map(|entry| entry.dn) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_colons_and_what_is_no_basic_is_none() {
        let login = |text: &str| read(text).map(|login| (login.name, login.password));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let of = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(login(&basic("alice:a:b")), of("alice", "a:b"));
        assert_eq!(login(&basic("alice:").replace("Basic", "bASIC")), of("alice", ""));
        assert_eq!(login(&basic("älice:ß")), of("älice", "ß"));
        for wrong in ["Basic", "Basic !!!", "Digest YTpi", &basic("no colon"), &basic(&"x:".repeat(600))] {
            assert_eq!(login(wrong), None, "{wrong}");
        }
    }
}
