//! The other end of the admin API: what `carillon user` and `carillon status` speak with.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use carillon_net::admin_socket::AdminSocket;
use carillon_qos::TrafficClass;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::directory::Gone;
use super::users::NumberBody;
use super::{AccountRow, CallsAsked, Imported, LockRow, UserRow, Wrong};
use crate::documents::UserDocument;
use crate::edge::Unit;
use crate::edge::status::{EdgeStatus, PortRow, UnitRow};
use crate::status::Status;
use crate::users::NewUser;

/// Longest answer, in bytes: a page of users has some hundred thousand.
const LONGEST: usize = 64 << 20;

/// A connection to a running server. Every call waits for its answer.
pub struct Client {
    runtime: Runtime,
    sender: http1::SendRequest<Body>,
    _connection: JoinHandle<()>,
}

/// A plan and the version that it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanFile {
    /// The file.
    pub toml: String,
    /// Its version.
    pub version: u64,
}

/// A version of the plan, as lists show it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlanRow {
    /// Its number.
    pub version: u64,
    /// Since when, in seconds since the Unix epoch.
    pub time: f64,
    /// Who put it.
    pub who: String,
    /// `configuration` or `admin`.
    pub source: String,
}

/// What a server says that it is doing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyStatus {
    /// An Edge, which says so.
    Edge(Box<EdgeStatus>),
    /// A Front End.
    FrontEnd(Box<Status>),
}

/// A user name and password for the relay, in the manner of the TURN REST draft.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayCredential {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
    /// Seconds until it ends.
    pub ttl: f64,
}

/// What a change of the plan is answered with.
#[derive(Deserialize)]
struct PlanPut {
    version: u64,
}

/// Why there is no answer, or a no.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens there: no server runs.
    NotRunning(PathBuf),
    /// The socket can't be used.
    Socket(PathBuf, io::Error),
    /// The server ended the connection, or did not speak HTTP.
    Broken(String),
    /// The server refuses, with its reasons.
    Refused(u16, Vec<String>),
}

