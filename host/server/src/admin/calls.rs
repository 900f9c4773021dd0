//! `/calls`: the records of calls. They are read from their file beside the turn, which hears nothing of it.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use carillon_store::{CallPage, CallQuery, CallReader, CallRow, CallSummary, Error};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::PAGE;
use super::refusal::Refusal;
use crate::desk::Desk;

/// What is asked for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct CallsAsked {
    /// Both legs of this call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    /// Legs with this user at either end, as records show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Legs that ended so; `open` for those that have not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// Calls that began then or later, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Calls that began before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The next page: what the last one said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Rows at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// `csv`, or JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

impl CallsAsked {
    /// The same for the file.
    pub fn query(&self) -> CallQuery {
        CallQuery {
            call: self.call,
            user: self.user.clone(),
            ending: self.ending.clone(),
            since: self.since.map(Duration::from_secs),
            until: self.until.map(Duration::from_secs),
            before: self.before,
            limit: self.limit.unwrap_or(PAGE).clamp(1, PAGE),
        }
    }
}

/// A page as JSON: `rows`, and what `before` is for the next.
pub fn page_json(page: &CallPage) -> serde_json::Value {
    json!({ "rows": page.rows, "next": page.next })
}

/// A summary as JSON.
pub fn summary_json(summary: &CallSummary) -> serde_json::Value {
    let endings: serde_json::Map<_, _> =
        summary.endings.iter().map(|(ending, calls)| (ending.clone(), json!(calls))).collect();
    let relayed: Vec<_> = summary
        .relayed
        .iter()
        .map(|pair| {
            let share = (pair.known > 0).then(|| pair.relayed as f64 * 100.0 / pair.known as f64);
            json!({ "sites": pair.sites, "calls": pair.calls, "known": pair.known, "relayed": pair.relayed, "percent": share })
        })
        .collect();
    json!({ "calls": summary.calls, "answered": summary.answered, "endings": endings, "relayed": relayed })
}

pub(super) async fn list(
    State(desk): State<Desk>,
    Query(asked): Query<CallsAsked>,
) -> Result<Response, Refusal> {
    let query = asked.query();
    let page = read(&desk, move |reader| reader.page(&query)).await?;
    if asked.format.as_deref() != Some("csv") {
        return Ok(Json(page_json(&page)).into_response());
    }
    let lines: String = page.rows.iter().map(CallRow::csv).collect();
    let head = if asked.before.is_none() { CallRow::csv_header() } else { String::new() };
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], head + &lines).into_response())
}

pub(super) async fn summary(
    State(desk): State<Desk>,
    Query(asked): Query<CallsAsked>,
) -> Result<Response, Refusal> {
    let query = asked.query();
    let summary = read(&desk, move |reader| reader.summary(&query)).await?;
    Ok(Json(summary_json(&summary)).into_response())
}

/// Reads on a thread that may wait.
async fn read<T: Send + 'static>(
    desk: &Desk,
    read: impl FnOnce(&CallReader) -> Result<T, Error> + Send + 'static,
) -> Result<T, Refusal> {
    let file = desk.ask(|server| server.estate.config.records.file.clone()).await?;
    let task = tokio::task::spawn_blocking(move || read(&CallReader::open(&file)?));
    let done = task.await.map_err(|error| Refusal::failed(error.to_string()))?;
    Ok(done?)
}
