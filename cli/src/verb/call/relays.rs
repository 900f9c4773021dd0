//! The relays that were provisioned, as the agent wants them: names looked up, certificates checked for those names.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use carillon_media::ice::{Credential, Relaying, Server};
use carillon_net::tls::{ClientConfig, ServerName};
use carillon_qos::TrafficClass;
use carillon_signaling::RelayService;
use carillon_wire::stun::{TurnTransport, TurnUri};

/// Whom to trust to be who, by address.
pub(super) type Names = BTreeMap<SocketAddr, (Arc<ClientConfig>, ServerName<'static>)>;

/// The relays for audio. What has no address now is left out; what speaks TLS too, where nobody is trusted.
pub(super) fn relays(given: &RelayService, trust: Option<&Arc<ClientConfig>>) -> (Vec<Server>, Names) {
    let (mut doors, mut names) = (Vec::new(), Names::new());
    let Some(access) = given.of(TrafficClass::Audio) else { return (Vec::new(), names) };
    for uri in &access.servers {
        let relaying = match uri.transport {
            TurnTransport::Udp => Relaying::Udp,
            TurnTransport::Tcp => Relaying::Tcp,
            TurnTransport::Tls => Relaying::Tls,
        };
        let Some(address) = resolve(uri) else { continue };
        if relaying == Relaying::Tls {
            let name = ServerName::try_from(uri.host.clone()).ok();
            let Some(named) = trust.cloned().zip(name) else { continue };
            names.insert(address, named);
        }
        doors.push((relaying, address));
    }
    let credential = Credential {
        username: access.credential.username.clone(),
        password: access.credential.password.clone(),
    };
    (vec![Server { doors, credential }], names)
}

fn resolve(uri: &TurnUri) -> Option<SocketAddr> {
    (uri.host.as_str(), uri.port).to_socket_addrs().ok()?.next()
}
