//! What the file means: texts become addresses, names become files and plans, and values must agree with each other.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_qos::plan::{PRESETS, Problem, nearest};
use carillon_signaling::{Algorithms, Handling};
use carillon_wire::sip::Transport;

use super::raw::{At, Block, Raw};
use super::{
    Certificate, Config, ConfiguredPlan, EdgeTarget, Limits, ListenerConfig, Log, Mistake, ReadFile, Refusal,
    Registrations,
};

/// The configuration that is made of a file, if nothing is wrong with it.
pub(super) fn resolve<T>(
    problems: Vec<Problem>,
    file: &Path,
    read: ReadFile<'_>,
    make: impl FnOnce(&mut Resolver<'_>) -> Option<T>,
) -> Result<T, Refusal> {
    let mut resolver = Resolver { file: file.to_owned(), read, mistakes: Vec::new() };
    resolver.add(file, problems);
    let config = make(&mut resolver);
    let mut mistakes = resolver.mistakes;
    // Mistakes of the configuration in the order of its lines, then those of the plan.
    mistakes.sort_by_key(|mistake| (mistake.file != file, mistake.problem.line));
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(Refusal(mistakes)),
    }
}

pub(super) struct Resolver<'a> {
    file: PathBuf,
    read: ReadFile<'a>,
    mistakes: Vec<Mistake>,
}

