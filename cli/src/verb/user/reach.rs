//! Which server is meant, and the way to its users: through the running server, or straight into its store.
//!
//! A running server must hear of every change, so it is asked first. Only if nobody answers at its socket the store is
//! opened; a server that answers badly is an error, never a reason to go behind its back.

use std::path::{Path, PathBuf};

use carillon_server::admin::{AccountRow, Client, ClientError, Imported, LockRow, UserRow};
use carillon_server::config::{Config, Configuration, Refusal};
use carillon_server::documents::UserDocument;
use carillon_server::offline::Offline;
use carillon_server::users::NewUser;

use crate::answer::Failure;
use crate::args::Reach;
use crate::verb::serve::state_directory;

/// Where services keep their configurations, and by which names: a Front End, an Edge, a Director.
const PLACE: &str = "/etc/carillon";
const CONFIGS: [&str; 3] = ["carillon.toml", "edge.toml", "director.toml"];

/// The users of a server.
pub(in crate::verb) enum Users {
    /// It runs.
    Running(Box<Client>),
    /// It does not.
    Stopped(Box<Offline>),
}

/// The socket of the server that is meant.
pub(in crate::verb) fn socket(reach: &Reach) -> Result<PathBuf, Failure> {
    Ok(place(reach)?.0)
}

/// The socket of the Front End that is meant, and its configuration if one is known.
pub(in crate::verb) fn front_end(reach: &Reach) -> Result<(PathBuf, Option<Config>), Failure> {
    let (socket, config) = place(reach)?;
    let config = config.map(|(file, config)| config.front_end(&file)).transpose().map_err(refused)?;
    Ok((socket, config))
}

/// Connects to it.
pub(in crate::verb) fn connect(socket: &Path) -> Result<Client, Failure> {
    Client::connect(socket).map_err(|error| match error {
        ClientError::NotRunning(_) => Failure::new(
            "cannot ask the server",
            format!("{error} (other ones: --config FILE, --socket SOCKET)"),
        ),
        error => Failure::new("cannot ask the server", error),
    })
}

impl Users {
    /// Reaches the server that is meant.
    pub(super) fn open(reach: &Reach) -> Result<Users, Failure> {
        let (socket, config) = front_end(reach)?;
        match (Client::connect(&socket), config) {
            (Ok(client), _) => Ok(Users::Running(Box::new(client))),
            (Err(ClientError::NotRunning(_)), Some(config)) => {
                let offline = Offline::open(&config)
                    .map_err(|error| Failure::new("cannot open the users", carillon_server::chain(&error)))?;
                Ok(Users::Stopped(Box::new(offline)))
            }
            _ => connect(&socket).map(|client| Users::Running(Box::new(client))),
        }
    }

    /// A user, if there is one of that name.
    pub(super) fn find(&mut self, name: &str) -> Result<Option<UserRow>, Failure> {
        match self {
            Users::Running(client) => client.user(name).map_err(failed),
            Users::Stopped(offline) => offline.user(name).map_err(failed),
        }
    }

