//! Every version of the plan reaches every Edge: what a Front End sends to their Replicas, and what came of it.
//!
//! It runs on a thread of its own, asks the turn for what holds, and tells it how each Edge is. An Edge that can't be
//! reached is tried again after a pause that grows; the others don't wait for it.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use carillon_net::secured::connect;
use carillon_wire::ip::Dscp;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::certificate::replication_tls;
use crate::config::{Config, EdgeTarget};
use crate::desk::Desk;
use crate::edge::replica::{DIGEST, content_digest};
use crate::edge::settings::Settings;
use crate::turn::Server;

/// The first pause before an Edge is tried again. Each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest; so often an Edge that has everything is asked whether it still has.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An Edge that has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const LONGEST: usize = 64 << 10;

/// An Edge, and what it has.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EdgeRow {
    /// Its name.
    pub name: String,
    /// Where its Replica is.
    pub address: SocketAddr,
    /// The version of the plan that it has said to hold; `None`: it has not answered yet.
    pub version: Option<u64>,
    /// Seconds from when that version held here to when it held there, by both clocks.
    pub lag: Option<f64>,
    /// Why the last attempt failed; `None` if it did not.
    pub error: Option<String>,
}

/// The thread; it ends when this is dropped.
pub(crate) struct Replication {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What an Edge answers.
#[derive(Deserialize)]
struct Answer {
    version: u64,
    lag: Option<f64>,
}

/// Starts it, if there are Edges.
pub(crate) fn start(server: &Server, desk: &Desk) -> io::Result<Option<Replication>> {
    let edges = server.estate.config.edges.clone();
    if edges.is_empty() {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let (versions, marks, desk) = (server.versions.subscribe(), server.management.subscribe(), desk.clone());
    let thread = std::thread::Builder::new().name("replication".to_owned()).spawn(move || {
        runtime.block_on(async {
            for edge in edges {
                tokio::spawn(keep(edge, versions.clone(), marks.clone(), desk.clone()));
            }
            let _ = stopped.await;
        });
    })?;
    Ok(Some(Replication { stop: Some(stop), thread: Some(thread) }))
}

/// What is known of Edges before they have been asked.
pub(crate) fn rows(config: &Config) -> Vec<EdgeRow> {
    let row = |edge: &EdgeTarget| EdgeRow {
        name: edge.name.clone(),
        address: edge.address,
        version: None,
        lag: None,
        error: None,
    };
    config.edges.iter().map(row).collect()
}

/// Has an Edge hold what holds here, for as long as the service runs.
async fn keep(
    edge: EdgeTarget,
    mut versions: watch::Receiver<u64>,
    marks: watch::Receiver<Dscp>,
    desk: Desk,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        versions.mark_unchanged();
        let mark = *marks.borrow();
        let pushed = timeout(PATIENCE, push(&edge, mark, &desk)).await;
        let outcome = pushed.unwrap_or_else(|_| Err("it does not answer".to_owned()));
        let rest = if outcome.is_ok() { LONGEST_PAUSE } else { pause };
        pause = if outcome.is_ok() { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        let address = edge.address;
        // A desk that is full is told the next time.
        let _ = desk.leave(move |server| server.note_edge(address, outcome));
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return },
            () = sleep(rest) => {}
        }
    }
}

/// Sends the whole document. Whoever has it says so.
async fn push(edge: &EdgeTarget, mark: Dscp, desk: &Desk) -> Result<Answer, String> {
    let asked = desk.ask(|server| (server.store.plan(), server.estate.config.clone()));
    let (plan, config) = asked.await.map_err(|busy| busy.to_string())?;
    let plan = plan.map_err(|error| crate::chain(&error))?.ok_or("there is no plan")?;
    let settings = Settings { version: plan.version, time: plan.time.as_secs_f64(), plan: plan.toml };
    let document = serde_json::to_vec(&settings).map_err(|error| error.to_string())?;
    let tls = replication_tls(&config).map_err(|error| error.to_string())?;
    let name = ServerName::try_from(edge.name.clone()).map_err(|error| error.to_string())?;
    let stream = connect(None, edge.address, name, tls, mark).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let talking = tokio::spawn(async move { drop(connection.await) });
    let answer = sender.send_request(request(&edge.name, document)?).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = axum::body::to_bytes(Body::new(answer.into_body()), LONGEST).await;
    talking.abort();
    read(status, &body.map_err(|error| error.to_string())?)
}

fn request(host: &str, document: Vec<u8>) -> Result<Request<Body>, String> {
    let digest: [u8; 32] = Sha256::digest(&document).into();
    Request::builder()
        .method(Method::PUT)
        .uri("/settings")
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(DIGEST, content_digest(&digest))
        .body(Body::from(document))
        .map_err(|error| error.to_string())
}

fn read(status: StatusCode, body: &[u8]) -> Result<Answer, String> {
    if !status.is_success() {
        return Err(format!("it refuses: {status}: {}", String::from_utf8_lossy(body)));
    }
    serde_json::from_slice(body).map_err(|error| format!("its answer can't be read: {error}"))
}

impl Server {
    fn note_edge(&mut self, address: SocketAddr, outcome: Result<Answer, String>) {
        let Some(row) = self.edges.iter_mut().find(|row| row.address == address) else { return };
        match outcome {
            Ok(answer) => {
                if row.version != Some(answer.version) || row.error.is_some() {
                    tracing::info!(version = answer.version, "an Edge holds the plan");
                }
                (row.version, row.lag, row.error) = (Some(answer.version), answer.lag, None);
            }
            Err(why) => {
                if row.error.as_ref() != Some(&why) {
                    tracing::warn!("the plan does not reach an Edge: {why}");
                }
                row.error = Some(why);
            }
        }
    }
}

impl Drop for Replication {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
