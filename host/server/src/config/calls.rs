//! What the file of a Front End says of calls: what dialled numbers mean, and where voicemail is.

use carillon_signaling::{DialRule, Dialling, Request};

use super::raw::{At, Block, Raw};
use super::resolve::Resolver;
use crate::rosters::is_address;

/// Numbers and voicemail.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Calls {
    /// What dialled numbers mean.
    pub dialling: Dialling,
    /// The address of the voicemail.
    pub voicemail: Option<String>,
}

impl Calls {
    /// What the Front End is told.
    pub(crate) fn request(&self) -> Request {
        Request::SetDialling { dialling: self.dialling.clone(), voicemail: self.voicemail.clone() }
    }
}

impl Resolver<'_> {
    pub(super) fn calls(&mut self, raw: &Raw) -> Option<Calls> {
        let voicemail = self.voicemail(&raw.block("calls"));
        let blocks = raw.blocks("dialling").iter();
        let rules: Vec<Option<DialRule>> = blocks.map(|block| self.dial_rule(block)).collect();
        let dialling = Dialling::new(rules.into_iter().collect::<Option<_>>()?);
        Some(Calls { dialling, voicemail: voicemail? })
    }

    fn voicemail(&mut self, block: &Block) -> Option<Option<String>> {
        match block.text("voicemail") {
            None => Some(None),
            Some(At { value, .. }) if is_address(&value) => Some(Some(value.to_lowercase())),
            Some(At { value, line }) => {
                let text = format!("{value:?} is no address such as voicemail@example.com");
                self.refuse(block, line, "voicemail", text)
            }
        }
    }

    fn dial_rule(&mut self, block: &Block) -> Option<DialRule> {
        let (site, context) = (block.text("site"), block.text("context"));
        let (dialled, number) = (block.text("dialled")?, block.text("number")?);
        let word = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
        let (site, context) = (word(&site), word(&context));
        let rule = DialRule::new(site.as_deref(), context.as_deref(), &dialled.value, &number.value);
        rule.map_err(|why| self.refuse::<()>(block, dialled.line, "", why)).ok()
    }
}
