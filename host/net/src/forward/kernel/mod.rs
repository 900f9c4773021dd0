//! Another executor of the same rules: a program of the kernel that meets packets before the sockets do (tc-BPF, at TCX). What it
//! has no rule for, and all that it is not sure of, comes to the sockets as if there were no program.
//!
//! The forwarder stays the owner: it writes a rule for each direction into a map of the kernel, takes it out before the rule ends,
//! and charges the same meters. All ends with the process, for everything hangs on its descriptors.

mod asm;
mod books;
mod bpf;
mod layout;
mod program;
#[cfg(test)]
mod site;
#[cfg(test)]
mod tests;
mod way;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use carillon_wire::ip::Dscp;

use self::books::Books;
use self::bpf::{Kind, Map};
use self::layout::{Carry, Family, Key, Way};
use self::way::Routes;
use super::PortId;
use super::ledger::{Budgets, Ledger, Payer, Towards, Traffic};
use super::rule::RuleId;
use crate::udp::Complaint;
use crate::{addresses, packet_socket};

pub(super) use self::books::Book;
pub(super) use self::books::SharedMeter;

/// Books of ports and accounts: 4 MiB. Ports beyond are carried by their sockets.
const BOOKS: u32 = 32_768;
/// Rules whose ways are looked up again at a time because the network has complained: anybody may do so in somebody's name.
const DOUBTS: usize = 128;

/// The kernel's part of a forwarder.
pub(super) struct Kernel {
    /// By family and interface; dropping one detaches the program there.
    links: BTreeMap<(Family, u32), OwnedFd>,
    programs: BTreeMap<Family, Program>,
    books: Books,
    routes: Routes,
    /// The kernel would encipher what it sends, perhaps; the program does not.
    has_ipsec: bool,
    locals: BTreeSet<IpAddr>,
    budgets: Budgets,
    live: BTreeMap<RuleId, Live>,
    /// By the addresses of clients and peers.
    remotes: BTreeMap<IpAddr, Remote>,
    /// Those to which ways may have changed, each once; the longest waiting first.
    doubted: VecDeque<IpAddr>,
    ports: BTreeMap<PortId, Port>,
    payers: BTreeMap<Payer, Holder>,
}

/// The program of one family, and its table.
struct Program {
    fd: OwnedFd,
    rules: Map,
}

/// A rule that the kernel may carry: a client over UDP, and the same family on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) client: SocketAddr,
    /// The address that the client sends to.
    pub(super) listener: SocketAddr,
    pub(super) channel: u16,
    pub(super) port: PortId,
    pub(super) relayed: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) to_peer: Dscp,
    pub(super) to_client: Dscp,
}

struct Live {
    wanted: Wanted,
    /// To the client and to the peer; `None`: one of them has none.
    ways: Option<[Way; 2]>,
    /// What is in the map of it.
    keys: Vec<Key>,
}

/// Somebody to whom rules lead.
#[derive(Default)]
struct Remote {
    rules: BTreeSet<RuleId>,
    is_doubted: bool,
}

struct Port {
    book: Book,
    /// Its account and its group.
    payers: Vec<Payer>,
}

/// The book of somebody who pays for several ports, and how many of them have one.
struct Holder {
    book: Book,
    ports: usize,
}

/// What the kernel carries.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct InKernel {
    /// Rules of which it has at least one direction.
    pub rules: usize,
    /// Interfaces that it looks at.
    pub interfaces: usize,
    /// It carries nothing: [`NoKernel::Ipsec`].
    pub has_ipsec: bool,
}

/// Why the kernel carries nothing.
#[derive(Debug)]
pub enum NoKernel {
    /// It is no machine for which the program is written.
    ByteOrder,
    /// The process may not.
    Privilege(io::Error),
    /// The kernel does not keep the table or the program, as it says.
    Refused(io::Error),
    /// The program cannot be attached there.
    Attach(IpAddr, io::Error),
    /// No interface has any of the addresses, or none of Ethernet.
    NoInterface,
    /// The machine has policies of IPsec for what leaves, which the program would go past; until they are gone.
    Ipsec,
}

