//! What the server is doing: for `carillon status` and scripts.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_net::transports::Listening;
use carillon_qos::TrafficClass;
use carillon_signaling::ClassUse;
use serde::{Deserialize, Serialize};

use crate::certificate_facts::CertificateFacts;
use crate::directory::DirectoryStatus;
use crate::replication::EdgeRow;
use crate::turn::Server;

/// Users on an old plan that are named; the others are only counted.
const NAMED: usize = 100;

/// A picture of the moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub program: String,
    /// When it was started, in seconds since the Unix epoch.
    pub started: u64,
    /// Seconds since then.
    pub uptime: u64,
    /// What is wrong, if something is.
    pub trouble: Option<String>,
    /// What will be trouble if nobody does anything.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Whether it is being stopped.
    pub stopping: bool,
    /// How phones reach the server: a name, or an address.
    pub name: String,
    /// Domains of the users; the first one is the main one.
    pub domains: Vec<String>,
    /// Users that may sign in.
    pub users: usize,
    /// Contacts that are signed in.
    pub registrations: usize,
    /// Calls that are up.
    pub calls: usize,
    /// Of these and of those being set up, calls between a browser and a phone, with media legs of the server between them.
    #[serde(default)]
    pub bridges: usize,
    /// Connections over TCP and TLS.
    pub connections: usize,
    /// The plan that holds.
    pub plan: PlanStatus,
    /// Where SIP is spoken.
    pub listeners: Vec<ListenerStatus>,
    /// Media ports of this server by class.
    pub leases: Vec<LeaseStatus>,
    /// Edges, and what they have of the plan.
    #[serde(default)]
    pub edges: Vec<EdgeRow>,
    /// The Edges, or the Directors, that requests for others go to.
    #[serde(default)]
    pub next_hops: Vec<NextHopRow>,
    /// Links between sites that have budgets, and what calls have reserved of them.
    #[serde(default)]
    pub links: Vec<LinkStatus>,
    /// What is known of the directory that names users, if there is one.
    #[serde(default)]
    pub directory: Option<DirectoryStatus>,
    /// What phones see over TLS; none where nothing speaks it.
    #[serde(default)]
    pub certificate: Option<CertificateFacts>,
    /// What it is used for: `Default` (SIP), `WebServicesInternal`, `WebServicesExternal`.
    #[serde(default)]
    pub certificate_uses: Vec<String>,
}

/// An Edge or a Director that requests for others go to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NextHopRow {
    /// Where.
    pub address: SocketAddr,
    /// Whether a connection with it is established, on which it has proven itself.
    pub established: bool,
}

/// The plan that holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlanStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Contacts that were given an older version and will take the new one when they register again.
    pub outdated: u64,
    /// Whose contacts these are, as far as they are named, with the version they have.
    pub outdated_users: Vec<(String, u64)>,
}

/// A place where SIP is spoken.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// `UDP`, `TCP`, `TLS`.
    pub transport: String,
    /// Where it is bound.
    pub address: SocketAddr,
    /// The mark that the plan wants, from 0 to 63.
    pub planned: u8,
    /// The mark of IPv4 packets, read back from the kernel.
    pub v4: Option<u8>,
    /// The mark of IPv6 packets, read back from the kernel.
    pub v6: Option<u8>,
    /// Why the marks could not be read back.
    pub error: Option<String>,
}

/// Media ports of one class.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// The class, as in plans.
    pub class: String,
    /// First and last port, if the plan has a range.
    pub ports: Option<(u16, u16)>,
    /// Ports in use.
    pub leased: usize,
    /// Ports that rest after use.
    pub resting: usize,
    /// Leases refused because nothing was left.
    pub refused: u64,
}

/// A link between sites.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkStatus {
    /// As administrators know it: of a site, its name; of others the name of their policy.
    pub name: String,
    /// Of audio.
    pub audio: LinkClass,
    /// Of video.
    pub video: LinkClass,
}

