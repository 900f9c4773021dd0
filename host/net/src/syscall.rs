//! What the calls to the kernel share: how they fail, socket options and control messages (`cmsg(3)`).
//!
//! Options that `socket2` knows are set through it.

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

use libc::c_int;

/// The error of a call that answers with a negative number.
pub(crate) fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Sets a socket option whose value is a `T` of C.
pub(crate) fn set_option<T: Copy>(socket: &impl AsFd, level: c_int, name: c_int, value: T) -> io::Result<()> {
    let (fd, len) = (socket.as_fd().as_raw_fd(), size_of::<T>() as libc::socklen_t);
    // SAFETY: `value` is `len` readable bytes.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast::<c_void>(), len) })?;
    Ok(())
}

/// Reads a socket option that is a row of numbers; those that the kernel does not know stay 0.
pub(crate) fn numbers<const N: usize>(socket: &impl AsFd, level: c_int, name: c_int) -> io::Result<[u32; N]> {
    let mut numbers = [0; N];
    let (fd, mut len) = (socket.as_fd().as_raw_fd(), size_of::<[u32; N]>() as libc::socklen_t);
    // SAFETY: the kernel writes at most `len` bytes into `numbers`.
    check(unsafe { libc::getsockopt(fd, level, name, (&raw mut numbers).cast::<c_void>(), &raw mut len) })?;
    Ok(numbers)
}

const WORD: usize = size_of::<usize>();
/// The length, the level and the type.
const HEADER: usize = WORD + 8;

/// The control messages in a buffer that the kernel has filled: level, type, data.
pub(crate) struct ControlMessages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for ControlMessages<'a> {
    type Item = (c_int, c_int, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (len, rest) = self.0.split_first_chunk::<WORD>()?;
        let (level, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let data = rest.get(..usize::from_ne_bytes(*len).checked_sub(HEADER)?)?;
        self.0 = rest.get(data.len().next_multiple_of(WORD)..).unwrap_or_default();
        Some((c_int::from_ne_bytes(*level), c_int::from_ne_bytes(*kind), data))
    }
}

/// Control messages for the kernel: room for a mark, an address to send from, and the size of segments.
#[repr(C, align(8))]
pub(crate) struct Control {
    bytes: [u8; Control::ROOM],
    len: usize,
}

impl Control {
    /// Three messages with headers: 4 bytes of mark, at most 20 of address, 2 of size.
    const ROOM: usize = 3 * HEADER + 8 + 24 + 8;

    /// No messages.
    pub(crate) const fn new() -> Control {
        Control { bytes: [0; Control::ROOM], len: 0 }
    }

    /// Adds a message. What has no room is a mistake of ours, and left out.
    pub(crate) fn push(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        let Some(free) = self.bytes.get_mut(self.len..) else { return };
        let padded = HEADER + data.len().next_multiple_of(WORD);
        debug_assert!(padded <= free.len());
        let header = [&(HEADER + data.len()).to_ne_bytes()[..], &level.to_ne_bytes(), &kind.to_ne_bytes()];
        let written = header.into_iter().flatten().chain(data);
        free.iter_mut().zip(written).for_each(|(to, byte)| *to = *byte);
        self.len = (self.len + padded).min(Control::ROOM);
    }

    /// What has been added.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A `timespec` or `timeval`-like pair as nanoseconds since 1970: seconds and nanoseconds.
pub(crate) fn nanoseconds(data: &[u8]) -> Option<i64> {
    let (seconds, rest) = data.split_first_chunk()?;
    let nanos = i64::from_ne_bytes(*rest.first_chunk()?);
    i64::from_ne_bytes(*seconds).checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_as_control_messages_is_read_as_such() {
        let mut control = Control::new();
        assert!(control.bytes().is_empty());
        control.push(1, 2, &[3; 4]);
        control.push(-1, 5, &[6; 20]);
        let read: Vec<_> = ControlMessages(control.bytes()).collect();
        assert_eq!(read, [(1, 2, &[3; 4][..]), (-1, 5, &[6; 20][..])]);
    }

    #[test]
    fn control_messages_that_are_cut_off_are_no_messages() {
        let mut control = Control::new();
        control.push(1, 2, &[3; 4]);
        for len in 0..HEADER + 4 {
            assert_eq!(ControlMessages(&control.bytes()[..len]).count(), 0, "{len}");
        }
    }
}
