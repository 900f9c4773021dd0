//! The challenges that were met, and the credentials that answer them (RFC 3261, 22).

use carillon_wire::sip::{Message, Method, Name};

use super::contract::Settings;
use super::token::Tokens;
use crate::digest::{Challenge, Login};

/// The newest challenge of the server itself and of the proxy in it, and how often each was answered.
#[derive(Default)]
pub(super) struct Keyring {
    server: Option<(Challenge, u32)>,
    proxy: Option<(Challenge, u32)>,
}

impl Keyring {
    /// Takes the challenge of a 401 or 407. False if there is none that we can answer, or if `attempts` answers were
    /// refused: the same password is refused again, unless only the nonce was too old.
    pub(super) fn learn<B: AsRef<[u8]>>(&mut self, response: &Message<B>, attempts: u8) -> bool {
        let fields = [(Name::WwwAuthenticate, &mut self.server), (Name::ProxyAuthenticate, &mut self.proxy)];
        for (name, kept) in fields {
            let challenge = Challenge::strongest(response.all(name));
            let worth = |challenge: &Challenge| attempts == 0 || (challenge.is_stale() && attempts < 3);
            if let Some(challenge) = challenge.filter(worth) {
                *kept = Some((challenge, 0));
                return true;
            }
        }
        false
    }

    /// Credentials for whoever has asked for some: sent unasked from then on, as long as the nonce holds.
    pub(super) fn credentials(
        &mut self,
        tokens: &mut Tokens,
        settings: &Settings,
        method: Method<'_>,
        uri: &str,
    ) -> Vec<(&'static str, String)> {
        let cnonce = tokens.text();
        let login = Login { user: settings.user(), password: &settings.password.0, cnonce: &cnonce };
        let fields = [("Authorization", &mut self.server), ("Proxy-Authorization", &mut self.proxy)];
        let answered = fields.into_iter().filter_map(|(name, kept)| {
            let (challenge, uses) = kept.as_mut()?;
            *uses += 1;
            Some((name, challenge.answer(&login, method, uri.as_bytes(), *uses)))
        });
        answered.collect()
    }
}
