//! A relay that believes everybody who has a name: every Allocate gets a port, every ChannelBind a rule. What it costs is the data
//! path alone.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use carillon_net::forward::{Client, Forwarder, PortId, Rule, RuleId, Settings, Strangers, Unknown};
use carillon_net::lease::{ClassPorts, Leases, Policy, Shape};
use carillon_qos::TrafficClass;
use carillon_wire::ip::{Dscp, Ecn};
use carillon_wire::stun::{Builder, Class, Message, Method, kind};
use clap::Args;

use super::{coalescing, range};

/// `carillon-load relay-table`.
#[derive(Args)]
pub(crate) struct Table {
    /// Where clients send to.
    #[arg(long)]
    listen: SocketAddr,
    /// Where relayed ports are opened.
    #[arg(long)]
    relay: IpAddr,
    /// Packets leave and come one by one.
    #[arg(long)]
    single: bool,
    /// Microseconds that packets wait for others when much passes; 0 never.
    #[arg(long, default_value_t = 200)]
    coalesce: u64,
    /// The kernel carries what it can.
    #[arg(long)]
    kernel: bool,
    /// Requests that strangers may make, together.
    #[arg(long, default_value_t = 10_000)]
    strangers: u32,
}

struct Relay {
    forwarder: Forwarder,
    leases: Leases,
    relay: IpAddr,
    allocations: HashMap<Client, (PortId, SocketAddr)>,
    rules: u64,
}

/// Relays until it is killed.
pub(crate) fn table(table: &Table) -> io::Result<()> {
    let strangers =
        Strangers { per_source: table.strangers, together: table.strangers, ..Strangers::default() };
    let coalescing = coalescing(table.coalesce);
    let settings = Settings { segmentation: !table.single, coalescing, strangers, ..Settings::default() };
    let ports = ClassPorts { range: Some(range(50_000, 59_999)?), mark: Dscp::EF };
    let policy = Policy { audio: ports, video: ports, sharing: ports, file_transfer: ports };
    let leases = Leases::new(policy, table.relay, 1);
    let mut forwarder = Forwarder::new(settings)?;
    forwarder.listen(table.listen, Dscp::EF).map_err(io::Error::other)?;
    if table.kernel {
        forwarder.use_kernel(&[table.relay]).map_err(io::Error::other)?;
    }
    let mut relay = Relay { forwarder, leases, relay: table.relay, allocations: HashMap::new(), rules: 0 };
    loop {
        relay.forwarder.poll(None)?;
        while let Some(unknown) = relay.forwarder.next_unknown() {
            if let Unknown::FromClient { client, bytes, .. } = unknown {
                let answer = relay.answer(client, &bytes);
                if let Some(answer) = answer {
                    relay.forwarder.send_to_client(client, &answer, Dscp::EF, Ecn::NotCapable);
                }
            }
        }
    }
}

impl Relay {
    fn answer(&mut self, client: Client, bytes: &[u8]) -> Option<Vec<u8>> {
        let message = Message::parse(bytes).ok()?;
        if message.username().is_none() {
            let answer = Builder::new(Class::Error, message.method(), *message.transaction_id());
            let answer = answer.error_code(401, "Unauthorized").attribute(kind::REALM, b"load");
            return answer.attribute(kind::NONCE, b"none").finish();
        }
        let answer = Builder::new(Class::Success, message.method(), *message.transaction_id());
        match message.method() {
            Method::Allocate => {
                let relayed = self.allocate(client)?;
                let answer = answer.xor_address(kind::XOR_RELAYED_ADDRESS, relayed);
                answer.xor_address(kind::XOR_MAPPED_ADDRESS, client.remote).u32(kind::LIFETIME, 600).finish()
            }
            Method::ChannelBind => {
                self.bind(client, message.channel_number()?, message.xor_peer_address()?)?;
                answer.finish()
            }
            _ => None,
        }
    }

    fn allocate(&mut self, client: Client) -> Option<SocketAddr> {
        if let Some((_, relayed)) = self.allocations.get(&client) {
            return Some(*relayed);
        }
        let (relayed, _) = self.leases.relay(TrafficClass::Audio, Shape::Any).ok()?;
        let port = self.forwarder.open(relayed).ok()?;
        let relayed = SocketAddr::new(self.relay, self.forwarder.port(port)?.port());
        self.allocations.insert(client, (port, relayed));
        self.forwarder.trust(client);
        Some(relayed)
    }

    fn bind(&mut self, client: Client, channel: u16, peer: SocketAddr) -> Option<()> {
        let (port, _) = *self.allocations.get(&client)?;
        let rule = Rule { client, channel, port, peer, to_peer: Dscp::EF, to_client: Dscp::EF };
        self.rules += 1;
        self.forwarder.install(RuleId(self.rules), rule).ok()
    }
}
