//! What waits to be sent on a connection, bounded.

use std::io::{self, Write};

/// Bytes in the order they were given.
#[derive(Default, Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

/// There is no more room: the other end does not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

impl Outbox {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a message, if no more than `limit` bytes wait then.
    pub(super) fn push(&mut self, message: Vec<u8>, limit: usize) -> Result<(), Full> {
        if self.len().saturating_add(message.len()) > limit {
            return Err(Full);
        }
        if self.is_empty() {
            (self.bytes, self.sent) = (message, 0);
        } else {
            self.bytes.drain(..self.sent);
            self.sent = 0;
            self.bytes.extend_from_slice(&message);
        }
        Ok(())
    }

    /// Hands over as much as `sink` takes; memory is freed with the last byte.
    pub(super) fn write_to(&mut self, sink: &mut impl Write) -> io::Result<()> {
        while let Some(rest) = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        *self = Outbox::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, up to a limit.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(3).min(self.1 - self.0.len());
            self.0.extend_from_slice(&bytes[..count]);
            if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_leave_in_order_whatever_the_sink_takes_at_once() {
        let (mut outbox, mut sink) = (Outbox::default(), Narrow(Vec::new(), 7));
        outbox.push(b"12345".to_vec(), 100).unwrap();
        outbox.push(b"67890".to_vec(), 100).unwrap();
        assert_eq!(outbox.write_to(&mut sink).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        outbox.push(b"abc".to_vec(), 100).unwrap();
        assert_eq!(outbox.len(), 6);
        sink.1 = 100;
        outbox.write_to(&mut sink).unwrap();
        assert_eq!((sink.0.as_slice(), outbox.len(), outbox.bytes.capacity()), (&b"1234567890abc"[..], 0, 0));
    }

    #[test]
    fn what_waits_is_bounded_and_what_was_sent_does_not_count() {
        let mut outbox = Outbox::default();
        outbox.push(vec![0; 10], 10).unwrap();
        assert_eq!(outbox.push(vec![0; 1], 10), Err(Full));
        let _ = outbox.write_to(&mut Narrow(Vec::new(), 4));
        assert_eq!(outbox.push(vec![0; 5], 10), Err(Full));
        assert_eq!(outbox.push(vec![0; 4], 10), Ok(()));
    }
}
