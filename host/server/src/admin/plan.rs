//! `/plan`: the plan that holds, its versions, and another one in its place. A version is an ETag: no edit is lost.

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use carillon_store::PlanVersion;
use serde_json::json;

use super::refusal::{Refusal, etag, if_match};
use super::{Caller, Who, seconds};
use crate::changes::PlanRefused;
use crate::desk::Desk;

pub(super) async fn show(State(desk): State<Desk>) -> Result<Response, Refusal> {
    let plan = desk.ask(|server| server.store.plan()).await??;
    plan.map(|plan| file(&plan)).ok_or_else(|| Refusal::unknown("there is no plan"))
}

/// The body is the plan's TOML; `If-Match` names the version that it replaces.
pub(super) async fn put(
    State(desk): State<Desk>,
    ConnectInfo(Caller(who)): Who,
    headers: HeaderMap,
    toml: String,
) -> Result<Response, Refusal> {
    let seen = if_match(&headers)?.ok_or_else(Refusal::unseen)?;
    let put = desk.ask(move |server| server.put_plan(&toml, seen, &who)).await?;
    let version = put.map_err(|refused| match refused {
        PlanRefused::Changed(version) => Refusal::changed(version),
        PlanRefused::Wrong(problems) => Refusal::plan(&problems),
        refused => Refusal::failed(refused.to_string()),
    })?;
    Ok(([(header::ETAG, etag(version))], Json(json!({ "version": version }))).into_response())
}

pub(super) async fn versions(State(desk): State<Desk>) -> Result<Response, Refusal> {
    let versions = desk.ask(|server| server.store.plan_versions()).await??;
    let row = |plan: &PlanVersion| json!({ "version": plan.version, "time": seconds(plan.time), "who": plan.who, "source": plan.source });
    Ok(Json(versions.iter().map(row).collect::<Vec<_>>()).into_response())
}

pub(super) async fn version(State(desk): State<Desk>, Path(version): Path<u64>) -> Result<Response, Refusal> {
    let plan = desk.ask(move |server| server.store.plan_version(version)).await??;
    plan.map(|plan| file(&plan)).ok_or_else(|| Refusal::unknown("there is no such version"))
}

fn file(plan: &PlanVersion) -> Response {
    let headers = [(header::ETAG, etag(plan.version)), (header::CONTENT_TYPE, "application/toml".to_owned())];
    (headers, plan.toml.clone()).into_response()
}
