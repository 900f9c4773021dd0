//! TLS over TCP for services that wait by a runtime: listeners and connections, each marked before its first packet.
//!
//! Who may connect, and what is said there, is the service's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::ip::Dscp;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::admin_socket::MarkedListener;
use crate::bind_error::BindError;
use crate::mark;

/// After so long without a packet it is asked whether the other end is still there.
const QUIET: Duration = Duration::from_secs(60);

/// The longest answer to what asks for TLS, in bytes.
const LONGEST_ANSWER: usize = 4096;

/// A connection that somebody opened to us.
pub type Accepted = server::TlsStream<TcpStream>;
/// A connection that we opened.
pub type Connected = client::TlsStream<TcpStream>;

/// A place where connections are taken, with the mark on every packet from the first on.
pub struct SecuredListener {
    place: MarkedListener,
    accepting: TcpListener,
}

/// A connection that has come and said nothing yet.
pub struct Arrived {
    /// From where.
    pub remote: SocketAddr,
    stream: TcpStream,
}

/// Marks a connection anew while somebody else reads and writes it. The connection ends only when this is gone too.
pub struct Marker(Socket);

impl SecuredListener {
    /// Listens there; needs a runtime.
    pub fn listen(address: SocketAddr, mark: Dscp) -> Result<SecuredListener, BindError> {
        let place = MarkedListener::listen(address, mark)?;
        let accepting = place.accepting().map_err(|error| {
            crate::bind_error::bind_error(address, carillon_wire::sip::Transport::Tls, error)
        })?;
        Ok(SecuredListener { place, accepting })
    }

    /// With the real port.
    pub fn address(&self) -> SocketAddr {
        self.place.address()
    }

    /// From now on new connections carry this mark.
    pub fn set_mark(&self, mark: Dscp) -> io::Result<()> {
        self.place.set_mark(mark)
    }

    /// The next connection. An error is about that connection, or says that files have run out: wait a little.
    pub async fn accept(&self) -> io::Result<Arrived> {
        let (stream, remote) = self.accepting.accept().await?;
        keep_asking(&stream)?;
        Ok(Arrived { remote, stream })
    }
}

impl Arrived {
    /// The handshake. Nothing else limits how long it takes.
    pub async fn secure(self, config: Arc<ServerConfig>) -> io::Result<Accepted> {
        TlsAcceptor::from(config).accept(self.stream).await
    }
}

/// Connects from one of our addresses, or any, and proves that the other end is who it should be.
pub async fn connect(
    from: Option<IpAddr>,
    to: SocketAddr,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    mark: Dscp,
) -> io::Result<Connected> {
    let stream = reach(from, to, mark).await?;
    TlsConnector::from(config).connect(name, stream).await
}

/// Connects in clear, asks for TLS in the words of another protocol, and goes on by TLS once `agreed` finds that the other end
/// has agreed: it is shown what came so far, and an error ends it. Whatever came in clear is forgotten.
pub async fn connect_asking(
    to: SocketAddr,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    mark: Dscp,
    request: &[u8],
    mut agreed: impl FnMut(&[u8]) -> io::Result<bool>,
) -> io::Result<Connected> {
    let mut stream = reach(None, to, mark).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    while !agreed(&answer)? {
        if answer.len() >= LONGEST_ANSWER || stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not say whether it speaks TLS"));
        }
    }
    TlsConnector::from(config).connect(name, stream).await
}

async fn reach(from: Option<IpAddr>, to: SocketAddr, mark: Dscp) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    mark::apply(&socket, mark)?;
    if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    let stream = TcpSocket::from_std_stream(socket.into()).connect(to).await?;
    keep_asking(&stream)?;
    Ok(stream)
}

/// The certificate that the other end has proven itself with.
pub fn proven_by(stream: &Accepted) -> Option<&CertificateDer<'static>> {
    stream.get_ref().1.peer_certificates()?.first()
}

impl Marker {
    /// Of a connection that somebody opened to us.
    pub fn of_accepted(stream: &Accepted) -> io::Result<Marker> {
        Ok(Marker(SockRef::from(stream.get_ref().0).try_clone()?))
    }

    /// Of one that we opened.
    pub fn of_connected(stream: &Connected) -> io::Result<Marker> {
        Ok(Marker(SockRef::from(stream.get_ref().0).try_clone()?))
    }

    /// From the next packet on.
    pub fn set(&self, mark: Dscp) -> io::Result<()> {
        mark::apply(&self.0, mark)
    }

    /// What the kernel says that it marks.
    pub fn marks(&self) -> io::Result<mark::Marks> {
        mark::read_back(&self.0)
    }
}

/// Small messages leave at once, and who is gone without a word is noticed.
fn keep_asking(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(QUIET).with_interval(QUIET / 6))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::authority::Authority;
    use crate::tls::{is_for, mutual_client_config, mutual_server_config};

    fn run<T>(what: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
    }

    #[test]
    fn both_ends_are_marked_and_prove_themselves_and_a_stranger_is_refused() {
        let (ours, theirs) = (Authority::create("ours").unwrap(), Authority::create("theirs").unwrap());
        let identity = |by: &Authority, name: &str| by.issue(&[name], &[]).unwrap();
        let trusted = [ours.certificate().clone()];
        let server = mutual_server_config(&identity(&ours, "edge.test"), &trusted).unwrap();
        let mut outcomes = Vec::new();
        for by in [&ours, &theirs] {
            let client = mutual_client_config(&identity(by, "fe.test"), &trusted).unwrap();
            let server = server.clone();
            outcomes.push(run(async {
                let listener = SecuredListener::listen("127.0.0.1:0".parse().unwrap(), Dscp::EF).unwrap();
                let taking = async {
                    let mut stream = listener.accept().await?.secure(server).await?;
                    let marks = Marker::of_accepted(&stream)?.marks()?;
                    let named = proven_by(&stream)
                        .map(|proof| (is_for(proof, "fe.test"), is_for(proof, "edge.test")));
                    stream.write_all(b"!").await?;
                    io::Result::Ok((marks.v4, named))
                };
                let calling = async {
                    let name = ServerName::try_from("edge.test").unwrap();
                    let mut stream = connect(None, listener.address(), name, client, Dscp::EF).await?;
                    let marker = Marker::of_connected(&stream)?;
                    let before = marker.marks()?.v4;
                    marker.set(Dscp::DEFAULT)?;
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await?;
                    io::Result::Ok((before, marker.marks()?.v4))
                };
                let (taken, called) = tokio::join!(taking, calling);
                (taken.ok(), called.ok())
            }));
        }
        let marks = (Some(Dscp::EF), Some(Dscp::DEFAULT));
        assert_eq!(outcomes, [(Some((Some(Dscp::EF), Some((true, false)))), Some(marks)), (None, None)]);
    }
}
