//! Why nothing could be tested: each reason told apart from the others, with what to do.

use std::io;
use std::net::SocketAddr;

use carillon_qos::probe::Service;
use serde_json::{Value, json};

/// Why there is no conversation.
pub(super) enum Trouble {
    /// The name has no address.
    Name(String, io::Error),
    /// There is no way to the address, says this machine or a router.
    Route(SocketAddr, io::Error),
    /// The host is there, and nobody listens.
    Refused(SocketAddr),
    /// Nothing comes back.
    Filtered(SocketAddr),
    /// Something else answers.
    Foreign(SocketAddr, Service),
    /// The listener has another token.
    Token,
    /// The conversation broke off.
    Broken(String),
}

impl Trouble {
    /// What a failed connection to the listener means.
    pub(super) fn of_connect(to: SocketAddr, error: io::Error) -> Trouble {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Trouble::Refused(to),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::PermissionDenied => {
                Trouble::Filtered(to)
            }
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Trouble::Route(to, error),
            _ => Trouble::Broken(format!("cannot connect to {to}: {error}")),
        }
    }

    /// Stable kebab-case name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Trouble::Name(..) => "name-not-resolved",
            Trouble::Route(..) => "no-route",
            Trouble::Refused(_) => "refused",
            Trouble::Filtered(_) => "filtered",
            Trouble::Foreign(..) => "answers-with-something-else",
            Trouble::Token => "wrong-token",
            Trouble::Broken(_) => "broken-off",
        }
    }

    /// What happened.
    pub(super) fn text(&self) -> String {
        match self {
            Trouble::Name(name, error) => format!("the name `{name}` is not resolved: {error}"),
            Trouble::Route(to, error) => format!("there is no way to {}: {error}", to.ip()),
            Trouble::Refused(to) => {
                format!("{} is there and refuses TCP port {}: nobody listens", to.ip(), to.port())
            }
            Trouble::Filtered(to) => format!("nothing comes back from {} at TCP port {}", to.ip(), to.port()),
            Trouble::Foreign(to, service) => format!("at {to} answers {}, no listener", service.words()),
            Trouble::Token => "the listener has another token".to_owned(),
            Trouble::Broken(text) => text.clone(),
        }
    }

    /// What to do.
    pub(super) fn fix(&self) -> String {
        match self {
            Trouble::Name(name, _) => format!(
                "look at the spelling, and at DNS on this machine (`getent hosts {name}`), or give the address"
            ),
            Trouble::Route(to, _) => {
                format!("look at address, gateway and routes of this machine (`ip route get {}`)", to.ip())
            }
            Trouble::Refused(_) => {
                "run `carillon probe listen` there first; if it runs, a firewall refuses in its name"
                    .to_owned()
            }
            Trouble::Filtered(to) => format!(
                "open TCP {} in the firewalls between the two for the time of the test, or see whether the host is on",
                to.port()
            ),
            Trouble::Foreign(..) => "let the listener use another port: --control on both sides".to_owned(),
            Trouble::Token => "type the token that `carillon probe listen` printed last".to_owned(),
            Trouble::Broken(_) => "see what the listener printed, and try again".to_owned(),
        }
    }

    /// For programs.
    pub(super) fn as_json(&self) -> Value {
        json!({ "failure": self.name(), "text": self.text(), "fix": self.fix() })
    }
}
