//! `*`, `?` and `[a-z]` in names, in any case.

/// A pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wildcard {
    pattern: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Any,
    One,
    Char(char),
    Set(Vec<(char, char)>),
}

impl Wildcard {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Wildcard {
        let chars: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let (mut pattern, mut at) = (Vec::new(), 0);
        while let Some(c) = chars.get(at) {
            at += 1;
            match c {
                '*' if pattern.last() == Some(&Piece::Any) => {}
                '*' => pattern.push(Piece::Any),
                '?' => pattern.push(Piece::One),
                '[' => match set(chars.get(at..).unwrap_or_default()) {
                    Some((set, length)) => {
                        pattern.push(Piece::Set(set));
                        at += length;
                    }
                    None => pattern.push(Piece::Char('[')),
                },
                c => pattern.push(Piece::Char(*c)),
            }
        }
        Wildcard { pattern }
    }

    /// Whether the text has a wildcard in it.
    pub fn is_one(text: &str) -> bool {
        text.contains(['*', '?', '['])
    }

    /// Whether the whole text fits. Linear in pattern times text: only the last `*` is ever tried again.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let (mut at, mut piece) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            match (self.pattern.get(piece), text.get(at)) {
                (Some(Piece::Any), _) => {
                    star = Some((piece, at));
                    piece += 1;
                }
                (Some(found), Some(c)) if found.takes(*c) => (at, piece) = (at + 1, piece + 1),
                _ => match &mut star {
                    Some((star, from)) => {
                        *from += 1;
                        (at, piece) = (*from, *star + 1);
                    }
                    None => return false,
                },
            }
        }
        self.pattern.get(piece..).unwrap_or_default().iter().all(|piece| *piece == Piece::Any)
    }
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Piece::Any | Piece::One => true,
            Piece::Char(own) => *own == c,
            Piece::Set(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)),
        }
    }
}

/// `a-z]…`: the set, and how many characters it takes.
fn set(chars: &[char]) -> Option<(Vec<(char, char)>, usize)> {
    let end = chars.iter().position(|c| *c == ']').filter(|end| *end > 0)?;
    let inside = chars.get(..end)?;
    let (mut ranges, mut at) = (Vec::new(), 0);
    while let Some(from) = inside.get(at) {
        match (inside.get(at + 1), inside.get(at + 2)) {
            (Some('-'), Some(to)) => {
                ranges.push((*from, *to));
                at += 3;
            }
            _ => {
                ranges.push((*from, *from));
                at += 1;
            }
        }
    }
    Some((ranges, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names_in_any_case() {
        let fits = |pattern: &str, text: &str| Wildcard::new(pattern).matches(text);
        assert!(fits("client*", "ClientAudioPort") && fits("*port*", "AudioPortStart") && fits("*", ""));
        assert!(fits("site:*", "Site:Redmond") && !fits("site:*", "Global"));
        assert!(fits("a?c", "ABC") && !fits("a?c", "ac") && fits("[a-c]x", "Bx") && !fits("[a-c]x", "dx"));
        assert!(fits("[", "[") && fits("*a*b", "xaxab") && !fits("*a*b", "xabx"));
    }
}
