//! The admin API: JSON over HTTP on a Unix socket; and health and metrics over TCP. Reference: docs/admin/api.md.
//!
//! It runs on a thread of its own and changes nothing itself: it leaves orders at the [`Desk`] and says what came of them.

mod body;
mod calls;
mod client;
mod directory;
mod documents;
mod door;
mod edge;
mod guard;
mod lock;
mod login;
mod messages;
mod openapi;
mod openid;
mod plan;
mod public;
mod refusal;
mod users;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use axum::serve::{IncomingStream, Listener};
use axum::{Extension, Router};
use carillon_net::admin_socket::{AdminSocket, MarkedListener};
use carillon_net::bind_error::BindError;
use carillon_wire::ip::Dscp;
use serde::Deserialize;
use serde_json::json;
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};

pub use calls::{CallsAsked, page_json, summary_json};
pub use client::{AnyStatus, Client, ClientError, PlanFile, PlanRow, RelayCredential};
pub use directory::DirectoryRow;
pub use lock::LockRow;
pub use openid::AccountRow;
pub(crate) use openid::NO_ACCOUNT;
pub use users::{Imported, UserRow, Wrong};

use crate::call_rules::CallRulesFile;
use crate::config::{Config, EdgeConfig};
use crate::desk::{Desk, Health, Watched};
use crate::documents::UserDocument;
use crate::edge::Edge;
use crate::roles::RoleFile;
use crate::rosters::RosterFile;
use crate::turn::Server;
use refusal::Refusal;

/// The thread; it ends, and the socket's file goes, when this is dropped.
pub(crate) struct Admin {
    metrics: Option<Arc<MarkedListener>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why administrators can't reach the server.
#[derive(Debug)]
pub enum OpenError {
    /// The Unix socket can't be had.
    Socket(PathBuf, io::Error),
    /// The address for health and metrics can't be had.
    Bind(BindError),
    /// The address for HTTPS can't be had.
    Https(BindError),
    /// The kernel refuses a thread.
    Kernel(io::Error),
}

/// Where administrators and scrapers come in.
#[derive(Clone, Copy)]
pub(crate) struct Doors<'a> {
    /// The Unix socket.
    pub(crate) socket: &'a Path,
    /// Health and metrics.
    pub(crate) metrics: Option<SocketAddr>,
}

/// Opens what the configuration of a Front End says.
pub(crate) fn of_front_end(config: &Config, server: &Server, desk: Desk) -> Result<Admin, OpenError> {
    let doors = Doors { socket: &config.admin_socket, metrics: config.metrics };
    let marks = server.management.subscribe();
    let https = config.https.map(|listen| {
        let listener = MarkedListener::listen(listen, *marks.borrow()).map_err(OpenError::Https)?;
        let entrance = door::Entrance {
            greeting: server.greeting.subscribe(),
            origins: config.origins.clone(),
            proxies: Arc::new(config.proxies.clone()),
        };
        let api = config.administration.then(|| routes(desk.clone(), &config.store));
        Ok(door::serve(
            Arc::new(listener),
            marks.clone(),
            entrance,
            api,
            (server.directory.clone(), server.openid.clone()),
            desk.clone(),
        ))
    });
    let https = https.transpose()?;
    let beside = async {
        if let Some(https) = https {
            https.await
        }
    };
    open(doors, routes(desk.clone(), &config.store), marks, desk, beside)
}

/// Opens what the configuration of an Edge says.
pub(crate) fn of_edge(config: &EdgeConfig, edge: &Edge, desk: Desk<Edge>) -> Result<Admin, OpenError> {
    let doors = Doors { socket: &config.admin_socket, metrics: config.metrics };
    open(doors, edge::routes(desk.clone()), edge.management.subscribe(), desk, async {})
}

/// Opens the socket, and the address of metrics if there is one, whose mark is as `marks` says. `beside` runs as long.
pub(crate) fn open<S: Watched>(
    doors: Doors<'_>,
    routes: Router,
    marks: watch::Receiver<Dscp>,
    desk: Desk<S>,
    beside: impl Future<Output = ()> + Send + 'static,
) -> Result<Admin, OpenError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OpenError::Kernel)?;
    let inside = runtime.enter();
    let socket = AdminSocket::listen(doors.socket)
        .map_err(|error| OpenError::Socket(doors.socket.to_owned(), error))?;
    let listen = |address| MarkedListener::listen(address, *marks.borrow()).map(Arc::new);
    let metrics = doors.metrics.map(listen).transpose().map_err(OpenError::Bind)?;
    tokio::spawn(beside);
    drop(inside);
    let (stop, stopped) = oneshot::channel();
    let http = metrics.clone();
    let thread = std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || runtime.block_on(serve(Door(socket), routes, http, marks, desk, stopped)))
        .map_err(OpenError::Kernel)?;
    Ok(Admin { metrics, stop: Some(stop), thread: Some(thread) })
}

