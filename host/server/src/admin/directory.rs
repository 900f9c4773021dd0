//! `/directory`: whom one can call, by the beginning of an address, a number or a name; for everybody who is signed in. It is read
//! beside the turn, which hears nothing of it.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use carillon_store::UserReader;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::desk::Desk;

/// Rows of one answer, at most and unless fewer are asked for.
const ROWS: usize = 50;
/// The longest beginning that is looked for, in characters.
const LONGEST: usize = 64;

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
    State(desk): State<Desk>,
    Query(Wanted { q, limit }): Query<Wanted>,
) -> Result<Response, Refusal> {
    let beginning = q.trim().to_owned();
    // One letter would be a list of everybody in pieces.
    if beginning.chars().count() < 2 || q.chars().count() > LONGEST {
        let reason = format!("q: 2 to {LONGEST} characters of an address, a number or a name are wanted");
        return Err(Refusal::wrong(vec![reason]));
    }
    let limit = limit.unwrap_or(ROWS).clamp(1, ROWS);
    let store = desk.ask(|server| server.estate.config.store.clone()).await?;
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
