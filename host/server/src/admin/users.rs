//! `/users`: who may sign in. Passwords come in and never go out.

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use carillon_signaling::{Ha1, User};
use carillon_store::UserRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{Object, object};
use super::refusal::{Refusal, etag, if_match};
use super::{Caller, PAGE, Who};
use crate::desk::Desk;
use crate::users::{Digest, NewUser, number_of};

/// A user as lists show it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct UserRow {
    /// `alice@example.com`.
    pub name: String,
    /// The site of the plan.
    pub site: Option<String>,
    /// The number by which the user is called.
    #[serde(default)]
    pub number: Option<String>,
    /// What the user is challenged with, if not what the listener says.
    pub digest: Option<Digest>,
    /// When added, in seconds since the Unix epoch.
    pub created: f64,
    /// Counts the changes.
    pub version: u64,
    /// Phones that are signed in now.
    pub contacts: u64,
    /// What people call the user, if a directory says it.
    #[serde(default)]
    pub display: Option<String>,
    /// Whether a directory names the user.
    #[serde(default)]
    pub directory: bool,
    /// Whether the directory says that the user may not sign in.
    #[serde(default)]
    pub disabled: bool,
    /// Sources that are locked out of this user for too many wrong passwords; one more if those are from which the user has never
    /// signed in by the directory.
    #[serde(default)]
    pub locked: u64,
}

/// What an import has done.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Imported {
    /// Users that are new.
    pub added: usize,
    /// Users that were there and have a new password.
    pub changed: usize,
}

impl UserRow {
    /// A record with the numbers of its contacts and of who is locked out.
    pub fn new(record: &UserRecord, contacts: u64, locked: u64) -> UserRow {
        UserRow {
            name: record.user.aor.clone(),
            site: record.user.site.clone(),
            number: record.user.number.as_ref().map(ToString::to_string),
            digest: record.user.algorithms.map(Digest::from),
            created: super::seconds(record.created),
            version: record.version,
            contacts,
            display: record.entry.as_ref().and_then(|entry| entry.name.clone()),
            directory: record.entry.is_some(),
            disabled: record.is_disabled(),
            locked,
        }
    }
}

impl Imported {
    /// What these versions say: the first version of a user is a new user.
    pub fn from_versions(versions: &[u64]) -> Imported {
        let added = versions.iter().filter(|version| **version == 1).count();
        Imported { added, changed: versions.len() - added }
    }

    /// The users that are stored.
    pub fn stored(&self) -> usize {
        self.added + self.changed
    }

    /// This and what another part of the same import has done.
    #[must_use]
    pub fn and(&self, other: &Imported) -> Imported {
        Imported { added: self.added + other.added, changed: self.changed + other.changed }
    }
}

/// The part of the list behind a name.
#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

pub(super) async fn list(State(desk): State<Desk>, Query(page): Query<After>) -> Result<Response, Refusal> {
    let limit = page.limit.unwrap_or(PAGE).min(PAGE);
    let rows = desk.ask(move |server| {
        let records = server.store.users_with_contacts(&page.after, limit, server.clock.now())?;
        Ok::<_, Refusal>(
            records.iter().map(|(record, contacts)| server.row(record, *contacts)).collect::<Vec<_>>(),
        )
    });
    Ok(Json(rows.await??).into_response())
}

pub(super) async fn show(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let found = desk.ask(move |server| {
        let found = server.store.user(&aor(server, &name)?)?;
        Ok::<_, Refusal>(found.map(|record| server.row(&record, server.front_end.contacts(&record.user.aor))))
    });
    let row = found.await??.ok_or_else(|| Refusal::unknown("there is no such user"))?;
    Ok(([(header::ETAG, etag(row.version))], Json(row)).into_response())
}

impl crate::turn::Server {
    fn row(&self, record: &UserRecord, contacts: u64) -> UserRow {
        let locks = self.front_end.locks(self.clock.now(), &record.user.aor);
        let locked = locks.len() + usize::from(self.held(&record.user.aor).is_some());
        UserRow::new(record, contacts, locked as u64)
    }
}

/// What can be set of one user; the name stands in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    password: String,
    site: Option<String>,
    number: Option<String>,
    digest: Option<Digest>,
}

/// Adds a user, or changes one. With `If-Match` only that version, with `If-None-Match: *` only a new one.
pub(super) async fn put(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
    headers: HeaderMap,
    Object(Body { password, site, number, digest }): Object<Body>,
) -> Result<Response, Refusal> {
    let (seen, only_new) = (if_match(&headers)?, headers.contains_key(header::IF_NONE_MATCH));
    let new = NewUser { name, password, site, number, digest };
    let rules = desk.ask(|server| server.estate.rules()).await?;
    let user = rules.user(&new).map_err(|reason| Refusal::wrong(vec![reason]))?;
    let version = desk
        .ask(move |server| {
            let now = server.store.user(&user.aor)?.map(|record| record.version);
            match now {
                Some(now) if only_new || seen.is_some_and(|seen| seen != now) => Err(Refusal::changed(now)),
                None if seen.is_some() => Err(Refusal::unknown("there is no such user")),
                _ => Ok(server.put_users(vec![user], &who)?),
            }
        })
        .await??;
    let version = version.first().copied().unwrap_or_default();
    let status = if version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(header::ETAG, etag(version))], Json(Imported::from_versions(&[version]))).into_response())
}

