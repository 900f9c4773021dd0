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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use carillon_wire::ip::Dscp;

use self::books::Books;
use self::bpf::{Kind, Map};
use self::layout::{Carry, KEY, Key, VALUE, Way};
use self::way::Routes;
use super::PortId;
use super::ledger::{Account, Budgets, Ledger, Towards, Traffic};
use super::rule::RuleId;
use crate::{addresses, packet_socket};

pub(super) use self::books::Book;
pub(super) use self::books::SharedMeter;

/// Books of ports and accounts: 4 MiB. Ports beyond are carried by their sockets.
const BOOKS: u32 = 32_768;

/// The kernel's part of a forwarder.
pub(super) struct Kernel {
    /// By interface; dropping one detaches the program there.
    links: BTreeMap<u32, OwnedFd>,
    program: OwnedFd,
    rules: Map,
    books: Books,
    routes: Routes,
    locals: BTreeSet<Ipv4Addr>,
    ttl: u8,
    budgets: Budgets,
    live: BTreeMap<RuleId, Live>,
    ports: BTreeMap<PortId, Port>,
    /// With the number of ports that have it.
    accounts: BTreeMap<Account, (Book, usize)>,
}

/// A rule that the kernel may carry: a client over UDP, and IPv4 on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) client: SocketAddrV4,
    /// The address that the client sends to.
    pub(super) listener: SocketAddrV4,
    pub(super) channel: u16,
    pub(super) port: PortId,
    pub(super) relayed: SocketAddrV4,
    pub(super) peer: SocketAddrV4,
    pub(super) to_peer: Dscp,
    pub(super) to_client: Dscp,
}

struct Live {
    wanted: Wanted,
    /// What is in the map of it.
    keys: Vec<Key>,
}

struct Port {
    book: Book,
    account: Option<Account>,
    has_group: bool,
}

/// What the kernel carries.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct InKernel {
    /// Rules of which it has at least one direction.
    pub rules: usize,
    /// Interfaces that it looks at.
    pub interfaces: usize,
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
}

impl Kernel {
    /// Has packets to these addresses looked at.
    pub(super) fn start(addresses: &[IpAddr], rules: usize, budgets: Budgets) -> Result<Kernel, NoKernel> {
        if cfg!(target_endian = "big") {
            return Err(NoKernel::ByteOrder);
        }
        let entries = u32::try_from(rules * 2).unwrap_or(u32::MAX);
        let rules = Map::new(Kind::Hash, b"carillon_rules", KEY, VALUE, entries).map_err(refused)?;
        let (books, ttl) = (Books::new(BOOKS).map_err(refused)?, default_ttl());
        let mut kernel = Kernel {
            links: BTreeMap::new(),
            program: load(&rules, &books, ttl)?,
            rules,
            books,
            routes: Routes::open().map_err(refused)?,
            locals: BTreeSet::new(),
            ttl,
            budgets,
            live: BTreeMap::new(),
            ports: BTreeMap::new(),
            accounts: BTreeMap::new(),
        };
        kernel.locals.extend(addresses.iter().filter_map(v4));
        kernel.attach()?;
        if kernel.links.is_empty() { Err(NoKernel::NoInterface) } else { Ok(kernel) }
    }

    pub(super) fn facts(&self) -> InKernel {
        let rules = self.live.values().filter(|live| !live.keys.is_empty()).count();
        InKernel { rules, interfaces: self.links.len() }
    }

    /// Carries by this rule, in the directions in which it can, in place of that of the same name.
    pub(super) fn install(&mut self, id: RuleId, wanted: Wanted, ledger: &mut Ledger) {
        self.remove(id);
        if self.open(wanted.port, ledger).is_none() {
            return;
        }
        let keys = self.write(&wanted).unwrap_or_default();
        self.live.insert(id, Live { wanted, keys });
    }

    /// Carries no longer by this rule.
    pub(super) fn remove(&mut self, id: RuleId) {
        if let Some(live) = self.live.remove(&id) {
            self.erase(&live.keys);
        }
    }

    /// Gives back the book of a port that is being closed; its rules were removed before. What it has carried last.
    pub(super) fn close(&mut self, port: PortId, ledger: &mut Ledger) -> Traffic {
        let Some(Port { book, account, .. }) = self.ports.remove(&port) else { return Traffic::default() };
        let traffic = traffic(&book);
        self.books.give_back(&book);
        self.forgo(account, ledger);
        traffic
    }

    /// What each port has carried since this was last asked. Where ways may have changed, they are looked up again.
    pub(super) fn news(&mut self) -> Vec<(PortId, Traffic)> {
        self.books.turn();
        if self.routes.have_changed() {
            // An interface that is gone, or not there yet, is no reason to carry less by the others.
            let _ = self.attach();
            self.write_again(|_| true);
        }
        let news = self.ports.iter().map(|(port, known)| (*port, traffic(&known.book)));
        news.filter(|(_, traffic)| *traffic != Traffic::default()).collect()
    }

    /// The network has said something of what this port has sent.
    pub(super) fn look_again(&mut self, port: PortId) {
        self.write_again(|wanted| wanted.port == port);
    }

    /// What may pass from now on.
    pub(super) fn set_budgets(&mut self, budgets: Budgets) {
        self.budgets = budgets;
        self.write_again(|_| true);
    }

