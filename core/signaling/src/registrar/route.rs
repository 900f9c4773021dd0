//! The way to a phone: back where its REGISTER came from.

use std::net::SocketAddr;
use std::sync::Arc;

use carillon_wire::sip::{Address, Flow, Transport, Uri};

use crate::contract::{Binding, Destination};

/// Stands for a connection that is no more; connections are counted from the other end.
const GONE: u64 = u64::MAX;

/// Where requests for this binding are sent, `None` if there is no way at present. A request also takes the binding's
/// Path as its Route.
pub(crate) fn destination(binding: &Binding) -> Option<Destination> {
    let flow = binding.flow;
    match flow.transport {
        // By address, since sockets have other numbers after a restart.
        Transport::Udp => {
            let (transport, remote) = (flow.transport, flow.remote);
            Some(Destination::Address { transport, remote, local: Some(flow.local) })
        }
        _ if flow.id != GONE => Some(Destination::Flow(flow)),
        _ => first_hop(binding.path.first()?).filter(|hop| is_from_there(binding, hop)),
    }
}

/// A new connection to the proxy next to us, if its Path tells an address.
fn first_hop(path: &str) -> Option<Destination> {
    let hop = Address::parse(path.as_bytes()).ok()?;
    let uri = Uri::parse(hop.uri_text).ok()?;
    let transport = uri.params.get("transport").map_or(Some(Transport::Udp), Transport::from_name)?;
    let remote = SocketAddr::new(uri.host?.ip()?, uri.port.unwrap_or(transport.default_port()));
    Some(Destination::Address { transport, remote, local: None })
}

/// Whether the proxy that a Path names is where the REGISTER came from. Anybody can write a Path; it must not make us
/// knock at doors of strangers.
fn is_from_there(binding: &Binding, hop: &Destination) -> bool {
    let Destination::Address { remote, .. } = hop else { return false };
    remote.ip().to_canonical() == binding.flow.remote.ip().to_canonical()
}

/// The connection that the binding hangs on, if it hangs on one.
pub(super) fn connection(binding: &Binding) -> Option<u64> {
    let flow = binding.flow;
    (flow.transport.is_stream() && flow.id != GONE).then_some(flow.id)
}

/// Whether its connection is no more.
pub(super) fn is_cut(binding: &Binding) -> bool {
    binding.flow.transport.is_stream() && binding.flow.id == GONE
}

pub(super) fn is_on(binding: &Binding, flow: &Flow) -> bool {
    connection(binding) == Some(flow.id)
}

/// The connection has closed: cuts it off, and says whether the binding is worth keeping.
pub(super) fn survives(binding: &mut Arc<Binding>) -> bool {
    let kept = !binding.path.is_empty();
    if kept {
        *binding = Arc::new(cut((**binding).clone()));
    }
    kept
}

/// A binding from the store: connections did not outlive the process that had them.
pub(super) fn after_restart(binding: Binding) -> Binding {
    cut(binding)
}

fn cut(mut binding: Binding) -> Binding {
    binding.flow.id = GONE;
    binding
}