impl Client {
    /// Connects to the socket of a server.
    pub fn connect(socket: &Path) -> Result<Client, ClientError> {
        let failed = |error| ClientError::Socket(socket.to_owned(), error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let stream = runtime.block_on(AdminSocket::connect(socket)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning(socket.to_owned())
            }
            _ => ClientError::Socket(socket.to_owned(), error),
        })?;
        let (sender, connection) =
            runtime.block_on(http1::handshake(TokioIo::new(stream))).map_err(broken)?;
        let connection = runtime.spawn(async move { drop(connection.await) });
        Ok(Client { runtime, sender, _connection: connection })
    }

    /// What the server is doing, whatever it is.
    pub fn any_status(&mut self) -> Result<AnyStatus, ClientError> {
        self.call(Method::GET, "/status", None::<&()>)
    }

    /// Every socket of an Edge.
    pub fn ports(&mut self) -> Result<Vec<PortRow>, ClientError> {
        self.call(Method::GET, "/ports", None::<&()>)
    }

    /// Has an Edge restart one of its services; how it is at once after that. `now`: what runs is cut off.
    pub fn restart_unit(&mut self, unit: Unit, now: bool) -> Result<UnitRow, ClientError> {
        self.call(Method::POST, &format!("/units/{}/restart?now={now}", unit.word()), None::<&()>)
    }

    /// A credential for the relay of an Edge, for a user of a site or of none; of any class without one.
    pub fn credential(
        &mut self,
        (user, site): (&str, Option<&str>),
        class: Option<TrafficClass>,
        seconds: u64,
    ) -> Result<RelayCredential, ClientError> {
        let site = site.map_or_else(String::new, |site| format!("&site={}", escaped(site)));
        let class = class.map_or_else(String::new, |class| format!("&class={}", class.name()));
        let path = format!("/credential?user={}&lifetime={seconds}{class}{site}", escaped(user));
        self.call(Method::POST, &path, None::<&()>)
    }

    /// What a Front End is doing.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        self.call(Method::GET, "/status", None::<&()>)
    }

    /// A page of the records of calls, as JSON.
    pub fn calls(&mut self, asked: &CallsAsked) -> Result<serde_json::Value, ClientError> {
        self.call(Method::GET, &format!("/calls?{}", query(asked)), None::<&()>)
    }

    /// What became of calls, as JSON.
    pub fn calls_summary(&mut self, asked: &CallsAsked) -> Result<serde_json::Value, ClientError> {
        self.call(Method::GET, &format!("/calls/summary?{}", query(asked)), None::<&()>)
    }

    /// At most 1000 users behind that name.
    pub fn users_after(&mut self, name: &str) -> Result<Vec<UserRow>, ClientError> {
        self.call(Method::GET, &format!("/users?after={}", escaped(name)), None::<&()>)
    }

    /// One user; `None` if there is none of that name.
    pub fn user(&mut self, name: &str) -> Result<Option<UserRow>, ClientError> {
        match self.call(Method::GET, &format!("/users/{}", escaped(name)), None::<&()>) {
            Err(ClientError::Refused(404, _)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Adds or changes users: all of them or none.
    pub fn put_users(&mut self, users: &[NewUser]) -> Result<Imported, ClientError> {
        self.call(Method::POST, "/users", Some(users))
    }

    /// What is wrong with each of these, by its place.
    pub fn check_users(&mut self, users: &[NewUser]) -> Result<Vec<(usize, String)>, ClientError> {
        let wrong: Vec<Wrong> = self.call(Method::POST, "/users?check=true", Some(users))?;
        Ok(wrong.into_iter().map(|wrong| (wrong.place, wrong.reason)).collect())
    }

    /// Removes a user; false if there was none.
    pub fn remove_user(&mut self, name: &str) -> Result<bool, ClientError> {
        match self.call(Method::DELETE, &format!("/users/{}", escaped(name)), None::<&()>) {
            Err(ClientError::Refused(404, _)) => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// Gives a user another number, or none.
    pub fn put_number(&mut self, name: &str, number: Option<String>) -> Result<Imported, ClientError> {
        let path = format!("/users/{}/number", escaped(name));
        self.call(Method::PUT, &path, Some(&NumberBody { number }))
    }

    /// Who is locked out of a user.
    pub fn locks(&mut self, name: &str) -> Result<Vec<LockRow>, ClientError> {
        self.call(Method::GET, &format!("/users/{}/lock", escaped(name)), None::<&()>)
    }

    /// Nobody is locked out of a user any more.
    pub fn unlock(&mut self, name: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/users/{}/lock", escaped(name)), None::<&()>)
    }

    /// By which account of an OpenID provider a user signs in.
    pub fn account(&mut self, name: &str) -> Result<Option<AccountRow>, ClientError> {
        self.call(Method::GET, &format!("/users/{}/account", escaped(name)), None::<&()>)
    }

    /// The next account that signs in as a user is its own.
    pub fn release_account(&mut self, name: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/users/{}/account", escaped(name)), None::<&()>)
    }

    /// So many users have really gone from the directory.
    pub fn confirm_vanished(&mut self, users: u64) -> Result<(), ClientError> {
        self.call(Method::POST, "/directory/confirm", Some(&Gone { users }))
    }

    /// A document of a user.
    pub fn document<T: UserDocument>(&mut self, name: &str) -> Result<T, ClientError> {
        self.call(Method::GET, &format!("/users/{}/{}", escaped(name), T::NAME), None::<&()>)
    }

    /// Puts it in place of what there is.
    pub fn put_document<T: UserDocument>(&mut self, name: &str, document: &T) -> Result<(), ClientError> {
        let path = format!("/users/{}/{}", escaped(name), T::NAME);
        self.call::<T>(Method::PUT, &path, Some(document)).map(drop)
    }

    /// The plan that holds.
    pub fn plan(&mut self) -> Result<PlanFile, ClientError> {
        self.plan_file("/plan")
    }

    /// The plan of a version.
    pub fn plan_version(&mut self, version: u64) -> Result<PlanFile, ClientError> {
        self.plan_file(&format!("/plan/versions/{version}"))
    }

    /// Every plan that ever held.
    pub fn plan_versions(&mut self) -> Result<Vec<PlanRow>, ClientError> {
        self.call(Method::GET, "/plan/versions", None::<&()>)
    }

    /// Puts a plan in place of the version that was seen; its version.
    pub fn put_plan(&mut self, toml: &str, seen: u64) -> Result<u64, ClientError> {
        let request = request(Method::PUT, "/plan")
            .header(header::IF_MATCH, format!("\"{seen}\""))
            .header(header::CONTENT_TYPE, "application/toml");
        let (_, bytes) = self.answer(request.body(Body::from(toml.to_owned())).map_err(broken)?)?;
        let put: PlanPut = serde_json::from_slice(&bytes).map_err(broken)?;
        Ok(put.version)
    }

    fn plan_file(&mut self, path: &str) -> Result<PlanFile, ClientError> {
        let (headers, bytes) =
            self.answer(request(Method::GET, path).body(Body::empty()).map_err(broken)?)?;
        let version =
            headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()?.trim_matches('"').parse().ok());
        let version = version.ok_or_else(|| ClientError::Broken("a plan without its version".to_owned()))?;
        let toml = String::from_utf8(bytes).map_err(broken)?;
        Ok(PlanFile { toml, version })
    }

    fn call<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<T, ClientError> {
        let body = body.map(serde_json::to_vec).transpose().map_err(broken)?;
        let request = request(method, path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, Body::from))
            .map_err(broken)?;
        let (_, bytes) = self.answer(request)?;
        let text = if bytes.is_empty() { b"null" } else { bytes.as_slice() };
        serde_json::from_slice(text).map_err(broken)
    }

    /// The body of an answer that is no refusal.
    fn answer(&mut self, request: Request<Body>) -> Result<(HeaderMap, Vec<u8>), ClientError> {
        let (status, headers, bytes) = self.exchange(request)?;
        match status.is_success() {
            true => Ok((headers, bytes)),
            false => Err(ClientError::Refused(status.as_u16(), reasons(&bytes))),
        }
    }

    fn exchange(&mut self, request: Request<Body>) -> Result<(StatusCode, HeaderMap, Vec<u8>), ClientError> {
        let (runtime, sender) = (&self.runtime, &mut self.sender);
        runtime.block_on(async {
            sender.ready().await.map_err(broken)?;
            let response = sender.send_request(request).await.map_err(broken)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let bytes =
                axum::body::to_bytes(Body::new(response.into_body()), LONGEST).await.map_err(broken)?;
            Ok((status, headers, bytes.to_vec()))
        })
    }
}

fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "carillon")
}