impl Kernel {
    /// Has packets to these addresses looked at.
    pub(super) fn start(addresses: &[IpAddr], rules: usize, budgets: Budgets) -> Result<Kernel, NoKernel> {
        if cfg!(target_endian = "big") {
            return Err(NoKernel::ByteOrder);
        }
        let books = Books::new(BOOKS).map_err(refused)?;
        let mut programs = BTreeMap::new();
        for family in Family::ALL {
            programs.insert(family, Program::load(family, rules, &books).map_err(refused)?);
        }
        let routes = Routes::open().map_err(refused)?;
        let mut kernel = Kernel {
            has_ipsec: routes.have_ipsec(),
            links: BTreeMap::new(),
            programs,
            books,
            routes,
            locals: addresses.iter().copied().collect(),
            budgets,
            live: BTreeMap::new(),
            remotes: BTreeMap::new(),
            doubted: VecDeque::new(),
            ports: BTreeMap::new(),
            payers: BTreeMap::new(),
        };
        kernel.attach()?;
        if kernel.links.is_empty() { Err(NoKernel::NoInterface) } else { Ok(kernel) }
    }

    pub(super) fn facts(&self) -> InKernel {
        let rules = self.live.values().filter(|live| !live.keys.is_empty()).count();
        let interfaces: BTreeSet<u32> = self.links.keys().map(|(_, interface)| *interface).collect();
        InKernel { rules, interfaces: interfaces.len(), has_ipsec: self.has_ipsec }
    }

    /// Carries by this rule, in the directions in which it can, in place of that of the same name.
    pub(super) fn install(&mut self, id: RuleId, wanted: Wanted, ledger: &mut Ledger) {
        // With the same ends, as after a change of the plan, it goes the same ways.
        let before = self.live.get(&id).filter(|live| live.wanted.ends() == wanted.ends());
        let ways = before.and_then(|live| live.ways);
        self.remove(id);
        if self.open(wanted.port, ledger).is_none() {
            return;
        }
        for remote in wanted.remotes() {
            self.remotes.entry(remote).or_default().rules.insert(id);
        }
        let ways = ways.or_else(|| self.ways(&wanted));
        self.live.insert(id, Live { wanted, ways, keys: Vec::new() });
        self.write(id);
    }

    /// Carries no longer by this rule.
    pub(super) fn remove(&mut self, id: RuleId) {
        let Some(live) = self.live.remove(&id) else { return };
        self.erase(&live.keys);
        for remote in live.wanted.remotes() {
            let Some(known) = self.remotes.get_mut(&remote) else { continue };
            known.rules.remove(&id);
            if known.rules.is_empty() {
                self.remotes.remove(&remote);
            }
        }
    }

    /// Gives back the book of a port that is being closed; its rules were removed before. What it has carried last.
    pub(super) fn close(&mut self, port: PortId, ledger: &mut Ledger) -> Traffic {
        let Some(Port { book, payers }) = self.ports.remove(&port) else { return Traffic::default() };
        let traffic = traffic(&book);
        self.books.give_back(&book);
        self.forgo(&payers, ledger);
        traffic
    }

    /// What each port has carried since this was last asked. Where ways may have changed, they are looked up again.
    pub(super) fn news(&mut self) -> Vec<(PortId, Traffic)> {
        self.books.turn();
        let has_ipsec = self.routes.have_ipsec();
        let had_ipsec = std::mem::replace(&mut self.has_ipsec, has_ipsec);
        if self.routes.have_changed() || has_ipsec != had_ipsec {
            // An interface that is gone, or not there yet, is no reason to carry less by the others.
            let _ = self.attach();
            let all: Vec<RuleId> = self.live.keys().copied().collect();
            all.into_iter().for_each(|id| self.look_up(id));
        }
        self.settle_doubts();
        let news = self.ports.iter().map(|(port, known)| (*port, traffic(&known.book)));
        news.filter(|(_, traffic)| *traffic != Traffic::default()).collect()
    }

    /// The network has said something of what was sent to somebody. If it was about how long packets may be, the ways there are
    /// looked up again with the next news: whoever says so has proven nothing.
    pub(super) fn hear(&mut self, complaint: &Complaint) {
        let address = complaint.peer.ip();
        let Some(remote) = self.remotes.get_mut(&address).filter(|_| complaint.is_too_big()) else { return };
        if !std::mem::replace(&mut remote.is_doubted, true) {
            self.doubted.push_back(address);
        }
    }

    /// What may pass from now on.
    pub(super) fn set_budgets(&mut self, budgets: Budgets) {
        if std::mem::replace(&mut self.budgets, budgets) != budgets {
            let all: Vec<RuleId> = self.live.keys().copied().collect();
            all.into_iter().for_each(|id| self.write(id));
        }
    }

