//! Objects as a table: a line for each, columns as wide as what is in them.

use super::{Object, Value};

/// Head, rule and rows. Columns are the properties of the first object, or those named.
pub fn table(objects: &[&Object]) -> Vec<String> {
    let Some(first) = objects.first() else { return Vec::new() };
    let names: Vec<&str> = first.visible().into_iter().map(|(name, _)| name.as_str()).collect();
    let cell = |object: &Object, name: &str| object.get(name).map(Value::shown).unwrap_or_default();
    let rows: Vec<Vec<String>> =
        objects.iter().map(|object| names.iter().map(|name| cell(object, name)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(names.get(column).map(|name| name.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    };
    let head = line(names.iter().map(|name| (*name).to_owned()).collect());
    let rule = line(names.iter().map(|name| "-".repeat(name.chars().count())).collect());
    [head, rule].into_iter().chain(rows.into_iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |identity: &str, port: u64| Object::new("").with("Identity", identity).with("Port", port);
        let (a, b) = (row("ConferencingServer:a", 1), row("b", 49152));
        let expected = [
            "Identity             Port",
            "--------             ----",
            "ConferencingServer:a 1",
            "b                    49152",
        ];
        assert_eq!(table(&[&a, &b]), expected);
    }
}
