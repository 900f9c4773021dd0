//! The admin API of an Edge.

use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use carillon_qos::TrafficClass;
use serde::Deserialize;
use serde_json::json;

use super::refusal::Refusal;
use super::{health, seconds};
use crate::desk::Desk;
use crate::edge::AvEdge;

/// What can be asked.
pub(super) fn routes(desk: Desk<AvEdge>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/health", get(health::<AvEdge>))
        .route("/ports", get(ports))
        .route("/reload", post(reload))
        .route("/credential", post(credential))
        .with_state(desk)
}

async fn status(State(desk): State<Desk<AvEdge>>) -> Result<Response, Refusal> {
    Ok(axum::Json(desk.ask(|edge| edge.status()).await?).into_response())
}

async fn ports(State(desk): State<Desk<AvEdge>>) -> Result<Response, Refusal> {
    Ok(axum::Json(desk.ask(|edge| edge.ports()).await?).into_response())
}

async fn reload(State(desk): State<Desk<AvEdge>>) -> Result<Response, Refusal> {
    let reloaded = desk.ask(|edge| edge.reload()).await?;
    Ok(axum::Json(reloaded.map_err(Refusal::wrong)?).into_response())
}

/// For whom, for what and for how long a credential is wished.
#[derive(Deserialize)]
struct Wanted {
    user: String,
    class: Option<String>,
    /// Seconds.
    lifetime: u64,
}

/// The longest that a credential lasts: a week.
const LONGEST: u64 = 7 * 86_400;

async fn credential(
    State(desk): State<Desk<AvEdge>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    let class = match wanted.class.as_deref() {
        None => None,
        Some(name) => Some(
            TrafficClass::from_name(name)
                .filter(|class| class.is_media())
                .ok_or_else(|| Refusal::wrong(vec![format!("{name:?} is no class of media")]))?,
        ),
    };
    if !(1..=LONGEST).contains(&wanted.lifetime) {
        return Err(Refusal::wrong(vec![format!("a credential lasts from 1 to {LONGEST} seconds")]));
    }
    let lifetime = Duration::from_secs(wanted.lifetime);
    let made = desk.ask(move |edge| edge.credential(&wanted.user, class, lifetime)).await?;
    let made = made.ok_or_else(|| {
        Refusal::wrong(vec![
            "no secret is configured (credentials.secrets): only [[relay-users]] may relay".to_owned(),
        ])
    })?;
    Ok(axum::Json(json!({ "username": made.username, "password": made.password, "ttl": seconds(lifetime) }))
        .into_response())
}
