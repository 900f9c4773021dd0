//! WebSockets: the request that opens one, whom a proxy opens it for, and the frames of a client.

use std::net::SocketAddr;

use carillon_wire::forwarded::{Field, Proxies};
use carillon_wire::websocket::{CloseCode, Frame, Frames, REQUEST, Upgrade, message};

const MOST: usize = 700;

/// Lines of either field. Who is no proxy is believed nothing. What our own proxy adds at the end is who asks, whatever stands ahead
/// of it.
pub fn forwarded(data: &[u8]) {
    let [proxy, stranger]: [SocketAddr; 2] = [([10, 0, 0, 7], 1).into(), ([192, 0, 2, 66], 2).into()];
    for (field, added) in
        [(Field::XForwardedFor, &b"192.0.2.1:77"[..]), (Field::Forwarded, b"for=\"192.0.2.1:77\"")]
    {
        let proxies = Proxies::new(field, [proxy.ip()]);
        let lines = || data.split(|byte| *byte == b'\n');
        assert_eq!(proxies.client(stranger, lines()), stranger);
        // In a line of its own, or in that of the client.
        let asked = proxies.client(proxy, lines().chain([added]));
        assert_eq!(asked, ([192, 0, 2, 1], 77).into());
        let joined = [data, b", ", added].concat();
        let asked = proxies.client(proxy, [&joined[..]].into_iter());
        assert_eq!(asked, ([192, 0, 2, 1], 77).into());
    }
}

/// A stream of a client. A request that is whole stays what it is, whatever comes behind it. Frames show the same however the
/// stream is torn; no more is held than a message and a control frame; what is shown can be sent.
pub fn websocket(data: &[u8]) {
    let frames = match Upgrade::read(data) {
        Ok(Some(upgrade)) => {
            assert!((1..=data.len().min(REQUEST)).contains(&upgrade.len));
            assert!(upgrade.accepted().ends_with(b"\r\n\r\n"));
            assert!(
                matches!(Upgrade::read(&data[..upgrade.len]), Ok(Some(again)) if again.len == upgrade.len)
            );
            &data[upgrade.len..]
        }
        Ok(None) => return assert!(data.len() < REQUEST),
        // Then it is looked at as frames alone.
        Err(refusal) => {
            assert!(refusal.answer().ends_with(b"\r\n\r\n"));
            data
        }
    };
    let whole = shown(frames, usize::MAX);
    for size in [1, 3, 64] {
        assert_eq!(shown(frames, size), whole);
    }
}

fn shown(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, Result<(), CloseCode>) {
    let (mut frames, mut seen) = (Frames::default(), Vec::new());
    for piece in stream.chunks(size) {
        let read = frames.feed(piece, MOST, &mut |frame| {
            seen.push(match frame {
                Frame::Message(bytes) => message(bytes),
                Frame::Ping(bytes) => bytes.to_vec(),
                Frame::Close => Vec::new(),
            });
        });
        assert!(frames.held() <= MOST + 125 + 14);
        if read.is_err() {
            return (seen, read);
        }
    }
    (seen, Ok(()))
}
