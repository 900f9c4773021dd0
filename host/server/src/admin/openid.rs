//! `/openid/begin` and `/openid/return`: a browser signs in at the OpenID provider and comes back to a page of ours with a token
//! behind the `#` of its URL, as RFC 6749, 4.2.2 writes it: no server and no Referer sees that.
//!
//! A user is one account of the provider from its first sign-in on: `/users/{name}/account` shows and releases it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use carillon_signaling::{Ha1, User};
use carillon_store::Account;
use serde::{Deserialize, Serialize};

use super::documents::known;
use super::door::{Asked, Public};
use super::refusal::Refusal;
use super::{Caller, Who};
use crate::desk::Desk;
use crate::openid::{OpenId, Pending, Vouched, form};
use crate::turn::Server;

/// How long a sign-in may take, in seconds.
const LASTS: u64 = 600;
/// The cookie; its prefix has browsers take it from this host over TLS alone.
const COOKIE: &str = "__Host-carillon-openid";
/// The longest URL of a page, and what a page may want to know a sign-in by, in bytes.
const LONGEST_PAGE: usize = 1024;
const LONGEST_STATE: usize = 256;
/// As the audit names who becomes a user by signing in.
const AUTHOR: &str = "openid";

/// Where a sign-in is to end.
#[derive(Deserialize)]
pub(super) struct Begin {
    page: String,
    #[serde(default)]
    state: String,
}

/// How a browser comes back (RFC 6749, 4.1.2).
#[derive(Deserialize)]
pub(super) struct Return {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
}

pub(super) async fn begin(public: State<Arc<Public>>, asked: Asked, Query(wanted): Query<Begin>) -> Response {
    asked.answered(&public.0, begun(&public.0, wanted)).await
}

pub(super) async fn come_back(
    public: State<Arc<Public>>,
    asked: Asked,
    Query(said): Query<Return>,
) -> Response {
    asked.answered(&public.0, ended(&public.0, &asked, said)).await
}

