//! Tables for terminals: columns as wide as their cells, and fewer columns where the terminal is narrow.
//!
//! Cells may hold what a capture says; control characters never reach the terminal.

use std::io::{self, Write};

use anstyle::Style;

use crate::style;
use crate::words::clean;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    head: &'static str,
    right: bool,
    /// 0 stays always; the highest is dropped first on a narrow terminal.
    spare: u8,
}

impl Column {
    /// A column of words.
    pub const fn left(head: &'static str) -> Column {
        Column { head, right: false, spare: 0 }
    }

    /// A column of numbers.
    pub const fn right(head: &'static str) -> Column {
        Column { head, right: true, spare: 0 }
    }

    /// May be dropped; the highest number goes first.
    pub const fn spare(self, spare: u8) -> Column {
        Column { spare, ..self }
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell with a colour.
    pub fn styled(text: impl AsRef<str>, style: Style) -> Cell {
        Cell { text: clean(text.as_ref()), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::styled(text, style::PLAIN)
    }
}

/// Rows under heads. Each row has one cell per column.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Writes the table, at most `width` characters wide if spare columns allow it.
    pub fn print(&self, out: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
        let shown = self.fitting(width.unwrap_or(usize::MAX));
        let heads: Vec<Cell> =
            self.columns.iter().map(|column| Cell::styled(column.head, style::STRONG)).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            print_row(out, row, &shown)?;
        }
        Ok(())
    }

    /// The columns to show, with their widths: those that say something, the spare ones as far as there is room.
    fn fitting(&self, width: usize) -> Vec<(usize, usize, bool)> {
        let filled =
            |at: &usize| self.rows.iter().any(|row| row.get(*at).is_some_and(|cell| cell.width() > 0));
        let mut order: Vec<(usize, usize, Column)> = (0..self.columns.len())
            .filter(filled)
            .filter_map(|at| Some((at, self.width_of(at), *self.columns.get(at)?)))
            .collect();
        order.sort_by_key(|(at, _, column)| (column.spare, *at));
        let mut room = width.saturating_add(2);
        order.retain(|(_, width, column)| {
            let fits = column.spare == 0 || width + 2 <= room;
            room = if fits { room.saturating_sub(width + 2) } else { room };
            fits
        });
        order.sort_by_key(|(at, ..)| *at);
        order.into_iter().map(|(at, width, column)| (at, width, column.right)).collect()
    }

    fn width_of(&self, at: usize) -> usize {
        let head = self.columns.get(at).map_or(0, |column| column.head.chars().count());
        self.rows.iter().filter_map(|row| row.get(at)).map(Cell::width).max().unwrap_or(0).max(head)
    }
}

fn print_row(out: &mut dyn Write, row: &[Cell], shown: &[(usize, usize, bool)]) -> io::Result<()> {
    // No blanks at the end of a line.
    let says = |(at, ..): &(usize, usize, bool)| row.get(*at).is_some_and(|cell| cell.width() > 0);
    let last = shown.iter().rposition(says).unwrap_or(0);
    for (place, (at, width, right)) in shown.iter().take(last + 1).enumerate() {
        let Some(cell) = row.get(*at) else { continue };
        let gap = " ".repeat(width.saturating_sub(cell.width()));
        let (before, after) = match (*right, place == last) {
            (true, _) => (gap.as_str(), ""),
            (false, true) => ("", ""),
            (false, false) => ("", gap.as_str()),
        };
        let style = cell.style;
        write!(out, "{before}{style}{}{style:#}{after}", cell.text)?;
        out.write_all(if place == last { b"\n" } else { b"  " })?;
    }
    Ok(())
}

/// The width of the terminal; `None` if the output goes elsewhere.
pub fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(table: &Table, width: Option<usize>) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        table.print(&mut out, width).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    fn sample() -> Table {
        let mut table =
            Table::new([Column::left("NAME"), Column::right("PACKETS"), Column::left("CODEC").spare(1)]);
        table.row(["audio".into(), "1,000".into(), "opus".into()]);
        table.row([Cell::styled("file-transfer", style::BAD), "7".into(), "".into()]);
        table
    }

    #[test]
    fn words_stand_left_and_numbers_right() {
        let expected =
            "NAME           PACKETS  CODEC\naudio            1,000  opus\nfile-transfer        7\n";
        assert_eq!(printed(&sample(), None), expected);
    }

    #[test]
    fn a_narrow_terminal_loses_spare_columns_only() {
        let narrow = printed(&sample(), Some(25));
        assert!(!narrow.contains("CODEC") && narrow.contains("1,000"));
        assert!(printed(&sample(), Some(3)).contains("PACKETS"));
    }

    #[test]
    fn a_column_without_a_word_is_not_shown() {
        let mut table = Table::new([Column::left("A"), Column::left("EMPTY"), Column::right("B")]);
        table.row(["x".into(), "".into(), "1".into()]);
        assert_eq!(printed(&table, None), "A  B\nx  1\n");
    }

    #[test]
    fn a_capture_cannot_write_control_characters_to_the_terminal() {
        let mut table = Table::new([Column::left("A")]);
        table.row(["\u{1b}[2Jx\r\n\u{9b}y".into()]);
        let mut raw = Vec::new();
        table.print(&mut raw, None).unwrap();
        assert!(!String::from_utf8(raw).unwrap().contains("\u{1b}[2J"));
    }
}
