//! Connections over TLS as axum takes them: shaken hands with beside each other, few for each source, and not for long.
//!
//! What is spoken is somebody else's, and so are sockets and certificates.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use carillon_wire::forwarded::Proxies;
use carillon_wire::sip::source;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections at once; who comes then waits in the kernel.
const CONNECTIONS: usize = 512;
/// Of these, those of one source; who comes then is hung up on. A proxy may have all.
const PER_SOURCE: usize = 32;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection lasts after it. One request and its answer take a moment; who has more comes again.
const LIFE: Duration = Duration::from_secs(30);
/// How long nobody is taken after the process could open no more files.
const PAUSE: Duration = Duration::from_millis(100);

/// What new connections are greeted with; a reload changes it.
pub(crate) type Greeting = watch::Receiver<Option<Arc<ServerConfig>>>;

/// Where connections over TLS come in.
pub(crate) struct TlsDoor {
    tcp: TcpListener,
    greeting: Greeting,
    proxies: Arc<Proxies>,
    room: Arc<Semaphore>,
    sources: Sources,
    handshakes: JoinSet<Option<(Guest, SocketAddr)>>,
}

/// A connection whose handshake is done.
pub(crate) struct Guest {
    stream: TlsStream<TcpStream>,
    end: Pin<Box<Sleep>>,
    _place: Place,
}

/// How many connections each source has.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// A connection's share of what there is; given back when it ends.
struct Place {
    source: IpAddr,
    sources: Sources,
    _room: OwnedSemaphorePermit,
}

impl TlsDoor {
    pub(crate) fn new(tcp: TcpListener, greeting: Greeting, proxies: Arc<Proxies>) -> TlsDoor {
        TlsDoor {
            tcp,
            greeting,
            proxies,
            room: Arc::new(Semaphore::new(CONNECTIONS)),
            sources: Sources::default(),
            handshakes: JoinSet::new(),
        }
    }

    /// Begins a handshake, if the source has not too many connections already.
    fn greet(&mut self, stream: TcpStream, remote: SocketAddr, room: OwnedSemaphorePermit) {
        let Some(place) = self.sources.take(source(remote), self.most(remote), room) else { return };
        let Some(tls) = self.greeting.borrow().clone() else { return };
        self.handshakes.spawn(async move {
            let stream = timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await.ok()?.ok()?;
            Some((Guest { stream, end: Box::pin(sleep(LIFE)), _place: place }, remote))
        });
    }

    /// Connections that one source may have.
    fn most(&self, remote: SocketAddr) -> usize {
        if self.proxies.include(remote.ip()) { CONNECTIONS } else { PER_SOURCE }
    }
}

impl Listener for TlsDoor {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        loop {
            let room = self.room.clone();
            let next = async {
                let room = room.acquire_owned().await.map_err(io::Error::other)?;
                self.tcp.accept().await.map(|(stream, remote)| (stream, remote, room))
            };
            tokio::select! {
                Some(shaken) = self.handshakes.join_next() => {
                    if let Ok(Some(guest)) = shaken {
                        return guest;
                    }
                }
                taken = next => match taken {
                    Ok((stream, remote, room)) => self.greet(stream, remote, room),
                    Err(_) => sleep(PAUSE).await,
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Sources {
    fn take(&self, source: IpAddr, most: usize, room: OwnedSemaphorePermit) -> Option<Place> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(source).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { source, sources: self.clone(), _room: room })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.source)),
        }
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_places_and_what_it_gives_back_it_has_again() {
        let (room, sources) = (Arc::new(Semaphore::new(100)), Sources::default());
        let take = |source: &str| {
            let room = room.clone().try_acquire_owned().unwrap();
            sources.take(source.parse().unwrap(), PER_SOURCE, room)
        };
        let mut held: Vec<_> = (0..PER_SOURCE).map(|_| take("192.0.2.1").unwrap()).collect();
        assert!(take("192.0.2.1").is_none());
        let other = take("192.0.2.2");
        assert!(other.is_some());
        drop((held.pop(), other));
        assert!(take("192.0.2.1").is_some());
        drop(held);
        assert!(sources.0.lock().unwrap().is_empty());
        assert_eq!(room.available_permits(), 100);
    }
}
