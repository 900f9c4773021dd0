//! What users of any client are given over HTTPS for their own password by Digest (RFC 7616): `GET /turn`, relays in the manner
//! of the TURN REST draft (draft-uberti-behave-turn-rest), and `GET /token`, what proves them to SIP for a while (RFC 8898). Who
//! may have what is decided by the Front End, in a turn.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::map_request_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::IncomingStream;
use axum::{Json, Router};
use carillon_net::admin_socket::MarkedListener;
use carillon_qos::TrafficClass;
use carillon_signaling::{DoorQuestion, DoorRefusal, FrontEnd};
use carillon_wire::forwarded::Proxies;
use carillon_wire::ip::Dscp;
use carillon_wire::source::{Rate, Sources};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::guard::guarded;
use super::login;
use super::public::marked;
use super::refusal::Refusal;
use crate::desk::Desk;
use crate::directory::Directory;
use crate::openid::OpenId;
use crate::tls_door::{Greeting, TlsDoor};

/// Requests of one source in a second; more are answered 429.
const PER_SECOND: u32 = 50;

/// Who comes in, and how it is greeted.
pub(super) struct Entrance {
    pub(super) greeting: Greeting,
    /// Pages of these may ask (CORS).
    pub(super) origins: Vec<String>,
    /// Who says for whom it asks.
    pub(super) proxies: Arc<Proxies>,
}

/// Serves until the runtime ends.
pub(super) async fn serve(
    listener: Arc<MarkedListener>,
    marks: watch::Receiver<Dscp>,
    entrance: Entrance,
    api: Option<Router>,
    judges: Judges,
    desk: Desk,
) {
    let Entrance { greeting, origins, proxies } = entrance;
    let routes =
        routes(desk, origins, api, judges).layer(map_request_with_state(Arc::clone(&proxies), for_whom));
    let routes = routes.into_make_service_with_connect_info::<Remote>();
    marked(listener, marks, "HTTPS", |accepting, mut changed| {
        let until = async move { drop(changed.changed().await) };
        let door = TlsDoor::new(accepting, greeting.clone(), Arc::clone(&proxies));
        let serving = axum::serve(door, routes.clone()).with_graceful_shutdown(until);
        async move { drop(serving.await) }
    })
    .await;
}

/// What comes by a proxy of ours is of whom it asks for, for all that is counted and refused here.
async fn for_whom(State(proxies): State<Arc<Proxies>>, mut request: Request) -> Request {
    if let Some(ConnectInfo(Remote(remote))) = request.extensions().get::<ConnectInfo<Remote>>().copied() {
        let values = request.headers().get_all(proxies.field().name());
        let client = proxies.client(remote, values.iter().map(HeaderValue::as_bytes));
        request.extensions_mut().insert(ConnectInfo(Remote(client)));
    }
    request
}

fn routes(desk: Desk, origins: Vec<String>, api: Option<Router>, (directory, openid): Judges) -> Router {
    let public = Arc::new(Public { desk, directory, openid, origins, pace: Pace::new() });
    let api = api.map(|api| guarded(api, &public));
    Router::new()
        .route("/turn", get(turn).options(preflight))
        .route("/token", get(token).options(preflight))
        .route("/openid/begin", get(super::openid::begin))
        .route("/openid/return", get(super::openid::come_back))
        .with_state(public)
        .merge(api.unwrap_or_default())
}

/// Others who say who somebody is: a directory, and an OpenID provider.
pub(super) type Judges = (Option<Arc<Directory>>, Option<Arc<OpenId>>);

/// What all that is given here needs.
pub(super) struct Public {
    pub(super) desk: Desk,
    /// Who judges passwords that are shown as they are (Basic).
    pub(super) directory: Option<Arc<Directory>>,
    /// Who vouches for whom browsers are sent to.
    pub(super) openid: Option<Arc<OpenId>>,
    origins: Vec<String>,
    pace: Pace,
}

/// A request.
pub(super) struct Asked {
    pub(super) remote: SocketAddr,
    method: Method,
    uri: Uri,
    pub(super) headers: HeaderMap,
}

/// What the query says.
#[derive(Deserialize)]
struct Wanted {
    service: Option<String>,
    username: Option<String>,
    class: Option<String>,
}

async fn turn(public: State<Arc<Public>>, asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    asked.answered(&public.0, relays(&public.0, &asked, wanted)).await
}

async fn token(public: State<Arc<Public>>, asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let given = async {
        match login::shown(&public.0, &asked) {
            Some(login) => login::token(&public.0, &asked, login).await,
            None => token_of(&public.0, &asked, wanted).await,
        }
    };
    asked.answered(&public.0, given).await
}

