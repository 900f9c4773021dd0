//! A configuration that is read again: every unit hears of it; what waits until one is restarted, or the service, is named.

use std::sync::Arc;

use serde::Serialize;

use super::settings::{fits, with_held};
use super::supervisor::{Edge, management};
use crate::config::{Configuration, EdgeConfig};

/// What a reload has done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Reloaded {
    /// Keys whose new values hold after a restart only: of the unit that is named, or of the service.
    pub after_restart: Vec<String>,
}

impl Edge {
    /// Reads the configuration again; the reasons if it is refused, one a line.
    pub(crate) fn reload(&mut self) -> Result<Reloaded, Vec<String>> {
        let file = self.file.as_deref().ok_or_else(|| vec!["there is no file to read again".to_owned()])?;
        let config = match Configuration::load(file) {
            Ok(Configuration::Edge(config)) => config,
            Ok(Configuration::FrontEnd(_)) => {
                return Err(vec!["the file is that of a Front End now; that needs a restart".to_owned()]);
            }
            Err(refusal) => return Err(refusal.0.iter().map(ToString::to_string).collect()),
        };
        if config.director.is_some() != self.first.director.is_some() {
            return Err(vec!["the file is that of another role now; that needs a restart".to_owned()]);
        }
        self.check_held(&config)?;
        self.change_to(config);
        Ok(Reloaded { after_restart: self.waiting() })
    }

    /// What the Replica took for messages only may be no plan for media.
    pub(super) fn check_held(&self, config: &EdgeConfig) -> Result<(), Vec<String>> {
        let Some(held) = self.held.as_ref().filter(|_| config.replica.is_some()) else { return Ok(()) };
        fits(&held.plan.plan, config.media).map_err(|problem| {
            let version = held.version;
            vec![format!("profile: there is media now, and the plan of version {version} that the Replica took, {problem}")]
        })
    }

    /// A plan that the Replica has taken goes before that of the file.
    pub(super) fn change_to(&mut self, config: EdgeConfig) {
        let config = with_held(config, self.held.as_ref());
        let mark = management(&config);
        self.management.send_if_modified(|held| std::mem::replace(held, mark) != mark);
        self.config.send_replace(Arc::new(config));
        self.tell_units();
    }

    /// What the configuration says and does not hold yet.
    fn waiting(&self) -> Vec<String> {
        let config = self.config.borrow();
        let mut waiting: Vec<String> = self.first.waits(&config, None).map(str::to_owned).collect();
        for slot in &self.slots {
            let Some(running) = slot.running() else { continue };
            let keys = running.config.waits(&config, Some(slot.unit));
            waiting.extend(keys.map(|key| format!("{key} (carillon edge restart {})", slot.unit.word())));
        }
        waiting
    }
}