    /// Looks up again, of the ways that are doubted, so many that nothing has to wait for it.
    fn settle_doubts(&mut self) {
        let mut left = DOUBTS;
        while left > 0
            && let Some(address) = self.doubted.pop_front()
        {
            let Some(remote) = self.remotes.get_mut(&address) else { continue };
            remote.is_doubted = false;
            let rules: Vec<RuleId> = remote.rules.iter().copied().collect();
            left = left.saturating_sub(rules.len());
            rules.into_iter().for_each(|id| self.look_up(id));
        }
    }

    /// Attaches the program to interfaces that have addresses of ours, and detaches it from those that have none any more. Where it
    /// can't be attached, it stays attached elsewhere.
    fn attach(&mut self) -> Result<(), NoKernel> {
        let (mut held, mut failed) = (BTreeMap::new(), None);
        for (name, address) in addresses::by_interface().map_err(NoKernel::Refused)? {
            let Some(interface) = index(&name).filter(|_| self.locals.contains(&address)) else { continue };
            if !self.routes.is_ethernet(interface).unwrap_or(false) {
                continue;
            }
            // Both, whichever family the address is of: what is sent to another one of ours may come here too.
            for (family, program) in &self.programs {
                let place = (*family, interface);
                if held.contains_key(&place) {
                    continue;
                }
                let link = self.links.remove(&place).map(Ok);
                match link.unwrap_or_else(|| bpf::attach(&program.fd, interface)) {
                    Ok(link) => drop(held.insert(place, link)),
                    Err(error) => failed = Some(NoKernel::Attach(address, error)),
                }
            }
        }
        self.links = held;
        failed.map_or(Ok(()), Err)
    }

    /// The book of a port, made and shared with the ledger when it is first needed.
    fn open(&mut self, port: PortId, ledger: &mut Ledger) -> Option<()> {
        if self.ports.contains_key(&port) {
            return Some(());
        }
        let payers = ledger.payers(port);
        for (at, payer) in payers.iter().enumerate() {
            if self.join(*payer, ledger).is_none() {
                self.forgo(payers.get(..at).unwrap_or_default(), ledger);
                return None;
            }
        }
        let Some(book) = self.books.take() else {
            self.forgo(&payers, ledger);
            return None;
        };
        ledger.share(port, &book);
        self.ports.insert(port, Port { book, payers });
        Some(())
    }

    /// One port more is paid by this one.
    fn join(&mut self, payer: Payer, ledger: &mut Ledger) -> Option<()> {
        if !self.payers.contains_key(&payer) {
            let book = self.books.take()?;
            ledger.share_payer(payer, &book);
            self.payers.insert(payer, Holder { book, ports: 0 });
        }
        self.payers.get_mut(&payer)?.ports += 1;
        Some(())
    }

    /// One port less is paid by these.
    fn forgo(&mut self, payers: &[Payer], ledger: &mut Ledger) {
        for payer in payers {
            let Some(holder) = self.payers.get_mut(payer) else { continue };
            holder.ports -= 1;
            if holder.ports == 0 {
                ledger.keep_payer_alone(*payer);
                self.books.give_back(&holder.book);
                self.payers.remove(payer);
            }
        }
    }

    /// Looks up the ways of a rule anew.
    fn look_up(&mut self, id: RuleId) {
        let Some(wanted) = self.live.get(&id).map(|live| live.wanted) else { return };
        let ways = self.ways(&wanted);
        self.live.entry(id).and_modify(|live| live.ways = ways);
        self.write(id);
    }

    /// To the client and to the peer. None if one of them has no way by Ethernet, for what comes has to come by where it would go
    /// back, or if what leaves may have to be enciphered.
    fn ways(&self, wanted: &Wanted) -> Option<[Way; 2]> {
        if self.has_ipsec {
            return None;
        }
        let way = |from: SocketAddr, to: SocketAddr| self.routes.way(from.ip(), to.ip()).ok().flatten();
        Some([way(wanted.listener, wanted.client)?, way(wanted.relayed, wanted.peer)?])
    }

    /// Writes both directions, and takes out what was written before and is not any more.
    fn write(&mut self, id: RuleId) {
        let Some(live) = self.live.get(&id) else { return };
        let keys = live.ways.and_then(|ways| self.put(&live.wanted, ways)).unwrap_or_default();
        let gone: Vec<Key> = live.keys.iter().filter(|key| !keys.contains(key)).copied().collect();
        self.erase(&gone);
        self.live.entry(id).and_modify(|live| live.keys = keys);
    }

