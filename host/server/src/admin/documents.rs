//! `/users/{name}/roster`, `/users/{name}/call-rules`: what a user keeps at the server. A version is an ETag: no edit is lost.

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::body::Object;
use super::refusal::{Refusal, etag, if_match};
use super::{Caller, Who};
use crate::desk::Desk;
use crate::documents::UserDocument;
use crate::turn::Server;

/// The document; of a user who has never put one an empty one, of version 0.
pub(super) async fn show<T: UserDocument>(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let (version, document) = desk.ask(move |server| read::<T>(server, &known(server, &name)?)).await??;
    Ok(file(version, &document))
}

/// With `If-Match` only in place of that version, which is 0 before there was one.
pub(super) async fn put<T: UserDocument>(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
    headers: HeaderMap,
    Object(document): Object<T>,
) -> Result<Response, Refusal> {
    let seen = if_match(&headers)?;
    document.check().map_err(Refusal::wrong)?;
    let version = desk.ask(move |server| {
        let aor = known(server, &name)?;
        let (version, _) = read::<T>(server, &aor)?;
        match seen.is_some_and(|seen| seen != version) {
            true => Err(Refusal::changed(version)),
            false => Ok((server.put_document(&aor, &document, &who)?, document)),
        }
    });
    let (version, document) = version.await??;
    Ok(file(version, &document))
}

fn read<T: UserDocument>(server: &Server, aor: &str) -> Result<(u64, T), Refusal> {
    let Some(record) = server.store.document(T::ABOUT, aor)? else { return Ok((0, T::default())) };
    let document = serde_json::from_str(&record.document);
    let unreadable = |error| Refusal::failed(format!("the {} in the store can't be read: {error}", T::NAME));
    Ok((record.version, document.map_err(unreadable)?))
}

pub(super) fn known(server: &Server, name: &str) -> Result<String, Refusal> {
    let aor = server.estate.rules().aor(name).map_err(Refusal::unknown)?;
    let user = server.store.user(&aor)?;
    user.map(|_| aor).ok_or_else(|| Refusal::unknown("there is no such user"))
}

fn file<T: UserDocument>(version: u64, document: &T) -> Response {
    ([(header::ETAG, etag(version))], Json(document)).into_response()
}
