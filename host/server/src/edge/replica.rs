//! The Replica: HTTPS on the internal address, where a Front End puts the settings. Both ends prove themselves.
//!
//! `PUT /settings` with the document and its `Content-Digest` (RFC 9530); `GET /settings` says what holds.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_net::secured::{Accepted, Arrived, SecuredListener, proven_by};
use carillon_net::tls::is_for;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Edge;
use super::inbox::Inbox;
use super::settings::{Held, NotTaken};
use super::start::StartError;
use super::status::EdgeListener;
use super::supervisor::management;
use super::unit::{Context, Facts, Opened, Part, Unit};
use crate::certificate::{CertificateError, Greeting, internal_server_tls};
use crate::config::{EdgeConfig, Listening};
use crate::desk::{Desk, Service};

/// Who has not finished the handshake by then is cut off.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes at once; who comes later waits in the kernel's queue.
const HANDSHAKES: usize = 16;
/// The longest document, in bytes. A plan has some thousand.
const LONGEST: usize = 1 << 20;
/// How much is read of a longer one, in bytes, before it is cut off.
const PATIENCE: usize = 16 * LONGEST;

/// The unit.
struct Replica {
    context: Context,
    inbox: Inbox,
    listening: Vec<Listening>,
    listener: Arc<SecuredListener>,
    rules: watch::Sender<Arc<Rules>>,
    over: bool,
}

/// What holds for connections that come now.
struct Rules {
    greeting: Greeting,
    from: Vec<String>,
}

/// Opens its listener.
pub(super) fn open(context: &Context) -> Result<Opened, StartError> {
    let config = context.config.borrow().clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Kernel)?;
    let within = runtime.enter();
    let rules = Rules::of(&config).map_err(StartError::Certificate)?;
    let listening = config.listening(Unit::Replica);
    let missing = || StartError::Certificate(CertificateError::Missing("replica"));
    let address = listening.first().ok_or_else(missing)?.address;
    let listener = SecuredListener::listen(address, management(&config)).map_err(StartError::Bind)?;
    drop(within);
    let (desk, inbox) = Inbox::new();
    let (context, listener) = (context.clone(), Arc::new(listener));
    let rules = watch::Sender::new(Arc::new(rules));
    let unit = Replica { context, inbox, listening, listener, rules, over: false };
    Ok(Opened { desk, run: Box::new(move || run(unit, &runtime)) })
}

fn run(mut unit: Replica, runtime: &Runtime) -> io::Result<()> {
    runtime.block_on(async {
        let (proven, arriving) = mpsc::channel(1);
        tokio::spawn(take(unit.listener.clone(), unit.rules.subscribe(), proven));
        let door = Door { arriving, address: unit.listener.address() };
        let reach = Reach { edge: unit.context.edge.clone(), rules: unit.rules.subscribe() };
        let service = routes(reach).into_make_service_with_connect_info::<Caller>();
        tokio::spawn(async move { drop(axum::serve(door, service).await) });
        while !unit.over {
            let order = unit.inbox.next().await;
            order(&mut unit);
        }
    });
    Ok(())
}

