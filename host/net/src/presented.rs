//! What a server shows when it is asked by TLS, without believing it: for those who judge certificates. A connection that was
//! made like this proves only that the other end has the key of what it shows.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use socket2::{Domain, Socket, Type};

use crate::mark;
use crate::tls::provider;

/// Why nothing was shown.
#[derive(Debug)]
pub enum Unseen {
    /// There is no connection.
    Connect(io::Error),
    /// What speaks there does not speak TLS, or refuses before it has shown anything.
    Tls(String),
    /// The other end closed the connection when TLS was spoken.
    Ended(String),
}

/// The chain that a server shows, its own certificate first.
pub fn presented(
    to: SocketAddr,
    name: ServerName<'static>,
    mark: Dscp,
    wait: Duration,
) -> Result<Vec<CertificateDer<'static>>, Unseen> {
    let socket = connect(to, mark, wait).map_err(Unseen::Connect)?;
    let (config, shown) = looking().map_err(|error| Unseen::Tls(error.to_string()))?;
    let mut tls = ClientConnection::new(config, name).map_err(|error| Unseen::Tls(error.to_string()))?;
    let until = Instant::now() + wait;
    let mut outcome = Ok(());
    while tls.is_handshaking() && outcome.is_ok() && Instant::now() < until {
        outcome = tls.complete_io(&mut &socket).map(drop);
    }
    // A server that wants a certificate of ours refuses after it has shown its own.
    match (shown.chain(), outcome) {
        (chain, _) if !chain.is_empty() => Ok(chain),
        (_, Err(error)) if is_end(&error) => Err(Unseen::Ended(error.to_string())),
        (_, Err(error)) => Err(Unseen::Tls(error.to_string())),
        (_, Ok(())) => Err(Unseen::Tls("no certificate was shown".to_owned())),
    }
}

/// Whether the other end has closed the connection, in order or not.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

/// For a connection to look at the other end; what it has shown is there after the handshake.
pub fn looking() -> Result<(Arc<ClientConfig>, Shown), Error> {
    let shown = Shown::default();
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(shown.clone()))
        .with_no_client_auth();
    Ok((Arc::new(config), shown))
}

/// Takes down what is shown.
#[derive(Clone, Default, Debug)]
pub struct Shown(Arc<Mutex<Vec<CertificateDer<'static>>>>);

impl Shown {
    /// The chain; empty if nothing was shown yet.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(certificate).chain(intermediates).map(|one| one.clone().into_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn connect(to: SocketAddr, mark: Dscp, wait: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    mark::apply(&socket, mark)?;
    socket.connect_timeout(&to.into(), wait)?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(wait))?;
    socket.set_write_timeout(Some(wait))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;
    use crate::secured::SecuredListener;
    use crate::tls::{is_for, mutual_server_config};

    #[test]
    fn a_server_that_wants_more_than_we_have_shows_its_certificate_all_the_same() {
        let authority = Authority::create("inside").unwrap();
        let identity = authority.issue(&["edge.test"], &[]).unwrap();
        let server = mutual_server_config(&identity, &[authority.certificate().clone()]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime
            .block_on(async { SecuredListener::listen("127.0.0.1:0".parse().unwrap(), Dscp::DEFAULT) })
            .unwrap();
        let (to, wait) = (listener.address(), Duration::from_secs(20));
        let name = ServerName::try_from("another.test").unwrap();
        let looker = std::thread::spawn(move || presented(to, name, Dscp::DEFAULT, wait));
        let refused = runtime.block_on(async { listener.accept().await.unwrap().secure(server).await });
        assert!(refused.is_err(), "nobody proves himself by looking");
        let chain = looker.join().unwrap().unwrap();
        assert!(is_for(&chain[0], "edge.test") && !is_for(&chain[0], "another.test"));
    }

    /// Silence, an end, and words that are no TLS, each after the first that we have said.
    #[test]
    #[expect(clippy::disallowed_types, reason = "a server of a test, whose packets nobody judges")]
    fn who_hangs_up_is_told_from_who_is_silent_and_who_speaks_something_else() {
        use std::io::{Read, Write};
        use std::net::{Shutdown, TcpListener, TcpStream};
        let seen = |answer: fn(TcpStream)| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let to = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
                answer(stream);
            });
            let name = ServerName::try_from("edge.test").unwrap();
            let outcome = presented(to, name, Dscp::DEFAULT, Duration::from_secs(2));
            server.join().unwrap();
            outcome
        };
        let ended = seen(|stream| stream.shutdown(Shutdown::Both).unwrap());
        assert!(matches!(ended, Err(Unseen::Ended(_))), "{ended:?}");
        // In the middle of a record.
        let ended = seen(|mut stream| stream.write_all(&[22, 3, 3, 0, 90, 2, 0, 0, 86]).unwrap());
        assert!(matches!(ended, Err(Unseen::Ended(_))), "{ended:?}");
        let silent = seen(|mut stream| drop(stream.read(&mut [0; 4096])));
        assert!(matches!(silent, Err(Unseen::Tls(_))), "{silent:?}");
        let foreign = seen(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap());
        assert!(matches!(foreign, Err(Unseen::Tls(_))), "{foreign:?}");
    }

    #[test]
    fn where_nobody_listens_there_is_no_connection() {
        let free = crate::udp::UdpPort::bind("127.0.0.1:0".parse().unwrap(), Dscp::DEFAULT).unwrap();
        let name = ServerName::try_from("edge.test").unwrap();
        let outcome = presented(free.local(), name, Dscp::DEFAULT, Duration::from_secs(20));
        assert!(
            matches!(outcome, Err(Unseen::Connect(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
        );
    }
}
