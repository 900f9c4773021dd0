//! `/users/{name}/lock`: who is locked out of a user for too many wrong passwords, and an end to it.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use carillon_signaling::{Lock, Request};
use serde::{Deserialize, Serialize};

use super::documents::known;
use super::refusal::Refusal;
use super::{Caller, Who};
use crate::clock::Clock;
use crate::desk::Desk;
use crate::turn::Server;

/// Who is locked out of a user.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LockRow {
    /// A source: an IPv4 address, or the first of an IPv6 network of 64 bits. `None`: every one from which the user has not signed
    /// in by the directory, which is not asked so that it does not lock the account.
    pub source: Option<IpAddr>,
    /// When it ends by itself, in seconds since the Unix epoch.
    pub until: f64,
}

impl LockRow {
    fn of(lock: Lock, clock: Clock) -> LockRow {
        LockRow { source: Some(lock.source), until: clock.on_the_wall(lock.until).as_secs_f64() }
    }
}

pub(super) async fn show(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let locks = desk.ask(move |server| {
        let aor = known(server, &name)?;
        let locks = server.front_end.locks(server.clock.now(), &aor).into_iter();
        let held = server.held(&aor);
        let held =
            held.map(|until| LockRow { source: None, until: server.clock.on_the_wall(until).as_secs_f64() });
        let locks = locks.map(|lock| LockRow::of(lock, server.clock));
        Ok::<_, Refusal>(locks.chain(held).collect::<Vec<_>>())
    });
    let rows = locks.await??;
    Ok(Json(rows).into_response())
}

pub(super) async fn remove(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let unlocked = desk.ask(move |server| {
        let (aor, author) = (known(server, &name)?, server.author(&who));
        server.store.note_unlock(&aor, &author)?;
        if let Some(directory) = &server.directory {
            directory.forgive(&aor);
        }
        server.front_end.handle_request(server.clock.now(), Request::Unlock(aor));
        Ok::<_, Refusal>(())
    });
    unlocked.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Server {
    /// Until when the directory is not asked about a user's passwords, if that is so.
    pub(super) fn held(&self, aor: &str) -> Option<Duration> {
        self.directory.as_ref()?.held(self.clock.now(), aor)
    }
}