    /// Everybody, in the order of names.
    pub(super) fn all(&mut self) -> Result<Vec<UserRow>, Failure> {
        let mut rows: Vec<UserRow> = Vec::new();
        loop {
            let last = rows.last().map_or(String::new(), |row| row.name.clone());
            let page = match self {
                Users::Running(client) => client.users_after(&last).map_err(failed)?,
                Users::Stopped(offline) => offline.users_after(&last).map_err(failed)?,
            };
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page);
        }
    }

    /// Adds or changes users, all of them or none.
    pub(super) fn put(&mut self, users: &[NewUser]) -> Result<Imported, Failure> {
        match self {
            Users::Running(client) => client.put_users(users).map_err(failed),
            Users::Stopped(offline) => offline.put_users(users).map_err(failed),
        }
    }

    /// What is wrong with each of these, by its place, without adding any.
    pub(super) fn check(&mut self, users: &[NewUser]) -> Result<Vec<(usize, String)>, Failure> {
        match self {
            Users::Running(client) => client.check_users(users).map_err(failed),
            Users::Stopped(offline) => Ok(offline.check_users(users)),
        }
    }

    /// Gives a user another number, or none.
    pub(super) fn put_number(&mut self, name: &str, number: Option<&str>) -> Result<(), Failure> {
        match self {
            Users::Running(client) => {
                client.put_number(name, number.map(str::to_owned)).map(drop).map_err(failed)
            }
            Users::Stopped(offline) => offline.put_number(name, number).map_err(failed),
        }
    }

    /// Who is locked out of a user; nobody where no server runs that would remember.
    pub(super) fn locks(&mut self, name: &str) -> Result<Vec<LockRow>, Failure> {
        match self {
            Users::Running(client) => client.locks(name).map_err(failed),
            Users::Stopped(_) => Ok(Vec::new()),
        }
    }

    /// Nobody is locked out of a user any more.
    pub(super) fn unlock(&mut self, name: &str) -> Result<(), Failure> {
        match self {
            Users::Running(client) => client.unlock(name).map_err(failed),
            Users::Stopped(_) => Err(Failure::new(
                "nobody is locked out of a server that does not run",
                "a start forgets all wrong passwords",
            )),
        }
    }

    /// By which account of an OpenID provider a user signs in.
    pub(super) fn account(&mut self, name: &str) -> Result<Option<AccountRow>, Failure> {
        match self {
            Users::Running(client) => client.account(name).map_err(failed),
            Users::Stopped(offline) => offline.account(name).map_err(failed),
        }
    }

    /// The next one that signs in as the user is its own.
    pub(super) fn release_account(&mut self, name: &str) -> Result<(), Failure> {
        match self {
            Users::Running(client) => client.release_account(name).map_err(failed),
            Users::Stopped(offline) => offline.release_account(name).map_err(failed),
        }
    }

    /// A document of a user.
    pub(super) fn document<T: UserDocument>(&mut self, name: &str) -> Result<T, Failure> {
        match self {
            Users::Running(client) => client.document(name).map_err(failed),
            Users::Stopped(offline) => offline.document(name).map_err(failed),
        }
    }

    /// Puts it in place of what there is.
    pub(super) fn put_document<T: UserDocument>(&mut self, name: &str, document: &T) -> Result<(), Failure> {
        match self {
            Users::Running(client) => client.put_document(name, document).map_err(failed),
            Users::Stopped(offline) => offline.put_document(name, document).map_err(failed),
        }
    }

    /// Removes a user; false if there was none.
    pub(super) fn remove(&mut self, name: &str) -> Result<bool, Failure> {
        match self {
            Users::Running(client) => client.remove_user(name).map_err(failed),
            Users::Stopped(offline) => offline.remove_user(name).map_err(failed),
        }
    }
}

/// The socket, and the configuration if one is known.
fn place(reach: &Reach) -> Result<(PathBuf, Option<(PathBuf, Configuration)>), Failure> {
    if let Some(socket) = &reach.socket {
        return Ok((socket.clone(), None));
    }
    let tried = state_directory().join("admin.sock");
    if reach.config.is_none() && tried.exists() {
        return Ok((tried, None));
    }
    let file = reach.config.clone().unwrap_or_else(|| installed(Path::new(PLACE)));
    let config = Configuration::load(&file).map_err(|refusal| {
        Failure::Message(format!("no server is known by `{}`:\n{refusal}", file.display()))
    })?;
    Ok((config.admin_socket().to_owned(), Some((file, config))))
}

/// The configuration of the service that this machine has; the Front End's if it has none.
fn installed(place: &Path) -> PathBuf {
    let mut all = CONFIGS.iter().map(|name| place.join(name));
    all.find(|file| file.exists()).unwrap_or_else(|| place.join(CONFIGS[0]))
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Message(refusal.to_string())
}

fn failed(error: impl std::error::Error) -> Failure {
    Failure::Message(carillon_server::chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_the_service_of_this_machine_is_meant() {
        let place = tempfile::tempdir().unwrap();
        let meant = || installed(place.path()).file_name().unwrap().to_owned();
        assert_eq!(meant(), "carillon.toml", "there is none yet");
        for name in ["director.toml", "edge.toml", "carillon.toml"] {
            std::fs::write(place.path().join(name), "").unwrap();
            assert_eq!(meant(), name);
        }
    }
}