fn broken(error: impl std::error::Error) -> ClientError {
    ClientError::Broken(crate::chain(&error))
}

/// The reasons in a refusal; text that is no JSON is one itself.
fn reasons(bytes: &[u8]) -> Vec<String> {
    let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let errors = value.as_ref().and_then(|value| value.get("errors")?.as_array());
    match errors {
        Some(errors) => errors.iter().map(|error| error.as_str().unwrap_or_default().to_owned()).collect(),
        None => vec![String::from_utf8_lossy(bytes).into_owned()],
    }
}

/// What is asked for as a query.
fn query(asked: &CallsAsked) -> String {
    let value = serde_json::to_value(asked).unwrap_or_default();
    let pairs = value.as_object().into_iter().flatten();
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), escaped);
    pairs.map(|(key, value)| format!("{key}={}", text(value))).collect::<Vec<_>>().join("&")
}

/// As it may stand in a path or query (RFC 3986, 2.1).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NotRunning(path) => write!(f, "no server answers at `{}`", path.display()),
            ClientError::Socket(path, error) => {
                write!(f, "cannot speak to the server at `{}`: {error}", path.display())
            }
            ClientError::Broken(what) => write!(f, "the server did not answer: {what}"),
            ClientError::Refused(_, reasons) => f.write_str(&reasons.join("\n")),
        }
    }
}

impl std::error::Error for ClientError {}
