//! Linux: marks by nftables, queues by tc, and the units that load both when a host starts.

mod marks;
mod queues;
mod table;

pub(crate) use table::without_programs;

use super::{Order, Target};

pub(super) const TARGETS: &[Target] = &[marks::TARGET, queues::TARGET];

/// Longest foreign text in a file: nftables refuses comments of more than 128 bytes.
const MAX_TEXT: usize = 100;

/// A foreign text in a form that is no more than text in nft files, shell scripts and units: neither a quote nor the
/// end of a line, nor what a shell would expand.
pub(in crate::export) fn plain(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || " .,:+-_()".contains(c);
    text.chars().take(MAX_TEXT).map(|c| if harmless(c) { c } else { '_' }).collect()
}

/// Which plan a file was made from, for its first lines.
pub(in crate::export) fn origin(order: &Order<'_>) -> String {
    let mut text = format!("plan {}", plain(order.plan.name()));
    if let Some(site) = &order.scope.site {
        text.push_str(&format!(", site {}", plain(site)));
    }
    if let Some(service) = &order.scope.service {
        text.push_str(&format!(", service {}", plain(service)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_foreign_text_is_more_than_text() {
        assert_eq!(plain("A/V \"x\"\n$(rm) `y` \\ ; { }\u{202e}"), "A_V _x___(rm) _y_ _ _ _ __");
        assert_eq!(plain(&"x".repeat(300)).len(), MAX_TEXT);
    }
}
