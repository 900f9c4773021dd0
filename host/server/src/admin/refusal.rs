//! Why a request was not carried out: a status, and JSON with the reasons.

use axum::Json;
use axum::body::to_bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use carillon_qos::plan::Problem;
use serde_json::json;

use crate::desk::Busy;

/// The longest refusal of axum's, in bytes.
const LONGEST: usize = 64 << 10;

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

    /// It can't be read.
    pub(super) fn malformed(reason: &str) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, reasons: vec![reason.to_owned()], version: None }
    }

    /// Nobody has proven who asks.
    pub(super) fn unproven(reason: &str) -> Refusal {
        Refusal { status: StatusCode::UNAUTHORIZED, reasons: vec![reason.to_owned()], version: None }
    }

    /// Who asks may not.
    pub(super) fn forbidden(reason: String) -> Refusal {
        Refusal { status: StatusCode::FORBIDDEN, reasons: vec![reason], version: None }
    }

    /// Whom it takes does not answer now.
    pub(super) fn unavailable(reason: &str) -> Refusal {
        Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reasons: vec![reason.to_owned()], version: None }
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
        match &error {
            carillon_store::Error::NumberTaken { .. } => Refusal::wrong(vec![error.to_string()]),
            _ => Refusal::failed(crate::chain(&error)),
        }
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

/// What axum itself refuses, it refuses in plain text; here every refusal is JSON.
pub(super) async fn in_json(answer: Response) -> Response {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !plain || !answer.status().is_client_error() {
        return answer;
    }
    let status = answer.status();
    let text = to_bytes(answer.into_body(), LONGEST).await.unwrap_or_default();
    let reasons = vec![String::from_utf8_lossy(&text).into_owned()];
    Refusal { status, reasons, version: None }.into_response()
}

/// A version as an ETag.
pub(super) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version in an `If-Match`.
pub(super) fn if_match(headers: &axum::http::HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = number.filter(|number| number.bytes().all(|digit| digit.is_ascii_digit()));
    match version.and_then(|number| number.parse().ok()) {
        Some(version) => Ok(Some(version)),
        // Taken for none it would overwrite what the caller wants to be safe.
        None => Err(Refusal::malformed("If-Match: a version in quotes is wanted, as GET answers in ETag")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_version_is_not_taken_for_any() {
        for (text, seen) in
            [("\"7\"", Some(7)), ("7", None), ("\"\"", None), ("", None), ("\"+7\"", None), ("*", None)]
        {
            let headers = [(header::IF_MATCH, text.parse().unwrap())].into_iter().collect();
            assert_eq!(if_match(&headers).ok(), seen.map(Some), "{text}");
        }
        assert_eq!(if_match(&axum::http::HeaderMap::new()).unwrap(), None);
    }
}
