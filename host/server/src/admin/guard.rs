//! The admin API over HTTPS, under `/api`: whoever shows the token of a user does what the user's role lets it. What is refused to
//! somebody who is known stands in the audit.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};

use super::Caller;
use super::door::{Public, Remote, too_soon};
use super::refusal::{Refusal, in_json};
use crate::roles::{Deed, UserRole, needed};
use crate::turn::Server;

/// Where the API is.
const PLACE: &str = "/api";

/// What pages may send, and what they may read of an answer (CORS).
const PREFLIGHT: [(header::HeaderName, &str); 2] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, PUT, POST, DELETE"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-Match, If-None-Match"),
];

/// The API behind its guard.
pub(super) fn guarded(api: Router, public: &Arc<Public>) -> Router {
    let guarded = Router::new().nest(PLACE, api).route_layer(from_fn_with_state(Arc::clone(public), guard));
    guarded.layer(map_response(in_json))
}

/// What is asked for.
struct Asked {
    token: String,
    method: Method,
    route: String,
    path: String,
    /// The user whom it is about.
    name: Option<String>,
}

async fn guard(
    State(public): State<Arc<Public>>,
    ConnectInfo(Remote(remote)): ConnectInfo<Remote>,
    route: MatchedPath,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers().clone();
    let answer = match (public.admits(remote), request.method()) {
        (false, _) => too_soon(std::time::Duration::from_secs(1)),
        (true, &Method::OPTIONS) => preflight(&public, &headers),
        (true, _) => {
            let name = parameters.iter().find(|(key, _)| *key == "name").map(|(_, name)| name.to_owned());
            admitted(&public, &route, name, request, next).await
        }
    };
    let mut answer = public.cross_origin(&headers, answer);
    let fields = answer.headers_mut();
    fields.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    fields.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag"));
    answer
}

/// A browser asks whether a page may ask.
fn preflight(public: &Public, headers: &HeaderMap) -> Response {
    match public.may_ask(headers) {
        Some(_) => (StatusCode::NO_CONTENT, PREFLIGHT).into_response(),
        None => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn admitted(
    public: &Public,
    route: &MatchedPath,
    name: Option<String>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(token) = bearer(request.headers()) else { return unproven(None) };
    let path = |path: &str| path.strip_prefix(PLACE).unwrap_or(path).to_owned();
    let (method, route) = (request.method().clone(), path(route.as_str()));
    let asked = Asked { token, method, route, path: path(request.uri().path()), name };
    match public.desk.ask(move |server| server.judged(&asked)).await {
        Ok(Ok(Some(caller))) => {
            request.extensions_mut().insert(ConnectInfo(Caller(caller)));
            next.run(request).await
        }
        Ok(Ok(None)) => unproven(Some("invalid_token")),
        Ok(Err(refusal)) => refusal.into_response(),
        Err(busy) => Refusal::from(busy).into_response(),
    }
}

/// The token of a request (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim().to_owned())
}

/// RFC 6750, 3: without a token no error is named.
fn unproven(error: Option<&str>) -> Response {
    let error = error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
    let refusal = Refusal::unproven("show a token: Authorization: Bearer TOKEN, as GET /token gives it");
    ([(header::WWW_AUTHENTICATE, format!("Bearer realm=\"carillon\"{error}"))], refusal).into_response()
}

impl Server {
    /// Who asks, if the token holds, and whether it may: in a turn.
    fn judged(&mut self, asked: &Asked) -> Result<Option<String>, Refusal> {
        let Some(caller) = self.front_end.token_holder(self.clock.now(), &asked.token) else {
            return Ok(None);
        };
        let role = UserRole::of(&self.store, &caller)?;
        let about = asked.name.as_deref().and_then(|name| self.estate.rules().aor(name).ok());
        let of = match &about {
            Some(aor) if self.store.user(aor)?.is_some() => Some(UserRole::of(&self.store, aor)?),
            _ => None,
        };
        let own = about.as_deref() == Some(&*caller);
        let needed = needed(&Deed { method: &asked.method, route: &asked.route, own, of });
        if role >= needed {
            return Ok(Some(caller));
        }
        let author = self.author(&caller);
        self.store.note_refusal(&format!("{} {}", asked.method, asked.path), &author)?;
        Err(Refusal::forbidden(format!("it takes the role `{}`; you have `{}`", needed.name(), role.name())))
    }
}
