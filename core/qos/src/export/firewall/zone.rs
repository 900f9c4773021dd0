//! The zones between which a firewall stands: the roles, the two sides of an Edge, and the Internet.

/// Where packets come from or go to, as a firewall sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    /// People's computers and phones.
    Client,
    /// Front End and audio/video conferencing.
    Conferencing,
    /// Application sharing and application servers.
    Application,
    /// Mediation and branch appliances.
    Mediation,
    /// PSTN gateways.
    Gateway,
    /// The Edge's inner side.
    Edge,
    /// The Edge's outer side.
    EdgeExternal,
    /// Everybody else.
    Internet,
}

impl Zone {
    /// Every zone, in the order of files.
    pub const ALL: [Zone; 8] = [
        Zone::Client,
        Zone::Conferencing,
        Zone::Application,
        Zone::Mediation,
        Zone::Gateway,
        Zone::Edge,
        Zone::EdgeExternal,
        Zone::Internet,
    ];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Zone::Client => "client",
            Zone::Conferencing => "conferencing",
            Zone::Application => "application",
            Zone::Mediation => "mediation",
            Zone::Gateway => "gateway",
            Zone::Edge => "edge",
            Zone::EdgeExternal => "edge-external",
            Zone::Internet => "internet",
        }
    }

    /// Who that is, for people.
    pub fn title(self) -> &'static str {
        match self {
            Zone::Client => "computers and phones of people inside",
            Zone::Conferencing => "Front Ends and conferencing servers",
            Zone::Application => "application servers",
            Zone::Mediation => "Mediation Servers and branch appliances",
            Zone::Gateway => "PSTN gateways",
            Zone::Edge => "Edge Servers, their inner side",
            Zone::EdgeExternal => "Edge Servers, their outer side",
            Zone::Internet => "everybody else",
        }
    }

    /// Short names that people have for zones.
    const ALIASES: [(&str, Zone); 9] = [
        ("clients", Zone::Client),
        ("phone", Zone::Client),
        ("fe", Zone::Conferencing),
        ("front-end", Zone::Conferencing),
        ("edge-int", Zone::Edge),
        ("edge-internal", Zone::Edge),
        ("edge-ext", Zone::EdgeExternal),
        ("outside", Zone::Internet),
        ("pstn", Zone::Gateway),
    ];

    /// The zone of that name, or short name.
    pub fn from_name(name: &str) -> Option<Zone> {
        let named = Zone::ALL.into_iter().find(|zone| zone.name() == name);
        named.or_else(|| Zone::ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, zone)| *zone))
    }

    /// The two zones of `edge,conferencing`; the same one twice is its hosts among each other.
    ///
    /// # Errors
    /// What is wrong, with every name that there is.
    pub fn pair(text: &str) -> Result<[Zone; 2], String> {
        let all = || Zone::ALL.map(Zone::name).join(", ");
        let Some((one, other)) = text.split_once(',') else {
            return Err(format!("write two roles with a comma: `edge,conferencing`; there are {}", all()));
        };
        let named = |name: &str| {
            let name = name.trim();
            Zone::from_name(&name.to_ascii_lowercase())
                .ok_or_else(|| format!("there is no role `{name}`; there are {}", all()))
        };
        Ok([named(one)?, named(other)?])
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
