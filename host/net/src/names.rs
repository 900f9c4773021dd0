//! Which Edges another domain has, by the DNS (RFC 3263, 4.2), asked for by a marked socket.
//!
//! The name servers of the machine are asked one after the other, over UDP, and over TCP for what does not fit. Nothing is
//! kept, and what is found is not proven: that is for certificates to do.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use carillon_wire::ip::Dscp;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use crate::mark;

/// Where the machine's name servers stand.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Of these, as many are asked as other resolvers ask.
const SERVERS: usize = 3;
/// A server that has not answered by then does not; all are asked twice.
const PATIENCE: Duration = Duration::from_secs(2);
const ROUNDS: usize = 2;
/// Servers of a domain, and addresses of one of them, that are looked at.
const TARGETS: usize = 16;
const ADDRESSES: usize = 8;
/// Where Edges speak TLS if nothing says otherwise.
const TLS: u16 = 5061;
/// By which names they are found, the first that is there before the others.
const SERVICES: [&str; 2] = ["_sipfederationtls._tcp", "_sips._tcp"];

/// Asks name servers.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    mark: Dscp,
    random: fn() -> u32,
}

/// The Edges of a domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where they speak TLS, in the order in which to try them.
    pub addresses: Vec<SocketAddr>,
    /// For how long that holds.
    pub ttl: Duration,
}

/// Why none was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// This machine has no name server.
    NoServer,
    /// Not one of them answers.
    Silent,
    /// They answer, and refuse: the code (RFC 1035, 4.1.1).
    Refused(String),
    /// There is no such domain, or it says that it has none.
    Nothing,
    /// It is no name.
    Malformed,
}

/// One record, and for how long it holds.
type Record = (Data, u32);

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Data {
    Server(Target),
    Address(IpAddr),
}

/// RFC 2782.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Target {
    priority: u16,
    weight: u16,
    port: u16,
    name: String,
}

impl Resolver {
    /// By the name servers of this machine. `random`: numbers that nobody can guess.
    pub fn of_this_machine(mark: Dscp, random: fn() -> u32) -> Resolver {
        let text = std::fs::read_to_string(Path::new(RESOLV_CONF)).unwrap_or_default();
        Resolver::new(servers(&text), mark, random)
    }

    /// By these name servers.
    pub fn new(servers: Vec<SocketAddr>, mark: Dscp, random: fn() -> u32) -> Resolver {
        Resolver { servers, mark, random }
    }

    /// The Edges of a domain.
    pub async fn edges(&self, domain: &str) -> Result<Found, Unknown> {
        for service in SERVICES {
            let records = self.ask(&format!("{service}.{domain}"), TYPE::SRV).await?;
            if !records.is_empty() {
                return self.reach(records).await;
            }
        }
        let own = Target { priority: 0, weight: 0, port: TLS, name: domain.to_owned() };
        self.reach(vec![(Data::Server(own), u32::MAX)]).await
    }

    /// The addresses of a host, with the port that is meant.
    pub async fn host(&self, name: &str, port: u16) -> Result<Found, Unknown> {
        let target = Target { priority: 0, weight: 0, port, name: name.to_owned() };
        self.reach(vec![(Data::Server(target), u32::MAX)]).await
    }

    /// The addresses of the servers in these records.
    async fn reach(&self, records: Vec<Record>) -> Result<Found, Unknown> {
        let mut ttl = records.iter().map(|(_, ttl)| *ttl).min().unwrap_or(0);
        let targets = records.into_iter().filter_map(|(data, _)| match data {
            // "." says that there is no such service.
            Data::Server(target) if !target.name.is_empty() => Some(target),
            _ => None,
        });
        let targets = ordered(targets.take(TARGETS).collect(), self.random);
        let mut addresses = Vec::new();
        for Target { port, name, .. } in targets {
            for kind in [TYPE::A, TYPE::AAAA] {
                for (data, holds) in self.ask(&name, kind).await?.into_iter().take(ADDRESSES) {
                    let Data::Address(ip) = data else { continue };
                    ttl = ttl.min(holds);
                    addresses.push(SocketAddr::new(ip, port));
                }
            }
        }
        match addresses.is_empty() {
            true => Err(Unknown::Nothing),
            false => Ok(Found { addresses, ttl: Duration::from_secs(ttl.into()) }),
        }
    }

    /// The records of this kind; none where there is no such name.
    async fn ask(&self, name: &str, kind: TYPE) -> Result<Vec<Record>, Unknown> {
        let mut why = if self.servers.is_empty() { Unknown::NoServer } else { Unknown::Silent };
        for server in (0..ROUNDS).flat_map(|_| &self.servers) {
            let id = (self.random)() as u16;
            let query = query(id, name, kind).ok_or(Unknown::Malformed)?;
            let answer = match timeout(PATIENCE, self.exchange(*server, id, &query)).await {
                Ok(Ok(answer)) => answer,
                _ => continue,
            };
            match read(&answer, kind) {
                Some(Ok(records)) => return Ok(records),
                Some(Err(code)) => why = Unknown::Refused(code),
                None => {}
            }
        }
        Err(why)
    }

