//! Text as it may stand in the XML that we write. Reading is the business of a library.

/// The text for an attribute or an element; what XML cannot hold is left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            // Behind two brackets it would end a section that never began (XML 1.0, 2.4).
            '>' if escaped.ends_with("]]") => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c < ' ' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_markup_is_text() {
        assert_eq!(escaped("a<b>&\"]]>\n\u{1}\u{ffff}é"), "a&lt;b>&amp;&quot;]]&gt; é");
    }
}
