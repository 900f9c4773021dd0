//! Objects as lists: a line for each property, names padded to the longest.

use super::{Object, Value};

/// The object's lines.
pub fn list(object: &Object) -> Vec<String> {
    let visible = object.visible();
    let width = visible.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let line = |(name, value): &(String, Value)| {
        let shown = value.shown().replace('\n', " ");
        format!("{name:width$} : {shown}").trim_end().to_owned()
    };
    visible.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_padded_and_lists_are_cut_behind_the_fourth() {
        let five: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let object = Object::new("").with("A", true).with("Long", Value::Null).with("L", five.clone());
        assert_eq!(list(&object), ["A    : True", "Long :", "L    : {a, b, c, d...}"]);
        let four = Object::new("").with("L", five[..4].to_vec());
        assert_eq!(list(&four), ["L : {a, b, c, d}"]);
    }
}
