//! `GET /token` for who shows a password as it is (Basic, RFC 7617): the directory judges it. Where there is no directory, such
//! passwords are not looked at.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::header;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_signaling::Failure;

use super::door::{Asked, Public, challenge as unproven, token_json, too_soon};
use super::refusal::Refusal;
use crate::clock::Clock;
use crate::directory::{Barred, Judgement, Shown};
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
    /// Whether a phone of the user is signed in from there.
    at_home: bool,
    clock: Clock,
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
    let shown = Shown {
        remote,
        aor: &meant.aor,
        dn: meant.dn.as_deref(),
        at_home: meant.at_home,
        password: &login.password,
    };
    let outcome = match directory.judge(meant.clock, &shown).await {
        Judgement::Right => Ok(()),
        Judgement::Wrong => Err(Failure::WrongPassword),
        Judgement::Barred(why) => return barred(public, meant, remote, why).await,
        Judgement::Withheld(left) => {
            let noted =
                public.desk.ask(move |server| server.tried(&meant.aor, remote, Err(Failure::Withheld)));
            return noted.await.map(|_| too_soon(left)).map_err(Refusal::from);
        }
        Judgement::TooMany => return Ok(too_soon(Duration::from_secs(1))),
        Judgement::Silent(why) => {
            tracing::warn!("nobody can sign in by the directory: {why}");
            let reason =
                "the directory does not answer; by Digest, who has a password for phones can sign in";
            return Err(Refusal::unavailable(reason));
        }
    };
    let given = public.desk.ask(move |server| server.tried(&meant.aor, remote, outcome)).await?;
    Ok(given.as_ref().map_or_else(|| refused(public), token_json))
}

/// Whose password may be right and is of no use. Only where the user is known already it is said why: a stranger would learn that
/// the password is right.
async fn barred(public: &Public, meant: Meant, remote: SocketAddr, why: Barred) -> Result<Response, Refusal> {
    let at_home = meant.at_home;
    let noted = public.desk.ask(move |server| {
        server.tried(&meant.aor, remote, Err(Failure::Barred));
        server.note_barred(&meant.aor, &why)
    });
    noted.await??;
    match at_home && why.proven {
        true => Err(Refusal::forbidden(format!("the user may not sign in now: {}", why.text))),
        false => Ok(refused(public)),
    }
}

fn refused(public: &Public) -> Response {
    unproven(&challenge(public).into_iter().collect::<Vec<_>>())
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
    fn meant(&mut self, name: &str, remote: SocketAddr) -> Result<Result<Meant, Duration>, Refusal> {
        // Who could not be a user is guessed at as slowly as who is none.
        let aor = self.estate.rules().aor(name).unwrap_or_else(|_| name.to_lowercase());
        if let Err(left) = self.front_end.may_try(self.clock.now(), &aor, remote) {
            return Ok(Err(left));
        }
        let entry = self.store.user(&aor)?.and_then(|record| record.entry);
        let dn = entry.filter(|entry| !entry.disabled).map(|entry| entry.dn);
        let at_home = self.front_end.is_at_home(&aor, remote);
        Ok(Ok(Meant { aor, dn, at_home, clock: self.clock }))
    }

    /// What came of a password; a token if it was right. In a turn.
    fn tried(
        &mut self,
        aor: &str,
        remote: SocketAddr,
        outcome: Result<(), Failure>,
    ) -> Option<(String, Duration)> {
        let now = self.clock.now();
        self.front_end.tried(now, aor, remote, outcome);
        outcome.ok().and_then(|()| self.front_end.token_for(now, aor))
    }

    /// Has the audit say why somebody can't sign in, once an hour.
    fn note_barred(&mut self, aor: &str, why: &Barred) -> Result<(), carillon_store::Error> {
        let author = self.author("directory");
        match self.directory.as_ref().is_some_and(|directory| directory.is_news(author.time, aor, why)) {
            true => self.store.note_sign_in(why.word, aor, &author),
            false => Ok(()),
        }
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
