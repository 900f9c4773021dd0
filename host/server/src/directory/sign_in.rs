//! Whether a password is right, by the directory's word. Only who is known here is asked about, by the name that the directory
//! itself has given: nothing that somebody types becomes part of a question.

use std::net::IpAddr;
use std::sync::PoisonError;

use carillon_wire::sip::source;

use super::Directory;

/// The answer of the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Judgement {
    Right,
    Wrong,
    /// The same source has not had its last answer yet.
    TooMany,
    /// Nobody can say.
    Silent(String),
}

impl Directory {
    /// Asks it. For who is not known, `dn` is `None`: it takes the directory as long to say no.
    pub(crate) async fn judge(
        &self,
        remote: std::net::SocketAddr,
        aor: &str,
        dn: Option<&str>,
        password: &str,
    ) -> Judgement {
        let Some(_turn) = Turn::take(self, source(remote), aor) else { return Judgement::TooMany };
        let nobody = format!("cn=nobody-known-to-carillon,{}", self.config.base);
        let asked = async { self.reach().await?.bind(dn.unwrap_or(&nobody), password).await };
        match asked.await {
            Ok(right) if right && dn.is_some() => Judgement::Right,
            Ok(_) => Judgement::Wrong,
            Err(why) => Judgement::Silent(why),
        }
    }
}

/// The right of a source to have one password of a user tried; given back when it ends.
struct Turn<'a> {
    directory: &'a Directory,
    key: (IpAddr, String),
}

impl Turn<'_> {
    fn take<'a>(directory: &'a Directory, source: IpAddr, aor: &str) -> Option<Turn<'a>> {
        let key = (source, aor.to_owned());
        let mut trying = directory.trying.lock().unwrap_or_else(PoisonError::into_inner);
        trying.insert(key.clone()).then(|| Turn { directory, key })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.directory.trying.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