/// One class on a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkClass {
    /// What all calls together may take, in kilobits per second and direction; none if anything may pass.
    pub capacity: Option<u32>,
    /// What they have reserved of it.
    pub reserved: u64,
    /// How many have.
    pub calls: u32,
    /// Calls that found no room, since the start: for want of audio they were refused, for want of video they went on without.
    pub refused: u64,
}

impl From<ClassUse> for LinkClass {
    fn from(of: ClassUse) -> LinkClass {
        let ClassUse { capacity, reserved, calls, refused } = of;
        LinkClass { capacity, reserved, calls, refused }
    }
}

impl ListenerStatus {
    /// Whether every packet leaves as planned.
    pub fn is_as_planned(&self) -> bool {
        let planned = |mark: Option<u8>| mark.is_none_or(|mark| mark == self.planned);
        self.error.is_none() && planned(self.v4) && planned(self.v6)
    }
}

impl Server {
    /// A picture of now.
    pub(crate) fn status(&self) -> Result<Status, carillon_store::Error> {
        let (counts, now) = (self.front_end.counts(), self.clock.now());
        let started = self.clock.started();
        Ok(Status {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            started: started.as_secs(),
            uptime: now.saturating_sub(started).as_secs(),
            trouble: self.health.trouble(),
            warnings: self.warnings(),
            stopping: self.until.is_some(),
            name: self.estate.config.name.clone(),
            domains: self.estate.config.domains.clone(),
            users: counts.users,
            registrations: counts.registrations,
            calls: counts.calls,
            bridges: counts.bridges,
            connections: self.transports.counts().connections,
            plan: self.plan_status(now)?,
            listeners: self.transports.listening().iter().map(|l| self.listener_status(l)).collect(),
            leases: self.lease_status(),
            edges: self.edges.clone(),
            next_hops: self
                .front_end
                .next_hops()
                .map(|(address, established)| NextHopRow { address, established })
                .collect(),
            links: self.link_status(),
            directory: self.directory.as_ref().map(|directory| DirectoryStatus {
                withheld: directory.held_users(now) as u64,
                ..self.directory_status.clone()
            }),
            certificate: self.estate.certificate.clone(),
            certificate_uses: self.estate.config.certificate_uses().into_iter().map(str::to_owned).collect(),
        })
    }

    pub(crate) fn link_status(&self) -> Vec<LinkStatus> {
        let links = self.front_end.links().into_iter();
        links
            .map(|link| LinkStatus { name: link.name, audio: link.audio.into(), video: link.video.into() })
            .collect()
    }

    fn plan_status(&self, now: Duration) -> Result<PlanStatus, carillon_store::Error> {
        let version = self.estate.plan_version;
        let (outdated, outdated_users) = self.store.outdated(version, now, NAMED)?;
        Ok(PlanStatus { name: self.estate.plan.name().to_owned(), version, outdated, outdated_users })
    }

    fn listener_status(&self, listening: &Listening) -> ListenerStatus {
        let (marks, error) = match &listening.marks {
            Ok(marks) => (Some(*marks), None),
            Err(error) => (None, Some(error.to_string())),
        };
        ListenerStatus {
            transport: listening.transport.name().to_owned(),
            address: listening.address,
            planned: self.estate.mark.value(),
            v4: marks.and_then(|marks| marks.v4).map(|mark| mark.value()),
            v6: marks.and_then(|marks| marks.v6).map(|mark| mark.value()),
            error,
        }
    }

    pub(crate) fn lease_status(&self) -> Vec<LeaseStatus> {
        let counts = self.leases.counts();
        TrafficClass::MEDIA
            .into_iter()
            .zip(counts)
            .map(|(class, counts)| LeaseStatus {
                class: class.name().to_owned(),
                ports: counts.planned.then_some((counts.range.start(), counts.range.end())),
                leased: counts.leased as usize,
                resting: counts.quarantined as usize,
                refused: counts.exhausted,
            })
            .collect()
    }
}
