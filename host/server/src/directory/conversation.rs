//! What is said to a directory: bind, search by pages (RFC 2696), and nothing that would change it. Answers are bounded, and
//! referrals are not followed: they would have our password sent elsewhere.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use carillon_net::secured::{Connected, connect, connect_asking};
use carillon_wire::ip::Dscp;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapDerefAliases, LdapExtendedRequest, LdapOp, LdapResult,
    LdapSearchRequest,
};
use ldap3_proto::{LdapCodec, LdapFilter, LdapMsg, LdapResultCode, LdapSearchResultEntry, LdapSearchScope};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder};

use super::barred::Barred;
use super::{Directory, PATIENCE};

/// The longest message that is taken, in bytes: an entry with what is asked for is a thousandth of it.
const LONGEST: usize = 1 << 20;
/// How deep values may stand in each other.
const DEEPEST: usize = 16;
/// Entries of a page.
const PAGE: i64 = 500;
/// Pages and entries of one search at most. A directory that goes on behind them is not believed.
const PAGES: usize = 2000;
const ENTRIES: usize = 500_000;
/// Asks for TLS (RFC 4511, 4.14.1).
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// A connection with a directory.
pub(super) struct Conversation {
    stream: Connected,
    codec: LdapCodec,
    received: BytesMut,
    sent: i32,
}

/// What is looked for.
pub(super) struct Search<'a> {
    pub(super) base: &'a str,
    pub(super) scope: LdapSearchScope,
    pub(super) filter: &'a LdapFilter,
    pub(super) attributes: &'a [String],
}

/// What a bind came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    Right,
    Wrong,
    /// The password may be right, and is of no use now.
    Barred(Barred),
}

/// A codec with our bounds.
pub(super) fn codec() -> LdapCodec {
    LdapCodec::new(Some(LONGEST), Some(DEEPEST))
}

impl Directory {
    /// Connects to the first server that answers; what each of them said if none does.
    pub(super) async fn reach(&self) -> Result<Conversation, String> {
        let mut why = Vec::new();
        let mark = *self.marks.borrow();
        for address in &self.config.addresses {
            match timeout(PATIENCE, self.connect(*address, mark)).await {
                Ok(Ok(stream)) => {
                    return Ok(Conversation { stream, codec: codec(), received: BytesMut::new(), sent: 1 });
                }
                Ok(Err(error)) => why.push(format!("{address}: {error}")),
                Err(_) => why.push(format!("{address}: it does not answer")),
            }
        }
        Err(format!("the directory can't be reached: {}", why.join("; ")))
    }

    async fn connect(&self, address: SocketAddr, mark: Dscp) -> io::Result<Connected> {
        let name = ServerName::try_from(self.config.name.clone()).map_err(io::Error::other)?;
        let tls: Arc<ClientConfig> = Arc::clone(&self.tls);
        if !self.config.start_tls {
            return connect(None, address, name, tls, mark).await;
        }
        let request = LdapExtendedRequest { name: START_TLS.to_owned(), value: None };
        let mut bytes = BytesMut::new();
        let message = LdapMsg { msgid: 1, op: LdapOp::ExtendedRequest(request), ctrl: Vec::new() };
        codec().encode(message, &mut bytes)?;
        connect_asking(address, name, tls, mark, &bytes, agrees).await
    }
}

/// Whether the answer to what asks for TLS is there, whole and alone; an error if it is no.
fn agrees(received: &[u8]) -> io::Result<bool> {
    let mut bytes = BytesMut::from(received);
    let Some(answer) = codec().decode(&mut bytes)? else { return Ok(false) };
    match answer.op {
        // Whatever stands behind it came in clear from anybody.
        LdapOp::ExtendedResponse(said) if said.res.code == LdapResultCode::Success && bytes.is_empty() => {
            Ok(true)
        }
        LdapOp::ExtendedResponse(said) => Err(io::Error::other(refused("to speak TLS", &said.res))),
        _ => Err(io::Error::other("it answers what was not asked")),
    }
}

impl Conversation {
    /// Whether a password proves whoever has this name. An empty one proves nobody: directories take it as a wish to stay
    /// unknown, and say yes (RFC 4513, 5.1.2).
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<Bound, String> {
        if dn.is_empty() || password.is_empty() {
            return Ok(Bound::Wrong);
        }
        let request = LdapBindRequest { dn: dn.to_owned(), cred: LdapBindCred::Simple(password.to_owned()) };
        self.send(LdapOp::BindRequest(request), Vec::new()).await?;
        match self.receive().await?.op {
            LdapOp::BindResponse(said) => proves(&said.res),
            _ => Err("the directory answers what was not asked".to_owned()),
        }
    }

    /// Every entry that is found is shown; how many referrals there were, which nobody follows.
    pub(super) async fn search(
        &mut self,
        search: &Search<'_>,
        mut show: impl FnMut(LdapSearchResultEntry),
    ) -> Result<u64, String> {
        let (mut cookie, mut referrals, mut entries) = (Vec::new(), 0, 0);
        for _ in 0..PAGES {
            self.ask_page(search, cookie).await?;
            cookie = loop {
                let message = self.receive().await?;
                match message.op {
                    LdapOp::SearchResultEntry(entry) => {
                        entries += 1;
                        if entries > ENTRIES {
                            return Err(format!("the directory names more than {ENTRIES} entries"));
                        }
                        show(entry);
                    }
                    LdapOp::SearchResultReference(_) => referrals += 1,
                    LdapOp::SearchResultDone(said) if said.code == LdapResultCode::Success => {
                        break next_page(message.ctrl);
                    }
                    LdapOp::SearchResultDone(said) => return Err(refused("a search", &said)),
                    _ => return Err("the directory answers what was not asked".to_owned()),
                }
            };
            if cookie.is_empty() {
                return Ok(referrals);
            }
        }
        Err(format!("the directory goes on after {PAGES} pages"))
    }

