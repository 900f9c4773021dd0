//! `/openapi.json`: what this API is, for programs. The document is kept beside the pages for people; a test holds it against the
//! routes.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// OpenAPI 3.1.
const DOCUMENT: &str = include_str!("../../../../docs/admin/openapi.json");

pub(super) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::{Method, Request, StatusCode};
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::admin::{resources, routes};
    use crate::desk::Desk;

    /// What is routed at a path, as the answer to a method says that nobody has.
    async fn methods(path: &str) -> BTreeSet<String> {
        let request = Request::builder().method(Method::TRACE).uri(path).body(Body::empty()).unwrap();
        let (desk, _orders) = Desk::woken_by(|| Ok(()), Arc::default());
        let answer = routes(desk, Path::new("")).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = answer.headers()[header::ALLOW].to_str().unwrap();
        allowed.split(',').filter(|method| *method != "HEAD").map(str::to_lowercase).collect()
    }

    #[tokio::test]
    async fn the_document_has_every_path_and_method_of_the_api_and_no_other() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<&String> = paths.keys().collect();
        let routed: BTreeSet<String> = resources().into_iter().map(|(path, _)| path).collect();
        assert_eq!(described, routed.iter().collect());
        for (path, item) in paths {
            let described = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            let path = path.replace("{name}", "alice").replace("{version}", "1");
            assert_eq!(methods(&path).await, described.cloned().collect(), "{path}");
        }
    }
}
