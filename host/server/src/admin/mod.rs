//! The admin API: JSON over HTTP on a Unix socket; and health and metrics over TCP. Reference: docs/admin/api.md.
//!
//! It runs on a thread of its own and changes nothing itself: it leaves orders at the [`Desk`] and says what came of them.

mod client;
mod plan;
mod refusal;
mod users;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::{IncomingStream, Listener};
use carillon_net::admin_socket::{AdminSocket, listen_tcp};
use carillon_net::bind_error::BindError;
use carillon_qos::TrafficClass;
use carillon_qos::plan::RolePolicy;
use serde::Deserialize;
use serde_json::json;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::oneshot;

pub use client::{Client, ClientError, PlanFile, PlanRow};
pub use users::{Imported, UserRow, Wrong};

use crate::config::Config;
use crate::desk::{Desk, Health};
use refusal::Refusal;

/// The thread; it ends, and the socket's file goes, when this is dropped.
pub(crate) struct Admin {
    /// Where health and metrics are.
    pub(crate) metrics: Option<SocketAddr>,
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
    /// The kernel refuses a thread.
    Kernel(io::Error),
}

/// Opens the socket, and the address of metrics if there is one.
pub(crate) fn open(config: &Config, policy: &RolePolicy, desk: Desk) -> Result<Admin, OpenError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OpenError::Kernel)?;
    let inside = runtime.enter();
    let socket = AdminSocket::listen(&config.admin_socket)
        .map_err(|error| OpenError::Socket(config.admin_socket.clone(), error))?;
    let mark = policy.mark(TrafficClass::Management);
    let http =
        config.metrics.map(|address| listen_tcp(address, mark)).transpose().map_err(OpenError::Bind)?;
    let metrics = http.as_ref().and_then(|listener| listener.local_addr().ok());
    drop(inside);
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || runtime.block_on(serve(Door(socket), http, desk, stopped)))
        .map_err(OpenError::Kernel)?;
    Ok(Admin { metrics, stop: Some(stop), thread: Some(thread) })
}

impl Drop for Admin {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(door: Door, http: Option<TcpListener>, desk: Desk, stopped: oneshot::Receiver<()>) {
    let admin = routes(desk.clone()).into_make_service_with_connect_info::<Caller>();
    let metrics = async {
        match http {
            Some(listener) => axum::serve(listener, public_routes(desk)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = axum::serve(door, admin) => tracing::error!(?ended, "the admin API has ended"),
        ended = metrics => tracing::error!(?ended, "health and metrics have ended"),
        _ = stopped => {}
    }
}

fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/health", get(health))
        .route("/reload", post(reload))
        .route("/audit", get(audit))
        .route("/users", get(users::list).post(users::import))
        .route("/users/{name}", get(users::show).put(users::put).delete(users::remove))
        .route("/plan", get(plan::show).put(plan::put))
        .route("/plan/versions", get(plan::versions))
        .route("/plan/versions/{version}", get(plan::version))
        .with_state(desk)
}

/// What anybody may see who reaches the address.
fn public_routes(desk: Desk) -> Router {
    Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(desk)
}

async fn status(State(desk): State<Desk>) -> Result<Response, Refusal> {
    Ok(axum::Json(desk.ask(|server| server.status()).await??).into_response())
}

/// 200 while phones are served; 503 from the moment on in which they should go elsewhere.
async fn health(State(desk): State<Desk>) -> Response {
    let health: &Health = desk.health();
    let stopping = || health.is_stopping().then(|| "the server is being stopped".to_owned());
    let trouble = match health.trouble().or_else(stopping) {
        Some(trouble) => Some(trouble),
        // A turn that is stuck answers nothing; by then it may have said why.
        None => desk.ask(|_| ()).await.err().map(|busy| health.trouble().unwrap_or(busy.to_string())),
    };
    match trouble {
        None => axum::Json(json!({ "healthy": true })).into_response(),
        Some(trouble) => {
            let body = axum::Json(json!({ "healthy": false, "trouble": trouble }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn metrics(State(desk): State<Desk>) -> Result<Response, Refusal> {
    let page = desk.ask(|server| server.metrics()).await?;
    Ok(([("content-type", "text/plain; version=0.0.4")], page).into_response())
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
            OpenError::Kernel(error) => write!(f, "the kernel refuses a thread: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}
