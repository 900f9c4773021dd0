//! A password from a person, a pipe, or chance.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::answer::Failure;
use crate::words::clean;

/// A password, and whether nobody knows it yet.
pub(super) struct Password {
    pub(super) text: String,
    pub(super) made_up: bool,
}

/// Makes one up, or asks on the terminal twice without showing it, or reads one line from what is no terminal.
pub(super) fn get(name: &str, generate: bool) -> Result<Password, Failure> {
    if generate {
        let made = carillon_server::dev::password();
        let text = made.map_err(|error| Failure::new("cannot make a password up", error))?;
        return Ok(Password { text, made_up: true });
    }
    let read = |error: io::Error| Failure::new("cannot read the password", error);
    let text = if io::stdin().is_terminal() {
        let text = ask(&format!("Password for {}: ", clean(name))).map_err(read)?;
        if ask("Again: ").map_err(read)? != text {
            return Err(Failure::Message("the two passwords differ; nothing was changed".to_owned()));
        }
        text
    } else {
        line().map_err(read)?
    };
    if text.is_empty() {
        return Err(Failure::Message("the password is empty; nothing was changed".to_owned()));
    }
    Ok(Password { text, made_up: false })
}

fn ask(prompt: &str) -> io::Result<String> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{prompt}")?;
    terminal.flush()?;
    let typed = {
        let _hidden = Hidden::begin()?;
        line()
    };
    writeln!(terminal)?;
    typed
}

fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Hidden> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
