//! What the operating system tells a service: SIGHUP reloads, SIGTERM and Ctrl-C stop.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::desk::{Desk, Service};

/// Listens until it is dropped.
pub(crate) struct Listener(Handle);

pub(crate) fn listen<S: Service>(desk: Desk<S>) -> io::Result<Listener> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let handle = signals.handle();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if signal == SIGHUP { desk.reload() } else { desk.stop() }
        }
    })?;
    Ok(Listener(handle))
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.close();
    }
}
