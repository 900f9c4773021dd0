//! A server under test: the real program, its files in a folder of its own, and a phone that signs in over UDP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_signaling::digest::{Challenge, Login};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::Method;

use super::{Run, carillon_with};

/// How long something may take that takes no time on a machine at rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed when it is dropped.
pub struct Server {
    pub folder: tempfile::TempDir,
    child: Child,
    log: std::thread::JoinHandle<String>,
    /// What it printed until it was ready.
    pub welcome: String,
}

impl Server {
    /// `serve --dev` on free ports.
    pub fn dev() -> Server {
        let folder = tempfile::tempdir().unwrap();
        Server::dev_in(folder)
    }

    /// The same in a folder that may hold the files of one before.
    pub fn dev_in(folder: tempfile::TempDir) -> Server {
        let state = folder.path().to_str().unwrap().to_owned();
        let arguments = ["serve", "--dev", "--port", "0", "--log", "info", "--state", &state];
        Server::start(folder, &arguments)
    }

    /// A service with this configuration.
    pub fn with(folder: tempfile::TempDir, config: &str) -> Server {
        let file = folder.path().join("carillon.toml");
        std::fs::write(&file, config).unwrap();
        Server::start(folder, &["serve", "--config", file.to_str().unwrap()])
    }

    fn start(folder: tempfile::TempDir, arguments: &[&str]) -> Server {
        let notify = folder.path().join("notify");
        let _ = std::fs::remove_file(&notify);
        let manager = std::os::unix::net::UnixDatagram::bind(&notify).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_carillon"))
            .args(arguments)
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let log = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || read(log));
        let mut state = [0; 64];
        let length = manager.recv(&mut state).unwrap();
        assert_eq!(&state[..length], b"READY=1");
        let mut welcome = String::new();
        // The last line of the welcome names Ctrl-C; a service prints nothing.
        while arguments.contains(&"--dev") && !welcome.contains("Ctrl-C") {
            assert_ne!(out.read_line(&mut welcome).unwrap(), 0, "{welcome}");
        }
        Server { folder, child, log, welcome }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a verb against this server.
    pub fn carillon(&self, arguments: &[&str], input: &str) -> Run {
        let socket = self.path("admin.sock");
        let mut arguments = arguments.to_vec();
        arguments.extend(["--socket", socket.to_str().unwrap()]);
        carillon_with(&arguments, input.as_bytes())
    }

    pub fn status(&self) -> serde_json::Value {
        self.carillon(&["status", "--json"], "").json()
    }

    /// Waits until the status says so.
    pub fn until(&self, what: &str, holds: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if holds(&status) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "never: {what}: {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where a transport is spoken over IPv4.
    pub fn address(&self, transport: &str) -> SocketAddr {
        let status = self.status();
        let listeners = status["listeners"].as_array().unwrap();
        let addresses = listeners.iter().filter(|l| l["transport"] == transport);
        let mut addresses = addresses.map(|l| l["address"].as_str().unwrap().parse::<SocketAddr>().unwrap());
        addresses.find(SocketAddr::is_ipv4).unwrap()
    }

    /// The password of a user of `serve --dev`.
    pub fn password(&self, user: &str) -> String {
        let file = std::fs::read_to_string(self.path("passwords")).unwrap();
        let line = file.lines().find(|line| line.starts_with(user)).unwrap();
        line.split_once(' ').unwrap().1.to_owned()
    }

    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap().success());
    }

    /// Waits for the end: exit status (none if it was killed), the log, and its folder.
    pub fn ended(mut self) -> (Option<i32>, String, tempfile::TempDir) {
        let status = self.child.wait().unwrap();
        let log = std::mem::replace(&mut self.log, std::thread::spawn(String::new)).join().unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (status.code(), log, folder)
    }

    /// One request to the admin API: status line, headers and body as they come.
    pub fn http(&self, head: &str, body: &str) -> String {
        let mut stream = UnixStream::connect(self.path("admin.sock")).unwrap();
        let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
        let fields: String = fields.lines().map(|field| format!("{field}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut log: ChildStderr) -> String {
    let mut text = String::new();
    let _ = log.read_to_string(&mut text);
    text
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    UdpPort::bind("127.0.0.1:0".parse().unwrap(), Dscp::DEFAULT).unwrap().local().port()
}

/// A phone over UDP.
pub struct Phone {
    port: UdpPort,
    server: SocketAddr,
}

impl Phone {
    pub fn new(server: SocketAddr) -> Phone {
        Phone { port: UdpPort::bind("127.0.0.1:0".parse().unwrap(), Dscp::DEFAULT).unwrap(), server }
    }

    /// Signs in as somebody of `localhost`; the status line of the last answer.
    pub fn register(&self, user: &str, password: &str) -> String {
        let challenged = self.ask(user, 1, "");
        let field = challenged.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap();
        let challenge = Challenge::strongest([field.as_bytes()]).unwrap();
        let login = Login { user, password, cnonce: "0a4f113b" };
        let proof = challenge.answer(&login, Method::Register, b"sip:localhost", 1);
        let answer = self.ask(user, 2, &format!("Authorization: {proof}\r\n"));
        answer.lines().next().unwrap().to_owned()
    }

    fn ask(&self, user: &str, cseq: u32, more: &str) -> String {
        let local = self.port.local();
        let request = format!(
            "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{cseq}{user};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@localhost>;tag=1\r\nTo: <sip:{user}@localhost>\r\n\
             Call-ID: {user}@test\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{local}>\r\nExpires: 600\r\n\
             {more}Content-Length: 0\r\n\r\n"
        );
        let begun = Instant::now();
        let mut batch = Batch::new(4096);
        while begun.elapsed() < PATIENCE {
            let datagram = Datagram { to: self.server, from: None, bytes: request.as_bytes(), mark: None };
            self.port.send(&[datagram], |_, error| panic!("{error}"));
            for _ in 0..50 {
                std::thread::sleep(Duration::from_millis(10));
                if self.port.receive(&mut batch).is_ok_and(|count| count > 0) {
                    return String::from_utf8(batch.iter().next().unwrap().bytes.to_vec()).unwrap();
                }
            }
        }
        panic!("no answer to REGISTER from {}", self.server);
    }
}
