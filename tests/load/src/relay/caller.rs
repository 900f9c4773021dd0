//! What a client of TURN has to say to get a way to its peer, to keep it and to give it back: requests with long-term credentials
//! (RFC 8489, 9.2).

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
    /// Indications instead of a channel.
    by_indication: bool,
    /// Realm and nonce, once they were told.
    challenge: Option<(String, String)>,
    /// Where it is reached.
    pub(super) relayed: Option<SocketAddr>,
    /// What it sends reaches the peer.
    pub(super) is_ready: bool,
}

impl Caller {
    pub(super) fn new(user: &str, password: &str, peer: SocketAddr, by_indication: bool) -> Caller {
        let (user, password) = (user.to_owned(), password.to_owned());
        Caller { user, password, peer, by_indication, challenge: None, relayed: None, is_ready: false }
    }

    /// What to say next on the way to the peer.
    pub(super) fn request(&self, id: [u8; 12]) -> Option<Vec<u8>> {
        match self.relayed {
            None => self.signed(request(Method::Allocate, id).requested_transport(17)),
            Some(_) => self.permit(id),
        }
    }

    /// Asks for the channel or the permission; asked again, it holds for another while.
    pub(super) fn permit(&self, id: [u8; 12]) -> Option<Vec<u8>> {
        let request = match self.by_indication {
            true => request(Method::CreatePermission, id),
            false => request(Method::ChannelBind, id).channel_number(CHANNEL),
        };
        self.signed(request.xor_address(kind::XOR_PEER_ADDRESS, self.peer))
    }

    /// Keeps the allocation for so many seconds; none give it back.
    pub(super) fn refresh(&self, id: [u8; 12], seconds: u32) -> Option<Vec<u8>> {
        self.signed(request(Method::Refresh, id).u32(kind::LIFETIME, seconds))
    }

    /// Hears an answer; false if it is the end.
    pub(super) fn hear(&mut self, answer: &[u8]) -> bool {
        let Ok(answer) = Message::parse(answer) else { return false };
        match (answer.class(), answer.method()) {
            (Class::Success, Method::Allocate) => self.relayed = answer.xor_relayed_address(),
            (Class::Success, Method::ChannelBind | Method::CreatePermission) => self.is_ready = true,
            (Class::Success, Method::Refresh) => {
                if answer.lifetime() == Some(0) {
                    (self.relayed, self.is_ready) = (None, false);
                }
            }
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

    /// Forgets the challenge, as a new client would not know it.
    pub(super) fn begin_again(&mut self) {
        self.challenge = None;
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

fn request(method: Method, id: [u8; 12]) -> Builder {
    Builder::new(Class::Request, method, id)
}