impl Resolver<'_> {
    fn add(&mut self, file: &Path, problems: impl IntoIterator<Item = Problem>) {
        let file = file.to_owned();
        self.mistakes.extend(problems.into_iter().map(|problem| Mistake { file: file.clone(), problem }));
    }

    pub(super) fn refuse<T>(
        &mut self,
        block: &Block,
        line: u32,
        key: &str,
        text: impl Into<String>,
    ) -> Option<T> {
        let file = self.file.clone();
        self.add(&file, [block.problem(line, key, text)]);
        None
    }

    /// A Front End's. `None` if something that must be there is not, or is wrong; then there is a mistake.
    pub(super) fn front_end(&mut self, raw: &Raw) -> Option<Config> {
        let (top, service) = (raw.block(""), raw.block("service"));
        let domains = self.domains(&top);
        let name = self.name(&top);
        let plan = self.plan(&top);
        let listeners = self.listeners(raw);
        let certificate = self.certificate(&raw.block("tls"));
        let trusted = self.trusted(&raw.block("tls"));
        let registrations = self.registrations(&raw.block("registrations"));
        let passwords = self.passwords(&raw.block("passwords"));
        let (directory, openid) = (self.directory(raw), self.openid(raw, name.as_deref()));
        let relays = self.user_relays(&raw.block("relay"));
        let (origins, proxies) = (self.origins(&raw.block("https")), self.proxies(&raw.block("https")));
        let administration = raw.block("https").text("administration").is_some_and(|word| word.value == "on");
        let gives = administration || relays != Some(None) || speaks_web(&listeners);
        let gives = gives || directory != Some(None) || openid != Some(None);
        let https = self.https(&raw.block("https"), gives);
        let edge = self.own_edge(raw);
        let metrics = self.metrics(&raw.block("metrics"));
        let edges = self.edges(raw);
        let (calls, history) = (self.calls(raw), self.history(raw));
        let domains = domains?;
        Some(Config {
            realm: top.text("realm").map(|realm| realm.value).or_else(|| domains.first().cloned())?,
            domains,
            name: name?,
            plan: plan?,
            store: self.path(&top, "store")?,
            listeners: listeners?,
            certificate: certificate?,
            trusted,
            registrations: registrations?,
            passwords: passwords?,
            directory: directory?,
            openid: openid?,
            watchers: watchers(&raw.block("presence"))?,
            history: history?,
            records: self.records(&raw.block("records"), &top)?,
            calls: calls?,
            limits: limits(&raw.block("limits"))?,
            relays: relays?,
            https: https?,
            administration,
            origins,
            proxies,
            edges,
            edge: edge?,
            admin_socket: self.path(&raw.block("admin"), "socket")?,
            metrics: metrics?,
            log: log(&raw.block("log"))?,
            drain: Duration::from_secs(service.number("drain")?.value),
        })
    }

    fn domains(&mut self, top: &Block) -> Option<Vec<String>> {
        let At { value, line } = top.texts("domains")?;
        for domain in value.iter().filter(|domain| !is_host(domain)) {
            self.refuse::<()>(top, line, "domains", format!("{domain:?} is no domain name"));
        }
        Some(value.iter().map(|domain| domain.to_ascii_lowercase()).collect())
    }

    pub(super) fn name(&mut self, top: &Block) -> Option<String> {
        let At { value, line } = top.text("name")?;
        if is_host(&value) || value.parse::<IpAddr>().is_ok() {
            return Some(value);
        }
        self.refuse(
            top,
            line,
            "name",
            format!("{value:?} is neither a host name nor an IP address (and has no port)"),
        )
    }

    pub(super) fn plan(&mut self, top: &Block) -> Option<ConfiguredPlan> {
        let At { value, line } = top.text("plan")?;
        if let Some(plan) = Plan::preset(&value) {
            return Some(ConfiguredPlan { toml: format!("base = \"{value}\"\n"), plan: Arc::new(plan) });
        }
        let path = self.beside(&value);
        let text = (self.read)(&path).and_then(|text| String::from_utf8(text).map_err(io::Error::other));
        let toml = match text {
            Ok(toml) => toml,
            Err(error) => {
                let hint = nearest(&value, PRESETS.iter().map(|preset| preset.name))
                    .map_or(String::new(), |near| format!("; did you mean the preset `{near}`?"));
                let text = format!("{value:?} is no preset, and no file that can be read ({error}){hint}");
                return self.refuse(top, line, "plan", text);
            }
        };
        match Plan::from_toml(&toml) {
            Ok(plan) => Some(ConfiguredPlan { toml, plan: Arc::new(plan) }),
            Err(problems) => {
                self.add(&path, problems);
                None
            }
        }
    }

    /// The blocks, or TLS on every address. Two of them may not want the same port.
    fn listeners(&mut self, raw: &Raw) -> Option<Vec<ListenerConfig>> {
        let blocks = raw.blocks("listeners");
        if blocks.is_empty() && self.mistakes.iter().all(|mistake| mistake.problem.path != "listeners") {
            let address = SocketAddr::from(([0u16; 8], Transport::Tls.default_port()));
            let algorithms = Algorithms::default();
            return Some(vec![ListenerConfig {
                transport: Transport::Tls,
                address,
                advertised: None,
                algorithms,
            }]);
        }
        let mut taken = BTreeMap::new();
        let mut listeners = Vec::new();
        for block in blocks {
            let Some(listener) = self.listener(block) else { continue };
            let place = (listener.transport.is_stream(), listener.address);
            if let Some(other) = taken.insert(place, block.path.clone()) {
                self.refuse::<()>(
                    block,
                    block.line,
                    "port",
                    format!("{} is taken by {other}", listener.address),
                );
            }
            listeners.push(listener);
        }
        (!listeners.is_empty()).then_some(listeners)
    }

    fn listener(&mut self, block: &Block) -> Option<ListenerConfig> {
        let address = self.address(block, "address");
        let transport = Transport::from_name(block.text("transport")?.value.as_bytes())?;
        let port = block.number("port").and_then(|port| u16::try_from(port.value).ok());
        let advertised = self.advertised(block);
        let algorithms = match block.text("digest")?.value.as_str() {
            "sha-256" => Algorithms::Sha256,
            "both" => Algorithms::Both,
            _ => Algorithms::Md5,
        };
        let address = SocketAddr::new(address?, port.unwrap_or(transport.default_port()));
        Some(ListenerConfig { transport, address, advertised, algorithms })
    }

    pub(super) fn address(&mut self, block: &Block, key: &str) -> Option<IpAddr> {
        let At { value, line } = block.text(key)?;
        match value.parse() {
            Ok(address) => Some(address),
            Err(_) => self.refuse(
                block,
                line,
                key,
                format!("{value:?} is no IP address (ports have keys of their own)"),
            ),
        }
    }

    /// It goes into header fields as it is.
    fn advertised(&mut self, block: &Block) -> Option<String> {
        let At { value, line } = block.text("advertised")?;
        let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
        let named = value.rsplit_once(':').is_some_and(|(host, number)| is_host(host) && port(number));
        if named || value.parse::<SocketAddr>().is_ok() {
            return Some(value);
        }
        self.refuse(
            block,
            line,
            "advertised",
            format!("{value:?} is no NAME:PORT, and no address with a port"),
        )
    }

    fn certificate(&mut self, tls: &Block) -> Option<Certificate> {
        match self.certificate_files(tls)? {
            Some((certificate, key)) => Some(Certificate::Files { certificate, key }),
            None => Some(Certificate::Authority(self.path(tls, "authority")?)),
        }
    }

    /// Certificate and key; the inner `None` if neither is named.
    pub(super) fn certificate_files(&mut self, tls: &Block) -> Option<Option<(PathBuf, PathBuf)>> {
        match (tls.text("certificate"), tls.text("key")) {
            (None, None) => Some(None),
            (Some(certificate), Some(key)) => {
                let certificate = self.readable(tls, "certificate", &certificate);
                let key = self.readable(tls, "key", &key);
                Some(Some((certificate?, key?)))
            }
            (Some(at), None) => self.refuse(tls, at.line, "certificate", "needs a `key` beside it"),
            (None, Some(at)) => self.refuse(tls, at.line, "key", "needs a `certificate` beside it"),
        }
    }

    pub(super) fn trusted(&mut self, tls: &Block) -> Vec<PathBuf> {
        let Some(At { value, line }) = tls.texts("trusted") else { return Vec::new() };
        let files = value.into_iter().filter_map(|value| self.readable(tls, "trusted", &At { value, line }));
        files.collect()
    }

    fn edges(&mut self, raw: &Raw) -> Vec<EdgeTarget> {
        let mut edges: Vec<EdgeTarget> = Vec::new();
        for block in raw.blocks("replicas") {
            let (Some(name), Some(address)) = (block.text("name"), block.text("address")) else { continue };
            let Ok(place) = address.value.parse() else {
                let text = format!("{:?} is no ADDRESS:PORT, such as 10.0.0.5:4443", address.value);
                self.refuse::<()>(block, address.line, "address", text);
                continue;
            };
            if !is_host(&name.value) {
                self.refuse::<()>(block, name.line, "name", format!("{:?} is no host name", name.value));
            }
            if edges.iter().any(|edge| edge.address == place) {
                self.refuse::<()>(block, address.line, "address", format!("{place} is there twice"));
            }
            edges.push(EdgeTarget { name: name.value, address: place });
        }
        edges
    }

    pub(super) fn readable(&mut self, block: &Block, key: &str, at: &At<String>) -> Option<PathBuf> {
        let path = self.beside(&at.value);
        match (self.read)(&path) {
            Ok(_) => Some(path),
            Err(error) => {
                self.refuse(block, at.line, key, format!("`{}` cannot be read: {error}", path.display()))
            }
        }
    }

    fn registrations(&mut self, block: &Block) -> Option<Registrations> {
        let [min, default, max] = ["min", "default", "max"].map(|key| block.number(key));
        let (min, default, max) = (min?, default?, max?);
        if !(min.value..=max.value).contains(&default.value) {
            // Where a key is written at all: those that are not have the line of the block.
            let line = min.line.max(default.line).max(max.line);
            let text =
                format!("{} does not lie between min ({}) and max ({})", default.value, min.value, max.value);
            return self.refuse(block, line, "default", text);
        }
        let [min, default, max] = [min, default, max].map(|at| u32::try_from(at.value).unwrap_or(u32::MAX));
        Some(Registrations { min, default, max })
    }

    /// The inner `None` is off.
    pub(super) fn metrics(&mut self, block: &Block) -> Option<Option<SocketAddr>> {
        self.listen(block, "127.0.0.1:9061")
    }

    /// Address and port, if they are there.
    pub(super) fn listen(&mut self, block: &Block, example: &str) -> Option<Option<SocketAddr>> {
        let Some(At { value, line }) = block.text("listen") else { return Some(None) };
        match value.parse() {
            Ok(address) => Some(Some(address)),
            Err(_) => {
                self.refuse(block, line, "listen", format!("{value:?} is no ADDRESS:PORT, such as {example}"))
            }
        }
    }

    pub(super) fn path(&self, block: &Block, key: &str) -> Option<PathBuf> {
        Some(self.beside(&block.text(key)?.value))
    }

    /// What a file that is known to be readable holds.
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        (self.read)(path)
    }

    /// A relative path begins where the file is.
    fn beside(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}

pub(super) fn log(block: &Block) -> Option<Log> {
    Some(Log { level: block.text("level")?.value, json: block.text("format")?.value == "json" })
}

/// Whether pages can sign in.
fn speaks_web(listeners: &Option<Vec<ListenerConfig>>) -> bool {
    listeners.iter().flatten().any(|listener| listener.transport.is_web())
}

fn watchers(block: &Block) -> Option<Handling> {
    let word = block.text("watchers")?.value;
    Handling::ALL.into_iter().find(|handling| handling.name() == word)
}

fn limits(block: &Block) -> Option<Limits> {
    let number = |key| usize::try_from(block.number(key)?.value).ok();
    Some(Limits {
        connections: number("connections")?,
        unproven_per_source: number("unproven-per-source")?,
        calls: number("calls")?,
        transactions: number("transactions")?,
        waiting: number("waiting")?.checked_mul(1 << 20)?,
        body: number("body")?,
    })
}

/// A host name (RFC 1123): labels of letters, digits and hyphens.
pub(crate) fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let inside = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && inside && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
