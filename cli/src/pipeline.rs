//! Reads captures and lets verifiers see every frame: on one core in place, on several by worker threads.
//!
//! Plain files are read by every worker for itself. From a pipe one thread reads, cuts the bytes at borders of
//! records, and hands the same blocks to all workers. Each worker keeps only its share of the flows, so the verdict
//! does not depend on how many there are.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use carillon_qos::verify::{Frame, Limits, Share, Verifier};
use carillon_wire::capture::{CaptureError, Decoder};

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

/// Reads captures that can be opened as often as there are workers: each reads its own copy of the inputs, keeps
/// its share of the flows, and has nothing to wait for. Reading costs less than handing blocks from core to core.
pub fn observe_copies(
    mut copies: Vec<Vec<Input>>,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Observed, Failure> {
    let of = copies.len();
    let rest = copies.split_off(1.min(of));
    thread::scope(|scope| {
        let start =
            |(inputs, index)| scope.spawn(move || alone(inputs, Share { index, of }, limits, &Silent));
        let others: Vec<_> = rest.into_iter().zip(1..).map(start).collect();
        let mut first = alone(copies.pop().unwrap_or_default(), Share { index: 0, of }, limits, progress)?;
        for other in others {
            let judged =
                other.join().map_err(|_| Failure::Message("a worker thread has failed".to_owned()))??;
            first.verifier.merge(judged.verifier);
        }
        Ok(first)
    })
}

/// Reads and judges on this thread.
fn alone(
    inputs: Vec<Input>,
    share: Share,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Observed, Failure> {
    let mut verifier = Verifier::new(limits, share);
    let damaged =
        read_all(inputs, progress, &mut |decoder, buffer, file| show(&mut verifier, decoder, buffer, file))?;
    Ok(Observed { verifier, damaged })
}

/// Nobody is told.
pub struct Silent;

impl Progress for Silent {
    fn advanced(&self) {}
}

/// Reads captures that can be read once only (pipes, interfaces), in order, on so many cores. Two are one that
/// reads and one that judges.
pub fn observe(
    inputs: Vec<Input>,
    cores: usize,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Observed, Failure> {
    if cores <= 1 {
        return alone(inputs, Share::ALL, limits, progress);
    }
    thread::scope(|scope| {
        let (returns, done_with) = channel();
        let mut blocks = Vec::new();
        let mut workers = Vec::new();
        for index in 0..cores - 1 {
            let (sender, receiver) = sync_channel::<Arc<Block>>(WAITING);
            blocks.push(sender);
            let returns = returns.clone();
            let share = Share { index, of: cores - 1 };
            workers.push(scope.spawn(move || work(Verifier::new(limits, share), receiver, returns)));
        }
        drop(returns);
        let damaged = read_all(inputs, progress, &mut |decoder, buffer, file| {
            let (left, error) = dispatch(&blocks, decoder, buffer, file);
            Taken { left, error, memory: done_with.try_recv().unwrap_or_default() }
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

/// Bytes read at a time: few enough that they are still in the core's own cache when they are looked at.
const BLOCK: usize = 512 << 10;
/// Blocks that wait for a worker at most.
const WAITING: usize = 8;
/// The system copies four times as fast to where a page starts.
const PAGE: usize = 4096;

/// Memory that captures are read into, and where in it their bytes lie.
struct Buffer {
    memory: Vec<u8>,
    held: Range<usize>,
    /// Up to where it is to be filled.
    end: usize,
}

impl Buffer {
    /// Starts with what the block before left over, placed so that what is read behind it starts a page.
    fn new(mut memory: Vec<u8>, left: &[u8]) -> Buffer {
        // Twice as much each time, if a record is longer than a block.
        let (before, room) = (left.len().next_multiple_of(PAGE), left.len().max(BLOCK));
        if memory.len() < PAGE + before + room {
            memory = vec![0; PAGE + before + room];
        }
        let at = memory.as_ptr().align_offset(PAGE).min(PAGE) + before;
        let held = at - left.len()..at;
        memory[held.clone()].copy_from_slice(left);
        Buffer { memory, held, end: at + room }
    }

    fn bytes(&self) -> &[u8] {
        self.memory.get(self.held.clone()).unwrap_or_default()
    }

    /// Reads until the memory is full; says whether the capture has ended.
    fn fill(&mut self, input: &mut Input) -> io::Result<bool> {
        while let Some(free) = self.memory.get_mut(self.held.end..self.end).filter(|free| !free.is_empty()) {
            match input.reader.read(free) {
                Ok(0) => return Ok(true),
                Ok(read) => self.held.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if input.live {
                break;
            }
        }
        Ok(false)
    }
}

/// Whole records, and where the decoder was before them.
struct Block {
    decoder: Decoder,
    buffer: Buffer,
    file: u16,
}

/// How far a taker of bytes came.
struct Taken {
    /// What follows the whole records.
    left: Vec<u8>,
    /// Why nothing more can be read, if so.
    error: Option<CaptureError>,
    /// Memory that nobody looks at any more.
    memory: Vec<u8>,
}

type Take<'a> = dyn FnMut(&mut Decoder, Buffer, u16) -> Taken + 'a;

/// Judges the whole records in place.
fn show(verifier: &mut Verifier, decoder: &mut Decoder, buffer: Buffer, file: u16) -> Taken {
    let mut rest = buffer.bytes();
    let error = show_records(verifier, decoder, &mut rest, file).err();
    Taken { left: rest.to_vec(), error, memory: buffer.memory }
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

/// Sends the whole records to every worker; gives back what follows them.
fn dispatch(
    workers: &[SyncSender<Arc<Block>>],
    decoder: &mut Decoder,
    mut buffer: Buffer,
    file: u16,
) -> (Vec<u8>, Option<CaptureError>) {
    let before = decoder.clone();
    let mut rest = buffer.bytes();
    let error = decoder.skip(&mut rest).err();
    let left = rest.to_vec();
    buffer.held.end -= left.len();
    let block = Arc::new(Block { decoder: before, buffer, file });
    for worker in workers {
        // A worker that is gone has panicked; joining it says so.
        let _ = worker.send(block.clone());
    }
    (left, error)
}

fn work(mut verifier: Verifier, blocks: Receiver<Arc<Block>>, returns: Sender<Vec<u8>>) -> Verifier {
    for mut block in blocks {
        let mut decoder = block.decoder.clone();
        let mut rest = block.buffer.bytes();
        // The dispatcher has walked over the same records without an error.
        let _ = show_records(&mut verifier, &mut decoder, &mut rest, block.file);
        // Whoever finishes last gives the memory back.
        if let Some(block) = Arc::get_mut(&mut block) {
            let _ = returns.send(std::mem::take(&mut block.buffer.memory));
        }
    }
    verifier
}

fn read_all(
    inputs: Vec<Input>,
    progress: &dyn Progress,
    take: &mut Take<'_>,
) -> Result<Vec<String>, Failure> {
    let mut damaged = Vec::new();
    for (file, input) in inputs.into_iter().enumerate() {
        let name = input.name.clone();
        let file = u16::try_from(file).map_err(|_| Failure::Message("too many captures".to_owned()))?;
        match read_one(input, file, progress, take) {
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
    take: &mut Take<'_>,
) -> Result<(), Trouble> {
    let mut decoder = Decoder::new();
    let (mut left, mut memory) = (Vec::new(), Vec::new());
    loop {
        let mut buffer = Buffer::new(memory, &left);
        let ended = buffer.fill(&mut input);
        let taken = take(&mut decoder, buffer, file);
        progress.advanced();
        if let Some(error) = taken.error {
            return Err(error.into());
        }
        match ended {
            Ok(false) => {}
            Ok(true) => return Ok(decoder.finish(&taken.left)?),
            Err(error) => return Err(Trouble::Damaged(format!("cannot be read on: {error}"))),
        }
        (left, memory) = (taken.left, taken.memory);
    }
}
