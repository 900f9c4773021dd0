//! What is sent as JSON: an object for an object. serde would take a list of its values, in their order, as well.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::refusal::Refusal;

/// The body of a request.
pub(super) struct Object<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Object<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Object<T>, Response> {
        let sent = Json::<Value>::from_request(request, state).await;
        let Json(sent) = sent.map_err(IntoResponse::into_response)?;
        object(sent).map(Object).map_err(IntoResponse::into_response)
    }
}

/// Reads one object.
pub(super) fn object<T: DeserializeOwned>(sent: Value) -> Result<T, Refusal> {
    if !sent.is_object() {
        return Err(Refusal::wrong(vec!["it is no JSON object".to_owned()]));
    }
    serde_json::from_value(sent).map_err(|error| Refusal::wrong(vec![error.to_string()]))
}
