//! libsrtp opens what Carillon seals and the other way round, in every suite, over wraps of the sequence number.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command};

use carillon_interop::Result;
use carillon_interop::process::Process;
use carillon_media::srtp::{Error, Key, Receiver, Sender, Suite};
use carillon_wire::{rtcp, rtp};

struct Libsrtp {
    _process: Process,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Libsrtp {
    fn start(work: &Path) -> Result<Libsrtp> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/libsrtp-peer.py");
        let log = work.join("libsrtp.log");
        let (process, questions, answers) = Process::converse(Command::new("python3").arg(script), &log)?;
        Ok(Libsrtp { _process: process, questions, answers: BufReader::new(answers) })
    }

    /// `None` if libsrtp refuses.
    fn ask(&mut self, operation: &str, suite: Suite, key: &[u8], packet: &[u8]) -> Result<Option<Vec<u8>>> {
        writeln!(self.questions, "{operation} {} {} {}", suite.name(), hex(key), hex(packet))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim() {
            "" => Err("libsrtp-peer.py ended".into()),
            "refused" => Ok(None),
            packet => Ok(Some(unhex(packet))),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn key(suite: Suite) -> Vec<u8> {
    (0..suite.key_len() + suite.salt_len()).map(|n| (n * 37 + 11) as u8).collect()
}

/// Packets of one source over a wrap, with and without the parts that a header may have.
fn media() -> Vec<Vec<u8>> {
    let write = |n: u16| {
        let header = rtp::Builder {
            sequence: 65_530_u16.wrapping_add(n),
            timestamp: u32::from(n) * 160,
            ssrc: 0xcafe_babe,
            payload_type: 111,
            csrcs: &[1, 2, 3][..usize::from(n % 4)],
            extension: n.is_multiple_of(3).then_some((0xbede, &[0x10, 7, 0, 0][..])),
            padding: (n % 5) as u8 * 2,
            marker: n == 0,
        };
        let mut bytes = Vec::new();
        header.write(&vec![n as u8; usize::from(n) * 13], &mut bytes);
        bytes
    };
    (0..40).map(write).collect()
}

fn reports() -> Vec<Vec<u8>> {
    let write = |n: usize| {
        let compound = rtcp::Builder::default().receiver_report(0xcafe_babe, &[]);
        compound.cname(0xcafe_babe, &"x".repeat(n)).finish()
    };
    (0..20).map(write).collect()
}

#[test]
fn rtp_of_every_suite_both_ways() -> Result<()> {
    let work = tempfile::tempdir()?;
    let mut libsrtp = Libsrtp::start(work.path())?;
    for suite in Suite::ALL {
        let bytes = key(suite);
        let key = Key::new(suite, &bytes).unwrap();
        let (mut sender, mut receiver) = (Sender::new(&key).unwrap(), Receiver::new(&key).unwrap());
        for plain in media() {
            let mut ours = plain.clone();
            sender.protect_rtp(&mut ours).unwrap();
            let mut theirs = libsrtp.ask("protect", suite, &bytes, &plain)?.unwrap();
            assert_eq!(hex(&ours), hex(&theirs), "{suite:?}");
            assert_eq!(libsrtp.ask("unprotect", suite, &bytes, &ours)?.as_ref(), Some(&plain));
            assert_eq!(libsrtp.ask("unprotect", suite, &bytes, &ours)?, None, "a replay");
            let len = receiver.unprotect_rtp(&mut theirs).unwrap();
            assert_eq!(theirs[..len], plain);
        }
        let mut ours = media()[0].clone();
        ours[3] = 200;
        sender.protect_rtp(&mut ours).unwrap();
        *ours.last_mut().unwrap() ^= 1;
        assert_eq!(libsrtp.ask("unprotect", suite, &bytes, &ours)?, None, "a spoiled tag");
    }
    Ok(())
}

#[test]
fn rtcp_of_every_suite_both_ways() -> Result<()> {
    let work = tempfile::tempdir()?;
    let mut libsrtp = Libsrtp::start(work.path())?;
    for suite in Suite::ALL {
        let bytes = key(suite);
        let key = Key::new(suite, &bytes).unwrap();
        let (mut sender, mut receiver) = (Sender::new(&key).unwrap(), Receiver::new(&key).unwrap());
        // libsrtp counts from 1 where RFC 3711, 3.4 says 0: so that both have the same number, ours is ahead by one.
        sender.protect_rtcp(&mut reports()[0].clone()).unwrap();
        for plain in reports() {
            let mut ours = plain.clone();
            sender.protect_rtcp(&mut ours).unwrap();
            let mut theirs = libsrtp.ask("protect_rtcp", suite, &bytes, &plain)?.unwrap();
            assert_eq!(hex(&ours), hex(&theirs), "{suite:?}");
            assert_eq!(libsrtp.ask("unprotect_rtcp", suite, &bytes, &ours)?.as_ref(), Some(&plain));
            let mut again = theirs.clone();
            let len = receiver.unprotect_rtcp(&mut theirs).unwrap();
            assert_eq!(theirs[..len], plain);
            assert_eq!(receiver.unprotect_rtcp(&mut again), Err(Error::Replayed));
        }
    }
    Ok(())
}