    async fn exchange(&self, server: SocketAddr, id: u16, query: &[u8]) -> io::Result<Vec<u8>> {
        let socket = Socket::new(Domain::for_address(server), Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        mark::apply(&socket, self.mark)?;
        // A connected socket hears nobody else.
        socket.connect(&server.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        socket.send(query).await?;
        let mut buffer = vec![0; 4096];
        loop {
            let length = socket.recv(&mut buffer).await?;
            let answer = buffer.get(..length).unwrap_or_default();
            let Some(packet) = answered(answer, id, query) else { continue };
            return match packet.has_flags(PacketFlag::TRUNCATION) {
                true => self.exchange_whole(server, id, query).await,
                false => Ok(answer.to_vec()),
            };
        }
    }

    /// Over TCP (RFC 7766).
    async fn exchange_whole(&self, server: SocketAddr, id: u16, query: &[u8]) -> io::Result<Vec<u8>> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        mark::apply(&socket, self.mark)?;
        let mut stream = TcpSocket::from_std_stream(socket.into()).connect(server).await?;
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        match answered(&answer, id, query) {
            Some(_) => Ok(answer),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The name servers in the text of a resolv.conf.
fn servers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = lines.filter_map(|rest| rest.trim().parse::<IpAddr>().ok());
    addresses.take(SERVERS).map(|ip| SocketAddr::new(ip, 53)).collect()
}

/// The order in which to try them: by priority, and among equals by chance, as their weights say (RFC 2782).
fn ordered(mut targets: Vec<Target>, random: fn() -> u32) -> Vec<Target> {
    // Those without weight come first, so that they have a small chance too.
    targets.sort_by_key(|target| (target.priority, target.weight));
    let mut ordered = Vec::new();
    while let Some(first) = targets.first() {
        let priority = first.priority;
        let equals = targets.iter().take_while(|target| target.priority == priority);
        let sum: u32 = equals.map(|target| u32::from(target.weight)).sum();
        let drawn = random() % (sum + 1);
        let mut running = 0;
        let chosen = targets.iter().position(|target| {
            running += u32::from(target.weight);
            running >= drawn
        });
        ordered.push(targets.remove(chosen.unwrap_or(0)));
    }
    ordered
}

fn query(id: u16, name: &str, kind: TYPE) -> Option<Vec<u8>> {
    // The library leaves out labels that are empty.
    if name.strip_suffix('.').unwrap_or(name).split('.').any(str::is_empty) {
        return None;
    }
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).ok()?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().ok()
}

/// What was answered, if it is an answer to this query.
fn answered<'a>(answer: &'a [u8], id: u16, query: &[u8]) -> Option<Packet<'a>> {
    let packet = Packet::parse(answer).ok()?;
    let asked = Packet::parse(query).ok()?;
    let [one, other] = [&packet, &asked].map(|packet| {
        packet
            .questions
            .first()
            .map(|question| (question.qname.to_string().to_ascii_lowercase(), u16::from(question.qtype)))
    });
    (packet.id() == id && packet.has_flags(PacketFlag::RESPONSE) && one == other).then_some(packet)
}

/// The records of a kind in an answer, or the code of a refusal; nothing if it can't be read.
fn read(answer: &[u8], kind: TYPE) -> Option<Result<Vec<Record>, String>> {
    let packet = Packet::parse(answer).ok()?;
    if !matches!(packet.rcode(), RCODE::NoError | RCODE::NameError) {
        return Some(Err(format!("{:?}", packet.rcode())));
    }
    let records = packet.answers.iter().filter_map(|record| {
        let data = match &record.rdata {
            RData::SRV(srv) if kind == TYPE::SRV => Data::Server(Target {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                name: srv.target.to_string(),
            }),
            RData::A(a) if kind == TYPE::A => Data::Address(IpAddr::from(a.address.to_be_bytes())),
            RData::AAAA(a) if kind == TYPE::AAAA => Data::Address(IpAddr::from(a.address.to_be_bytes())),
            _ => return None,
        };
        Some((data, record.ttl))
    });
    Some(Ok(records.collect()))
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::NoServer => write!(f, "{RESOLV_CONF} names no name server"),
            Unknown::Silent => f.write_str("no name server answers"),
            Unknown::Refused(code) => write!(f, "the name servers refuse to answer: {code}"),
            Unknown::Nothing => write!(
                f,
                "the DNS has neither {}.DOMAIN nor {}.DOMAIN with an address, nor an address of the domain itself",
                SERVICES[0], SERVICES[1]
            ),
            Unknown::Malformed => f.write_str("that is no name of the DNS"),
        }
    }
}