async fn begun(public: &Public, wanted: Begin) -> Result<Response, Refusal> {
    let openid = provider(public)?;
    let known = |origin: &&String| {
        let rest = wanted.page.strip_prefix(origin.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let plain = graphic(&wanted.page) && graphic(&wanted.state) && !wanted.page.contains('#');
    if !plain || wanted.page.len() > LONGEST_PAGE || wanted.state.len() > LONGEST_STATE {
        return Err(Refusal::wrong(vec!["page, state: a URL without # is wanted, of at most 1 kB, and at most 256 characters, without blanks".to_owned()]));
    }
    if public.origins().iter().find(known).is_none() {
        return Err(Refusal::forbidden("the page is of no origin of `https.origins`".to_owned()));
    }
    let now = public.desk.ask(|server| server.clock.wall().as_secs()).await?;
    let pending = Pending::new(now + LASTS, wanted.page, wanted.state);
    let begun = openid.begin(&pending).await.map_err(|why| unavailable(&why))?;
    let cookie =
        format!("{COOKIE}={}; Path=/; Max-Age={LASTS}; Secure; HttpOnly; SameSite=Lax", begun.cookie);
    Ok(redirect(&begun.location, &cookie))
}

async fn ended(public: &Public, asked: &Asked, said: Return) -> Result<Response, Refusal> {
    let openid = provider(public)?;
    let cookie = cookie(&asked.headers).unwrap_or_default();
    let now = public.desk.ask(|server| server.clock.wall().as_secs()).await?;
    let Some(pending) = openid.came_back(now, &cookie, &said.state) else {
        return Err(Refusal::forbidden("this browser has not begun to sign in, or took too long".to_owned()));
    };
    let given = match (&said.code, &said.error) {
        (Some(code), None) => token(public, openid, &cookie, code).await,
        (_, Some(error)) => Err(format!("the provider refuses: {:.64}", legible(error)).into()),
        (None, None) => Err("the provider says nothing".to_owned().into()),
    };
    let lasts;
    let mut fields = match &given {
        Ok((token, time)) => {
            lasts = time.as_secs().to_string();
            vec![("access_token", token.as_str()), ("token_type", "Bearer"), ("expires_in", &*lasts)]
        }
        Err(Denied { why, told }) => {
            tracing::warn!("a sign-in by the OpenID provider fails: {why}");
            let told = told.map(|told| ("error_description", told));
            [("error", "access_denied")].into_iter().chain(told).collect()
        }
    };
    fields.push(("state", &pending.state));
    let location = format!("{}#{}", pending.page, form(&fields));
    Ok(redirect(&location, &format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")))
}

/// A token of ours for whom the provider vouches for.
async fn token(
    public: &Public,
    openid: &OpenId,
    cookie: &str,
    code: &str,
) -> Result<(String, Duration), Denied> {
    let vouched = openid.vouch(cookie, code).await?;
    let create = openid.config.create;
    let given = public.desk.ask(move |server| server.signed_in(&vouched, create)).await;
    given.map_err(|busy| busy.to_string())?
}

/// Why there is no token.
#[derive(Debug)]
struct Denied {
    /// For the log.
    why: String,
    /// For the page, where whoever has signed in at the provider can do something about it.
    told: Option<&'static str>,
}

/// Somebody else has signed in as this user: an address that was given to another person, or a claim that people can change.
const ANOTHER: &str =
    "this user signs in by another account of the provider; an administrator can release that";
/// The account has another address than before.
const ELSEWHERE: &str = "this account of the provider is another user; an administrator can release that";

impl From<String> for Denied {
    fn from(why: String) -> Denied {
        Denied { why, told: None }
    }
}

impl From<carillon_store::Error> for Denied {
    fn from(error: carillon_store::Error) -> Denied {
        crate::chain(&error).into()
    }
}

impl Denied {
    fn told(told: &'static str) -> Denied {
        Denied { why: told.to_owned(), told: Some(told) }
    }
}

/// By which account of the provider a user signs in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountRow {
    /// The provider (`iss`).
    pub issuer: String,
    /// The account there (`sub`).
    pub subject: String,
}

impl From<Account> for AccountRow {
    fn from(Account { issuer, subject }: Account) -> AccountRow {
        AccountRow { issuer, subject }
    }
}

/// Said when there is nothing to release.
pub(crate) const NO_ACCOUNT: &str = "the user has not signed in by an OpenID provider";

pub(super) async fn account(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let found = desk.ask(move |server| Ok::<_, Refusal>(server.store.account(&known(server, &name)?)?));
    Ok(Json(found.await??.map(AccountRow::from)).into_response())
}

/// The next account that signs in as the user is its own.
pub(super) async fn release(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let released = desk.ask(move |server| {
        let (aor, author) = (known(server, &name)?, server.author(&who));
        Ok::<_, Refusal>(server.store.release_account(&aor, &author)?)
    });
    match released.await?? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Refusal::unknown(NO_ACCOUNT)),
    }
}

fn provider(public: &Public) -> Result<&OpenId, Refusal> {
    public.openid.as_deref().ok_or_else(|| Refusal::unknown("there is no OpenID provider"))
}

fn unavailable(why: &str) -> Refusal {
    tracing::warn!("nobody can sign in by the OpenID provider: {why}");
    Refusal::unavailable("the OpenID provider does not answer")
}

/// What anybody may have written, as part of a line of the log.
fn legible(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').collect()
}

fn redirect(location: &str, cookie: &str) -> Response {
    let mut answer = StatusCode::SEE_OTHER.into_response();
    for (name, value) in [(header::LOCATION, location), (header::SET_COOKIE, cookie)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

impl Server {
    /// A token for whom the provider vouches for: one of our users, or one from now on. In a turn.
    fn signed_in(&mut self, vouched: &Vouched, create: bool) -> Result<(String, Duration), Denied> {
        let now = self.clock.now();
        let aor = self.estate.rules().aor(&vouched.name).map_err(|why| {
            tracing::debug!("whom the provider names can be no user: {why}");
            "whom it names can be no user here".to_owned()
        })?;
        let there = self.store.user(&aor)?;
        if there.as_ref().map_or(!create, |record| record.is_disabled()) {
            return Err("whom it names is no user here, or may not sign in".to_owned().into());
        }
        // Somebody else's address makes no user.
        let bound = self.is_bound(&aor, &vouched.account)?;
        if there.is_none() {
            self.create(&aor)?;
        }
        if !bound {
            let author = self.author(AUTHOR);
            self.store.bind_account(&aor, &vouched.account, &author)?;
        }
        self.front_end.token_for(now, &aor).ok_or_else(|| "there is no such user".to_owned().into())
    }

    /// Whether the account is this user's already; an error if it is another user's, or the user has another one.
    fn is_bound(&mut self, aor: &str, account: &Account) -> Result<bool, Denied> {
        let refused = match (self.store.account(aor)?, self.store.account_holder(account)?) {
            (Some(own), _) if own == *account => return Ok(true),
            (None, None) => return Ok(false),
            (Some(_), _) => ANOTHER,
            (None, Some(_)) => ELSEWHERE,
        };
        let author = self.author(AUTHOR);
        self.store.note_sign_in("other-account", aor, &author)?;
        Err(Denied::told(refused))
    }

    /// A user whom nobody has given a password.
    fn create(&mut self, aor: &str) -> Result<(), Denied> {
        let mut ha1 = Ha1 { md5: [0; 16], sha256: [0; 32] };
        getrandom::fill(&mut ha1.md5)
            .and_then(|()| getrandom::fill(&mut ha1.sha256))
            .map_err(|error| error.to_string())?;
        let user = User { aor: aor.to_owned(), ha1, algorithms: None, site: None, number: None };
        self.put_users(vec![user], AUTHOR)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::tests::server;

    fn vouched(name: &str, subject: &str) -> Vouched {
        let account = Account { issuer: "https://login".to_owned(), subject: subject.to_owned() };
        Vouched { name: name.to_owned(), account }
    }

    #[test]
    fn an_account_is_one_user_and_a_user_one_account() {
        let folder = tempfile::tempdir().unwrap();
        let (mut server, _desk) = server(&folder);
        let mut told = |name: &str, subject: &str, create: bool| {
            let given = server.signed_in(&vouched(name, subject), create);
            (given.err().map(|denied| denied.told), server.store.count_users().unwrap())
        };
        assert_eq!(told("alice", "1", false), (None, 2));
        assert_eq!(told("alice", "1", false), (None, 2), "as before");
        assert_eq!(told("alice", "2", false), (Some(Some(ANOTHER)), 2));
        assert_eq!(told("bob", "1", false), (Some(Some(ELSEWHERE)), 2));
        assert_eq!(told("zoe", "1", true), (Some(Some(ELSEWHERE)), 2), "and makes no user");
        assert_eq!(told("zoe", "2", false), (Some(None), 2), "no user");
        assert_eq!(told("zoe", "2", true), (None, 3));
        let author = server.author("a test");
        assert!(server.store.release_account("alice@localhost", &author).unwrap());
        assert_eq!(server.signed_in(&vouched("alice", "3"), false).err().map(|denied| denied.why), None);
        let audit = server.store.audit(None, 99).unwrap();
        let refused = |entry: &&carillon_store::AuditEntry| entry.what == "sign-in.other-account";
        assert_eq!(audit.iter().filter(refused).count(), 3);
    }
}
