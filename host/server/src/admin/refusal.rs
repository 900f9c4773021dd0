//! Why a request was not carried out: a status, and JSON with the reasons.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use carillon_qos::plan::Problem;
use serde_json::json;

use crate::desk::Busy;

/// An answer that is no.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    reasons: Vec<String>,
    /// The version that holds, if the caller had another one in mind.
    version: Option<u64>,
}

impl Refusal {
    /// Something is wrong with what was sent.
    pub(super) fn wrong(reasons: Vec<String>) -> Refusal {
        Refusal { status: StatusCode::UNPROCESSABLE_ENTITY, reasons, version: None }
    }

    /// Something is wrong with a plan.
    pub(super) fn plan(problems: &[Problem]) -> Refusal {
        Refusal::wrong(problems.iter().map(Problem::to_string).collect())
    }

    /// It should have worked.
    pub(super) fn failed(reason: String) -> Refusal {
        Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, reasons: vec![reason], version: None }
    }

    /// There is no such thing.
    pub(super) fn unknown(what: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::NOT_FOUND, reasons: vec![what.into()], version: None }
    }

    /// Somebody else was faster: this version holds now.
    pub(super) fn changed(version: u64) -> Refusal {
        let reasons =
            vec![format!("it was changed meanwhile: version {version} holds; read it and try again")];
        Refusal { status: StatusCode::PRECONDITION_FAILED, reasons, version: Some(version) }
    }

    /// The caller must say which version it has seen.
    pub(super) fn unseen() -> Refusal {
        let reasons =
            vec!["say which version you have seen: If-Match: \"VERSION\", as GET answers in ETag".to_owned()];
        Refusal { status: StatusCode::PRECONDITION_REQUIRED, reasons, version: None }
    }

    /// The same with another line.
    pub(super) fn with(mut self, reason: String) -> Refusal {
        self.reasons.push(reason);
        self
    }
}

impl From<Busy> for Refusal {
    fn from(busy: Busy) -> Refusal {
        Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reasons: vec![busy.to_string()], version: None }
    }
}

impl From<carillon_store::Error> for Refusal {
    fn from(error: carillon_store::Error) -> Refusal {
        Refusal::failed(crate::chain(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "errors": self.reasons }));
        match self.version {
            Some(version) => (self.status, [(header::ETAG, etag(version))], body).into_response(),
            None => (self.status, body).into_response(),
        }
    }
}

/// A version as an ETag.
pub(super) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version in an `If-Match`.
pub(super) fn if_match(headers: &axum::http::HeaderMap) -> Option<u64> {
    headers.get(header::IF_MATCH)?.to_str().ok()?.trim().trim_matches('"').parse().ok()
}
