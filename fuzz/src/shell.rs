//! Scripts of the management shell.

use carillon_shell::language::{parse, print};

/// A script. Refused with a line of the text, or read; printed and read again it is the same script, and nothing had to be
/// repaired in what was printed. Whatever is read strictly is read tolerantly.
pub fn shell(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.split('\n').count();
    match parse(text, false) {
        Ok((script, _)) => {
            let printed = print(&script);
            let again = parse(&printed, true);
            assert_eq!(again.as_ref().map(|(script, _)| script), Ok(&script), "{printed}");
        }
        Err(wrong) => {
            assert!((1..=lines).contains(&wrong.line) && !wrong.text.is_empty(), "{wrong:?}");
        }
    }
    if let Err(wrong) = parse(text, true) {
        assert!((1..=lines).contains(&wrong.line), "{wrong:?}");
    }
}
