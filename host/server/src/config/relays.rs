//! What the file of a Front End says of the relays of its users.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_signaling::RelayServer;
use carillon_wire::forwarded::{Field, Proxies};
use carillon_wire::stun::{TurnTransport, TurnUri};

use super::raw::{At, Block};
use super::resolve::{Resolver, is_host};

/// What credentials are made with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

/// The relays that users are given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRelays {
    /// Where they are.
    pub servers: Vec<RelayServer>,
    /// What credentials for them are made with.
    pub secret: Secret,
    /// How long a credential lasts.
    pub lifetime: Duration,
}

impl Resolver<'_> {
    /// The inner `None`: users are given no relay.
    pub(super) fn user_relays(&mut self, block: &Block) -> Option<Option<UserRelays>> {
        let (servers, secret) = match (block.texts("servers"), block.text("secret")) {
            (None, None) => return Some(None),
            (Some(servers), Some(secret)) => (servers, secret),
            (Some(at), None) => {
                let text = "needs a `secret` beside it: without one no credential can be made";
                return self.refuse(block, at.line, "servers", text);
            }
            (None, Some(at)) => {
                return self.refuse(
                    block,
                    at.line,
                    "secret",
                    "needs `servers` beside it: where the relays are",
                );
            }
        };
        let secret = self.secret(block, "secret", &secret);
        let mut places = Vec::new();
        for host in &servers.value {
            match is_host(host) || host.parse::<IpAddr>().is_ok() {
                true => places.extend(ports(block)?.map(|(port, transport, class)| RelayServer {
                    uri: TurnUri { host: host.clone(), port, transport },
                    class,
                })),
                false => {
                    let text = format!(
                        "{host:?} is neither a host name nor an IP address (ports have keys of their own)"
                    );
                    self.refuse::<()>(block, servers.line, "servers", text);
                }
            }
        }
        let lifetime = Duration::from_secs(block.number("lifetime")?.value);
        Some(Some(UserRelays { servers: places, secret: secret?, lifetime }))
    }

    /// The inner `None` is off. `gives`: whether there is something to ask for.
    pub(super) fn https(&mut self, block: &Block, gives: bool) -> Option<Option<SocketAddr>> {
        let Some(listen) = self.listen(block, "[::]:8443")? else { return Some(None) };
        let At { line, .. } = block.text("listen")?;
        if !gives {
            let text = "has nothing to give: [relay] names no `servers`, no listener speaks wss or ws, there is no [directory] or [openid], and `administration` is off";
            return self.refuse(block, line, "listen", text);
        }
        Some(Some(listen))
    }

    /// Where pages come from that may ask for their users.
    pub(super) fn origins(&mut self, block: &Block) -> Vec<String> {
        let Some(At { value: origins, line }) = block.texts("origins") else { return Vec::new() };
        for origin in origins.iter().filter(|origin| !is_origin(origin)) {
            let text =
                format!("{origin:?} is no origin such as \"https://example.com\" (scheme and host, no path)");
            self.refuse::<()>(block, line, "origins", text);
        }
        origins
    }

    /// Who is believed when it says for whom it asks.
    pub(super) fn proxies(&mut self, block: &Block) -> Proxies {
        let word = block.text("forwarded").map(|word| word.value);
        let fields = [Field::XForwardedFor, Field::Forwarded];
        let field = fields.into_iter().find(|field| word.as_deref() == Some(&*field.name().to_lowercase()));
        let Some(At { value, line }) = block.texts("trusted-proxies") else { return Proxies::default() };
        let mut addresses = Vec::new();
        for text in &value {
            match text.parse::<IpAddr>() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let text = format!("{text:?} is no IP address; each proxy is named by its own");
                    self.refuse::<()>(block, line, "trusted-proxies", text);
                }
            }
        }
        Proxies::new(field.unwrap_or_default(), addresses)
    }

    /// One line; what is too short to be a secret is refused.
    pub(super) fn secret(&mut self, block: &Block, key: &str, at: &At<String>) -> Option<Secret> {
        let path = self.readable(block, key, at)?;
        let Ok(text) = String::from_utf8(self.read(&path).unwrap_or_default()) else {
            return self.refuse(block, at.line, key, format!("`{}` holds no text", path.display()));
        };
        let secret = text.trim().to_owned();
        if secret.len() < 16 {
            let text = format!("`{}` holds less than 16 characters", path.display());
            return self.refuse(block, at.line, key, text);
        }
        Some(Secret(secret))
    }
}

/// Every port that is set, with what leads there.
fn ports(block: &Block) -> Option<impl Iterator<Item = (u16, TurnTransport, Option<TrafficClass>)>> {
    let port = |key| block.number(key).and_then(|at| u16::try_from(at.value).ok());
    let udp = [
        (port("udp")?, None),
        (port("audio")?, Some(TrafficClass::Audio)),
        (port("video")?, Some(TrafficClass::Video)),
        (port("sharing")?, Some(TrafficClass::Sharing)),
    ];
    let tcp = (port("tcp")?, TurnTransport::Tcp, None);
    let tls = port("tls").map(|port| (port, TurnTransport::Tls, None));
    Some(udp.into_iter().map(|(port, class)| (port, TurnTransport::Udp, class)).chain([tcp]).chain(tls))
}

/// As browsers write it (RFC 6454, 6.2).
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let (host, port) = rest.split_once(':').unwrap_or((rest, "1"));
        is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
