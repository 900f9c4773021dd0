//! HTML as text, in which everything that is filled in is escaped.

use std::fmt::{self, Display, Write};

/// A page under construction. Add to it with `html!`.
#[derive(Debug, Default)]
pub struct Html(String);

impl Html {
    /// Adds text that the program brings along, as it is.
    pub fn fixed(&mut self, text: &'static str) {
        self.0.push_str(text);
    }

    /// Use the macro `html!`: it escapes every value.
    pub fn add(&mut self, text: fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.0.write_fmt(text);
    }

    /// The page.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Writes a template into an [`Html`]; every value in it is escaped, for text as for quoted attributes.
macro_rules! html {
    ($page:expr, $template:literal $(, $value:expr)* $(,)?) => {
        $page.add(format_args!($template $(, $crate::page::markup::Escaped(&$value))*))
    };
}
pub(crate) use html;

/// A value whose special characters are written as references.
pub struct Escaped<T>(pub T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '&' => self.0.write_str("&amp;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            '\n' => self.0.write_char('\n'),
            // Neither control characters nor a change of direction belong into a page.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                self.0.write_char('\u{fffd}')
            }
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_templates_are_not() {
        let mut page = Html::default();
        html!(page, "<p title=\"{}\">{}</p>", "\"a'b\"", "<script>&\u{1b}\0\u{202e}");
        let expected = "<p title=\"&quot;a&#39;b&quot;\">&lt;script&gt;&amp;\u{fffd}\u{fffd}\u{fffd}</p>";
        assert_eq!(page.into_string(), expected);
    }
}
