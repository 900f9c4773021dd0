//! `/users/{name}/messages`: what a user has said and been told by instant message, for this user alone. Others see how many there are;
//! administrators may delete them, and the audit says so. It is read beside the turn.

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_store::{HistoryPage, HistoryQuery, HistoryRow, UserReader};
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::{Refusal, etag, if_match};
use super::{Caller, Who, seconds};
use crate::desk::Desk;
use crate::rosters::is_address;
use crate::turn::Server;

/// Messages of one answer, at most and unless fewer are asked for.
const MESSAGES: usize = 100;

/// Which of them.
#[derive(Deserialize)]
pub(super) struct Wanted {
    with: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// The newest first; for whoever has proven to be this user. That somebody else has asked stands in the audit.
pub(super) async fn list(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    let peer = wanted.with.map(|with| address(&with)).transpose()?;
    let limit = wanted.limit.unwrap_or(MESSAGES).clamp(1, MESSAGES);
    let (store, query) = desk
        .ask(move |server| {
            let (aor, site) = known(server, &name)?;
            let author = server.author(&who);
            if who != aor {
                server.store.note_refusal(&format!("GET /users/{aor}/messages"), &author)?;
                let reason = "messages are for their user alone, by its token over HTTPS; see messages/count";
                return Err(Refusal::forbidden(reason.to_owned()));
            }
            let since = server.history_of(&aor, site.as_deref()).1;
            let query = HistoryQuery { aor, peer, since, before: wanted.before, limit };
            Ok((server.estate.config.store.clone(), query))
        })
        .await??;
    let read = move || UserReader::open(&store)?.history(&query);
    let page =
        tokio::task::spawn_blocking(read).await.map_err(|error| Refusal::failed(error.to_string()))??;
    let tag = etag(page.version);
    Ok(([(header::ETAG, tag)], Json(page_json(page))).into_response())
}

/// How many there are, and how many are kept.
pub(super) async fn count(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let counted = desk.ask(move |server| {
        let (aor, site) = known(server, &name)?;
        let (limits, _) = server.history_of(&aor, site.as_deref());
        Ok::<_, Refusal>((server.store.history_size(&aor)?, limits))
    });
    let (size, limits) = counted.await??;
    let body = json!({
        "messages": size.messages,
        "most": limits.map(|limits| limits.messages),
        "days": limits.map(|limits| limits.age.as_secs() / 86_400),
    });
    Ok(([(header::ETAG, etag(size.version))], Json(body)).into_response())
}

/// Whose messages with whom are deleted.
#[derive(Deserialize)]
pub(super) struct Chosen {
    with: Option<String>,
}

/// Deletes all of them, or those with one other; with `If-Match` only if nothing came since.
pub(super) async fn remove(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
    Query(chosen): Query<Chosen>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let seen = if_match(&headers)?;
    let peer = chosen.with.map(|with| address(&with)).transpose()?;
    let removed = desk.ask(move |server| {
        let (aor, _) = known(server, &name)?;
        let version = server.store.history_size(&aor)?.version;
        if seen.is_some_and(|seen| seen != version) {
            return Err(Refusal::changed(version));
        }
        let author = server.author(&who);
        Ok(server.store.delete_history(&aor, peer.as_deref(), &author)?)
    });
    let version = removed.await??;
    Ok((StatusCode::NO_CONTENT, [(header::ETAG, etag(version))]).into_response())
}

fn known(server: &Server, name: &str) -> Result<(String, Option<String>), Refusal> {
    let aor = server.estate.rules().aor(name).map_err(Refusal::unknown)?;
    let user = server.store.user(&aor)?.ok_or_else(|| Refusal::unknown("there is no such user"))?;
    Ok((aor, user.user.site))
}

fn address(with: &str) -> Result<String, Refusal> {
    match is_address(with) {
        true => Ok(with.to_lowercase()),
        false => Err(Refusal::wrong(vec![format!("with: {with:?} is no address like bob@example.com")])),
    }
}

fn page_json(page: HistoryPage) -> Value {
    let rows: Vec<Value> = page.rows.into_iter().map(row_json).collect();
    json!({ "messages": rows, "next": page.next })
}

/// A body that is no text goes as base64.
fn row_json(row: HistoryRow) -> Value {
    let (body, base64) = match String::from_utf8(row.body) {
        Ok(text) => (text, false),
        Err(error) => (STANDARD.encode(error.as_bytes()), true),
    };
    json!({
        "id": row.id,
        "time": seconds(row.time),
        "direction": if row.sent { "sent" } else { "received" },
        "peer": row.peer,
        "content_type": row.media_type,
        "body": body,
        "base64": base64,
        "delivered": row.delivered.map(seconds),
        "displayed": row.displayed.map(seconds),
    })
}