impl std::error::Error for Unknown {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{A, SRV};

    use super::*;

    fn target(priority: u16, weight: u16, name: &str) -> Target {
        Target { priority, weight, port: TLS, name: name.to_owned() }
    }

    fn names(targets: Vec<Target>, random: fn() -> u32) -> Vec<String> {
        ordered(targets, random).into_iter().map(|target| target.name).collect()
    }

    #[test]
    fn lower_priorities_come_first_and_weights_are_chances() {
        let all = || {
            vec![target(20, 9, "late"), target(10, 3, "three"), target(10, 1, "one"), target(10, 0, "none")]
        };
        assert_eq!(names(all(), || 0), ["none", "one", "three", "late"]);
        assert_eq!(names(all(), || 1), ["one", "three", "none", "late"]);
        assert_eq!(names(all(), || 4), ["three", "none", "one", "late"]);
        static DRAWN: AtomicU32 = AtomicU32::new(0);
        let firsts = (0..4000).filter(|_| {
            names(vec![target(1, 30, "a"), target(1, 10, "b")], || DRAWN.fetch_add(7919, Ordering::Relaxed))
                [0]
                == "a"
        });
        let firsts = firsts.count();
        assert!((2900..3100).contains(&firsts), "{firsts} of 4000, not three quarters");
    }

    #[test]
    fn name_servers_are_read_as_they_are_written() {
        let text = "# nameserver 192.0.2.1\nsearch example.com\nnameserver 192.0.2.2\n nameserver\t2001:db8::1\nnameserver x\n";
        let expected: Vec<SocketAddr> =
            vec!["192.0.2.2:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(servers(text), expected);
    }

    /// Answers by the last label but one of what is asked for, as long as it is asked.
    async fn answer(socket: UdpSocket) {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let query = Packet::parse(&buffer[..length]).unwrap();
            let question = query.questions[0].clone();
            let mut reply = Packet::new_reply(query.id());
            let name = question.qname.to_string();
            let record = |ttl, rdata| ResourceRecord::new(question.qname.clone(), CLASS::IN, ttl, rdata);
            let srv = |priority, target: &'static str| {
                RData::SRV(SRV { priority, weight: 1, port: 5061, target: Name::new(target).unwrap() })
            };
            match (name.as_str(), u16::from(question.qtype)) {
                ("_sipfederationtls._tcp.both.test", 33) => {
                    reply.answers.push(record(300, srv(2, "second.test")));
                    reply.answers.push(record(200, srv(1, "first.test")));
                }
                ("_sips._tcp.sips.test", 33) => reply.answers.push(record(300, srv(1, "first.test"))),
                ("_sipfederationtls._tcp.none.test", 33) => reply.answers.push(record(300, srv(0, "."))),
                ("first.test" | "plain.test", 1) => {
                    reply.answers.push(record(60, RData::A(A { address: 0xc000_0201 })));
                }
                ("second.test", 1) => reply.answers.push(record(90, RData::A(A { address: 0xc000_0202 }))),
                _ => {}
            }
            reply.questions.push(question.clone());
            let mut forged = Packet::new_reply(query.id().wrapping_add(1));
            forged.questions.push(question.clone());
            forged.answers.push(record(9, RData::A(A { address: 1 })));
            for packet in [forged, reply] {
                socket.send_to(&packet.build_bytes_vec().unwrap(), peer).await.unwrap();
            }
        }
    }

    #[test]
    fn federation_goes_before_sips_before_the_domain_itself_and_a_foreign_answer_is_none() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let port = crate::udp::UdpPort::bind("127.0.0.1:0".parse().unwrap(), Dscp::DEFAULT).unwrap();
            let place = port.local();
            drop(port);
            let socket = UdpSocket::bind(place).await.unwrap();
            tokio::spawn(answer(socket));
            let resolver = Resolver::new(vec![place], Dscp::DEFAULT, || 7);
            let found = |domain: &'static str| {
                let resolver = resolver.clone();
                async move {
                    let found = resolver.edges(domain).await?;
                    let text: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
                    Ok((text.join(" "), found.ttl.as_secs()))
                }
            };
            let known = |text: &str, ttl| Ok((text.to_owned(), ttl));
            assert_eq!(found("both.test").await, known("192.0.2.1:5061 192.0.2.2:5061", 60));
            assert_eq!(found("sips.test").await, known("192.0.2.1:5061", 60));
            assert_eq!(found("plain.test").await, known("192.0.2.1:5061", 60));
            assert_eq!(found("none.test").await, Err(Unknown::Nothing));
            assert_eq!(found("nowhere.test").await, Err(Unknown::Nothing));
            assert_eq!(found("not..a.name").await, Err(Unknown::Malformed));
            let nobody = Resolver::new(Vec::new(), Dscp::DEFAULT, || 7);
            assert_eq!(nobody.edges("plain.test").await, Err(Unknown::NoServer));
        });
    }
}
