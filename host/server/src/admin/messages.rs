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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use carillon_signaling::{Change, HistoryEntry, HistoryLimits, HistoryPolicy};
    use tower::ServiceExt;

    use super::*;
    use crate::admin::routes;
    use crate::turn::tests::server;

    const ALICE: &str = "alice@localhost";

    /// A server that keeps messages for a day: of alice one of today and one of the day before yesterday.
    fn filled(folder: &tempfile::TempDir) -> (Server, Desk) {
        let (mut server, desk) = server(folder);
        let limits = HistoryLimits { age: Duration::from_secs(86_400), messages: 10 };
        server.estate.config.history = HistoryPolicy { everybody: Some(limits), ..HistoryPolicy::default() };
        for (ago, body) in [(48, &b"old"[..]), (0, b"\xff\xfe")] {
            let entry = HistoryEntry {
                aor: ALICE.into(),
                peer: "bob@localhost".into(),
                sent: true,
                at: server.clock.now() - Duration::from_secs(3600 * ago),
                id: "m".to_owned(),
                media_type: "text/plain".to_owned(),
                body: body.to_vec(),
                most: 10,
            };
            server.store.apply(&[Change::Remember(Arc::new(entry))]).unwrap();
        }
        (server, desk)
    }

    /// What is answered to somebody, while the server takes its turns.
    fn asked(server: &mut Server, desk: &Desk, who: &str, request: &str, seen: &str) -> (u16, Value) {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path);
        let request = if seen.is_empty() { request } else { request.header(header::IF_MATCH, seen) };
        let request = request.extension(ConnectInfo(Caller(who.to_owned()))).body(Body::empty()).unwrap();
        let (told, heard) = channel();
        let (desk, store) = (desk.clone(), server.estate.config.store.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let answer = runtime.block_on(async {
                let answer = routes(desk.clone(), &store).oneshot(request).await.unwrap();
                let status = answer.status().as_u16();
                (status, to_bytes(answer.into_body(), 10_000).await.unwrap())
            });
            told.send(answer).unwrap();
            desk.leave(|_| ()).unwrap();
        });
        loop {
            server.turn().unwrap();
            if let Ok((status, body)) = heard.try_recv() {
                return (status, serde_json::from_slice(&body).unwrap_or_default());
            }
        }
    }

    #[test]
    fn messages_are_for_their_user_alone_and_as_long_as_the_policy_says() {
        let folder = tempfile::tempdir().unwrap();
        let (mut server, desk) = filled(&folder);
        let mut ask = |who: &str, request: &str| asked(&mut server, &desk, who, request, "");
        let (status, page) = ask(ALICE, "GET /users/alice/messages?with=Bob%40localhost");
        assert_eq!((status, page["messages"].as_array().unwrap().len()), (200, 1), "{page}");
        let row = &page["messages"][0];
        assert_eq!(
            (&row["body"], &row["base64"], &row["direction"]),
            (&json!("//4="), &json!(true), &json!("sent"))
        );
        for who in ["uid 0", "bob@localhost", "root@localhost"] {
            assert_eq!(ask(who, "GET /users/alice/messages").0, 403, "{who}");
        }
        assert_eq!(ask(ALICE, "GET /users/alice/messages?with=bob").0, 422);
        assert_eq!(ask(ALICE, "GET /users/nobody/messages").0, 404);
        let (status, count) = ask("uid 0", "GET /users/alice/messages/count");
        assert_eq!(
            (status, count),
            (200, json!({ "messages": 1, "most": 10, "days": 1 })),
            "the old one has gone"
        );
        let audit = server.store.audit(None, 9).unwrap();
        let refused: Vec<&str> =
            audit.iter().filter(|e| e.what == "refused").map(|e| e.who.as_str()).collect();
        assert_eq!(refused, ["root@localhost", "bob@localhost", "uid 0"]);
    }

    #[test]
    fn what_is_deleted_is_what_was_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (mut server, desk) = filled(&folder);
        let version = server.store.history_size(ALICE).unwrap().version;
        let delete = "DELETE /users/alice/messages";
        assert_eq!(asked(&mut server, &desk, "uid 0", delete, "\"1\"").0, 412);
        // The first turns have swept what was too old away, which is a change.
        assert_eq!(server.store.history_size(ALICE).unwrap().version, version + 1);
        assert_eq!(asked(&mut server, &desk, "uid 0", delete, &etag(version + 1)).0, 204);
        assert_eq!(server.store.history_size(ALICE).unwrap().messages, 0);
        assert_eq!(server.store.audit(None, 1).unwrap()[0].what, "messages.delete");
    }
}
