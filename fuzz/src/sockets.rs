//! Lists of sockets that tools of the system print.

use carillon_qos::listening::read;

/// Any file. Refused with a reason, or read: each socket stands in a line of its own that is there, and is at most one service's.
pub fn listening(data: &[u8]) {
    let list = match read(data) {
        Ok(list) => list,
        Err(why) => return assert!(!why.is_empty()),
    };
    assert_eq!(read(data).as_ref(), Ok(&list));
    assert!(!list.sockets.is_empty() && list.findings.len() <= 2 * list.sockets.len());
    assert!(list.sockets.windows(2).all(|pair| matches!(pair, [one, two] if one.line < two.line)));
    for socket in &list.sockets {
        assert!(socket.is_stream || socket.established == 0);
        assert!(socket.program.iter().all(|name| name.chars().count() <= 100));
        assert!(!socket.program.iter().any(|name| name.chars().any(char::is_control)));
    }
    assert_eq!(list.is_of_an_edge(), list.sockets.iter().any(|socket| socket.service.is_some()));
}
