//! What an instant message is about, taken out of what wraps it: CPIM (RFC 3862) and `Content-Encoding: deflate`. Receipts (RFC
//! 5438) and what is written at the moment (RFC 3994) are told from what people want to read again.

use std::borrow::Cow;
use std::io::Read;

use carillon_wire::sip::{MediaType, Message, Name};
use flate2::read::ZlibDecoder;
use roxmltree::{Document, Node, ParsingOptions};

/// Longest content that is read, in bytes, unpacked.
const LONGEST: u64 = 64 << 10;
/// Longest media type and name of a message, in bytes.
const LONGEST_WORD: usize = 256;
/// Most elements, attributes and texts of a receipt.
const MAX_NODES: u32 = 100;
const RECEIPT: &str = "urn:ietf:params:xml:ns:imdn";
const NAMES: &str = "urn:ietf:params:imdn";

/// What a MESSAGE is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InstantMessage {
    /// Something to read.
    Content {
        /// By which receipts name it, if the sender has said so: `imdn.Message-ID`.
        id: Option<String>,
        /// Its media type with parameters, as `text/plain;charset=utf-8`.
        media_type: String,
        /// What there is to read.
        body: Vec<u8>,
    },
    /// What has become of another message.
    Receipt {
        /// The name of that message.
        id: String,
        /// What.
        receipt: Receipt,
    },
    /// Nothing to keep: somebody is writing, there is no content, or it is too large.
    Passing,
}

/// What has become of a message (RFC 5438, 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// It has reached a device of whom it is for.
    Delivered,
    /// It was shown there.
    Displayed,
}

impl InstantMessage {
    /// Reads the content of a MESSAGE: the fields `Content-Type` and `Content-Encoding`, and the body.
    pub fn read(media_type: &[u8], encoding: Option<&[u8]>, body: &[u8]) -> InstantMessage {
        let Some((media_type, body)) = unpacked(media_type, encoding, body) else {
            return InstantMessage::Passing;
        };
        let is_wrapped = is(media_type, b"message", b"cpim");
        match Wrapped::of(&body).filter(|_| is_wrapped) {
            Some(wrapped) => told(wrapped.id(), wrapped.media_type().unwrap_or(b"text/plain"), wrapped.body),
            None => told(None, media_type, &body),
        }
    }

    pub(crate) fn of(request: &Message<&[u8]>) -> InstantMessage {
        let encoding = request.get(Name::ContentEncoding);
        match request.get(Name::ContentType) {
            Some(media_type) => InstantMessage::read(media_type, encoding, request.body()),
            None => InstantMessage::Passing,
        }
    }
}

/// The content without its encoding; of one that is not known here the bytes as they are. Nothing if it is too large.
fn unpacked<'a>(
    media_type: &'a [u8],
    encoding: Option<&[u8]>,
    body: &'a [u8],
) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
    let (media_type, body) = match encoding.map(<[u8]>::trim_ascii) {
        Some(deflate) if deflate.eq_ignore_ascii_case(b"deflate") => {
            let mut plain = Vec::new();
            ZlibDecoder::new(body).take(LONGEST + 1).read_to_end(&mut plain).ok()?;
            (media_type, Cow::Owned(plain))
        }
        Some(other) if !other.is_empty() && !other.eq_ignore_ascii_case(b"identity") => {
            (&b"application/octet-stream"[..], Cow::Borrowed(body))
        }
        _ => (media_type, Cow::Borrowed(body)),
    };
    (body.len() as u64 <= LONGEST).then_some((media_type, body))
}

fn told(id: Option<String>, media_type: &[u8], body: &[u8]) -> InstantMessage {
    if is(media_type, b"message", b"imdn+xml") {
        let receipt = std::str::from_utf8(body).ok().and_then(receipt);
        return receipt
            .map_or(InstantMessage::Passing, |(id, receipt)| InstantMessage::Receipt { id, receipt });
    }
    if body.is_empty() || is(media_type, b"application", b"im-iscomposing+xml") {
        return InstantMessage::Passing;
    }
    match word(media_type) {
        Some(media_type) => InstantMessage::Content { id, media_type, body: body.to_vec() },
        None => InstantMessage::Passing,
    }
}