    /// The keys of those that are there now.
    fn put(&self, wanted: &Wanted, [to_client, to_peer]: [Way; 2]) -> Option<Vec<Key>> {
        let carries = [
            self.carry(wanted, Towards::Peer, to_peer, to_client.interface)?,
            self.carry(wanted, Towards::Client, to_client, to_peer.interface)?,
        ];
        let set = |(key, carry): (Key, Carry)| {
            let rules = &self.programs.get(&key.family())?.rules;
            rules.set(&key.bytes(), &carry.bytes()).is_ok().then_some(key)
        };
        Some(carries.into_iter().filter_map(set).collect())
    }

    fn carry(&self, wanted: &Wanted, towards: Towards, way: Way, came_by: u32) -> Option<(Key, Carry)> {
        let Port { book, payers } = self.ports.get(&wanted.port)?;
        let (came, leaves, mark) = match towards {
            Towards::Peer => {
                ((wanted.client, wanted.listener), (wanted.relayed, wanted.peer), wanted.to_peer)
            }
            Towards::Client => {
                ((wanted.peer, wanted.relayed), (wanted.listener, wanted.client), wanted.to_client)
            }
        };
        let place = |payer: &Payer| self.payers.get(payer).map(|holder| holder.book.place);
        let find = |is: fn(&&Payer) -> bool| payers.iter().find(is).and_then(place);
        let policed = self.budgets.policed.filter(|(policed, _)| *policed == mark);
        let carry = Carry {
            towards,
            channel: wanted.channel,
            came,
            leaves,
            mark,
            way,
            came_by,
            book: book.place,
            account: find(|payer| matches!(payer, Payer::Account(_))),
            group: find(|payer| matches!(payer, Payer::Group(_))),
            port_rate: self.budgets.port,
            policed_rate: policed.map(|(_, rate)| rate),
            account_rate: self.budgets.account,
            group_rate: self.budgets.group,
        };
        let channel = if towards == Towards::Peer { wanted.channel } else { 0 };
        Some((Key { remote: came.0, local: came.1, channel }, carry))
    }

    /// What is not there is not carried.
    fn erase(&self, keys: &[Key]) {
        for key in keys {
            let program = self.programs.get(&key.family());
            program.into_iter().for_each(|program| drop(program.rules.remove(&key.bytes())));
        }
    }
}

impl Wanted {
    fn ends(&self) -> [SocketAddr; 4] {
        [self.client, self.listener, self.relayed, self.peer]
    }

    fn remotes(&self) -> [IpAddr; 2] {
        [self.client.ip(), self.peer.ip()]
    }
}

impl Program {
    fn load(family: Family, rules: usize, books: &Books) -> io::Result<Program> {
        let entries = u32::try_from(rules * 2).unwrap_or(u32::MAX);
        let rules = Map::new(Kind::Hash, b"carillon_rules", family.key(), family.value(), entries)?;
        let code = program::program(family, rules.fd.as_raw_fd(), books.map.fd.as_raw_fd());
        let code = code.map_err(|label| io::Error::other(format!("no way to `{label}`")))?;
        Ok(Program { fd: bpf::load(&code)?, rules })
    }
}

fn index(name: &str) -> Option<u32> {
    packet_socket::interface_index(name).ok().and_then(|index| u32::try_from(index).ok())
}

fn traffic(book: &Book) -> Traffic {
    Traffic { to_peer: book.take(Towards::Peer), to_client: book.take(Towards::Client) }
}

fn refused(error: io::Error) -> NoKernel {
    match error.kind() {
        io::ErrorKind::PermissionDenied => NoKernel::Privilege(error),
        _ => NoKernel::Refused(error),
    }
}

impl fmt::Display for NoKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoKernel::ByteOrder => write!(f, "its program is for machines whose lowest byte comes first"),
            NoKernel::Privilege(error) => {
                write!(
                    f,
                    "the service needs CAP_BPF and CAP_NET_ADMIN, and bpf(2) among its system calls: {error}"
                )
            }
            NoKernel::Refused(error) => write!(f, "the kernel does not take its table or program: {error}"),
            NoKernel::Attach(address, error) => write!(
                f,
                "its program can't be attached to the interface of {address}, which takes CAP_NET_ADMIN and Linux 6.6: {error}"
            ),
            NoKernel::Ipsec => {
                write!(
                    f,
                    "this machine has policies of IPsec for what leaves (`ip xfrm policy`), which would not hold for what it carries"
                )
            }
            NoKernel::NoInterface => write!(f, "no Ethernet interface has an address of the relay"),
        }
    }
}

impl std::error::Error for NoKernel {}
