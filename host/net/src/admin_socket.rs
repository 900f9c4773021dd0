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
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::bind_error::{BindError, bind_error};
use crate::mark::{self, Marks};

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
        let unborn = path.with_extension(format!("{}.new", std::process::id()));
        let _ = fs::remove_file(&unborn);
        let named = bound_for_owner(&unborn).and_then(|socket| {
            socket.listen(128)?;
            fs::rename(&unborn, path)?;
            UnixListener::from_std(socket.into())
        });
        match named {
            Ok(listener) => Ok(AdminSocket { listener, path: path.to_owned() }),
            Err(error) => {
                let _ = fs::remove_file(&unborn);
                Err(error)
            }
        }
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

/// A Unix socket that does not listen yet: its file is made with the rights that the umask leaves, and nobody may connect
/// before it has its own.
fn bound_for_owner(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(socket)
}

/// A place over TCP where numbers are served, with the mark on every packet from the first on.
#[derive(Debug)]
pub struct MarkedListener {
    socket: Socket,
    address: SocketAddr,
}

impl MarkedListener {
    /// Listens there.
    pub fn listen(address: SocketAddr, mark: Dscp) -> Result<MarkedListener, BindError> {
        bound(address, mark).map_err(|error| bind_error(address, Transport::Tcp, error))
    }

    /// With the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on new connections carry this mark; those that are open keep theirs.
    pub fn set_mark(&self, mark: Dscp) -> io::Result<()> {
        mark::apply(&self.socket, mark)
    }

    /// What the kernel says that it marks.
    pub fn marks(&self) -> io::Result<Marks> {
        mark::read_back(&self.socket)
    }

    /// A way to take connections; needs a runtime. It may end and another one be made, while the place stays open.
    pub fn accepting(&self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.socket.try_clone()?.into())
    }
}

fn bound(address: SocketAddr, mark: Dscp) -> io::Result<MarkedListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Connections of the process before this one may still be dying; a second listener is refused all the same.
    socket.set_reuse_address(true)?;
    mark::apply(&socket, mark)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    let address = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(MarkedListener { socket, address })
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
    fn nobody_may_connect_before_the_rights_are_set() {
        let folder = folder("umask");
        let path = folder.join("admin.sock");
        let socket = bound_for_owner(&path).unwrap();
        let connect =
            || std::os::unix::net::UnixStream::connect(&path).map(drop).map_err(|error| error.kind());
        assert_eq!(connect(), Err(io::ErrorKind::ConnectionRefused));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        socket.listen(1).unwrap();
        assert_eq!(connect(), Ok(()));
        fs::remove_dir_all(folder).unwrap();
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
    fn what_listens_over_tcp_is_marked_and_marked_anew() {
        let runtime = runtime();
        let _inside = runtime.enter();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = MarkedListener::listen(address.parse().unwrap(), Dscp::EF).unwrap();
            assert_eq!(listener.marks().unwrap().v4, Some(Dscp::EF));
            let accepting = listener.accepting().unwrap();
            let taken_mark = || {
                let connecting = tokio::net::TcpStream::connect(listener.address());
                let (_client, taken) =
                    runtime.block_on(async { tokio::join!(connecting, accepting.accept()) });
                mark::read_back(&taken.unwrap().0).unwrap().v4
            };
            assert_eq!(taken_mark(), Some(Dscp::EF));
            listener.set_mark(Dscp::DEFAULT).unwrap();
            assert_eq!(
                (listener.marks().unwrap().v4, taken_mark()),
                (Some(Dscp::DEFAULT), Some(Dscp::DEFAULT))
            );
            let taken = listener.address();
            let error = MarkedListener::listen(taken, Dscp::EF).unwrap_err().to_string();
            assert!(error.starts_with(&format!("can't open {taken} (TCP): the port is held by ")), "{error}");
        }
    }
}
