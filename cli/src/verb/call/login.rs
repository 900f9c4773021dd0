//! Who signs in where: names looked up, password read, trust loaded.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::{env, fs, io};

use carillon_net::route::source_toward;
use carillon_net::tls::{ClientConfig, client_config, load_certificates};
use carillon_net::transports::{Limits, Transports};
use carillon_signaling::agent::{Password, Recovery, Settings};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Transport};

use crate::answer::Failure;
use crate::args::Call;

/// How long a registration is asked for, in seconds.
const EXPIRES: u32 = 600;
/// Calls at a time.
const CALLS: usize = 64;
/// Where a password may be, besides a file.
const PASSWORD: &str = "CARILLON_PASSWORD";

/// A phone that can sign in: its settings and its sockets.
pub(super) struct Login {
    pub(super) settings: Settings,
    pub(super) transports: Transports,
    /// The address that media is received at.
    pub(super) address: IpAddr,
    /// Who may vouch for servers, if anybody.
    pub(super) trust: Option<Arc<ClientConfig>>,
}

impl Login {
    pub(super) fn of(args: &Call) -> Result<Login, Failure> {
        let transport = args.transport;
        let (host, port) = split(&args.server, transport.default_port())?;
        let server = resolve(host, port)?;
        let attempt = |error| Failure::new(format!("cannot reach `{}`", args.server), error);
        let address = source_toward(server).map_err(attempt)?;
        let mut transports = Transports::new(first_mark(), Limits::default())
            .map_err(|error| Failure::new("cannot make the sockets of SIP", error))?;
        let mut trusted = None;
        let local = match transport {
            Transport::Udp => transports
                .listen(Transport::Udp, SocketAddr::new(address, 0), None)
                .map_err(|error| Failure::Message(error.to_string()))?,
            // WebSockets are for pages: the option does not take them.
            Transport::Tcp | Transport::Ws | Transport::Wss => SocketAddr::new(address, 0),
            Transport::Tls => {
                trusted = Some(trust(&mut transports, args.ca.as_deref(), host)?);
                SocketAddr::new(address, 0)
            }
        };
        let settings = Settings {
            aor: args.user.clone(),
            password: password(args.password_file.as_deref())?,
            transport,
            server,
            local,
            instance: instance()?,
            user_agent: concat!("Carillon/", env!("CARGO_PKG_VERSION")).to_owned(),
            expires: EXPIRES,
            provisioning: true,
            recovery: Recovery::default(),
            calls: CALLS,
        };
        Ok(Login { settings, transports, address, trust: trusted })
    }

    /// Where line breaks go that keep the flow open.
    pub(super) fn destination(settings: &Settings) -> Destination {
        let local = (!settings.transport.is_stream()).then_some(settings.local);
        Destination::Address { transport: settings.transport, remote: settings.server, local }
    }
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new("cannot get random numbers of the system", error))?;
    Ok(bytes)
}

/// What signalling carries until the plan has been received: what RFC 4594, 2.3 gives it.
fn first_mark() -> Dscp {
    carillon_qos::dscp::parse("CS3").unwrap_or(Dscp::DEFAULT)
}

/// `host`, `host:port`, `[::1]:port`, `::1`.
fn split(text: &str, default: u16) -> Result<(&str, u16), Failure> {
    let wrong = || Failure::Message(format!("`{text}` is no HOST or HOST:PORT"));
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text, default));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (text, default),
    };
    Ok((host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port))
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let attempt = |error: io::Error| Failure::new(format!("cannot find the address of `{host}`"), error);
    let found = (host, port).to_socket_addrs().map_err(attempt)?.next();
    found.ok_or_else(|| attempt(io::ErrorKind::NotFound.into()))
}

fn trust(transports: &mut Transports, ca: Option<&Path>, host: &str) -> Result<Arc<ClientConfig>, Failure> {
    let Some(ca) = ca else {
        let how = "name the authority that the server's certificate is from (`carillon serve` prints where its ca.pem is)";
        return Err(Failure::new("TLS needs --ca FILE", how));
    };
    let trusted = load_certificates(ca).map_err(|error| Failure::Message(error.to_string()))?;
    let attempt = |error| Failure::new(format!("cannot trust `{}`", ca.display()), error);
    let config = client_config(&trusted).map_err(attempt)?;
    let name = host
        .to_owned()
        .try_into()
        .map_err(|error| Failure::new(format!("`{host}` is no server name"), error))?;
    transports.set_client_tls(config.clone(), Some(name));
    Ok(config)
}

/// From a file, `-` for standard input, or from the environment. Never an argument: those are everybody's to see.
fn password(file: Option<&Path>) -> Result<Password, Failure> {
    let text = match file {
        Some(file) if file == Path::new("-") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        Some(file) => fs::read_to_string(file),
        None => match env::var(PASSWORD) {
            Ok(text) => Ok(text),
            Err(_) => {
                return Err(Failure::new("no password", format!("use --password-file, or set {PASSWORD}")));
            }
        },
    };
    let attempt =
        |error| Failure::new(format!("cannot read `{}`", file.unwrap_or(Path::new("-")).display()), error);
    Ok(Password(text.map_err(attempt)?.lines().next().unwrap_or_default().to_owned()))
}

/// A name for this device (RFC 5626, 4.1; RFC 9562, 5.4). A new one each time: this phone leaves nothing behind.
fn instance() -> Result<String, Failure> {
    let mut bytes = random::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let [a, b, c, d, e] =
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default().to_owned());
    Ok(format!("urn:uuid:{a}-{b}-{c}-{d}-{e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_or_without_its_port() {
        let split = |text| split(text, 5061).unwrap();
        assert_eq!(split("sip.example.com"), ("sip.example.com", 5061));
        assert_eq!(split("sip.example.com:5071"), ("sip.example.com", 5071));
        assert_eq!(split("192.0.2.1:5060"), ("192.0.2.1", 5060));
        assert_eq!(split("[2001:db8::1]:5060"), ("2001:db8::1", 5060));
        assert_eq!(split("[2001:db8::1]"), ("2001:db8::1", 5061));
        assert_eq!(split("2001:db8::1"), ("2001:db8::1", 5061));
        assert!(super::split("host:port", 5061).is_err());
    }

    #[test]
    fn every_device_has_a_name_of_its_own() {
        let name = instance().unwrap();
        assert_eq!((name.len(), name.get(23..24)), (45, Some("4")));
        assert_ne!(name, instance().unwrap());
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "pass word\nsecond\n").unwrap();
        assert_eq!(password(Some(file.path())).unwrap(), Password("pass word".to_owned()));
        assert!(password(Some(Path::new("no-such-file"))).is_err());
    }
}
