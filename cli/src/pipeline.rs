//! Reads captures and lets verifiers see every frame: on one core in place, on several by worker threads.
//!
//! A dispatcher cuts the bytes at borders of records and hands the same blocks to all workers; each worker
//! keeps only its share of the flows. So the verdict does not depend on how many there are.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use carillon_qos::verify::{Frame, Limits, Share, Verifier};
use carillon_wire::capture::{CaptureError, Decoder, MAX_RECORD_LEN};

use crate::answer::Failure;

/// A capture to read.
pub struct Input {
    /// How messages and the report call it.
    pub name: String,
    /// Its bytes.
    pub reader: Box<dyn Read + Send>,
    /// Whether what is there is to be judged at once, because more may take long to come.
    pub live: bool,
}

/// What was read.
pub struct Observed {
    /// Has seen every frame.
    pub verifier: Verifier,
    /// What was wrong with captures that could be read in part only.
    pub damaged: Vec<String>,
}

/// Told after every block, for a progress bar.
pub trait Progress {
    /// A block was read.
    fn advanced(&self);
}

/// Reads all captures, in order, with so many verifiers.
pub fn observe(
    inputs: Vec<Input>,
    cores: usize,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Observed, Failure> {
    if cores <= 1 {
        let mut verifier = Verifier::new(limits, Share::ALL);
        let damaged = read_all(inputs, progress, &Recycled::none(), &mut |decoder, bytes, file| {
            show(&mut verifier, decoder, bytes, file)
        })?;
        return Ok(Observed { verifier, damaged });
    }
    thread::scope(|scope| {
        let (recycled, returns) = Recycled::new();
        let mut blocks = Vec::new();
        let mut workers = Vec::new();
        for index in 0..cores {
            let (sender, receiver) = sync_channel::<Arc<Block>>(WAITING);
            blocks.push(sender);
            let returns = returns.clone();
            let share = Share { index, of: cores };
            workers.push(scope.spawn(move || work(Verifier::new(limits, share), receiver, returns)));
        }
        drop(returns);
        let damaged = read_all(inputs, progress, &recycled, &mut |decoder, bytes, file| {
            dispatch(&blocks, decoder, bytes, file)
        });
        // Closed channels tell the workers that this was all.
        drop(blocks);
        let mut verifier: Option<Verifier> = None;
        for worker in workers {
            let judged =
                worker.join().map_err(|_| Failure::Message("a worker thread has failed".to_owned()))?;
            match &mut verifier {
                Some(first) => first.merge(judged),
                None => verifier = Some(judged),
            }
        }
        let verifier = verifier.unwrap_or_else(|| Verifier::new(limits, Share::ALL));
        Ok(Observed { verifier, damaged: damaged? })
    })
}

/// Bytes read at a time. They stay in the cache while every worker looks at them.
const BLOCK: usize = 2 << 20;
/// Blocks that wait for a worker at most.
const WAITING: usize = 3;

/// Whole records, and where the decoder was before them.
struct Block {
    decoder: Decoder,
    bytes: Vec<u8>,
    whole: usize,
    file: u16,
}

/// How far a taker of bytes came.
struct Taken {
    /// Bytes of whole records, from the start.
    whole: usize,
    /// Why nothing more can be read, if so.
    error: Option<CaptureError>,
    /// The bytes, unless they went elsewhere; what follows the whole records is read from here.
    bytes: Vec<u8>,
}

type Take<'a> = dyn FnMut(&mut Decoder, Vec<u8>, u16) -> Taken + 'a;

/// Judges the whole records in place.
fn show(verifier: &mut Verifier, decoder: &mut Decoder, bytes: Vec<u8>, file: u16) -> Taken {
    let mut rest = bytes.as_slice();
    let error = show_records(verifier, decoder, &mut rest, file).err();
    Taken { whole: bytes.len() - rest.len(), error, bytes }
}

fn show_records(
    verifier: &mut Verifier,
    decoder: &mut Decoder,
    rest: &mut &[u8],
    file: u16,
) -> Result<(), CaptureError> {
    while let Some(record) = decoder.next(rest)? {
        verifier.observe(&Frame {
            number: record.frame,
            time: record.time,
            file,
            interface: record.interface,
            link: record.link,
            original_len: record.original_len,
            data: record.data,
        });
    }
    Ok(())
}

/// Sends the whole records to every worker; what follows them is copied, for the next block.
fn dispatch(workers: &[SyncSender<Arc<Block>>], decoder: &mut Decoder, bytes: Vec<u8>, file: u16) -> Taken {
    let before = decoder.clone();
    let mut rest = bytes.as_slice();
    let error = decoder.skip(&mut rest).err();
    let whole = bytes.len() - rest.len();
    if whole == 0 {
        return Taken { whole, error, bytes };
    }
    let left = rest.to_vec();
    let block = Arc::new(Block { decoder: before, bytes, whole, file });
    for worker in workers {
        // A worker that is gone has panicked; joining it says so.
        let _ = worker.send(block.clone());
    }
    Taken { whole: 0, error, bytes: left }
}

fn work(mut verifier: Verifier, blocks: Receiver<Arc<Block>>, returns: Sender<Vec<u8>>) -> Verifier {
    for mut block in blocks {
        let mut decoder = block.decoder.clone();
        let mut rest = block.bytes.get(..block.whole).unwrap_or_default();
        // The dispatcher has walked over the same records without an error.
        let _ = show_records(&mut verifier, &mut decoder, &mut rest, block.file);
        // Whoever finishes last gives the memory back.
        if let Some(block) = Arc::get_mut(&mut block) {
            let _ = returns.send(std::mem::take(&mut block.bytes));
        }
    }
    verifier
}

/// Memory of blocks that all workers have done with.
struct Recycled(Option<Receiver<Vec<u8>>>);

impl Recycled {
    fn none() -> Recycled {
        Recycled(None)
    }

    fn new() -> (Recycled, Sender<Vec<u8>>) {
        let (sender, receiver) = channel();
        (Recycled(Some(receiver)), sender)
    }

    fn take(&self) -> Vec<u8> {
        self.0.as_ref().and_then(|receiver| receiver.try_recv().ok()).unwrap_or_default()
    }
}

fn read_all(
    inputs: Vec<Input>,
    progress: &dyn Progress,
    recycled: &Recycled,
    take: &mut Take<'_>,
) -> Result<Vec<String>, Failure> {
    let mut damaged = Vec::new();
    for (file, input) in inputs.into_iter().enumerate() {
        let name = input.name.clone();
        let file = u16::try_from(file).map_err(|_| Failure::Message("too many captures".to_owned()))?;
        match read_one(input, file, progress, recycled, take) {
            Ok(()) => {}
            Err(Trouble::NoCapture(error)) => {
                return Err(Failure::new(format!("`{name}` is no capture"), error));
            }
            Err(Trouble::Damaged(what)) => damaged.push(format!("{name}: {what}")),
        }
    }
    Ok(damaged)
}

enum Trouble {
    NoCapture(CaptureError),
    Damaged(String),
}

impl From<CaptureError> for Trouble {
    fn from(error: CaptureError) -> Trouble {
        match error {
            CaptureError::Empty | CaptureError::NotACapture { .. } => Trouble::NoCapture(error),
            damaged => Trouble::Damaged(damaged.to_string()),
        }
    }
}

fn read_one(
    mut input: Input,
    file: u16,
    progress: &dyn Progress,
    recycled: &Recycled,
    take: &mut Take<'_>,
) -> Result<(), Trouble> {
    let mut decoder = Decoder::new();
    let mut left = Vec::new();
    let mut wanted = BLOCK;
    loop {
        let held = left.len();
        let (bytes, ended) = fill(&mut input, left, wanted, recycled);
        let taken = take(&mut decoder, bytes, file);
        progress.advanced();
        if let Some(error) = taken.error {
            return Err(error.into());
        }
        let rest = taken.bytes.get(taken.whole..).unwrap_or_default();
        match ended {
            Ok(false) => {}
            Ok(true) => return Ok(decoder.finish(rest)?),
            Err(error) => return Err(Trouble::Damaged(format!("cannot be read on: {error}"))),
        }
        // A record may be longer than a block; the decoder refuses those that are longer than the largest.
        let stuck = taken.whole == 0 && rest.len() >= held && rest.len() >= wanted;
        wanted = if stuck { (wanted * 2).min(2 * MAX_RECORD_LEN as usize) } else { BLOCK };
        left = rest.to_vec();
    }
}

/// Reads until so many bytes are there; says whether the capture has ended.
fn fill(input: &mut Input, left: Vec<u8>, wanted: usize, recycled: &Recycled) -> (Vec<u8>, io::Result<bool>) {
    let mut bytes = recycled.take();
    let mut held = left.len();
    let size = wanted.max(held + BLOCK / 2);
    // Recycled memory keeps what it held: only growth has to be cleared.
    bytes.resize(size.max(bytes.len().min(size)), 0);
    if let Some(start) = bytes.get_mut(..held) {
        start.copy_from_slice(&left);
    }
    let mut ended = Ok(false);
    while let Some(free) = bytes.get_mut(held..).filter(|free| !free.is_empty()) {
        match input.reader.read(free) {
            Ok(0) => {
                ended = Ok(true);
                break;
            }
            Ok(read) => held += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                ended = Err(error);
                break;
            }
        }
        if input.live {
            break;
        }
    }
    bytes.truncate(held);
    (bytes, ended)
}
