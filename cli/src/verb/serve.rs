//! `carillon serve`: the server, as a service or to try it out.

mod welcome;

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use carillon_server::config::Configuration;
use carillon_server::{dev, edge, serve};

use crate::answer::{Answer, Failure};
use crate::args;
use crate::plans;

/// Serves until it is told to stop.
pub fn run(args: args::Serve, out: &mut dyn Write) -> Result<Answer, Failure> {
    match &args.config {
        Some(file) => {
            let config = Configuration::load(file).map_err(|refusal| {
                Failure::Message(format!("`{}` is refused:\n{refusal}", file.display()))
            })?;
            match config {
                Configuration::FrontEnd(config) => serve(config, Some(file), |_| ()).map_err(cannot_serve)?,
                Configuration::Edge(config) => {
                    edge::serve(config, Some(file), |_| ()).map_err(cannot_serve)?;
                }
            }
        }
        None => {
            let prepared = dev::prepare(&options(args)?).map_err(cannot_serve)?;
            let mut told = Ok(());
            serve(prepared.config.clone(), None, |ready| told = welcome::print(&prepared, ready, out))
                .map_err(cannot_serve)?;
            told?;
        }
    }
    Ok(Answer::Yes)
}

/// Where `serve --dev` keeps everything, unless it is told: here, or where the user keeps such things.
pub(super) fn state_directory() -> PathBuf {
    let state = env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty());
    state.map_or_else(PathBuf::new, PathBuf::from).join("carillon-dev")
}

fn options(args: args::Serve) -> Result<dev::Options, Failure> {
    Ok(dev::Options {
        plan: Arc::new(plans::load(&args.plan)?),
        directory: args.state.unwrap_or_else(state_directory),
        listen: args.listen,
        port: args.port,
        plain: args.plain,
        metrics: args.metrics,
        log: args.log,
    })
}

fn cannot_serve(error: impl std::error::Error) -> Failure {
    Failure::new("cannot serve", carillon_server::chain(&error))
}
