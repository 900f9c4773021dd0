//! Opens capture files: plain or gzip, by path or from standard input. Decoding is `carillon_wire::capture`'s.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Stdin};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// An open capture, ready to be read in large blocks: nothing here buffers plain files.
pub struct Source {
    /// The capture's bytes, decompressed.
    pub reader: Box<dyn Read + Send>,
    /// Length of the file as stored; `None` for pipes.
    pub length: Option<u64>,
    /// Bytes of the file read so far, for a progress bar: compressed ones count against `length`.
    pub position: Arc<AtomicU64>,
    /// Whether it is compressed.
    pub compressed: bool,
}

/// Large enough that a gzip decoder rarely waits for the system.
const COMPRESSED_BLOCK: usize = 256 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens the capture at `path`, `-` meaning standard input. The error says which file could not be opened.
pub fn open(path: &Path) -> io::Result<Source> {
    open_file(path).and_then(source).map_err(|error| {
        io::Error::new(error.kind(), format!("can't open the capture {}: {error}", path.display()))
    })
}

fn open_file(path: &Path) -> io::Result<File> {
    if path.as_os_str() == "-" { standard_input(&io::stdin()) } else { File::open(path) }
}

/// Standard input without its small buffer and without its lock.
fn standard_input(stdin: &Stdin) -> io::Result<File> {
    Ok(File::from(stdin.as_fd().try_clone_to_owned()?))
}

fn source(file: File) -> io::Result<Source> {
    let metadata = file.metadata()?;
    let position = Arc::new(AtomicU64::new(0));
    let mut file = Counted { file, position: position.clone() };
    let mut start = Vec::with_capacity(GZIP_MAGIC.len());
    file.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let compressed = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(file);
    let reader: Box<dyn Read + Send> = if compressed {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(COMPRESSED_BLOCK, whole)))
    } else {
        Box::new(whole)
    };
    Ok(Source { reader, length: metadata.is_file().then_some(metadata.len()), position, compressed })
}

struct Counted {
    file: File,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.position.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
