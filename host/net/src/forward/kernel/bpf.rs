//! `bpf(2)`: maps, programs and where they are attached. What is made ends with its descriptor, and so with the process.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const MAP_DELETE: libc::c_int = 3;
const PROGRAM_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;
/// `BPF_PROG_TYPE_SCHED_CLS`.
const CLASSIFIER: u32 = 3;
/// Since Linux 6.6.
const TCX_INGRESS: u32 = 46;
/// None of its helpers is for GPL programs only.
const LICENCE: &[u8] = b"Dual MIT/Apache\0";
/// What the kernel says of a program that it refuses; its end is what counts.
const LOG: usize = 1 << 20;
const LOG_SHOWN: usize = 400;

/// A kind of map.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `BPF_MAP_TYPE_HASH`, whose memory comes with its entries.
    Hash,
    /// `BPF_MAP_TYPE_ARRAY`, to be mapped into this process.
    SharedArray,
}

/// `union bpf_attr`: as long as any use of it here, with zeros where nothing is said.
#[repr(C, align(8))]
struct Attributes([u8; 128]);

impl Attributes {
    fn new() -> Attributes {
        Attributes([0; 128])
    }

    fn word(mut self, at: usize, value: u32) -> Attributes {
        self.put(at, &value.to_ne_bytes());
        self
    }

    fn pointer<T: ?Sized>(mut self, at: usize, value: *const T) -> Attributes {
        self.put(at, &(value.cast::<c_void>() as u64).to_ne_bytes());
        self
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let place = self.0.get_mut(at..).unwrap_or_default();
        place.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
    }

    /// # Safety
    /// Pointers in it are valid for what the command reads and writes.
    unsafe fn call(&mut self, command: libc::c_int) -> io::Result<libc::c_int> {
        // SAFETY: as the caller has promised; the attributes are as long as is said.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *self, size_of::<Attributes>()) };
        crate::syscall::check(result as libc::c_int)
    }

    /// For commands that make something.
    ///
    /// # Safety
    /// As for [`Attributes::call`].
    unsafe fn open(&mut self, command: libc::c_int) -> io::Result<OwnedFd> {
        // SAFETY: as the caller has promised; what comes is a new descriptor of nobody else's.
        unsafe { Ok(OwnedFd::from_raw_fd(self.call(command)?)) }
    }
}

/// A table that programs read.
pub(super) struct Map {
    pub(super) fd: OwnedFd,
    key: usize,
    value: usize,
}

impl Map {
    pub(super) fn new(kind: Kind, name: &[u8], key: usize, value: usize, entries: u32) -> io::Result<Map> {
        // `BPF_F_NO_PREALLOC`, `BPF_F_MMAPABLE`.
        let (kind, flags) = match kind {
            Kind::Hash => (1, 1),
            Kind::SharedArray => (2, 1 << 10),
        };
        let attributes = Attributes::new().word(0, kind).word(4, key as u32).word(8, value as u32);
        let mut attributes = attributes.word(12, entries).word(16, flags);
        attributes.put(28, name);
        // SAFETY: no pointers.
        let fd = unsafe { attributes.open(MAP_CREATE) }?;
        Ok(Map { fd, key, value })
    }

    pub(super) fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if (key.len(), value.len()) != (self.key, self.value) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let attributes = Attributes::new().word(0, self.fd.as_raw_fd() as u32);
        // SAFETY: both are as long as the map was made for.
        unsafe { attributes.pointer(8, key.as_ptr()).pointer(16, value.as_ptr()).call(MAP_UPDATE) }?;
        Ok(())
    }

    pub(super) fn remove(&self, key: &[u8]) -> io::Result<()> {
        if key.len() != self.key {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let attributes = Attributes::new().word(0, self.fd.as_raw_fd() as u32);
        // SAFETY: the key is as long as the map was made for.
        unsafe { attributes.pointer(8, key.as_ptr()).call(MAP_DELETE) }?;
        Ok(())
    }
}

/// Has the kernel check a program and keep it. If it refuses, the error ends with what it says.
pub(super) fn load(instructions: &[u8]) -> io::Result<OwnedFd> {
    load_with(instructions, &mut []).or_else(|error| {
        if error.raw_os_error() == Some(libc::EPERM) {
            return Err(error);
        }
        let mut log = vec![0; LOG];
        load_with(instructions, &mut log).map_err(|error| explained(&error, &log))
    })
}

fn load_with(instructions: &[u8], log: &mut [u8]) -> io::Result<OwnedFd> {
    let attributes = Attributes::new().word(0, CLASSIFIER).word(4, (instructions.len() / 8) as u32);
    let mut attributes = attributes.pointer(8, instructions.as_ptr()).pointer(16, LICENCE.as_ptr());
    if !log.is_empty() {
        attributes = attributes.word(24, 1).word(28, log.len() as u32).pointer(32, log.as_mut_ptr());
    }
    attributes.put(48, b"carillon_relay");
    // SAFETY: instructions and log are as long as is said, the licence ends with a zero.
    unsafe { attributes.open(PROGRAM_LOAD) }
}

fn explained(error: &io::Error, log: &[u8]) -> io::Error {
    let said = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default());
    let lines: Vec<&str> = said.trim().lines().collect();
    let mut end = lines.join("; ");
    end.drain(..end.char_indices().rev().nth(LOG_SHOWN).map_or(0, |(at, _)| at));
    io::Error::new(error.kind(), format!("{error}: {end}"))
}

/// Runs the program for what an interface receives, until the link is dropped.
pub(super) fn attach(program: &OwnedFd, interface: u32) -> io::Result<OwnedFd> {
    let attributes = Attributes::new().word(0, program.as_raw_fd() as u32).word(4, interface);
    // SAFETY: no pointers.
    unsafe { attributes.word(8, TCX_INGRESS).open(LINK_CREATE) }
}

/// Runs the program once for a frame that came by an interface: what it says, and the frame that it leaves.
#[cfg(test)]
pub(super) fn run(program: &OwnedFd, frame: &[u8]) -> io::Result<(u32, Vec<u8>)> {
    const TEST_RUN: libc::c_int = 10;
    let mut out = vec![0; 65_536];
    let attributes = Attributes::new().word(0, program.as_raw_fd() as u32);
    let attributes = attributes.word(8, frame.len() as u32).word(12, out.len() as u32).word(32, 1);
    let mut attributes = attributes.pointer(16, frame.as_ptr()).pointer(24, out.as_mut_ptr());
    // SAFETY: both are as long as is said.
    unsafe { attributes.call(TEST_RUN) }?;
    let word = |at: usize| u32::from_ne_bytes(*attributes.0[at..].first_chunk().unwrap());
    out.truncate(word(12) as usize);
    Ok((word(4), out))
}
