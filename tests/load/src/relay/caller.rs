//! What a client of TURN has to say to get a channel: requests with long-term credentials (RFC 8489, 9.2).

use std::net::SocketAddr;

use carillon_wire::stun::{Builder, Class, Message, Method, kind};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;

/// The number of the channel that every client binds.
pub(super) const CHANNEL: u16 = 0x4000;

/// How far a client has come.
pub(super) struct Caller {
    user: String,
    password: String,
    peer: SocketAddr,
    /// Realm and nonce, once they were told.
    challenge: Option<(String, String)>,
    /// Where it is reached.
    pub(super) relayed: Option<SocketAddr>,
    /// Its channel is bound.
    pub(super) is_ready: bool,
}

impl Caller {
    pub(super) fn new(user: &str, password: &str, peer: SocketAddr) -> Caller {
        let (user, password) = (user.to_owned(), password.to_owned());
        Caller { user, password, peer, challenge: None, relayed: None, is_ready: false }
    }

    /// What to say next.
    pub(super) fn request(&self, id: [u8; 12]) -> Option<Vec<u8>> {
        let request = |method| Builder::new(Class::Request, method, id);
        match self.relayed {
            None => self.signed(request(Method::Allocate).requested_transport(17)),
            Some(_) => {
                let bind = request(Method::ChannelBind).channel_number(CHANNEL);
                self.signed(bind.xor_address(kind::XOR_PEER_ADDRESS, self.peer))
            }
        }
    }

    /// Hears an answer; false if it is the end.
    pub(super) fn hear(&mut self, answer: &[u8]) -> bool {
        let Ok(answer) = Message::parse(answer) else { return false };
        match (answer.class(), answer.method()) {
            (Class::Success, Method::Allocate) => self.relayed = answer.xor_relayed_address(),
            (Class::Success, Method::ChannelBind) => self.is_ready = true,
            (Class::Error, _) => {
                let known = self.challenge.is_some();
                let told = answer.realm().zip(answer.nonce());
                self.challenge = told.map(|(realm, nonce)| (realm.to_owned(), nonce.to_owned()));
                let code = answer.error_code().map_or(0, |error| error.code);
                return self.challenge.is_some() && (code == 401 && !known || code == 438);
            }
            _ => return false,
        }
        true
    }

    fn signed(&self, request: Builder) -> Option<Vec<u8>> {
        let Some((realm, nonce)) = &self.challenge else { return request.finish() };
        let request = request.attribute(kind::USERNAME, self.user.as_bytes());
        let request =
            request.attribute(kind::REALM, realm.as_bytes()).attribute(kind::NONCE, nonce.as_bytes());
        let key = Md5::digest(format!("{}:{realm}:{}", self.user, self.password));
        let mut mac = Hmac::<Sha1>::new_from_slice(&key).ok()?;
        mac.update(&request.integrity_input(20));
        request.attribute(kind::MESSAGE_INTEGRITY, &mac.finalize().into_bytes()).finish()
    }
}
