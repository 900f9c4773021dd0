//! Judging what an interface sees now: captures until the time is over, or until Ctrl-C or SIGTERM.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use carillon_net::live;
use carillon_qos::verify::Limits;
use carillon_wire::capture::USUAL_RECORD_LEN;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::answer::Failure;
use crate::pipeline::{self, Input, Observed, Silent};
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
        let until = seconds.map_or("Ctrl-C for the verdict".to_owned(), |seconds| format!("for {seconds} s"));
        let _ = writeln!(io::stderr(), "capturing on {}, {until}", words::clean(interface));
    }
    stop_on_signals(&stop).map_err(|error| Failure::Message(format!("can't wait for Ctrl-C: {error}")))?;
    if let Some(seconds) = seconds {
        thread::spawn(move || {
            thread::sleep(Duration::from_secs(seconds));
            stop.store(true, Ordering::Relaxed);
        });
    }
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

/// The first signal ends the capture, a second one the program.
fn stop_on_signals(stop: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 2, stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(())
}