    /// Attaches the program to interfaces that have addresses of ours, and detaches it from those that have none any more. Where it
    /// can't be attached, it stays attached elsewhere.
    fn attach(&mut self) -> Result<(), NoKernel> {
        let (mut held, mut failed) = (BTreeMap::new(), None);
        for (name, address) in addresses::by_interface().map_err(NoKernel::Refused)? {
            let is_ours = v4(&address).is_some_and(|v4| self.locals.contains(&v4));
            let Some(interface) = index(&name).filter(|_| is_ours) else { continue };
            if held.contains_key(&interface) || !self.routes.is_ethernet(interface).unwrap_or(false) {
                continue;
            }
            let link = self.links.remove(&interface).map(Ok);
            match link.unwrap_or_else(|| bpf::attach(&self.program, interface)) {
                Ok(link) => drop(held.insert(interface, link)),
                Err(error) => failed = Some(NoKernel::Attach(address, error)),
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
        let account = ledger.account(port);
        if let Some(account) = account {
            if !self.accounts.contains_key(&account) {
                let book = self.books.take()?;
                ledger.share_account(account, &book);
                self.accounts.insert(account, (book, 0));
            }
            self.accounts.get_mut(&account)?.1 += 1;
        }
        let Some(book) = self.books.take() else {
            self.forgo(account, ledger);
            return None;
        };
        ledger.share(port, &book);
        self.ports.insert(port, Port { book, account, has_group: ledger.is_of_a_group(port) });
        Some(())
    }

    /// One port less has this account.
    fn forgo(&mut self, account: Option<Account>, ledger: &mut Ledger) {
        let Some(account) = account else { return };
        let Some((book, ports)) = self.accounts.get_mut(&account) else { return };
        *ports -= 1;
        if *ports == 0 {
            ledger.keep_account_alone(account);
            self.books.give_back(book);
            self.accounts.remove(&account);
        }
    }

    /// Looks up ways and rates of some rules anew.
    fn write_again(&mut self, which: impl Fn(&Wanted) -> bool) {
        let chosen = self.live.iter().filter(|(_, live)| which(&live.wanted));
        let chosen: Vec<(RuleId, Wanted)> = chosen.map(|(id, live)| (*id, live.wanted)).collect();
        for (id, wanted) in chosen {
            let keys = self.write(&wanted).unwrap_or_default();
            let Some(live) = self.live.get_mut(&id) else { continue };
            let before = std::mem::replace(&mut live.keys, keys.clone());
            let gone: Vec<Key> = before.into_iter().filter(|key| !keys.contains(key)).collect();
            self.erase(&gone);
        }
    }

    /// Writes both directions; the keys of those that are there now. None if one of them has no way by Ethernet, for what comes
    /// has to come by where it would go back; or if a group pays too, which the program does not know of.
    fn write(&self, wanted: &Wanted) -> Option<Vec<Key>> {
        if self.budgets.group.is_some() && self.ports.get(&wanted.port)?.has_group {
            return None;
        }
        let way = |from: SocketAddrV4, to: SocketAddrV4| self.routes.way(*from.ip(), *to.ip()).ok().flatten();
        let to_client = way(wanted.listener, wanted.client)?;
        let to_peer = way(wanted.relayed, wanted.peer)?;
        let carries = [
            self.carry(wanted, Towards::Peer, to_peer, to_client.interface)?,
            self.carry(wanted, Towards::Client, to_client, to_peer.interface)?,
        ];
        let set =
            |(key, carry): (Key, Carry)| self.rules.set(&key.bytes(), &carry.bytes()).is_ok().then_some(key);
        Some(carries.into_iter().filter_map(set).collect())
    }

    fn carry(&self, wanted: &Wanted, towards: Towards, way: Way, came_by: u32) -> Option<(Key, Carry)> {
        let Port { book, account, .. } = self.ports.get(&wanted.port)?;
        let (came, leaves, mark) = match towards {
            Towards::Peer => {
                ((wanted.client, wanted.listener), (wanted.relayed, wanted.peer), wanted.to_peer)
            }
            Towards::Client => {
                ((wanted.peer, wanted.relayed), (wanted.listener, wanted.client), wanted.to_client)
            }
        };
        let account = account.and_then(|account| Some(self.accounts.get(&account)?.0.place));
        let policed = self.budgets.policed.filter(|(policed, _)| *policed == mark);
        let carry = Carry {
            towards,
            channel: wanted.channel,
            came,
            leaves,
            mark,
            ttl: self.ttl,
            way,
            came_by,
            book: book.place,
            account,
            port_rate: self.budgets.port,
            policed_rate: policed.map(|(_, rate)| rate),
            account_rate: self.budgets.account,
        };
        let channel = if towards == Towards::Peer { wanted.channel } else { 0 };
        Some((Key { remote: came.0, local: came.1, channel }, carry))
    }

    /// What is not there is not carried.
    fn erase(&self, keys: &[Key]) {
        keys.iter().for_each(|key| drop(self.rules.remove(&key.bytes())));
    }
}

fn load(rules: &Map, books: &Books, ttl: u8) -> Result<OwnedFd, NoKernel> {
    let code = program::program(rules.fd.as_raw_fd(), books.map.fd.as_raw_fd(), ttl);
    let code = code.map_err(|label| refused(io::Error::other(format!("no way to `{label}`"))))?;
    bpf::load(&code).map_err(refused)
}

/// That of packets of our own.
fn default_ttl() -> u8 {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").ok();
    told.and_then(|told| told.trim().parse().ok()).unwrap_or(64)
}

fn index(name: &str) -> Option<u32> {
    packet_socket::interface_index(name).ok().and_then(|index| u32::try_from(index).ok())
}

fn v4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    }
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
            NoKernel::NoInterface => write!(f, "no Ethernet interface has an IPv4 address of the relay"),
        }
    }
}

impl std::error::Error for NoKernel {}
