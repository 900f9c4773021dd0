//! Partners that the configuration gives no address: where the DNS says that their Edges are, asked again before that lapses.
//!
//! A thread of its own, so that no message waits for a name server. What it finds waits for the next turn.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use carillon_net::names::{Found, Resolver};
use carillon_wire::ip::Dscp;
use mio::Waker;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::AccessEdge;
use super::start::servers;
use crate::config::EdgeConfig;

/// How often the DNS is asked, whatever it says of that itself. Who was not found is asked for as soon as it allows.
const SOONEST: Duration = Duration::from_secs(30);
const LATEST: Duration = Duration::from_secs(3600);
/// Answers that may wait for the turn; who has more to tell waits too.
const ROOM: usize = 64;

/// Where a partner's Edges are, or why that is not known.
struct Answer {
    domain: String,
    edges: Result<Vec<SocketAddr>, String>,
}

/// The thread; it ends when this is dropped.
pub(super) struct Directory {
    wanted: Option<watch::Sender<Vec<String>>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
}

impl AccessEdge {
    /// Has the DNS asked for the partners that it has to name.
    pub(super) fn look_up(&mut self) -> io::Result<()> {
        let domains: Vec<String> = self.by_name.keys().cloned().collect();
        match &self.directory {
            Some(directory) => directory.want(domains),
            None if domains.is_empty() => {}
            None => self.directory = Some(Directory::start(domains, self.transports.waker())?),
        }
        Ok(())
    }

    /// Takes what the DNS has said since. A partner that it does not know any more is looked for where it was.
    pub(super) fn learn(&mut self) {
        while let Some(Answer { domain, edges }) = self.directory.as_ref().and_then(Directory::next) {
            let edges = edges.and_then(|edges| outside(edges, &self.config));
            let Some(unknown) = self.by_name.get_mut(&domain) else { continue };
            if let Err(why) = &edges
                && unknown.as_ref() != Some(why)
            {
                tracing::error!(domain, "the Edges of a partner are not found: {why}");
            }
            *unknown = edges.as_ref().err().cloned();
            if let Ok(edges) = edges {
                self.move_partner(&domain, edges);
            }
        }
    }

    fn move_partner(&mut self, domain: &str, edges: Vec<SocketAddr>) {
        let mut config = self.config.clone();
        let partners = config.access.iter_mut().flat_map(|access| &mut access.partners);
        let Some(partner) = partners.into_iter().find(|partner| partner.domain == domain) else { return };
        // In another order they are the same: their turns are the DNS's, and connections are kept.
        let sorted = |edges: &[SocketAddr]| edges.iter().copied().collect::<BTreeSet<_>>();
        if sorted(&partner.addresses) == sorted(&edges) {
            return;
        }
        tracing::info!(domain, edges = edges.len(), "the DNS names the Edges of a partner");
        partner.addresses = edges;
        match servers(&config) {
            Ok(servers) => self.transports.set_servers(servers),
            Err(error) => {
                return tracing::error!(domain, "a partner stays where it was: {}", crate::chain(&error));
            }
        }
        let partners = config.access.as_ref().map(|access| access.partners.clone());
        self.core.set_partners(self.clock.now(), partners.unwrap_or_default());
        self.config = config;
    }
}

/// Those of them that a partner may have. Whoever writes a partner's records is not to have us connect to hosts inside, or take
/// the place of our own servers.
fn outside(edges: Vec<SocketAddr>, config: &EdgeConfig) -> Result<Vec<SocketAddr>, String> {
    let servers = config.access.as_ref().map(|access| &access.servers[..]).unwrap_or_default();
    let own: Vec<IpAddr> =
        config.addresses.all().into_iter().chain(servers.iter().map(SocketAddr::ip)).collect();
    let is_inside = |ip: IpAddr| {
        let ip = ip.to_canonical();
        let nobody = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast();
        nobody || own.contains(&ip) || config.addresses.inside.iter().any(|network| network.contains(ip))
    };
    let found = edges.len();
    let outside: Vec<SocketAddr> = edges.into_iter().filter(|edge| !is_inside(edge.ip())).collect();
    match outside.is_empty() && found > 0 {
        true => {
            Err("the DNS names addresses of the inside, or of this machine, which are none of a partner's"
                .to_owned())
        }
        false => Ok(outside),
    }
}

impl Directory {
    /// Begins to ask for these domains; `waker` ends the waiting of the turn when there is an answer.
    fn start(domains: Vec<String>, waker: Arc<Waker>) -> io::Result<Directory> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (wanted, mut wishes) = watch::channel(domains);
        let (tell, answers) = sync_channel(ROOM);
        let thread = std::thread::Builder::new().name("partners".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut asking = JoinSet::new();
                loop {
                    let domains = wishes.borrow_and_update().clone();
                    for domain in domains {
                        asking.spawn(keep(domain, tell.clone(), waker.clone()));
                    }
                    if wishes.changed().await.is_err() {
                        return;
                    }
                    asking.abort_all();
                }
            });
        })?;
        Ok(Directory { wanted: Some(wanted), answers, thread: Some(thread) })
    }

    /// From now on these domains; all of them are asked for anew.
    fn want(&self, domains: Vec<String>) {
        if let Some(wanted) = &self.wanted {
            wanted.send_replace(domains);
        }
    }

    /// What was found, if something was.
    fn next(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

/// Asks for one domain for as long as it is wanted.
async fn keep(domain: String, tell: SyncSender<Answer>, waker: Arc<Waker>) {
    loop {
        // The name servers of this machine may be others by now. They may stand outside, where nothing is marked.
        let found = Resolver::of_this_machine(Dscp::DEFAULT, random).edges(&domain).await;
        let pause = found.as_ref().map_or(SOONEST, |Found { ttl, .. }| (*ttl).clamp(SOONEST, LATEST));
        let edges = found.map(|found| found.addresses).map_err(|error| error.to_string());
        let answer = Answer { domain: domain.clone(), edges };
        // A turn that takes nothing is told the next time.
        if tell.try_send(answer).is_ok() && waker.wake().is_err() {
            return;
        }
        sleep(pause).await;
    }
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness nothing here would have been started.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(self.wanted.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
