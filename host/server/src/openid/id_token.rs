//! Whether an ID token says what it should (OpenID Connect Core 1.0, 3.1.3.7): made by the provider for us, in this sign-in, and
//! still good. Signatures are a library's; only those that need the provider's private key are taken.

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What is taken. With HS256 and its like everybody who knows our secret could sign, and with `none` everybody.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// How far the clocks of the provider and of this machine may be apart, in seconds.
const LEEWAY: u64 = 60;

/// The longest name of an account.
const LONGEST_SUBJECT: usize = 255;

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: &'a str,
}

/// What it says of who has signed in.
#[derive(Deserialize, Debug)]
pub(super) struct Claims {
    nonce: Option<String>,
    azp: Option<String>,
    aud: Value,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// The name of the key that a token is signed with.
pub(super) fn key_of(token: &str) -> Option<String> {
    decode_header(token).ok()?.kid
}

/// Believes a token, or says why not; never with the token in it.
pub(super) fn verify(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<Claims, String> {
    let header = decode_header(token).map_err(|error| format!("the ID token can't be read: {error}"))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(format!("the ID token is signed by {:?}, which anybody could do", header.alg));
    }
    let key = pick(keys, header.kid.as_deref(), header.alg)?;
    let key =
        DecodingKey::from_jwk(key).map_err(|error| format!("a key of the provider is of no use: {error}"))?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY;
    let claims = decode::<Claims>(token, &key, &validation);
    let claims = claims.map_err(|error| format!("the ID token is not believed: {error}"))?.claims;
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err("the ID token is of another sign-in".to_owned());
    }
    let for_many = claims.aud.as_array().is_some_and(|all| all.len() > 1);
    match claims.azp.as_deref() {
        Some(party) if party != expected.client => Err("the ID token was given to somebody else".to_owned()),
        None if for_many => Err("the ID token does not say to whom it was given".to_owned()),
        _ => Ok(claims),
    }
}

/// The key of that name; without a name, the only one that could have signed so.
fn pick<'a>(keys: &'a [Jwk], name: Option<&str>, algorithm: Algorithm) -> Result<&'a Jwk, String> {
    let fits = |key: &&Jwk| {
        let common = &key.common;
        let signs = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let algorithms = common.key_algorithm.as_ref();
        let same = algorithms.is_none_or(|of_key| of_key.to_string() == format!("{algorithm:?}"));
        signs && same && (name.is_none() || common.key_id.as_deref() == name)
    };
    let mut fitting = keys.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err("the ID token does not say which key it is signed with".to_owned()),
        (None, _) => Err("the ID token is signed with a key that the provider does not show".to_owned()),
    }
}

impl Claims {
    /// Names the account for ever (Core, 2): at most 255 characters of ASCII.
    pub(super) fn subject(&self) -> Result<String, String> {
        let subject = self.others.get("sub").and_then(Value::as_str);
        let subject =
            subject.filter(|subject| (1..=LONGEST_SUBJECT).contains(&subject.len()) && subject.is_ascii());
        subject.map(str::to_owned).ok_or_else(|| "the ID token names no account (sub)".to_owned())
    }

    /// What stands in a claim, as a name for a user. An address of mail counts only if the provider has verified it.
    pub(super) fn name(&self, claim: &str) -> Result<String, String> {
        let verified = || self.others.get("email_verified").and_then(Value::as_bool) == Some(true);
        match self.others.get(claim).and_then(Value::as_str) {
            Some(_) if claim == "email" && !verified() => {
                Err("the provider has not verified the address of mail".to_owned())
            }
            Some(name) => Ok(name.to_owned()),
            None => Err(format!("the ID token has no {claim}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    /// A key of these tests, by openssl, which proves nothing anywhere else.
    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgoMKYaZ6HgTSZ2um9+WZLF/22QeBL5lY/VOOeb0DRI7ehRANC\
                       AATMBOKY9rKBADhir81wOHVKz3NP+qPsDDxk2KAsXTKjlPFzhAsAySEIyvKZG0FVADVtKK+awsNe7bdMiUAv+8wa";
    const EXPECTED: Expected<'_> =
        Expected { issuer: "https://login.example.com", client: "carillon", nonce: "once" };

    fn shown(name: &str) -> Jwk {
        serde_json::from_value(json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": name,
            "x": "zATimPaygQA4Yq_NcDh1Ss9zT_qj7Aw8ZNigLF0yo5Q",
            "y": "8XOECwDJIQjK8pkbQVUANW0or5rCw17tt0yJQC_7zBo",
        }))
        .unwrap()
    }

    fn in_seconds(seconds: i64) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_secs() as i64 + seconds
    }

    fn claims() -> Value {
        json!({
            "iss": "https://login.example.com", "aud": "carillon", "sub": "7", "nonce": "once",
            "exp": in_seconds(300), "iat": in_seconds(0), "preferred_username": "alice",
            "email": "alice@example.com",
        })
    }

    fn signed(claims: &Value) -> String {
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &EncodingKey::from_ec_der(&STANDARD.decode(KEY).unwrap())).unwrap()
    }

