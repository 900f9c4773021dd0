//! Files as administrators write them: the configuration of the server, and lists of users.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use carillon_server::config::{Config, Refusal};
use carillon_server::users::{Rules, UserList};

/// Where the configuration is said to be; files that it names are not read from the machine.
const FILE: &str = "/etc/carillon/carillon.toml";
const GOOD: &str = "domains = [\"example.com\"]\nplan = \"plan.toml\"\nname = \"sip.example.com\"\n";

fn read(text: &str) -> Result<Config, Refusal> {
    Config::from_toml_with(text, Path::new(FILE), &|path| match path
        .file_name()
        .and_then(|name| name.to_str())
    {
        Some("plan.toml") => Ok(b"base = \"lync-kloud\"\n".to_vec()),
        Some("bad.toml") => Ok(b"x = 1\nbase = \"cisko\"\n".to_vec()),
        Some("a.pem") => Ok(Vec::new()),
        _ => Err(io::ErrorKind::NotFound.into()),
    })
}

/// A configuration file. Refused with reasons that name lines of the file, or resolved the same way each time, with
/// everything in it that a server needs.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let resolved = read(text);
    assert_eq!(resolved, read(text));
    match resolved {
        Ok(config) => {
            assert!(!config.domains.is_empty() && !config.listeners.is_empty());
            assert!(config.listeners.iter().all(|l| !l.advertised(&config.name, l.address).is_empty()));
            assert!(config.limits.connections > 0 && config.limits.waiting > 0 && config.limits.body > 0);
            let registrations = config.registrations;
            assert!((registrations.min..=registrations.max).contains(&registrations.default));
            assert_eq!(config.differs_until_restart(&config), [""; 0]);
        }
        Err(Refusal(mistakes)) => {
            assert!(!mistakes.is_empty());
            let lines = text.split('\n').count();
            for mistake in mistakes {
                let lines = if mistake.file == Path::new(FILE) { lines } else { 3 };
                assert!((1..=lines).contains(&(mistake.problem.line as usize)), "{mistake:?}");
                assert!(!mistake.problem.text.is_empty());
            }
        }
    }
}

/// A list of users. Every row is a user or a mistake, in its own line; written with every field in quotes and read again,
/// the users are the same.
pub fn user_list(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(list) = UserList::read(text) else { return };
    let lines = text.split('\n').count();
    let of_users: BTreeSet<usize> = list.users.iter().map(|(line, _)| *line).collect();
    assert!(list.users.is_sorted_by(|one, other| one.0 < other.0));
    assert!(of_users.iter().chain(list.mistakes.keys()).all(|line| (2..=lines).contains(line)));
    assert!(list.mistakes.iter().all(|(line, mistake)| !of_users.contains(line) && !mistake.is_empty()));
    let names: BTreeSet<String> = list.users.iter().map(|(_, user)| user.name.to_ascii_lowercase()).collect();
    assert_eq!(names.len(), list.users.len());
    let quoted = |field: &str| format!("\"{}\"", field.replace('"', "\"\""));
    let row = |fields: [&str; 3]| fields.map(quoted).join(",") + "\r\n";
    let rows = list
        .users
        .iter()
        .map(|(_, user)| row([&user.name, &user.password, user.site.as_deref().unwrap_or_default()]));
    // A row without anything in it is passed over.
    let written: String = [row(["name", "password", "site"])].into_iter().chain(rows).collect();
    let again = UserList::read(&written).unwrap_or_default();
    let bare = |list: &UserList| -> Vec<_> {
        let users = list.users.iter().map(|(_, user)| user.clone());
        users
            .filter(|user| !(user.name.is_empty() && user.password.is_empty() && user.site.is_none()))
            .collect()
    };
    assert!(bare(&again) == bare(&list), "{written:?}");
    let users: Vec<_> = list.users.into_iter().map(|(_, user)| user).collect();
    if let Ok(config) = read(GOOD) {
        let wrong = Rules::new(&config, &config.plan.plan).check_all(&users);
        assert!(wrong.iter().all(|(place, reason)| *place < users.len() && !reason.is_empty()));
    }
}
