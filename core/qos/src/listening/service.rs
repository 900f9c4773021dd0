//! The services of an Edge by their programs and ports.

use serde::Serialize;

/// A service of an Edge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeService {
    /// SIP.
    Access,
    /// Credentials for the relay.
    Authentication,
    /// The relay.
    Av,
    /// Conference data.
    WebConferencing,
    /// Settings.
    Replica,
}

/// How a socket's service is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The list names its program, which is that service's only.
    Program,
    /// By its port: the list names no program, or one that is several services.
    Port,
}

/// Programs that are all services in one.
const WHOLE: [&str; 1] = ["carillon"];

impl EdgeService {
    /// Every service.
    pub const ALL: [EdgeService; 5] = [
        EdgeService::Access,
        EdgeService::Authentication,
        EdgeService::Av,
        EdgeService::WebConferencing,
        EdgeService::Replica,
    ];

    /// Its name as administrators know it.
    pub const fn name(self) -> &'static str {
        match self {
            EdgeService::Access => "Access Edge",
            EdgeService::Authentication => "A/V Authentication",
            EdgeService::Av => "A/V Edge",
            EdgeService::WebConferencing => "Web Conferencing Edge",
            EdgeService::Replica => "Replica",
        }
    }

    /// The name under which Windows starts and stops it.
    pub const fn service_name(self) -> &'static str {
        match self {
            EdgeService::Access => "RTCSRV",
            EdgeService::Authentication => "RTCMRAUTH",
            EdgeService::Av => "RTCMEDIARELAY",
            EdgeService::WebConferencing => "RTCDATAPROXY",
            EdgeService::Replica => "REPLICA",
        }
    }

    /// Its program on Windows.
    pub const fn executable(self) -> &'static str {
        match self {
            EdgeService::Access => "RTCSrv.exe",
            EdgeService::Authentication => "MRASSvc.exe",
            EdgeService::Av => "MediaRelaySvc.exe",
            EdgeService::WebConferencing => "DataProxy.exe",
            EdgeService::Replica => "ReplicaReplicatorAgent.exe",
        }
    }

    fn of_program(program: &str) -> Option<EdgeService> {
        EdgeService::ALL.into_iter().find(|service| service.executable().eq_ignore_ascii_case(program))
    }
}

/// The service of a socket. What another program has is none of an Edge's, whatever its port.
pub(super) fn of(program: Option<&str>, is_stream: bool, port: u16) -> Option<(EdgeService, By)> {
    match program {
        Some(program) if !WHOLE.contains(&program) => Some((EdgeService::of_program(program)?, By::Program)),
        _ => Some((of_place(is_stream, port)?, By::Port)),
    }
}

/// The only service that a port can be of; `None` for 443, which three services have on addresses of their own.
pub(super) const fn of_place(is_stream: bool, port: u16) -> Option<EdgeService> {
    match (is_stream, port) {
        (true, 5061) => Some(EdgeService::Access),
        (true, 5062) => Some(EdgeService::Authentication),
        (true, 444 | 8057) => Some(EdgeService::WebConferencing),
        (true, 4443) => Some(EdgeService::Replica),
        (false, 3478..=3481) | (true, 5349) | (_, 50_000..=59_999) => Some(EdgeService::Av),
        _ => None,
    }
}
