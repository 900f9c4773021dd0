//! Whether a message may be processed: its lines, its framing and the fields that routing needs.
//!
//! Everything else (authentication, extensions, bodies, whether a scheme is served) is for whoever processes it.

use super::address::Address;
use super::lex::is_space;
use super::message::Message;
use super::name::Name;
use super::outcome::{Answer, Fault, Garbage, Malformed};
use super::start::{CSeq, Method, StartLine};
use super::uri::Uri;
use super::via::Via;

/// The fields by which a message is routed and matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Routing<'a> {
    /// The start line.
    pub start: StartLine<'a>,
    /// The Request-URI of a request.
    pub uri: Option<Uri<'a>>,
    /// The top Via.
    pub via: Via<'a>,
    /// From, with its tag.
    pub from: Address<'a>,
    /// To, with its tag.
    pub to: Address<'a>,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq.
    pub cseq: CSeq<'a>,
    /// Max-Forwards; old clients leave it out.
    pub max_forwards: Option<u8>,
}

impl Routing<'_> {
    /// What a proxy answers to this request before it looks any further: a scheme that it cannot route (416) or
    /// no hops left (483).
    pub fn refusal(&self) -> Option<Answer> {
        let uri = self.uri?;
        if !uri.is_sip() {
            return Some(Answer::UNSUPPORTED_SCHEME);
        }
        (self.max_forwards == Some(0)).then_some(Answer::TOO_MANY_HOPS)
    }
}

/// Fields that occur once (RFC 3261, table 2). Content-Length is judged by its values.
const SINGLE: u64 =
    Name::CallId.bit() | Name::CSeq.bit() | Name::From.bit() | Name::To.bit() | Name::MaxForwards.bit();

impl<B: AsRef<[u8]>> Message<B> {
    /// Reads the routing fields; an error names the first that is missing or malformed.
    #[inline]
    pub fn routing(&self) -> Result<Routing<'_>, Malformed> {
        let start = self.start();
        let uri = match start {
            StartLine::Request { uri, .. } => {
                Some(Uri::parse(uri).map_err(|_| Malformed("Malformed Request-URI"))?)
            }
            StartLine::Response { .. } => None,
        };
        Ok(Routing {
            start,
            uri,
            via: self.vias().next().ok_or(Malformed("Missing Via"))??,
            from: self.from().ok_or(Malformed("Missing From"))??,
            to: self.to().ok_or(Malformed("Missing To"))??,
            call_id: call_id(self.call_id().ok_or(Malformed("Missing Call-ID"))?)?,
            cseq: self.cseq().ok_or(Malformed("Missing CSeq"))??,
            max_forwards: self.max_forwards().transpose()?,
        })
    }

    /// Whether to process the message, and if so its routing fields. If not: the answer that a request gets, or
    /// the counter for what is dropped.
    pub fn check(&self) -> Result<Routing<'_>, Fault> {
        let judged = match self.index().flaw {
            Some(answer) => Err(answer),
            None => self.judge().map_err(Answer::from),
        };
        judged.map_err(|answer| self.fault(answer))
    }

    /// What becomes of an answer: a response gets none, nor does an ACK (RFC 3261, 17.1.1.3 and 18.3).
    pub fn fault(&self, answer: Answer) -> Fault {
        match self.method() {
            None => Fault::Drop(Garbage::BadResponse(answer.reason)),
            Some(Method::Ack) => Fault::Drop(Garbage::BadAck(answer.reason)),
            Some(_) => Fault::Answer(answer),
        }
    }

    fn judge(&self) -> Result<Routing<'_>, Malformed> {
        let routing = self.routing()?;
        self.content_length()?;
        if self.index().repeated & SINGLE != 0 {
            return Err(Malformed("Repeated Header Field"));
        }
        if let StartLine::Request { method, .. } = routing.start
            && method != routing.cseq.method
        {
            return Err(Malformed("CSeq Method Mismatch"));
        }
        // Headers in a Request-URI would be injected into whatever is sent on (RFC 3261, 19.1.1).
        if routing.uri.is_some_and(|uri| !uri.headers.is_empty()) {
            return Err(Malformed("Headers in Request-URI"));
        }
        routing.from.uri().map_err(|_| Malformed("Malformed From"))?;
        routing.to.uri().map_err(|_| Malformed("Malformed To"))?;
        self.vias().skip(1).try_for_each(|via| via.map(|_| ()))?;
        self.addresses(Name::Contact).try_for_each(|contact| contact_is_valid(contact?))?;
        Ok(routing)
    }
}

#[inline]
fn call_id(value: &[u8]) -> Result<&[u8], Malformed> {
    match value.is_empty() || value.iter().any(|&b| is_space(b)) {
        true => Err(Malformed("Malformed Call-ID")),
        false => Ok(value),
    }
}

#[inline]
fn contact_is_valid(contact: Address<'_>) -> Result<(), Malformed> {
    if !contact.is_star() {
        contact.uri().map_err(|_| Malformed("Malformed Contact"))?;
    }
    Ok(())
}
