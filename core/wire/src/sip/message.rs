//! A message: its bytes and where the parts are. Fields are read when they are asked for.

use super::address::Address;
use super::field::{Credentials, MediaType};
use super::index::{Index, Start};
use super::lex::{Values, number, trim};
use super::name::Name;
use super::outcome::{Garbage, Malformed};
use super::start::{CSeq, Method, StartLine};
use super::via::Via;

/// A SIP message over any buffer: `&[u8]` for a look at a datagram, an owned one to keep it.
#[derive(Clone, Debug)]
pub struct Message<B> {
    bytes: B,
    index: Index,
}

/// One header line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// Which it is.
    pub name: Name,
    /// Its name as written; empty if the line has no name.
    pub spelling: &'a [u8],
    /// Its value without white space at the ends; may be folded.
    pub value: &'a [u8],
}

impl<B: AsRef<[u8]>> Message<B> {
    /// Finds the lines of a whole message; see [`Index::parse`]. Where it ends is the business of [`super::frame()`].
    #[inline]
    pub fn parse(bytes: B) -> Result<Message<B>, Garbage> {
        let index = Index::parse(bytes.as_ref())?;
        Ok(Message { bytes, index })
    }

    /// A message whose index was made before, from these same bytes.
    pub fn with_index(bytes: B, index: Index) -> Message<B> {
        Message { bytes, index }
    }

    /// The bytes, untouched.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Where the lines are.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The buffer and its index.
    pub fn into_parts(self) -> (B, Index) {
        (self.bytes, self.index)
    }

    #[inline]
    fn slice(&self, from: u32, to: u32) -> &[u8] {
        self.bytes.as_ref().get(from as usize..to as usize).unwrap_or_default()
    }

    /// The start line.
    #[inline]
    pub fn start(&self) -> StartLine<'_> {
        match self.index.start {
            Start::Request { begin, method_end, uri, uri_end, .. } => StartLine::Request {
                method: Method::of(self.slice(begin, method_end)),
                uri: self.slice(uri, uri_end),
            },
            Start::Response { code, reason, end, .. } => {
                StartLine::Response { code, reason: self.slice(reason, end) }
            }
        }
    }

    /// The method of a request.
    pub fn method(&self) -> Option<Method<'_>> {
        match self.start() {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The status code of a response.
    pub fn status(&self) -> Option<u16> {
        match self.start() {
            StartLine::Response { code, .. } => Some(code),
            StartLine::Request { .. } => None,
        }
    }

    /// Every header line, in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.index.lines().map(|line| Header {
            name: line.name,
            spelling: self.slice(line.start, line.start + u32::from(line.name_len)),
            value: trim(self.slice(line.value, line.end)),
        })
    }

    /// The values of all header lines of this name, one per line.
    #[inline]
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.index.lines_of(name).map(|line| trim(self.slice(line.value, line.end)))
    }

    /// The value of the first header line of this name.
    #[inline]
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The values of all header lines of a name that [`Name`] does not list.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(|h| h.spelling.eq_ignore_ascii_case(name.as_bytes())).map(|h| h.value)
    }

    /// The values of a comma-separated field, over all its lines.
    #[inline]
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.all(name).flat_map(Values::of)
    }

    /// The hops, top first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, Malformed>> {
        self.values(Name::Via).map(Via::parse)
    }

    /// The addresses of a field: Contact, Route, Record-Route, Path, P-Asserted-Identity and the like.
    pub fn addresses(&self, name: Name) -> impl Iterator<Item = Result<Address<'_>, Malformed>> {
        self.values(name).map(Address::parse)
    }

    /// The From field; commas do not separate in it.
    pub fn from(&self) -> Option<Result<Address<'_>, Malformed>> {
        self.get(Name::From).map(Address::parse)
    }

    /// The To field.
    pub fn to(&self) -> Option<Result<Address<'_>, Malformed>> {
        self.get(Name::To).map(Address::parse)
    }

    /// The Call-ID, as written.
    pub fn call_id(&self) -> Option<&[u8]> {
        self.get(Name::CallId)
    }

    /// The CSeq field.
    pub fn cseq(&self) -> Option<Result<CSeq<'_>, Malformed>> {
        self.get(Name::CSeq).map(CSeq::parse)
    }

    /// Max-Forwards, 0 to 255.
    pub fn max_forwards(&self) -> Option<Result<u8, Malformed>> {
        let read = |text| number(text, 255).map(|hops| hops as u8).ok_or(Malformed("Malformed Max-Forwards"));
        self.get(Name::MaxForwards).map(read)
    }

    /// Expires, in seconds. Overlarge values are malformed; RFC 3261, 20.19 then assumes an hour.
    pub fn expires(&self) -> Option<Result<u32, Malformed>> {
        let max = u64::from(u32::MAX);
        let read = |text| number(text, max).map(|s| s as u32).ok_or(Malformed("Malformed Expires"));
        self.get(Name::Expires).map(read)
    }

    /// Content-Length, all of them: digits only, and equal if repeated.
    #[inline]
    pub fn content_length(&self) -> Result<Option<usize>, Malformed> {
        if self.index.seen & Name::ContentLength.bit() == 0 {
            return Ok(None);
        }
        let mut length = None;
        for text in self.all(Name::ContentLength) {
            let value = number(text, u64::from(u32::MAX)).ok_or(Malformed("Malformed Content-Length"))?;
            if length.is_some_and(|length| length != value) {
                return Err(Malformed("Differing Content-Length"));
            }
            length = Some(value);
        }
        Ok(length.map(|length| length as usize))
    }

    /// Content-Type, if it can be read.
    pub fn content_type(&self) -> Option<MediaType<'_>> {
        MediaType::parse(self.get(Name::ContentType)?)
    }

    /// The event package of SUBSCRIBE, NOTIFY or PUBLISH, with its parameters.
    pub fn event(&self) -> Option<MediaType<'_>> {
        MediaType::parse(self.get(Name::Event)?)
    }

    /// Credentials or challenges: one per line, as Authorization, Proxy-Authorization, WWW-Authenticate,
    /// Proxy-Authenticate have them.
    pub fn credentials(&self, name: Name) -> impl Iterator<Item = Credentials<'_>> {
        self.all(name).filter_map(Credentials::parse)
    }

    /// What the sender calls itself: User-Agent or Server.
    pub fn product(&self) -> Option<&[u8]> {
        self.get(Name::UserAgent).or_else(|| self.get(Name::Server))
    }

    /// The body: as long as Content-Length says, or all that follows the head.
    #[inline]
    pub fn body(&self) -> &[u8] {
        let rest = self.bytes.as_ref().get(self.index.body as usize..).unwrap_or_default();
        match self.content_length() {
            Ok(Some(length)) => rest.get(..length).unwrap_or(rest),
            _ => rest,
        }
    }

    /// The session description: the body, or the first part of a multipart body that is `application/sdp`.
    pub fn sdp(&self) -> Option<&[u8]> {
        self.part(|of, _| of.is(b"application", b"sdp"))
    }

    /// The body if `accept` takes its type and content, else the first part of a multipart body that it takes.
    /// A body without a Content-Type is none.
    pub fn part<'a>(&'a self, mut accept: impl FnMut(MediaType<'a>, &'a [u8]) -> bool) -> Option<&'a [u8]> {
        super::field::part(self.content_type()?, self.body(), &mut accept)
    }
}
