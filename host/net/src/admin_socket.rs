//! Sockets on which no call is made: the admin API on a Unix socket, health and metrics over TCP.
//!
//! What is spoken there is the server's business.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use carillon_wire::ip::Dscp;
use carillon_wire::sip::Transport;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::bind_error::{BindError, bind_error};
use crate::mark;

/// A Unix socket that listens; its file goes when it is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    /// The socket.
    pub listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Listens there; needs a runtime. Only the user that runs this process (and root) may connect. A file that a dead
    /// server left behind is replaced; a living one is an error.
    pub fn listen(path: &Path) -> io::Result<AdminSocket> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
        }
        // Nobody may connect before the rights are set: the socket gets its name only then.
        let unborn = path.with_extension(format!("{}.new", std::process::id()));
        let _ = fs::remove_file(&unborn);
        let listener = UnixListener::bind(&unborn)?;
        let named = fs::set_permissions(&unborn, Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&unborn, path));
        if let Err(error) = named {
            let _ = fs::remove_file(&unborn);
            return Err(error);
        }
        Ok(AdminSocket { listener, path: path.to_owned() })
    }

    /// Connects to the server that listens there; needs a runtime.
    pub async fn connect(path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(path).await
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens over TCP, with the mark on every packet from the first on; needs a runtime.
pub fn listen_tcp(address: SocketAddr, mark: Dscp) -> Result<TcpListener, BindError> {
    bound(address, mark).map_err(|error| bind_error(address, Transport::Tcp, error))
}

fn bound(address: SocketAddr, mark: Dscp) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Connections of the process before this one may still be dying; a second listener is refused all the same.
    socket.set_reuse_address(true)?;
    mark::apply(&socket, mark)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap()
    }

    fn folder(test: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("carillon-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn only_the_owner_may_connect_and_the_file_goes_with_the_listener() {
        let runtime = runtime();
        let _inside = runtime.enter();
        let folder = folder("rights");
        let path = folder.join("admin.sock");
        let socket = AdminSocket::listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        drop(socket);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(folder).unwrap();
    }

    #[test]
    fn a_living_server_keeps_its_socket_and_a_dead_one_loses_it() {
        let runtime = runtime();
        let _inside = runtime.enter();
        let folder = folder("dead");
        let path = folder.join("admin.sock");
        let living = AdminSocket::listen(&path).unwrap();
        assert_eq!(AdminSocket::listen(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // As after `kill -9`: nobody listens, the file is there.
        let file = folder.join("kept");
        fs::rename(&path, &file).unwrap();
        drop(living);
        fs::rename(&file, &path).unwrap();
        AdminSocket::listen(&path).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_listens_over_tcp_is_marked() {
        let runtime = runtime();
        let _inside = runtime.enter();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = listen_tcp(address.parse().unwrap(), Dscp::EF).unwrap();
            assert_eq!(mark::read_back(&listener).unwrap().v4, Some(Dscp::EF));
            let taken = listener.local_addr().unwrap();
            let error = listen_tcp(taken, Dscp::EF).unwrap_err().to_string();
            assert!(error.starts_with(&format!("can't open {taken} (TCP): the port is held by ")), "{error}");
        }
    }
}