/// A number, or none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberBody {
    pub(super) number: Option<String>,
}

/// Gives a user another number, or none, and leaves the rest as it is.
pub(super) async fn put_number(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
    headers: HeaderMap,
    Object(NumberBody { number }): Object<NumberBody>,
) -> Result<Response, Refusal> {
    let seen = if_match(&headers)?;
    let number = number.as_deref().map(number_of).transpose().map_err(|wrong| Refusal::wrong(vec![wrong]))?;
    let versions = desk.ask(move |server| {
        let found = server.store.user(&aor(server, &name)?)?;
        let found = found.ok_or_else(|| Refusal::unknown("there is no such user"))?;
        match seen.is_some_and(|seen| seen != found.version) {
            true => Err(Refusal::changed(found.version)),
            false => Ok(server.put_users(vec![User { number, ..found.user }], &who)?),
        }
    });
    let versions = versions.await??;
    let version = versions.first().copied().unwrap_or_default();
    Ok(([(header::ETAG, etag(version))], Json(Imported::from_versions(&versions))).into_response())
}

/// A password for phones that is made up here, for a user of a directory: the directory's own cannot be proven by Digest.
#[derive(Serialize)]
struct DevicePassword {
    username: String,
    password: String,
}

/// Makes one, in place of the last: what phones proved with that is void, tokens as well.
pub(super) async fn device_password(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let password = crate::dev::password().map_err(|error| Refusal::failed(error.to_string()))?;
    // All in one turn: nothing that others change in between is written back.
    let given = desk.ask(move |server| {
        let found = server.store.user(&aor(server, &name)?)?;
        let found = found.ok_or_else(|| Refusal::unknown("there is no such user"))?;
        if found.entry.is_none() {
            let reason = "the user is none of a directory and has a password already".to_owned();
            return Err(Refusal::wrong(vec![reason]));
        }
        let ha1 = Ha1::of(&found.user.aor, &server.estate.config.realm, &password);
        let username = found.user.aor.split('@').next().unwrap_or_default().to_owned();
        server.put_users(vec![User { ha1, ..found.user }], &who)?;
        Ok(DevicePassword { username, password })
    });
    Ok(Json(given.await??).into_response())
}

pub(super) async fn remove(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let removed = desk
        .ask(move |server| {
            let aor = aor(server, &name)?;
            Ok::<_, Refusal>(server.remove_user(&aor, &who)?)
        })
        .await??;
    removed
        .map(|_| StatusCode::NO_CONTENT.into_response())
        .ok_or_else(|| Refusal::unknown("there is no such user"))
}

/// What is to become of many users.
#[derive(Deserialize)]
pub(super) struct How {
    /// Only say what is wrong with them.
    #[serde(default)]
    check: bool,
}

/// One of many users that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wrong {
    /// Its place in the list, from 0.
    pub place: usize,
    /// Why.
    pub reason: String,
}

/// Users of one order: between two orders the server has its turns, and calls go on.
const ORDER: usize = 1000;

/// Adds or changes many: none, and a reason for each that is wrong; or all of them, the first ones first. `?check=true` does
/// nothing but list what is wrong.
pub(super) async fn import(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Query(How { check }): Query<How>,
    Json(new): Json<Vec<Value>>,
) -> Result<Response, Refusal> {
    let new: Vec<NewUser> = new.into_iter().map(object).collect::<Result<_, _>>()?;
    let rules = desk.ask(|server| server.estate.rules()).await?;
    if check {
        let wrong = rules.check_all(&new).into_iter().map(|(place, reason)| Wrong { place, reason });
        return Ok(Json(wrong.collect::<Vec<_>>()).into_response());
    }
    // Hashing happens here, beside the turn.
    let users = rules.users(&new).map_err(Refusal::wrong)?;
    let (count, mut users) = (users.len(), users.into_iter());
    let mut imported = Imported::default();
    while imported.stored() < count {
        let (part, who) = (users.by_ref().take(ORDER).collect(), who.clone());
        let put = desk.ask(move |server| server.put_users(part, &who)).await;
        match put.map_err(Refusal::from).and_then(|put| put.map_err(Refusal::from)) {
            Ok(versions) => imported = imported.and(&Imported::from_versions(&versions)),
            Err(refusal) if count <= ORDER => return Err(refusal),
            Err(refusal) => return Err(refusal.with(interrupted(&imported, count))),
        }
    }
    Ok(Json(imported).into_response())
}

/// An order that was not answered in time may still be carried out.
fn interrupted(imported: &Imported, count: usize) -> String {
    let stored = imported.stored();
    format!(
        "the first {stored} of {count} users are stored, the next {ORDER} perhaps: send the same list again when this works"
    )
}

fn aor(server: &crate::turn::Server, name: &str) -> Result<String, Refusal> {
    server.estate.rules().aor(name).map_err(Refusal::unknown)
}
