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

    /// The zone of that name.
    pub fn from_name(name: &str) -> Option<Zone> {
        Zone::ALL.into_iter().find(|zone| zone.name() == name)
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
