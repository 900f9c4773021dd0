//! `/directory`: whom one can call, by the beginning of an address, a number or a name; for everybody who is signed in. It is read
//! beside the turn, which hears nothing of it. `/directory/confirm`: that many have really gone from the directory.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use carillon_store::UserReader;
use serde::{Deserialize, Serialize};

use super::body::Object;
use super::refusal::Refusal;
use super::{Caller, Who};
use crate::desk::Desk;

/// Rows of one answer, at most and unless fewer are asked for.
const ROWS: usize = 50;
/// The longest beginning that is looked for, in characters.
const LONGEST: usize = 64;

/// Where users are read: the file of the store.
#[derive(Clone)]
pub(super) struct Users(pub(super) Arc<Path>);

/// What is looked for.
#[derive(Deserialize)]
pub(super) struct Wanted {
    q: String,
    limit: Option<usize>,
}

/// Somebody who was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirectoryRow {
    /// `alice@example.com`.
    pub address: String,
    /// What people call the user, if a directory says it.
    pub name: Option<String>,
    /// By which it is called.
    pub number: Option<String>,
}

pub(super) async fn search(
    Extension(Users(store)): Extension<Users>,
    Query(Wanted { q, limit }): Query<Wanted>,
) -> Result<Response, Refusal> {
    let beginning = q.trim().to_owned();
    // One letter would be a list of everybody in pieces.
    if beginning.chars().count() < 2 || q.chars().count() > LONGEST {
        let reason = format!("q: 2 to {LONGEST} characters of an address, a number or a name are wanted");
        return Err(Refusal::wrong(vec![reason]));
    }
    let limit = limit.unwrap_or(ROWS).clamp(1, ROWS);
    let search = move || UserReader::open(&store)?.search(&beginning, limit);
    let found =
        tokio::task::spawn_blocking(search).await.map_err(|error| Refusal::failed(error.to_string()))??;
    let rows = found.into_iter().map(|listed| DirectoryRow {
        address: listed.aor,
        name: listed.name,
        number: listed.number,
    });
    Ok(Json(rows.collect::<Vec<_>>()).into_response())
}

/// How many have gone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gone {
    pub(super) users: u64,
}

/// Has the next reading sign out as many as the last one has not found: just so many, no others that may vanish until then.
pub(super) async fn confirm(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Object(Gone { users }): Object<Gone>,
) -> Result<Response, Refusal> {
    let confirmed = desk.ask(move |server| {
        let vanished = server.directory_status.vanished;
        let Some(directory) = server.directory.clone().filter(|_| users > 0 && users == vanished) else {
            let reason = format!("users: {vanished} are held back, not {users}; `carillon status` says why");
            return Err(Refusal::wrong(vec![reason]));
        };
        let author = server.author(&who);
        server.store.note_confirmation(users, &author)?;
        directory.confirm(users);
        Ok(())
    });
    confirmed.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use carillon_store::{Author, Store};
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;
    use crate::admin::routes;

    /// Pages ask with every letter that somebody types.
    #[tokio::test]
    async fn a_search_waits_for_no_turn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("carillon.db");
        let author = Author { who: "a test".to_owned(), time: std::time::Duration::ZERO };
        let ha1 = carillon_signaling::Ha1 { md5: [0; 16], sha256: [0; 32] };
        let aor = "alice@example.com".to_owned();
        let alice = carillon_signaling::User { aor, ha1, algorithms: None, site: None, number: None };
        Store::open(&path).unwrap().put_user(&alice, &author).unwrap();
        // Nobody takes an order from this desk.
        let (desk, _orders) = Desk::woken_by(|| Ok(()), Arc::default());
        let request = Request::get("/directory?q=ali").body(Body::empty()).unwrap();
        let answer = routes(desk, &path).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let found: Value =
            serde_json::from_slice(&to_bytes(answer.into_body(), 4096).await.unwrap()).unwrap();
        assert_eq!(found, json!([{ "address": "alice@example.com", "name": null, "number": null }]));
    }
}
