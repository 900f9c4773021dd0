//! What the two hosts of `carillon probe` send to each other.

use carillon_qos::probe::{Datagram, Hello, MOST_PORTS, Reply, Request, Service, Token};

/// A message: the first byte chooses whether it came to a port or over the line. What is read is written and read
/// again as the same, and no list is longer than allowed.
pub fn probe(data: &[u8]) {
    let Some((first, message)) = data.split_first() else { return };
    let key = Token::new([7; 10]).key(&[1; 16], &[2; 16]);
    if first % 4 == 0 {
        let _ = Service::of(message);
        let Some(datagram) = Datagram::read(message, &key) else { return };
        return assert_eq!(datagram.bytes(&key)[..], *message);
    }
    let Ok(line) = std::str::from_utf8(message) else { return };
    match first % 4 {
        1 => {
            let Some(hello) = Hello::read(line) else { return };
            assert_eq!(Hello::read(&hello.to_string()), Some(hello));
        }
        2 => {
            let Some(request) = Request::read(line) else { return };
            if let Request::Open(_, _, ports) | Request::Ask(_, _, ports) = &request {
                assert!((1..=MOST_PORTS).contains(&ports.len()) && !ports.contains(&0));
            }
            assert_eq!(Request::read(&request.to_string()), Some(request));
        }
        _ => {
            let Some(reply) = Reply::read(line) else { return };
            assert_eq!(Reply::read(&reply.to_string()), Some(reply));
        }
    }
}
