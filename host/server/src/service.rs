//! A server as a service: started, reachable for administrators, told by signals, and ended in good order.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carillon_net::notify::notify;
use carillon_wire::sip::Transport;

use crate::admin;
use crate::config::Config;
use crate::start::{StartError, start};
use crate::{directory, log, replication, signals};

/// Where a running server is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Where SIP is spoken.
    pub listeners: Vec<(Transport, SocketAddr)>,
    /// Where health and metrics are.
    pub metrics: Option<SocketAddr>,
    /// Where administrators are.
    pub admin_socket: PathBuf,
}

/// Why a service ended that should not have.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceError<E = StartError> {
    /// It did not start.
    Start(E),
    /// Administrators can't reach it.
    Admin(admin::OpenError),
    /// The kernel refuses to wait for signals or sockets.
    Kernel(std::io::Error),
}

/// Runs until it is told to stop. `ready` is called once, when phones may come.
pub fn serve(config: Config, file: Option<&Path>, ready: impl FnOnce(&Ready)) -> Result<(), ServiceError> {
    log::begin(&config.log);
    let (server, desk) = start(config.clone(), file.map(Path::to_owned)).map_err(ServiceError::Start)?;
    let admin = admin::of_front_end(&config, &server, desk.clone()).map_err(ServiceError::Admin)?;
    let replication = replication::start(&server, &desk).map_err(ServiceError::Kernel)?;
    let directory = directory::start(&server, &desk).map_err(ServiceError::Kernel)?;
    let _signals = signals::listen(desk).map_err(ServiceError::Kernel)?;
    let listeners =
        server.estate.listeners.iter().map(|bound| (bound.config.transport, bound.address)).collect();
    ready(&Ready { listeners, metrics: admin.metrics(), admin_socket: config.admin_socket });
    tracing::info!(listeners = server.estate.listeners.len(), plan = server.estate.plan_version, "serving");
    tell("READY=1");
    let over = server.run();
    tell("STOPPING=1");
    drop((admin, replication, directory));
    tracing::info!("stopped");
    over.map_err(ServiceError::Kernel)
}

/// Tells the service manager, if there is one.
pub(crate) fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = notify(&socket, state) {
        tracing::warn!("the service manager can't be told {state}: {error}");
    }
}

impl<E: fmt::Display> fmt::Display for ServiceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Start(error) => error.fmt(f),
            ServiceError::Admin(error) => error.fmt(f),
            ServiceError::Kernel(error) => write!(f, "the kernel refuses to wait: {error}"),
        }
    }
}

impl<E: std::error::Error> std::error::Error for ServiceError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServiceError::Start(error) => error.source(),
            ServiceError::Admin(error) => error.source(),
            ServiceError::Kernel(_) => None,
        }
    }
}
