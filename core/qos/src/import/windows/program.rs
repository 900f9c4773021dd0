//! What Windows takes for a program in a policy.

use super::super::Caveat;

/// Why Windows skips a policy for this program, if it does: event 16610.
pub(super) fn caveat(program: &str) -> Option<Caveat> {
    let skipped = |why: &str, fix: String| {
        Some(Caveat::nothing(format!("skipped by Windows: {why} (event 16610)"), fix))
    };
    let file = program.rsplit(['\\', '/']).next().unwrap_or(program);
    if program == "*" {
        return None;
    }
    if program.starts_with("\\\\") || program.starts_with("//") {
        return skipped("a program on another host", format!("name the program alone, `{file}`"));
    }
    let exe = file.get(file.len().saturating_sub(4)..).is_some_and(|end| end.eq_ignore_ascii_case(".exe"));
    if !exe || file.len() == 4 {
        return skipped("the name of a program ends in `.exe`", format!("write `{file}.exe`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_windows_cannot_have_are_skipped_with_their_event() {
        let fix = |program| caveat(program).map(|caveat| caveat.fix);
        for good in ["*", "lync.exe", "LYNC.EXE", r"%ProgramFiles%\Lync\lync.exe", r"C:\a b\x.exe"] {
            assert_eq!(fix(good), None, "{good}");
        }
        assert_eq!(fix("lync").as_deref(), Some("write `lync.exe`"));
        assert_eq!(fix(r"\\host\share\lync.exe").as_deref(), Some("name the program alone, `lync.exe`"));
        assert!(fix(".exe").is_some() && fix("é").is_some());
    }
}
