//! The settings that the inside has sent: checked, kept on disk, and handed to every unit before the sender hears so.
//!
//! They come as one whole document with its version; what is older than what is held is refused.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use carillon_qos::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::supervisor::Edge;
use crate::config::{ConfiguredPlan, EdgeConfig};

/// The document.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The version of the plan, from 1.
    pub(crate) version: u64,
    /// Since when it holds inside, in seconds since the Unix epoch.
    pub(crate) time: f64,
    /// The file of the plan.
    pub(crate) plan: String,
}

/// A document that holds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Held {
    pub(crate) version: u64,
    /// SHA-256 of the document, byte for byte.
    pub(crate) digest: [u8; 32],
    /// Seconds from the time when it held inside to the time when it held here, by both clocks; at least 0.
    pub(crate) lag: Option<f64>,
    pub(crate) plan: ConfiguredPlan,
}

/// Why a document is not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// This newer version is held.
    Older(u64),
    /// Another document of the same version is held.
    Other(u64),
    /// What is wrong with it, one a line.
    Wrong(Vec<String>),
    /// It can't be kept.
    Store(io::Error),
}

impl Edge {
    /// Has the document hold, from the next packet on. After an error nothing has changed.
    pub(crate) fn take(&mut self, document: &[u8]) -> Result<Held, NotTaken> {
        let config = EdgeConfig::clone(&self.config.borrow());
        let mut new = read(document, config.media).map_err(NotTaken::Wrong)?;
        if let Some(held) = &self.held
            && !is_newer(&new, held)?
        {
            return Ok(held.clone());
        }
        let Some(replica) = &config.replica else {
            return Err(NotTaken::Wrong(vec!["this Edge has no section [replica]".to_owned()]));
        };
        keep(&replica.store, document).map_err(NotTaken::Store)?;
        new.lag = new.lag.map(|sent| (self.clock.now().as_secs_f64() - sent).max(0.0));
        self.held = Some(new.clone());
        self.change_to(config);
        tracing::info!(version = new.version, "other settings hold");
        Ok(new)
    }
}

/// Whether it goes before what is held; false if it is the same, an error if it may not.
fn is_newer(new: &Held, held: &Held) -> Result<bool, NotTaken> {
    match new.version.cmp(&held.version) {
        Ordering::Greater => Ok(true),
        Ordering::Equal if new.digest == held.digest => Ok(false),
        Ordering::Equal => Err(NotTaken::Other(held.version)),
        Ordering::Less => Err(NotTaken::Older(held.version)),
    }
}

/// What is kept since the last run; nothing if it can't be used, which the log says.
pub(super) fn kept(config: &EdgeConfig) -> Option<Held> {
    let file = &config.replica.as_ref()?.store;
    let document = match fs::read(file) {
        Ok(document) => document,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!("the settings in `{}` can't be read: {error}", file.display());
            return None;
        }
    };
    match read(&document, config.media) {
        Ok(held) => Some(Held { lag: None, ..held }),
        Err(reasons) => {
            reasons.iter().for_each(|reason| tracing::error!("{reason}"));
            tracing::error!("the settings in `{}` are not used", file.display());
            None
        }
    }
}

/// The configuration with the plan that was sent, once one was.
pub(super) fn with_held(config: EdgeConfig, held: Option<&Held>) -> EdgeConfig {
    match held.filter(|_| config.replica.is_some()) {
        Some(held) => EdgeConfig { plan: held.plan.clone(), ..config },
        None => config,
    }
}

/// Whether an Edge can work by it: one with media needs ports to relay from.
pub(super) fn fits(plan: &Plan, media: bool) -> Result<(), String> {
    match plan.edge_ports() {
        None if media => {
            Err(format!("{} has no relay ports: it needs `ports` in its section [edge]", plan.name()))
        }
        _ => Ok(()),
    }
}

/// Its meaning, with the time of the sender in the place of the lag.
fn read(document: &[u8], media: bool) -> Result<Held, Vec<String>> {
    let settings: Settings = serde_json::from_slice(document)
        .map_err(|error| vec![format!("it is no settings document: {error}")])?;
    let plan = Plan::from_toml(&settings.plan)
        .map_err(|problems| problems.iter().map(|problem| format!("plan: {problem}")).collect::<Vec<_>>())?;
    fits(&plan, media).map_err(|problem| vec![format!("plan: {problem}")])?;
    let plan = ConfiguredPlan { toml: settings.plan, plan: Arc::new(plan) };
    let digest = Sha256::digest(document).into();
    Ok(Held { version: settings.version, digest, lag: Some(settings.time), plan })
}

/// The whole file or the one before, whenever the machine stops.
fn keep(file: &Path, document: &[u8]) -> io::Result<()> {
    let (directory, unborn) = (file.parent().unwrap_or(Path::new(".")), file.with_extension("new"));
    let mut new = File::create(&unborn)?;
    new.write_all(document)?;
    new.sync_all()?;
    fs::rename(&unborn, file)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(version: u64, plan: &str) -> Vec<u8> {
        serde_json::to_vec(&Settings { version, time: 1.0, plan: plan.to_owned() }).unwrap()
    }

    #[test]
    fn versions_only_go_forward_and_one_version_is_one_document() {
        let plan = "name = \"a\"\nbase = \"lync-kloud\"\n";
        let held = read(&document(7, plan), true).unwrap();
        let judged = |document: &[u8]| is_newer(&read(document, true).unwrap(), &held);
        assert!(judged(&document(8, plan)).unwrap());
        assert!(!judged(&document(7, plan)).unwrap());
        assert!(matches!(judged(&document(6, plan)), Err(NotTaken::Older(7))));
        let other = plan.replace("\"a\"", "\"b\"");
        assert!(matches!(judged(&document(7, &other)), Err(NotTaken::Other(7))));
    }

    #[test]
    fn what_is_no_document_or_no_plan_of_an_edge_says_so_and_never_panics() {
        let wrong = |document: &[u8]| read(document, true).unwrap_err().join("\n");
        assert!(wrong(b"{\"version\": 1}").starts_with("it is no settings document: "));
        assert!(wrong(&document(1, "base = \"no-such\"")).starts_with("plan: "));
        let whole = document(1, "base = \"lync-kloud\"");
        for end in 0..whole.len() {
            read(&whole[..end], true).unwrap_err();
        }
    }
}