fn is(media_type: &[u8], kind: &[u8], subtype: &[u8]) -> bool {
    MediaType::parse(media_type).is_some_and(|of| of.is(kind, subtype))
}

/// A text of one line that is not too long.
fn word(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let fits = (1..=LONGEST_WORD).contains(&text.len()) && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

/// A message in CPIM: two heads and a body, each behind an empty line.
struct Wrapped<'a> {
    outer: &'a [u8],
    inner: &'a [u8],
    body: &'a [u8],
}

impl<'a> Wrapped<'a> {
    fn of(text: &'a [u8]) -> Option<Wrapped<'a>> {
        let (outer, rest) = head(text)?;
        let (inner, body) = head(rest)?;
        Some(Wrapped { outer, inner, body })
    }

    /// The message's name. The prefix of the name is whatever stands for its space (RFC 3862, 3.4).
    fn id(&self) -> Option<String> {
        let spaces = fields(self.outer).filter(|(name, _)| *name == b"NS");
        let prefix = spaces.filter_map(|(_, value)| {
            let (prefix, space) = std::str::from_utf8(value).ok()?.split_once('<')?;
            (space.trim_end() == format!("{NAMES}>")).then(|| prefix.trim())
        });
        let name = format!("{}.Message-ID", prefix.last().unwrap_or("imdn"));
        let mut values = fields(self.outer).filter(|(known, _)| *known == name.as_bytes());
        values.next().and_then(|(_, value)| word(value))
    }

    fn media_type(&self) -> Option<&'a [u8]> {
        let mut fields = fields(self.inner);
        fields.find(|(name, _)| name.eq_ignore_ascii_case(b"Content-Type")).map(|(_, value)| value)
    }
}

/// The lines before an empty one, and what comes behind it.
fn head(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        if rest.get(..line)?.trim_ascii_end().is_empty() {
            return Some((text.get(..at)?, rest.get(line + 1..)?));
        }
        at += line + 1;
    }
}

fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((line.get(..colon)?.trim_ascii(), line.get(colon + 1..)?.trim_ascii()))
    })
}

