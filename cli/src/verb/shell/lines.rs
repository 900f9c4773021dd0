//! Lines typed at a terminal, with history and completion. A statement that is not finished asks for more.

use std::cell::RefCell;
use std::path::PathBuf;

use carillon_shell::{Outcome, Shell};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Context, Editor, Helper, Highlighter, Hinter, Validator};

use crate::answer::{Answer, Failure};

const PROMPT: &str = "PS carillon> ";
const MORE: &str = ">> ";

/// Reads and carries out until the person leaves; the answer is that of the last statement.
pub(super) fn run(shell: &mut Shell<'_>) -> Result<Answer, Failure> {
    let failed = |error: ReadlineError| Failure::new("cannot read from the terminal", error);
    let config = Config::builder().max_history_size(1000).map_err(failed)?.build();
    let shell = RefCell::new(shell);
    let mut editor: Editor<Words<'_, '_, '_>, FileHistory> = Editor::with_config(config).map_err(failed)?;
    editor.set_helper(Some(Words { shell: &shell }));
    let history = history_file();
    if let Some(file) = &history {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    let answer = typed(&mut editor, &shell);
    if let Some(file) = &history {
        if let Some(directory) = file.parent() {
            let _ = std::fs::create_dir_all(directory);
        }
        // A history that can't be kept is no reason to fail.
        let _ = editor.save_history(file);
    }
    answer
}

fn typed(
    editor: &mut Editor<Words<'_, '_, '_>, FileHistory>,
    shell: &RefCell<&mut Shell<'_>>,
) -> Result<Answer, Failure> {
    let mut answer = Answer::Yes;
    let mut pending = String::new();
    loop {
        let line = match editor.readline(if pending.is_empty() { PROMPT } else { MORE }) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                pending.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(answer),
            Err(error) => return Err(Failure::new("cannot read from the terminal", error)),
        };
        pending.push_str(&line);
        pending.push('\n');
        if line.trim_end().ends_with('`') {
            continue;
        }
        let outcome = shell.borrow_mut().run(&pending);
        match outcome {
            Err(wrong) if wrong.unfinished && !line.trim().is_empty() => continue,
            Err(wrong) => {
                use std::io::Write;
                let bad = crate::style::BAD;
                let _ = writeln!(
                    anstream::stderr(),
                    "{bad}error:{bad:#} {}",
                    crate::words::clean(&wrong.to_string())
                );
                answer = Answer::Unknown;
            }
            Ok(Outcome::Exit(0)) => return Ok(answer),
            Ok(Outcome::Exit(status)) => return Ok(Answer::Status(status)),
            Ok(Outcome::Failed) => answer = Answer::No,
            Ok(Outcome::Done) => answer = Answer::Yes,
        }
        // A history that is full forgets; nothing else can fail here.
        let _ = editor.add_history_entry(pending.trim_end());
        pending.clear();
    }
}

/// Completes by the table of cmdlets.
#[derive(Helper, Hinter, Validator, Highlighter)]
struct Words<'a, 's, 'h> {
    shell: &'a RefCell<&'s mut Shell<'h>>,
}

impl Completer for Words<'_, '_, '_> {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let found = self.shell.borrow().complete(line, at);
        Ok((found.from, found.words))
    }
}

/// `$XDG_STATE_HOME/carillon/history`, or below the home directory.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    Some(state.or_else(home)?.join("carillon/shell-history"))
}
