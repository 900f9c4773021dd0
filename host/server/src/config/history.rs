//! `[[history]]`: whose instant messages are kept, for how long, and how many.

use std::time::Duration;

use carillon_signaling::{HistoryLimits, HistoryPolicy};

use super::raw::{At, Block, Raw};
use super::resolve::Resolver;
use crate::rosters::is_address;

impl Resolver<'_> {
    pub(super) fn history(&mut self, raw: &Raw) -> Option<HistoryPolicy> {
        let mut policy = HistoryPolicy::default();
        let mut is_global_said = false;
        for block in raw.blocks("history") {
            let Some(limits) = limits(block) else { continue };
            let (users, site) = (block.texts("users"), block.text("site"));
            if users.is_none() && site.is_none() {
                if std::mem::replace(&mut is_global_said, true) {
                    self.refuse::<()>(block, block.line, "", "there is a block for everybody already");
                }
                policy.everybody = limits;
            }
            if let Some(At { value, line }) = site
                && policy.sites.insert(value.clone(), limits).is_some()
            {
                self.refuse::<()>(block, line, "site", format!("{value:?} has a block already"));
            }
            users.into_iter().for_each(|users| self.history_of_users(block, users, limits, &mut policy));
        }
        Some(policy)
    }

    fn history_of_users(
        &mut self,
        block: &Block,
        At { value, line }: At<Vec<String>>,
        limits: Option<HistoryLimits>,
        policy: &mut HistoryPolicy,
    ) {
        for user in value {
            if !is_address(&user) {
                let text = format!("{user:?} is no address such as alice@example.com");
                self.refuse::<()>(block, line, "users", text);
            } else if policy.users.insert(user.to_lowercase(), limits).is_some() {
                self.refuse::<()>(block, line, "users", format!("{user:?} is there twice"));
            }
        }
    }
}

/// The inner `None` is off.
fn limits(block: &Block) -> Option<Option<HistoryLimits>> {
    let (days, messages) = (block.number("days")?.value, block.number("messages")?.value);
    let limits = HistoryLimits { age: Duration::from_secs(days * 86_400), messages };
    Some((block.text("keep")?.value == "on").then_some(limits))
}
