//! What was asked for in the management shell and can't hold yet.

use super::super::Plan;
use super::super::management::{Held, KINDS};
use super::Findings;
use super::kinds::WAITS;

impl Plan {
    pub(super) fn check_waiting(&self, findings: &mut Findings) {
        for kind in KINDS {
            for (identity, object) in self.management().objects(kind) {
                let waits = kind.properties.iter().filter(|property| matches!(property.held, Held::Waits(_)));
                for (property, value) in
                    waits.filter_map(|property| Some((property, object.get(property.name)?)))
                {
                    let text = format!("{identity}: {} {} does not hold yet", property.name, value.to_toml());
                    findings.add(WAITS, text);
                }
            }
        }
    }
}