/// A browser asks whether a page may ask (CORS).
async fn preflight(State(public): State<Arc<Public>>, headers: HeaderMap) -> Response {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization"),
    ];
    match public.may_ask(&headers) {
        Some(_) => public.cross_origin(&headers, (StatusCode::NO_CONTENT, allowed).into_response()),
        None => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn relays(public: &Public, asked: &Asked, wanted: Wanted) -> Result<Response, Refusal> {
    if wanted.service.as_deref() != Some("turn") {
        return Err(Refusal::wrong(vec!["say which service: ?service=turn".to_owned()]));
    }
    let class = wanted.class.as_deref().map(media_class).transpose()?;
    let decide = FrontEnd::relay_question;
    let given = match asked.decided(public, wanted.username, class, decide).await? {
        Ok(given) => given,
        Err(refusal) => return refused(refusal, "there are no relays"),
    };
    Ok(Json(json!({
        "username": given.credential.username,
        "password": given.credential.password,
        "ttl": given.lasts.as_secs(),
        "uris": given.servers.iter().map(|server| server.uri.to_string()).collect::<Vec<_>>(),
    }))
    .into_response())
}

/// As authorization servers answer (RFC 6749, 5.1).
async fn token_of(public: &Public, asked: &Asked, wanted: Wanted) -> Result<Response, Refusal> {
    match asked.decided(public, wanted.username, None, FrontEnd::token_question).await? {
        Ok(given) => Ok(token_json(&given)),
        Err(DoorRefusal::Challenge(mut values)) => {
            values.extend(login::challenge(public));
            Ok(challenge(&values))
        }
        Err(refusal) => refused(refusal, "there is no such user"),
    }
}

/// A token, and for how long it holds.
pub(super) fn token_json((token, lasts): &(String, Duration)) -> Response {
    Json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": lasts.as_secs() }))
        .into_response()
}

fn refused(refusal: DoorRefusal, nothing: &str) -> Result<Response, Refusal> {
    match refusal {
        DoorRefusal::Challenge(values) => Ok(challenge(&values)),
        DoorRefusal::TooSoon(left) => Ok(too_soon(left)),
        DoorRefusal::Nothing => Err(Refusal::unknown(nothing)),
    }
}

impl Asked {
    /// What the Front End decides, in a turn.
    async fn decided<T: Send + 'static>(
        &self,
        public: &Public,
        user: Option<String>,
        class: Option<TrafficClass>,
        decide: fn(&mut FrontEnd, Duration, &DoorQuestion<'_>) -> Result<T, DoorRefusal>,
    ) -> Result<Result<T, DoorRefusal>, Refusal> {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let authorization = self.headers.get(header::AUTHORIZATION).and_then(text);
        let (remote, method) = (self.remote, self.method.to_string());
        let target = self.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let decided = public.desk.ask(move |server| {
            let question = DoorQuestion {
                remote,
                method: &method,
                target: &target,
                authorization: authorization.as_deref(),
                user: user.as_deref(),
                class,
            };
            decide(&mut server.front_end, server.clock.now(), &question)
        });
        Ok(decided.await?)
    }

    /// The answer, if it is not too early for one: nobody keeps it, and a page of a listed origin may read it.
    pub(super) async fn answered(
        &self,
        public: &Public,
        answer: impl Future<Output = Result<Response, Refusal>>,
    ) -> Response {
        let mut answer = match public.admits(self.remote) {
            true => answer.await.unwrap_or_else(IntoResponse::into_response),
            false => too_soon(Duration::from_secs(1)),
        };
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        public.cross_origin(&self.headers, answer)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked, Response> {
        let remote = ConnectInfo::<Remote>::from_request_parts(parts, state).await;
        let ConnectInfo(Remote(remote)) = remote.map_err(IntoResponse::into_response)?;
        let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
        Ok(Asked { remote, method, uri, headers })
    }
}

/// The class of media of that name.
pub(super) fn media_class(name: &str) -> Result<TrafficClass, Refusal> {
    TrafficClass::from_name(name)
        .filter(|class| class.is_media())
        .ok_or_else(|| Refusal::wrong(vec![format!("{name:?} is no class of media")]))
}

/// One field for each value: browsers pick the first that they know.
pub(super) fn challenge(values: &[String]) -> Response {
    let mut answer = StatusCode::UNAUTHORIZED.into_response();
    for value in values.iter().filter_map(|value| HeaderValue::from_str(value).ok()) {
        answer.headers_mut().append(header::WWW_AUTHENTICATE, value);
    }
    answer
}

pub(super) fn too_soon(left: Duration) -> Response {
    let seconds = left.as_millis().div_ceil(1000).to_string();
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)]).into_response()
}

impl Public {
    /// Pages that may ask are of these.
    pub(super) fn origins(&self) -> &[String] {
        &self.origins
    }

    pub(super) fn admits(&self, remote: SocketAddr) -> bool {
        self.pace.admits(Instant::now(), remote)
    }

    /// The origin of a page that may ask.
    pub(super) fn may_ask<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()).then_some(origin)
    }

    /// The answer with what lets a page of a listed origin read it.
    pub(super) fn cross_origin(&self, asked: &HeaderMap, mut answer: Response) -> Response {
        if let Some(origin) = self.may_ask(asked) {
            let headers = answer.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
        answer
    }
}

/// What each source has asked.
struct Pace {
    began: Instant,
    asked: Mutex<Sources>,
}

impl Pace {
    fn new() -> Pace {
        let seed = RandomState::new().hash_one(PER_SECOND);
        Pace { began: Instant::now(), asked: Mutex::new(Sources::new(Rate::each_second(PER_SECOND), seed)) }
    }

    fn admits(&self, now: Instant, remote: SocketAddr) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.take(now.saturating_duration_since(self.began), remote.ip())
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, TlsDoor>> for Remote {
    fn connect_info(stream: IncomingStream<'_, TlsDoor>) -> Remote {
        Remote(*stream.remote_addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_answered_so_often_in_a_second_and_others_meanwhile() {
        let pace = Pace::new();
        let [one, other] = ["192.0.2.1:1", "192.0.2.2:1"].map(|text| text.parse().unwrap());
        let begin = pace.began;
        let answered = (0..2 * PER_SECOND).filter(|_| pace.admits(begin, one)).count();
        assert_eq!(answered, PER_SECOND as usize);
        assert!(pace.admits(begin, other));
        let each = Duration::from_secs(1) / PER_SECOND;
        assert!(!pace.admits(begin + each - Duration::from_millis(1), one) && pace.admits(begin + each, one));
    }
}
