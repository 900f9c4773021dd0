//! Judging what an interface sees now: captures until the time is over, or until Enter is pressed.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use carillon_net::live;
use carillon_qos::verify::Limits;
use carillon_wire::capture::USUAL_RECORD_LEN;

use crate::answer::Failure;
use crate::pipeline::{self, Input, Observed, Progress};
use crate::words;

/// Captures and shows every frame to the verifiers.
pub(super) fn observe(
    interface: &str,
    seconds: Option<u64>,
    cores: usize,
    limits: Limits,
) -> Result<Observed, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let live = live::open(interface, USUAL_RECORD_LEN, stop.clone())
        .map_err(|error| Failure::Message(error.to_string()))?;
    let dropped = live.dropped();
    if io::stderr().is_terminal() {
        let until = seconds.map_or("press Enter to stop".to_owned(), |seconds| format!("for {seconds} s"));
        let _ = writeln!(io::stderr(), "capturing on {}, {until}", words::clean(interface));
    }
    thread::spawn(move || {
        match seconds {
            Some(seconds) => thread::sleep(Duration::from_secs(seconds)),
            // The end of standard input stops the capture as well: so may a script.
            None => drop(io::stdin().read_line(&mut String::new())),
        }
        stop.store(true, Ordering::Relaxed);
    });
    let input = Input { name: interface.to_owned(), reader: Box::new(live), live: true };
    let mut observed = pipeline::observe(vec![input], cores, limits, &Silent)?;
    match dropped.load(Ordering::Relaxed) {
        0 => {}
        lost => observed.damaged.push(format!(
            "{interface}: {} came faster than they were read and are missing",
            words::some(lost, "frame", "frames")
        )),
    }
    Ok(observed)
}

struct Silent;

impl Progress for Silent {
    fn advanced(&self) {}
}
