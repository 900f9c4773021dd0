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
            let limits = limits(block)?;
            match (block.texts("users"), block.text("site")) {
                (Some(at), Some(_)) => {
                    let text =
                        "a user is meant whatever its site: take `site` away, or make two blocks of it";
                    self.refuse::<()>(block, at.line, "users", text);
                }
                (Some(users), None) => self.history_of_users(block, users, limits, &mut policy),
                (None, Some(At { value, line })) => {
                    if policy.sites.insert(value.clone(), limits).is_some() {
                        self.refuse::<()>(block, line, "site", format!("{value:?} has a block already"));
                    }
                }
                (None, None) if is_global_said => {
                    self.refuse::<()>(block, block.line, "", "there is a block for everybody already");
                }
                (None, None) => (policy.everybody, is_global_said) = (limits, true),
            }
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
