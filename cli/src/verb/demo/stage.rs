//! How the demo looks: titles, a spinner while something goes on, tables, verdicts.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use anstyle::Style;
use carillon_qos::verify::report::Verdict;
use indicatif::{ProgressBar, ProgressStyle};

use super::act::{Diagnosis, Row, Seen};
use crate::style::{self, BAD, FAINT, FIX, GOOD, NAME, PLAIN, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words;

/// Where the story is told.
pub(super) struct Stage<'a> {
    out: &'a mut dyn Write,
    begun: Instant,
}

impl<'a> Stage<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Stage<'a> {
        Stage { out, begun: Instant::now() }
    }

    /// How long the story has taken.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn title(&mut self, title: &str) -> io::Result<()> {
        writeln!(self.out, "\n{STRONG}{title}{STRONG:#}")?;
        self.out.flush()
    }

    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "  {text}")?;
        self.out.flush()
    }

    pub(super) fn aside(&mut self, text: &str) -> io::Result<()> {
        self.say(&format!("{FAINT}{text}{FAINT:#}"))
    }

    /// Lets a call go on, with a bar where someone looks on.
    pub(super) fn wait(&mut self, what: &str, time: Duration) {
        let bar = io::stderr().is_terminal().then(|| bar(what, time));
        let start = Instant::now();
        while start.elapsed() < time {
            thread::sleep(Duration::from_millis(50));
            if let Some(bar) = &bar {
                bar.set_position(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
            }
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }

    /// A table, two blanks from the edge.
    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        let mut indented = Indented { out: self.out, at_start: true };
        table.print(&mut indented, terminal_width().map(|width| width.saturating_sub(2)))
    }

    /// The verdict over an act.
    pub(super) fn verdict(&mut self, seen: &Seen) -> io::Result<()> {
        self.table(&table(&seen.rows))?;
        let colour = style::verdict(seen.verdict);
        let word = words::verdict(seen.verdict);
        for found in &seen.diagnoses {
            self.say(&format!(
                "{colour}{word}{colour:#}  {STRONG}{}{STRONG:#}  {NAME}{}{NAME:#}",
                found.summary, found.cause
            ))?;
            self.words_of(found)?;
        }
        if seen.diagnoses.is_empty() && seen.verdict == Verdict::Pass {
            self.say(&format!("{colour}{word}{colour:#}  every packet in its range, every mark as planned"))?;
        }
        if !seen.right {
            self.say(&format!("{BAD}This is not what this act shows on a healthy build.{BAD:#}"))?;
        }
        self.out.flush()
    }

    /// A call that was refused: nothing was wrong on the wire, and still the caller must be told.
    pub(super) fn refusal(&mut self, found: &Diagnosis) -> io::Result<()> {
        self.say(&format!(
            "{BAD}REFUSED{BAD:#}  {STRONG}{}{STRONG:#}  {NAME}{}{NAME:#}",
            found.summary, found.cause
        ))?;
        self.words_of(found)
    }

    fn words_of(&mut self, found: &Diagnosis) -> io::Result<()> {
        self.paragraph(&found.text, PLAIN)?;
        self.paragraph(&format!("Fix: {}", found.fix), FIX)
    }

    fn paragraph(&mut self, text: &str, style: Style) -> io::Result<()> {
        const INDENT: &str = "        ";
        let width = terminal_width().unwrap_or(110).clamp(50, 120) - INDENT.len();
        let mut line = String::new();
        for word in words::clean(text).split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                writeln!(self.out, "{INDENT}{style}{line}{style:#}")?;
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        writeln!(self.out, "{INDENT}{style}{line}{style:#}")
    }

    /// The end: green, red, red, red, green, or not.
    pub(super) fn curtain(&mut self, acts: &[Seen]) -> io::Result<()> {
        self.title("What was shown")?;
        for seen in acts {
            let (colour, word) =
                if seen.right { (GOOD, "as it should be") } else { (BAD, "NOT as it should be") };
            let verdict = style::verdict(seen.verdict);
            self.say(&format!(
                "{verdict}{:<8}{verdict:#} {}  {colour}{word}{colour:#}",
                words::verdict(seen.verdict),
                seen.title,
            ))?;
        }
        Ok(())
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        Column::left("SPEECH"),
        Column::left("CODEC").spare(3),
        Column::right("PACKETS").spare(4),
        Column::right("PORT"),
        Column::left("PLANNED").spare(2),
        Column::left("MARK"),
        Column::left("ARRIVED AS"),
        Column::right("LOSS"),
        Column::right("JITTER").spare(5),
        Column::right("MOS").spare(1),
        Column::right("HEARD").spare(6),
    ]);
    for row in rows {
        let judged = |fine: bool| if fine { FIX } else { BAD };
        table.row([
            row.way.as_str().into(),
            row.codec.as_str().into(),
            words::count(row.packets).into(),
            Cell::styled(row.port.to_string(), judged(row.in_range)),
            row.range.as_str().into(),
            row.planned.as_str().into(),
            Cell::styled(&row.arrived, judged(row.as_planned)),
            row.loss.as_str().into(),
            row.jitter.as_str().into(),
            row.mos.as_str().into(),
            row.heard.map_or(String::new(), |heard| format!("{:.0} %", heard * 100.0)).into(),
        ]);
    }
    table
}

fn bar(what: &str, time: Duration) -> ProgressBar {
    let style =
        ProgressStyle::with_template("  {msg} {bar:32}").ok().unwrap_or_else(ProgressStyle::default_bar);
    let length = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    ProgressBar::new(length).with_style(style).with_message(what.to_owned())
}

/// Puts two blanks before each line.
struct Indented<'a> {
    out: &'a mut dyn Write,
    at_start: bool,
}

impl Write for Indented<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.at_start {
                self.out.write_all(b"  ")?;
            }
            self.out.write_all(line)?;
            self.at_start = line.ends_with(b"\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
