//! The line at the head of a file that says which plan it was made from, harmless in every spelling.

use super::Order;

/// Longest part of a name that is shown, in characters.
const SHOWN: usize = 60;

/// `Carillon, plan acme, site Redmond`: plan and scope with nothing in them that could end a comment, a line or a
/// string of any format. What else their names contain is shown as `?`.
pub(super) fn stamp(order: &Order<'_>) -> String {
    let mut line = format!("Carillon, plan {}", plain(order.plan.name()));
    for (kind, name) in [("site", &order.scope.site), ("service", &order.scope.service)] {
        if let Some(name) = name {
            line.push_str(&format!(", {kind} {}", plain(name)));
        }
    }
    line
}

/// Letters, digits and blanks, and `.`, `_`, `:`, `-` where two of them cannot meet.
fn plain(name: &str) -> String {
    let mut shown = String::new();
    for c in name.chars().take(SHOWN) {
        let harmless =
            c.is_ascii_alphanumeric() || (matches!(c, ' ' | '.' | '_' | ':' | '-') && !shown.ends_with(c));
        shown.push(if harmless { c } else { '?' });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;
    use crate::plan::Scope;

    #[test]
    fn no_name_can_leave_its_comment() {
        let plan = Plan::from_toml(r#"name = "a-->b*/c--d\n!e\u0027\"$(x)é""#).unwrap();
        let scope = Scope { site: Some("Köln\r\n; <x>".to_owned()), service: None };
        let line = stamp(&Order { plan: &plan, scope });
        assert_eq!(line, "Carillon, plan a-??b??c-?d??e????x??, site K?ln??? ?x?");
    }
}
