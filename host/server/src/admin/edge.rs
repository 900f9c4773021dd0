//! The admin API of an Edge.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use super::door::media_class;
use super::refusal::Refusal;
use super::{health, seconds};
use crate::desk::Desk;
use crate::edge::status::{picture, ports as all_ports};
use crate::edge::{Edge, Unit};

/// What can be asked.
pub(super) fn routes(desk: Desk<Edge>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/health", get(health::<Edge>))
        .route("/ports", get(ports))
        .route("/reload", post(reload))
        .route("/credential", post(credential))
        .route("/units/{unit}/restart", post(restart))
        .with_state(desk)
}

async fn status(State(desk): State<Desk<Edge>>) -> Result<Response, Refusal> {
    Ok(axum::Json(picture(&desk).await?).into_response())
}

async fn ports(State(desk): State<Desk<Edge>>) -> Result<Response, Refusal> {
    Ok(axum::Json(all_ports(&desk).await?).into_response())
}

async fn reload(State(desk): State<Desk<Edge>>) -> Result<Response, Refusal> {
    let reloaded = desk.ask(|edge| edge.reload()).await?;
    Ok(axum::Json(reloaded.map_err(Refusal::wrong)?).into_response())
}

/// Whether running calls are waited for.
#[derive(Deserialize)]
struct Haste {
    #[serde(default)]
    now: bool,
}

/// Answers with the unit as it is then: it may still have to let go of what runs.
async fn restart(
    State(desk): State<Desk<Edge>>,
    Path(word): Path<String>,
    Query(haste): Query<Haste>,
) -> Result<Response, Refusal> {
    let unit = Unit::from_word(&word).ok_or_else(|| {
        let known = Unit::ALL.map(Unit::word).join(", ");
        Refusal::unknown(format!("{word:?} is no service of an Edge; they are {known}"))
    })?;
    let row = desk.ask(move |edge| edge.restart(unit, haste.now).map(|()| edge.unit(unit))).await?;
    Ok(axum::Json(row.map_err(|refused| Refusal::wrong(vec![refused.0]))?).into_response())
}

/// For whom, for what and for how long a credential is wished.
#[derive(Deserialize)]
struct Wanted {
    user: String,
    site: Option<String>,
    class: Option<String>,
    /// Seconds.
    lifetime: u64,
}

/// The longest that a credential lasts: a week.
const LONGEST: u64 = 7 * 86_400;

async fn credential(
    State(desk): State<Desk<Edge>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    let class = wanted.class.as_deref().map(media_class).transpose()?;
    if !(1..=LONGEST).contains(&wanted.lifetime) {
        return Err(Refusal::wrong(vec![format!("a credential lasts from 1 to {LONGEST} seconds")]));
    }
    let lifetime = Duration::from_secs(wanted.lifetime);
    let made = desk
        .ask(move |edge| edge.credential((&wanted.user, wanted.site.as_deref()), class, lifetime))
        .await?;
    let made = made.ok_or_else(|| {
        Refusal::wrong(vec![
            "no secret is configured (credentials.secrets): only [[relay-users]] may relay".to_owned(),
        ])
    })?;
    Ok(axum::Json(json!({ "username": made.username, "password": made.password, "ttl": seconds(lifetime) }))
        .into_response())
}
