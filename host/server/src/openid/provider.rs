//! What a provider says of itself: where it is asked what (OpenID Connect Discovery 1.0), and its keys, which change.

use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;

use super::OpenId;
use super::https::{self, Question};

/// For so long the provider is believed not to move.
const HOLDS: Duration = Duration::from_secs(3600);
/// Keys that are not known are asked for so often at most: a provider that changes its keys shows them before it uses them.
const KEYS_EVERY: Duration = Duration::from_secs(10);
/// Keys that are looked at.
const KEYS: usize = 64;

/// What is asked where.
#[derive(Clone, Deserialize, Debug)]
pub(super) struct Provider {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// What is known, and since when.
pub(super) struct Known {
    provider: Provider,
    since: Instant,
    keys: Vec<Jwk>,
    keys_since: Option<Instant>,
}

/// What a code is exchanged for.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl OpenId {
    /// What the provider says of itself.
    pub(super) async fn provider(&self) -> Result<Provider, String> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.since.elapsed() < HOLDS) {
            return Ok(known.provider.clone());
        }
        let place = format!("{}/.well-known/openid-configuration", self.config.issuer.trim_end_matches('/'));
        let provider: Provider = read(&self.ask(&Question::get(&place)).await?)?;
        check(&provider, &self.config.issuer)?;
        *known = Some(Known {
            provider: provider.clone(),
            since: Instant::now(),
            keys: Vec::new(),
            keys_since: None,
        });
        Ok(provider)
    }

    /// Its keys; asked for again if this one is not among those that are known.
    pub(super) async fn keys(&self, provider: &Provider, wanted: Option<String>) -> Result<Vec<Jwk>, String> {
        let mut guard = self.known.lock().await;
        let Some(known) = guard.as_mut() else { return Err("the provider is not known any more".to_owned()) };
        let there = known.keys.iter().any(|key| key.common.key_id == wanted);
        if !there && known.keys_since.is_none_or(|since| since.elapsed() > KEYS_EVERY) {
            let document: Value = read(&self.ask(&Question::get(&provider.jwks_uri)).await?)?;
            known.keys = keys(&document);
            known.keys_since = Some(Instant::now());
        }
        Ok(known.keys.clone())
    }

    /// Exchanges a code (RFC 6749, 4.1.3; RFC 7636, 4.5).
    pub(super) async fn id_token(
        &self,
        provider: &Provider,
        code: &str,
        verifier: &str,
    ) -> Result<String, String> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &*self.config.redirect),
            ("code_verifier", verifier),
        ];
        let login = self.config.secret.as_ref().map(|secret| (&*self.config.client, &*secret.0));
        if login.is_none() {
            fields.push(("client_id", &*self.config.client));
        }
        let question = Question { url: &provider.token_endpoint, form: Some(https::form(&fields)), login };
        Ok(read::<Tokens>(&self.ask(&question).await?)?.id_token)
    }
}

/// Who could stand between us and the provider would say that it is another one (Discovery 1.0, 4.3).
fn check(provider: &Provider, issuer: &str) -> Result<(), String> {
    if provider.issuer != issuer {
        return Err(format!("the provider calls itself {:?}, not {issuer:?}", provider.issuer));
    }
    let places = [&provider.authorization_endpoint, &provider.token_endpoint, &provider.jwks_uri];
    match places.into_iter().find(|place| !place.starts_with("https://")) {
        Some(place) => Err(format!("the provider wants to be asked without TLS: {place:?}")),
        None => Ok(()),
    }
}

/// Those that can be read; a kind of key that is not known spoils no other.
fn keys(document: &Value) -> Vec<Jwk> {
    let all = document.get("keys").and_then(Value::as_array).into_iter().flatten();
    all.take(KEYS).filter_map(|key| serde_json::from_value(key.clone()).ok()).collect()
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("what the provider says can't be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_provider_of_another_name_or_without_tls_is_refused() {
        let of = |issuer: &str, token: &str| -> Provider {
            let document = json!({
                "issuer": issuer, "authorization_endpoint": "https://p/a", "token_endpoint": token,
                "jwks_uri": "https://p/j", "more": [1],
            });
            serde_json::from_value(document).unwrap()
        };
        assert_eq!(check(&of("https://p", "https://p/t"), "https://p"), Ok(()));
        assert!(check(&of("https://p/", "https://p/t"), "https://p").is_err());
        assert!(check(&of("https://p", "http://p/t"), "https://p").is_err());
    }

    #[test]
    fn a_key_of_a_kind_that_is_not_known_spoils_no_other() {
        let document = json!({ "keys": [
            { "kty": "new", "kid": "1" },
            { "kty": "RSA", "kid": "2", "n": "AQAB", "e": "AQAB" },
            7,
        ]});
        let found: Vec<_> = keys(&document).into_iter().filter_map(|key| key.common.key_id).collect();
        assert_eq!(found, ["2"]);
        assert!(keys(&json!({})).is_empty() && keys(&json!([])).is_empty());
    }
}