/// Takes connections; those that have proven themselves go on.
async fn take(
    listener: Arc<SecuredListener>,
    rules: watch::Receiver<Arc<Rules>>,
    proven: mpsc::Sender<(Accepted, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let arrived = match listener.accept().await {
            Ok(arrived) => arrived,
            Err(error) => {
                tracing::debug!("a connection can't be taken: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, proven) = (rules.borrow().greeting.tls.clone(), proven.clone());
        tokio::spawn(async move {
            if let Some(came) = secured(arrived, tls).await {
                drop(permit);
                let _ = proven.send(came).await;
            }
        });
    }
}

async fn secured(arrived: Arrived, tls: Arc<ServerConfig>) -> Option<(Accepted, SocketAddr)> {
    let remote = arrived.remote;
    match timeout(HANDSHAKE, arrived.secure(tls)).await {
        Ok(Ok(stream)) => Some((stream, remote)),
        Ok(Err(error)) => {
            tracing::warn!("somebody did not prove himself at the Replica: {error}");
            None
        }
        Err(_) => None,
    }
}

/// What handlers reach.
#[derive(Clone)]
struct Reach {
    edge: Desk<Edge>,
    rules: watch::Receiver<Arc<Rules>>,
}

fn routes(reach: Reach) -> Router {
    Router::new().route("/settings", get(show).put(put)).with_state(reach)
}

async fn show(State(reach): State<Reach>, caller: Who) -> Response {
    if let Some(refusal) = reach.refusal(&caller.0) {
        return refusal;
    }
    match reach.edge.ask(|edge| edge.held.clone()).await {
        Ok(Some(held)) => told(&held),
        Ok(None) => refuse(StatusCode::NOT_FOUND, vec!["no settings have come yet".to_owned()]),
        Err(busy) => refuse(StatusCode::SERVICE_UNAVAILABLE, vec![busy.to_string()]),
    }
}

async fn put(State(reach): State<Reach>, caller: Who, headers: HeaderMap, body: Body) -> Response {
    if let Some(refusal) = reach.refusal(&caller.0) {
        return refusal;
    }
    let document = match whole(body).await {
        Ok(document) => document,
        Err((status, reason)) => return refuse(status, vec![reason]),
    };
    let digest: [u8; 32] = Sha256::digest(&document).into();
    if headers.get(DIGEST).is_none_or(|said| said.as_bytes() != content_digest(&digest).as_bytes()) {
        let reason = format!("`{DIGEST}` must be there and be that of the document, as sha-256 (RFC 9530)");
        return refuse(StatusCode::BAD_REQUEST, vec![reason]);
    }
    match reach.edge.ask(move |edge| edge.take(&document)).await {
        Ok(Ok(held)) => told(&held),
        Ok(Err(not)) => not_taken(not),
        Err(busy) => refuse(StatusCode::SERVICE_UNAVAILABLE, vec![busy.to_string()]),
    }
}

/// What was sent. One that is too long is read on: an answer to somebody who is still sending is lost with the connection.
async fn whole(mut body: Body) -> Result<Vec<u8>, (StatusCode, String)> {
    let (mut document, mut length) = (Vec::new(), 0);
    while length <= PATIENCE
        && let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        let frame =
            frame.map_err(|error| (StatusCode::BAD_REQUEST, format!("it did not come whole: {error}")))?;
        let data = frame.into_data().unwrap_or_default();
        length += data.len();
        if length <= LONGEST {
            document.extend_from_slice(&data);
        }
    }
    if length > LONGEST {
        let reason = format!("the document is longer than {LONGEST} bytes");
        return Err((StatusCode::PAYLOAD_TOO_LARGE, reason));
    }
    Ok(document)
}

fn not_taken(not: NotTaken) -> Response {
    let (status, reasons) = match not {
        NotTaken::Older(held) => {
            (StatusCode::CONFLICT, vec![format!("version {held} is held, which is newer")])
        }
        NotTaken::Other(held) => {
            (StatusCode::CONFLICT, vec![format!("another document is held as version {held}")])
        }
        NotTaken::Wrong(reasons) => (StatusCode::UNPROCESSABLE_ENTITY, reasons),
        NotTaken::Store(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, vec![format!("it can't be kept: {error} (replica.store)")])
        }
    };
    tracing::error!("settings are refused: {}", reasons.join("; "));
    refuse(status, reasons)
}

fn told(held: &Held) -> Response {
    let answer = json!({ "version": held.version, "lag": held.lag });
    ([(DIGEST, content_digest(&held.digest))], Json(answer)).into_response()
}

fn refuse(status: StatusCode, reasons: Vec<String>) -> Response {
    (status, Json(json!({ "errors": reasons }))).into_response()
}

/// The field of RFC 9530, 2.
pub(crate) const DIGEST: &str = "content-digest";

/// Its value.
pub(crate) fn content_digest(digest: &[u8; 32]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest))
}

impl Reach {
    /// The answer to who may not send settings.
    fn refusal(&self, caller: &Caller) -> Option<Response> {
        let from = self.rules.borrow().from.clone();
        let may =
            caller.0.as_ref().is_some_and(|certificate| from.iter().any(|name| is_for(certificate, name)));
        (!may).then(|| {
            tracing::warn!("somebody with another name came to the Replica");
            let reason = "the certificate is for none of the names in `replica.from`".to_owned();
            refuse(StatusCode::FORBIDDEN, vec![reason])
        })
    }
}

/// Who speaks, as the certificate proves.
#[derive(Clone)]
struct Caller(Option<CertificateDer<'static>>);

type Who = ConnectInfo<Caller>;

impl Connected<IncomingStream<'_, Door>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Caller {
        Caller(proven_by(stream.io()).cloned())
    }
}

/// Connections that have proven themselves, as axum takes them.
struct Door {
    arriving: mpsc::Receiver<(Accepted, SocketAddr)>,
    address: SocketAddr,
}

impl Listener for Door {
    type Io = Accepted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Accepted, SocketAddr) {
        match self.arriving.recv().await {
            Some(came) => came,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Rules {
    fn of(config: &EdgeConfig) -> Result<Rules, CertificateError> {
        let replica = config.replica.as_ref().ok_or(CertificateError::Missing("replica"))?;
        Ok(Rules { greeting: internal_server_tls(config)?, from: replica.from.clone() })
    }
}

impl Service for Replica {
    fn reload(&mut self) {
        let config = self.context.config.borrow().clone();
        if let Err(error) = self.listener.set_mark(management(&config)) {
            tracing::error!("the Replica keeps its old mark: {error}");
        }
        match Rules::of(&config) {
            Ok(rules) => drop(self.rules.send_replace(Arc::new(rules))),
            Err(error) => tracing::error!("the Replica keeps its old certificates: {error}"),
        }
    }

    fn stop(&mut self) {
        self.over = true;
    }
}

impl Part for Replica {
    fn facts(&self) -> Facts {
        let facts = &self.rules.borrow().greeting.facts;
        let listeners = self.listening.iter().map(|one| EdgeListener::of(one).showing(facts));
        Facts { listeners: listeners.collect(), ..Facts::default() }
    }
}