    async fn ask_page(&mut self, search: &Search<'_>, cookie: Vec<u8>) -> Result<(), String> {
        let request = LdapSearchRequest {
            base: search.base.to_owned(),
            scope: search.scope.clone(),
            aliases: LdapDerefAliases::Never,
            sizelimit: 0,
            timelimit: 0,
            typesonly: false,
            filter: search.filter.clone(),
            attrs: search.attributes.to_vec(),
        };
        let page = LdapControl::SimplePagedResults { size: PAGE, cookie };
        self.send(LdapOp::SearchRequest(request), vec![page]).await
    }

    async fn send(&mut self, op: LdapOp, ctrl: Vec<LdapControl>) -> Result<(), String> {
        self.sent += 1;
        let mut bytes = BytesMut::new();
        let encoded = self.codec.encode(LdapMsg { msgid: self.sent, op, ctrl }, &mut bytes);
        encoded.map_err(|error| format!("the directory can't be asked: {error}"))?;
        let written = timeout(PATIENCE, self.stream.write_all(&bytes)).await;
        written.map_err(|_| SILENT.to_owned())?.map_err(broken)
    }

    /// The next message that answers what was asked last.
    async fn receive(&mut self) -> Result<LdapMsg, String> {
        loop {
            if let Some(message) = self.codec.decode(&mut self.received).map_err(broken)? {
                match message.msgid {
                    asked if asked == self.sent => return Ok(message),
                    0 => return Err("the directory ends the connection".to_owned()),
                    _ => continue,
                }
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
            if read.map_err(|_| SILENT.to_owned())?.map_err(broken)? == 0 {
                return Err("the directory has hung up".to_owned());
            }
        }
    }
}

const SILENT: &str = "the directory does not answer";

fn broken(error: io::Error) -> String {
    format!("the connection with the directory breaks: {error}")
}

/// What a bind came to. Only a clear yes proves somebody, and only a clear no is a wrong password.
fn proves(said: &LdapResult) -> Result<Bound, String> {
    match said.code {
        LdapResultCode::Success => Ok(Bound::Right),
        LdapResultCode::InvalidCredentials
        | LdapResultCode::NoSuchObject
        | LdapResultCode::InvalidDNSyntax => {
            Ok(Barred::read(&said.message).map_or(Bound::Wrong, Bound::Barred))
        }
        _ => Err(refused("a bind", said)),
    }
}

/// What the directory says goes to logs: its words, but no more than a line of them.
fn refused(what: &str, said: &LdapResult) -> String {
    let words: String = said.message.chars().filter(|c| !c.is_control()).take(200).collect();
    format!("the directory refuses {what}: {:?} {words}", said.code).trim_end().to_owned()
}

/// Where the next page begins; empty after the last.
fn next_page(controls: Vec<LdapControl>) -> Vec<u8> {
    let cookie = |control| match control {
        LdapControl::SimplePagedResults { cookie, .. } => Some(cookie),
        _ => None,
    };
    controls.into_iter().find_map(cookie).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3_proto::proto::LdapExtendedResponse;

    fn result(code: LdapResultCode) -> LdapResult {
        LdapResult { code, matcheddn: String::new(), message: "no\nwonder".to_owned(), referral: Vec::new() }
    }

    #[test]
    fn only_a_clear_yes_proves_somebody() {
        assert_eq!(proves(&result(LdapResultCode::Success)), Ok(Bound::Right));
        assert_eq!(proves(&result(LdapResultCode::InvalidCredentials)), Ok(Bound::Wrong));
        let message = "80090308: LdapErr: DSID-0C09, comment: AcceptSecurityContext error, data 532, v4563";
        let expired =
            LdapResult { message: message.to_owned(), ..result(LdapResultCode::InvalidCredentials) };
        assert!(matches!(proves(&expired), Ok(Bound::Barred(_))));
        let busy = proves(&result(LdapResultCode::Busy));
        assert_eq!(busy, Err("the directory refuses a bind: Busy nowonder".to_owned()));
        assert!(proves(&result(LdapResultCode::Referral)).is_err());
        assert!(proves(&result(LdapResultCode::SaslBindInProgress)).is_err());
    }

    #[test]
    fn tls_begins_only_after_a_whole_yes_with_nothing_behind_it() {
        let answer = |code| {
            let said = LdapExtendedResponse { res: result(code), name: None, value: None };
            let mut bytes = BytesMut::new();
            let message = LdapMsg { msgid: 1, op: LdapOp::ExtendedResponse(said), ctrl: Vec::new() };
            codec().encode(message, &mut bytes).unwrap();
            bytes.to_vec()
        };
        let yes = answer(LdapResultCode::Success);
        assert!(agrees(&yes).unwrap());
        for end in 0..yes.len() {
            assert!(!agrees(&yes[..end]).unwrap(), "{end}");
        }
        assert!(agrees(&[&yes[..], b"x"].concat()).is_err(), "slipped in by somebody on the way");
        assert!(agrees(&answer(LdapResultCode::Unavailable)).is_err());
        assert!(agrees(b"\x02\x01\x05").is_err(), "another protocol");
    }
}
