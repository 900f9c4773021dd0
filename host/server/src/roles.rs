//! Who may do what over the admin API: every user has a role, and every request needs one. Whoever is on the machine and may open
//! the Unix socket is an administrator.

use axum::http::Method;
use carillon_store::{Document, Error, Store};
use serde::{Deserialize, Serialize};

/// What a user may do, each more than the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserRole {
    /// See and change what is its own.
    #[default]
    User,
    /// See everything, and help users: their passwords, numbers, sites, contacts and call rules.
    HelpDesk,
    /// Everything.
    Administrator,
}

/// A role as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleFile {
    /// The role; of who has never been given one: `user`.
    pub role: UserRole,
}

/// A request of the admin API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    pub(crate) method: &'a Method,
    /// The route: `/users/{name}`.
    pub(crate) route: &'a str,
    /// Whether it is about who asks.
    pub(crate) own: bool,
    /// The role of the user whom it is about, if there is one.
    pub(crate) of: Option<UserRole>,
}

impl UserRole {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            UserRole::User => "user",
            UserRole::HelpDesk => "help-desk",
            UserRole::Administrator => "administrator",
        }
    }

    /// The role that is written so.
    pub fn named(name: &str) -> Option<UserRole> {
        [UserRole::User, UserRole::HelpDesk, UserRole::Administrator]
            .into_iter()
            .find(|role| role.name() == name)
    }

    /// The role of a user.
    pub(crate) fn of(store: &Store, aor: &str) -> Result<UserRole, Error> {
        let record = store.document(Document::Role, aor)?;
        let file = record.and_then(|record| serde_json::from_str::<RoleFile>(&record.document).ok());
        Ok(file.unwrap_or_default().role)
    }
}

/// The role that a request needs.
pub(crate) fn needed(deed: &Deed<'_>) -> UserRole {
    let reads = [Method::GET, Method::HEAD].contains(deed.method);
    let of_user = ["/users/{name}/roster", "/users/{name}/call-rules"].contains(&deed.route);
    match deed.route {
        "/health" | "/openapi.json" | "/directory" => UserRole::User,
        "/users/{name}/device-password" if deed.own => UserRole::User,
        _ if deed.own && of_user => UserRole::User,
        // Whoever asks for the messages of others is refused by the resource itself, whatever its role.
        "/users/{name}/messages" | "/users/{name}/messages/count" if deed.own => UserRole::User,
        "/users/{name}" | "/users/{name}/role" if deed.own && reads => UserRole::User,
        _ if reads => UserRole::HelpDesk,
        // Who could set the password of somebody who may do more could do more.
        "/users/{name}" if *deed.method == Method::PUT && deed.of == Some(UserRole::User) => {
            UserRole::HelpDesk
        }
        "/users/{name}/number"
        | "/users/{name}/lock"
        | "/users/{name}/account"
        | "/users/{name}/device-password"
            if deed.of == Some(UserRole::User) =>
        {
            UserRole::HelpDesk
        }
        _ if of_user && deed.of == Some(UserRole::User) => UserRole::HelpDesk,
        _ => UserRole::Administrator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use UserRole::{Administrator, HelpDesk, User};

    #[test]
    fn every_request_needs_a_role() {
        for (method, route, own, of, role) in [
            (Method::GET, "/health", false, None, User),
            (Method::GET, "/status", false, None, HelpDesk),
            (Method::GET, "/links", false, None, HelpDesk),
            (Method::GET, "/audit", false, None, HelpDesk),
            (Method::GET, "/plan", false, None, HelpDesk),
            (Method::PUT, "/plan", false, None, Administrator),
            (Method::POST, "/reload", false, None, Administrator),
            (Method::GET, "/users", false, None, HelpDesk),
            (Method::POST, "/users", false, None, Administrator),
            (Method::GET, "/users/{name}", true, Some(User), User),
            (Method::HEAD, "/users/{name}", false, Some(User), HelpDesk),
            (Method::PUT, "/users/{name}", true, Some(User), HelpDesk),
            (Method::PUT, "/users/{name}", false, Some(User), HelpDesk),
            (Method::PUT, "/users/{name}", false, Some(HelpDesk), Administrator),
            (Method::PUT, "/users/{name}", true, Some(HelpDesk), Administrator),
            (Method::PUT, "/users/{name}", false, None, Administrator),
            (Method::DELETE, "/users/{name}", false, Some(User), Administrator),
            (Method::PUT, "/users/{name}/number", true, Some(User), HelpDesk),
            (Method::PUT, "/users/{name}/number", false, Some(Administrator), Administrator),
            (Method::PUT, "/users/{name}/roster", true, Some(HelpDesk), User),
            (Method::PUT, "/users/{name}/call-rules", false, Some(User), HelpDesk),
            (Method::PUT, "/users/{name}/call-rules", false, Some(Administrator), Administrator),
            (Method::GET, "/directory", false, None, User),
            (Method::POST, "/users/{name}/device-password", true, Some(HelpDesk), User),
            (Method::POST, "/users/{name}/device-password", false, Some(User), HelpDesk),
            (Method::POST, "/users/{name}/device-password", false, Some(HelpDesk), Administrator),
            (Method::GET, "/users/{name}/messages", true, Some(User), User),
            (Method::DELETE, "/users/{name}/messages", true, Some(Administrator), User),
            (Method::DELETE, "/users/{name}/messages", false, Some(User), Administrator),
            (Method::GET, "/users/{name}/messages/count", false, Some(Administrator), HelpDesk),
            (Method::GET, "/users/{name}/lock", true, Some(User), HelpDesk),
            (Method::DELETE, "/users/{name}/lock", false, Some(User), HelpDesk),
            (Method::DELETE, "/users/{name}/lock", true, Some(HelpDesk), Administrator),
            (Method::GET, "/users/{name}/account", true, Some(User), HelpDesk),
            (Method::DELETE, "/users/{name}/account", true, Some(User), HelpDesk),
            (Method::DELETE, "/users/{name}/account", false, Some(Administrator), Administrator),
            (Method::POST, "/directory/confirm", false, None, Administrator),
            (Method::GET, "/users/{name}/role", true, Some(User), User),
            (Method::PUT, "/users/{name}/role", true, Some(User), Administrator),
            (Method::PUT, "/users/{name}/role", true, Some(HelpDesk), Administrator),
            (Method::GET, "/what/comes/later", false, None, HelpDesk),
            (Method::POST, "/what/comes/later", true, Some(User), Administrator),
        ] {
            let deed = Deed { method: &method, route, own, of };
            assert_eq!(needed(&deed), role, "{deed:?}");
        }
    }
}