/// The message that a receipt is for, and what it says; nothing if that is neither delivery nor display.
fn receipt(text: &str) -> Option<(String, Receipt)> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let xml = Document::parse_with_options(text, options).ok()?;
    let root = Some(xml.root_element()).filter(|root| root.has_tag_name((RECEIPT, "imdn")))?;
    let id = child(root, "message-id").and_then(|id| word(id.text()?.as_bytes()))?;
    let says = |notification, word| {
        let status = child(root, notification).and_then(|of| child(of, "status"));
        status.and_then(|status| child(status, word)).is_some()
    };
    match (says("display-notification", "displayed"), says("delivery-notification", "delivered")) {
        (true, _) => Some((id, Receipt::Displayed)),
        (_, true) => Some((id, Receipt::Delivered)),
        _ => None,
    }
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name((RECEIPT, name)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    /// RFC 5438, 6.1, shortened.
    const WRAPPED: &str = "From: Alice <im:alice@example.com>\r\nTo: Bob <im:bob@example.com>\r\n\
        NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk324j\r\nDateTime: 2006-04-04T12:16:49-05:00\r\n\
        imdn.Disposition-Notification: positive-delivery, negative-delivery\r\n\r\n\
        Content-type: text/plain; charset=utf-8\r\nContent-length: 12\r\n\r\nHello World";
    /// RFC 5438, 7.2.1.1.
    const DELIVERED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><imdn xmlns=\"urn:ietf:params:xml:ns:imdn\">\
        <message-id>34jk324j</message-id><datetime>2008-04-04T12:16:49-05:00</datetime>\
        <delivery-notification><status><delivered/></status></delivery-notification></imdn>";

    fn content(id: Option<&str>, media_type: &str, body: &str) -> InstantMessage {
        InstantMessage::Content {
            id: id.map(str::to_owned),
            media_type: media_type.to_owned(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn read(media_type: &str, body: &str) -> InstantMessage {
        InstantMessage::read(media_type.as_bytes(), None, body.as_bytes())
    }

    fn deflated(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_to_be_read_is_taken_out_of_its_wrapping() {
        let plain = "text/plain; charset=utf-8";
        assert_eq!(read(plain, "hi"), content(None, plain, "hi"));
        let wrapped = content(Some("34jk324j"), plain, "Hello World");
        assert_eq!(read("message/CPIM", WRAPPED), wrapped);
        assert_eq!(read("message/cpim", &WRAPPED.replace("\r\n", "\n")), wrapped);
        let renamed = WRAPPED.replace("NS: imdn <", "NS: n <").replace("imdn.Message-ID", "n.Message-ID");
        assert_eq!(read("message/cpim", &renamed), wrapped);
        let packed = deflated(WRAPPED.as_bytes());
        assert_eq!(InstantMessage::read(b"message/cpim", Some(b"Deflate"), &packed), wrapped);
        // What is called CPIM and is none is content all the same.
        assert_eq!(read("message/cpim", "hi"), content(None, "message/cpim", "hi"));
        let unknown = InstantMessage::read(b"text/plain", Some(b"br"), b"\x0b");
        assert_eq!(unknown, content(None, "application/octet-stream", "\u{b}"));
    }

    #[test]
    fn receipts_say_what_became_of_which_message() {
        let of = |receipt| InstantMessage::Receipt { id: "34jk324j".to_owned(), receipt };
        let packed = deflated(DELIVERED.as_bytes());
        let displayed = DELIVERED.replace("delivery-not", "display-not").replace("delivered", "displayed");
        assert_eq!(read("message/imdn+xml", DELIVERED), of(Receipt::Delivered));
        assert_eq!(read("message/imdn+xml", &displayed), of(Receipt::Displayed));
        let packed = InstantMessage::read(b"message/imdn+xml", Some(b"deflate"), &packed);
        assert_eq!(packed, of(Receipt::Delivered));
        let wrapped = format!("To: <im:a@b.c>\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n{displayed}");
        assert_eq!(read("message/cpim", &wrapped), of(Receipt::Displayed));
        for wrong in
            ["", "<imdn/>", &DELIVERED.replace("delivered/", "failed/"), &DELIVERED.replace(":imdn", "")]
        {
            assert_eq!(read("message/imdn+xml", wrong), InstantMessage::Passing, "{wrong}");
        }
    }

    #[test]
    fn what_is_of_the_moment_or_without_content_passes() {
        let typing =
            "To: <im:a@b.c>\r\n\r\nContent-Type: application/im-iscomposing+xml\r\n\r\n<isComposing/>";
        for (media_type, body) in [
            ("application/im-iscomposing+xml", "<isComposing/>"),
            ("message/cpim", typing),
            ("text/plain", ""),
            ("", "hi"),
            ("text/plain\r\nX: y", "hi"),
        ] {
            assert_eq!(read(media_type, body), InstantMessage::Passing, "{media_type} {body}");
        }
    }

    #[test]
    fn what_unpacks_without_end_is_not_unpacked() {
        let fits = vec![b'x'; LONGEST as usize];
        let kept = |text: &[u8]| InstantMessage::read(b"text/plain", Some(b"deflate"), &deflated(text));
        assert!(matches!(kept(&fits), InstantMessage::Content { body, .. } if body == fits));
        assert_eq!(kept(&vec![b'x'; 50 << 20]), InstantMessage::Passing);
        assert_eq!(
            InstantMessage::read(b"text/plain", Some(b"deflate"), b"no zlib"),
            InstantMessage::Passing
        );
        assert_eq!(
            InstantMessage::read(b"text/plain", None, &[&fits[..], b"x"].concat()),
            InstantMessage::Passing
        );
    }
}
