//! The progress bar on long captures. Only on a terminal, and never for what is done in a blink.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::Progress;

/// Files shorter than this are read before anyone could look at a bar.
const LONG: u64 = 64 << 20;

/// Bytes read of all captures.
#[derive(Default)]
pub(super) struct Bar {
    /// Length of all files; `None` once a pipe is among them.
    total: Option<u64>,
    positions: Vec<Arc<AtomicU64>>,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Counts one more capture.
    pub(super) fn add(&mut self, length: Option<u64>, position: Arc<AtomicU64>) {
        let before = if self.positions.is_empty() { Some(0) } else { self.total };
        self.total = before.zip(length).map(|(before, length)| before.saturating_add(length));
        self.positions.push(position);
    }

    /// Shows the bar if it is worth one.
    pub(super) fn show(&mut self) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar = match self.total {
            Some(total) if total < LONG => return,
            Some(total) => {
                let style =
                    ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
                ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            }
            None => {
                let style = ProgressStyle::with_template("{spinner} {bytes} {bytes_per_sec}");
                ProgressBar::no_length()
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
            }
        };
        self.bar = Some(bar);
    }
}

impl Progress for Bar {
    fn advanced(&self) {
        if let Some(bar) = &self.bar {
            let read = self.positions.iter().map(|position| position.load(Ordering::Relaxed));
            bar.set_position(read.fold(0, u64::saturating_add));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