impl Admin {
    /// Where health and metrics are.
    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|listener| listener.address())
    }

    /// The mark of new connections there, read back from the kernel.
    #[cfg(test)]
    pub(crate) fn metrics_mark(&self) -> Option<Dscp> {
        self.metrics.as_ref()?.marks().ok()?.v4
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Until the end of the service. Neither of the two ends because the other has.
async fn serve<S: Watched>(
    door: Door,
    routes: Router,
    http: Option<Arc<MarkedListener>>,
    marks: watch::Receiver<Dscp>,
    desk: Desk<S>,
    stopped: oneshot::Receiver<()>,
) {
    if let Some(listener) = http {
        tokio::spawn(public::serve(listener, marks, desk));
    }
    let admin = axum::serve(door, routes.into_make_service_with_connect_info::<Caller>());
    tokio::spawn(async move {
        let ended = admin.await;
        tracing::error!(?ended, "the admin API has ended");
    });
    // When this returns, the runtime ends, and with it everything that runs on it.
    let _ = stopped.await;
}

fn routes(desk: Desk, store: &Path) -> Router {
    let all = resources().into_iter();
    let routes = all.fold(Router::new(), |routes, (path, methods)| routes.route(&path, methods));
    let users = Extension(directory::Users(store.into()));
    routes.layer(users).layer(map_response(refusal::in_json)).with_state(desk)
}

/// What there is, each with its path; docs/admin/openapi.json describes it.
fn resources() -> Vec<(String, MethodRouter<Desk>)> {
    let user = |name: &str| format!("/users/{{name}}{name}");
    vec![
        ("/status".to_owned(), get(status)),
        ("/links".to_owned(), get(links)),
        ("/health".to_owned(), get(health::<Server>)),
        ("/openapi.json".to_owned(), get(openapi::show)),
        ("/reload".to_owned(), post(reload)),
        ("/audit".to_owned(), get(audit)),
        ("/calls".to_owned(), get(calls::list)),
        ("/calls/summary".to_owned(), get(calls::summary)),
        ("/directory".to_owned(), get(directory::search)),
        ("/directory/confirm".to_owned(), post(directory::confirm)),
        ("/users".to_owned(), get(users::list).post(users::import)),
        (user(""), get(users::show).put(users::put).delete(users::remove)),
        (user("/number"), put(users::put_number)),
        (user("/device-password"), post(users::device_password)),
        (user("/lock"), get(lock::show).delete(lock::remove)),
        (user("/messages"), get(messages::list).delete(messages::remove)),
        (user("/messages/count"), get(messages::count)),
        (user("/account"), get(openid::account).delete(openid::release)),
        document::<RosterFile>(),
        document::<CallRulesFile>(),
        document::<RoleFile>(),
        ("/plan".to_owned(), get(plan::show).put(plan::put)),
        ("/plan/versions".to_owned(), get(plan::versions)),
        ("/plan/versions/{version}".to_owned(), get(plan::version)),
    ]
}

/// `/users/{name}/` and the name of a document.
fn document<T: UserDocument>() -> (String, MethodRouter<Desk>) {
    (format!("/users/{{name}}/{}", T::NAME), get(documents::show::<T>).put(documents::put::<T>))
}

async fn status(State(desk): State<Desk>) -> Result<Response, Refusal> {
    Ok(axum::Json(desk.ask(|server| server.status()).await??).into_response())
}

async fn links(State(desk): State<Desk>) -> Result<Response, Refusal> {
    Ok(axum::Json(desk.ask(|server| server.link_status()).await?).into_response())
}

/// 200 while phones are served, or 503 and what is the matter, in full.
async fn health<S: Watched>(State(desk): State<Desk<S>>) -> Response {
    let trouble = match trouble(desk.health()) {
        Some(trouble) => Some(trouble),
        // A turn that is stuck answers nothing; by then it may have said why.
        None => S::beat(&desk).await.err().map(|busy| desk.health().trouble().unwrap_or(busy.to_string())),
    };
    healthy(trouble)
}

/// What the turn itself says.
fn trouble(health: &Health) -> Option<String> {
    health.trouble().or_else(|| health.is_stopping().then(|| "the server is being stopped".to_owned()))
}

fn healthy(trouble: Option<String>) -> Response {
    match trouble {
        None => axum::Json(json!({ "healthy": true })).into_response(),
        Some(trouble) => {
            let body = axum::Json(json!({ "healthy": false, "trouble": trouble }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn reload(State(desk): State<Desk>) -> Result<Response, Refusal> {
    let reloaded = desk.ask(|server| server.reload()).await?;
    Ok(axum::Json(reloaded.map_err(Refusal::wrong)?).into_response())
}

/// A part of a list.
#[derive(Deserialize)]
struct Page {
    before: Option<u64>,
    limit: Option<usize>,
}

/// Rows of one answer, unless fewer are asked for.
const PAGE: usize = 1000;

async fn audit(State(desk): State<Desk>, Query(page): Query<Page>) -> Result<Response, Refusal> {
    let limit = page.limit.unwrap_or(PAGE).min(PAGE);
    let entries = desk.ask(move |server| server.store.audit(page.before, limit)).await??;
    let rows: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            json!({
                "id": entry.id, "time": seconds(entry.time), "who": entry.who, "what": entry.what,
                "object": entry.object, "before": entry.before, "after": entry.after,
            })
        })
        .collect();
    Ok(axum::Json(rows).into_response())
}

/// Seconds since the Unix epoch, with their fraction.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// The Unix socket, as axum takes it.
struct Door(AdminSocket);

impl Listener for Door {
    type Io = UnixStream;
    type Addr = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> (UnixStream, Self::Addr) {
        loop {
            match self.0.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!("an administrator can't be let in: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.listener.local_addr()
    }
}

/// Who speaks, as the kernel vouches for it.
#[derive(Clone, Debug)]
struct Caller(String);

impl Connected<IncomingStream<'_, Door>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Caller {
        let uid = stream.io().peer_cred().map(|peer| peer.uid());
        Caller(uid.map_or_else(|_| "unknown".to_owned(), |uid| format!("uid {uid}")))
    }
}

/// Who speaks, for handlers.
type Who = ConnectInfo<Caller>;

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Socket(path, error) => write!(
                f,
                "cannot open the admin socket `{}`: {error}; its directory must be there and writable (admin.socket)",
                path.display()
            ),
            OpenError::Bind(error) => write!(f, "{error} (metrics.listen)"),
            OpenError::Https(error) => write!(f, "{error} (https.listen)"),
            OpenError::Kernel(error) => write!(f, "the kernel refuses a thread: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}