    fn with(key: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[key] = value;
        claims
    }

    fn judged(token: &str) -> Result<String, String> {
        verify(token, &[shown("k0"), shown("k1")], &EXPECTED)?.name("preferred_username")
    }

    #[test]
    fn a_token_of_the_provider_for_us_in_this_sign_in_is_believed() {
        assert_eq!(judged(&signed(&claims())), Ok("alice".to_owned()));
        assert_eq!(key_of(&signed(&claims())).as_deref(), Some("k1"));
        let shared = with("aud", json!(["carillon", "other"]));
        assert!(judged(&signed(&shared)).is_err(), "it must say for which of them");
        let mut ours = shared;
        ours["azp"] = json!("carillon");
        assert!(judged(&signed(&ours)).is_ok());
        assert!(judged(&signed(&with("exp", json!(in_seconds(-30))))).is_ok(), "clocks differ");
    }

    #[test]
    fn what_is_wrong_with_one_claim_spoils_all() {
        for (claim, value) in [
            ("iss", json!("https://login.example.com/")),
            ("iss", json!(null)),
            ("aud", json!("other")),
            ("aud", json!([])),
            ("azp", json!("other")),
            ("nonce", json!("twice")),
            ("nonce", json!(null)),
            ("exp", json!(in_seconds(-61))),
            ("exp", json!(null)),
            ("exp", json!("never")),
            ("nbf", json!(in_seconds(120))),
            ("sub", json!(null)),
        ] {
            assert!(judged(&signed(&with(claim, value.clone()))).is_err(), "{claim}: {value}");
        }
    }

    /// The classics: no signature at all, and our own secret or the provider's public key as the secret of an HMAC.
    #[test]
    fn only_who_has_the_private_key_can_sign() {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = |header: &Value| format!("{}.{}.", part(header), part(&claims()));
        for header in
            [json!({ "alg": "none" }), json!({ "alg": "None", "kid": "k1" }), json!({ "kid": "k1" })]
        {
            assert!(judged(&unsigned(&header)).is_err(), "{header}");
        }
        let public = URL_SAFE_NO_PAD.decode("zATimPaygQA4Yq_NcDh1Ss9zT_qj7Aw8ZNigLF0yo5Q").unwrap();
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
        let hashed = encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
        assert!(judged(&hashed).unwrap_err().contains("which anybody could do"));
        let token = signed(&claims());
        let (head, signature) = token.rsplit_once('.').unwrap();
        let other = signed(&with("preferred_username", json!("root")));
        let (other, _) = other.rsplit_once('.').unwrap();
        assert!(judged(&format!("{other}.{signature}")).is_err());
        assert!(judged(&format!("{head}.")).is_err() && judged("").is_err() && judged("a.b.c").is_err());
    }

    #[test]
    fn the_key_is_the_one_that_is_named_and_may_sign() {
        let token = signed(&claims());
        let judged = |keys: &[Jwk]| verify(&token, keys, &EXPECTED).map(drop);
        assert!(judged(&[]).is_err() && judged(&[shown("k2")]).is_err());
        assert!(judged(&[shown("k1"), shown("k1")]).is_err(), "two of one name");
        let mut for_secrets = shown("k1");
        for_secrets.common.public_key_use = Some(PublicKeyUse::Encryption);
        assert!(judged(&[for_secrets]).is_err());
        let mut of_another_kind = shown("k1");
        of_another_kind.common.key_algorithm = Some(jsonwebtoken::jwk::KeyAlgorithm::RS256);
        assert!(judged(&[of_another_kind]).is_err());
    }

    #[test]
    fn an_address_of_mail_counts_only_if_it_is_verified() {
        let name =
            |claims: &Value, claim: &str| verify(&signed(claims), &[shown("k1")], &EXPECTED)?.name(claim);
        assert!(name(&claims(), "email").is_err());
        assert!(name(&with("email_verified", json!("true")), "email").is_err());
        let verified = with("email_verified", json!(true));
        assert_eq!(name(&verified, "email"), Ok("alice@example.com".to_owned()));
        assert_eq!(name(&claims(), "upn"), Err("the ID token has no upn".to_owned()));
        assert_eq!(name(&claims(), "sub"), Ok("7".to_owned()));
    }

    #[test]
    fn an_account_has_a_short_name() {
        let subject = |claims: &Value| verify(&signed(claims), &[shown("k1")], &EXPECTED)?.subject();
        assert_eq!(subject(&claims()), Ok("7".to_owned()));
        for wrong in [json!(""), json!("a".repeat(256)), json!("ä"), json!(7)] {
            assert!(subject(&with("sub", wrong.clone())).is_err(), "{wrong}");
        }
    }
}
