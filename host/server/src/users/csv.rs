//! Comma-separated values (RFC 4180): rows of fields, each with the line it begins in.
//!
//! What the columns mean is `list`'s.

/// A row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// From 1.
    pub line: usize,
    /// The fields, or what is wrong.
    pub fields: Result<Vec<String>, String>,
}

/// All rows that are not empty. A field in double quotes may hold commas, line ends, and doubled quotes.
pub fn rows(text: &str) -> Vec<Row> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1 };
    let mut rows = Vec::new();
    while !reader.rest.is_empty() {
        let line = reader.line;
        let fields = reader.row();
        if fields.as_ref().is_ok_and(|fields| fields.iter().all(String::is_empty)) {
            continue;
        }
        rows.push(Row { line, fields });
    }
    rows
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    /// Up to and with the line end. After a mistake the next row begins in the next line.
    fn row(&mut self) -> Result<Vec<String>, String> {
        let mut fields = Vec::new();
        loop {
            let field = if self.rest.starts_with('"') { self.quoted() } else { Ok(self.plain()) };
            let field = field.inspect_err(|_| self.skip_line())?;
            fields.push(field);
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else if self.end_of_line() {
                return Ok(fields);
            } else {
                self.skip_line();
                return Err("there is something behind a closing quote".to_owned());
            }
        }
    }

    fn plain(&mut self) -> String {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        field.trim().to_owned()
    }

    /// In double quotes, which are doubled inside.
    fn quoted(&mut self) -> Result<String, String> {
        let (mut field, mut rest) = (String::new(), self.rest.strip_prefix('"').unwrap_or(self.rest));
        loop {
            let Some((part, behind)) = rest.split_once('"') else {
                return Err("a quote is opened and never closed".to_owned());
            };
            field.push_str(part);
            match behind.strip_prefix('"') {
                Some(behind) => (rest, _) = (behind, field.push('"')),
                None => {
                    self.rest = behind;
                    self.line += field.matches('\n').count();
                    return Ok(field);
                }
            }
        }
    }

    fn end_of_line(&mut self) -> bool {
        let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
        if rest.is_empty() {
            self.rest = rest;
            return true;
        }
        let Some(next) = rest.strip_prefix('\n') else { return false };
        (self.rest, self.line) = (next, self.line + 1);
        true
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, next)| next);
        self.line += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, Result<Vec<String>, String>)> {
        rows(text).into_iter().map(|row| (row.line, row.fields)).collect()
    }

    fn fields(fields: &[&str]) -> Result<Vec<String>, String> {
        Ok(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn fields_are_trimmed_unless_quoted_and_every_row_knows_its_line() {
        let text = "\u{feff}name,password\r\n alice , x \r\n\r\n\"bob\",\" a,\"\"b\"\"\nc \"\ncarol,\n";
        let expected = vec![
            (1, fields(&["name", "password"])),
            (2, fields(&["alice", "x"])),
            (4, fields(&["bob", " a,\"b\"\nc "])),
            (6, fields(&["carol", ""])),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_wrong_row_does_not_hide_the_next() {
        let text = "a,\"b\"c\nd,e\nf,\"g";
        let expected = vec![
            (1, Err("there is something behind a closing quote".to_owned())),
            (2, fields(&["d", "e"])),
            (3, Err("a quote is opened and never closed".to_owned())),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_file_without_a_last_line_end_is_whole() {
        assert_eq!(read("a,b"), vec![(1, fields(&["a", "b"]))]);
        assert_eq!(read(""), vec![]);
    }
}
