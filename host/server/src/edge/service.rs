//! An Edge as a service: started, reachable for administrators, told by signals, and ended in good order.

use std::net::SocketAddr;
use std::path::Path;

use super::start::StartError;
use super::supervisor::start;
use crate::admin;
use crate::config::EdgeConfig;
use crate::service::{ServiceError, tell};
use crate::{log, signals};

/// Runs until it is told to stop. `ready` is called once, with the listeners, when clients may come.
pub fn serve(
    config: EdgeConfig,
    file: Option<&Path>,
    ready: impl FnOnce(&[SocketAddr]),
) -> Result<(), ServiceError<StartError>> {
    log::begin(&config.log);
    let (edge, desk) = start(config.clone(), file.map(Path::to_owned)).map_err(ServiceError::Start)?;
    let admin = admin::of_edge(&config, &edge, desk.clone()).map_err(ServiceError::Admin)?;
    let _signals = signals::listen(desk).map_err(ServiceError::Kernel)?;
    let listeners: Vec<SocketAddr> = config.listeners().iter().map(|listening| listening.address).collect();
    ready(&listeners);
    tracing::info!(listeners = listeners.len(), plan = config.plan.plan.name(), "serving");
    tell("READY=1");
    let over = edge.run();
    tell("STOPPING=1");
    drop(admin);
    tracing::info!("stopped");
    over.map_err(ServiceError::Kernel)
}
