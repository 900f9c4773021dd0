//! The documented objects, property by property in the order in which they print: one table for the plan file, for the
//! parameters of cmdlets, for their help and their completion.
//!
//! Types, ranges and defaults are those of the cmdlet reference; where it is silent the default is empty.

use super::{Held, Kind, Property, Scopes, Values};

const fn here(name: &'static str, values: Values, default: &'static str) -> Property {
    Property { name, values, default, held: Held::Here }
}

/// Holds only with the others beside it: waits here until it can.
const fn waits(name: &'static str, values: Values, default: &'static str, key: &'static str) -> Property {
    Property { name, values, default, held: Held::Waits(key) }
}

const fn plan(name: &'static str, values: Values, default: &'static str, key: &'static str) -> Property {
    Property { name, values, default, held: Held::Plan(key) }
}

/// Follows from other facts, or is not Carillon's to change: printed, never set.
const fn printed(name: &'static str, default: &'static str) -> Property {
    Property { name, values: Values::Text, default, held: Held::Printed }
}

const fn text(name: &'static str) -> Property {
    here(name, Values::Text, "")
}

const fn flag(name: &'static str, default: &'static str) -> Property {
    here(name, Values::Boolean, default)
}

const fn number(name: &'static str, least: u64, most: u64, default: &'static str) -> Property {
    here(name, Values::Integer { least, most }, default)
}

const fn port(name: &'static str, default: &'static str) -> Property {
    here(name, U16, default)
}

const fn span(name: &'static str, least: u64, most: u64, default: &'static str) -> Property {
    here(name, Values::Span { least, most }, default)
}

const U16: Values = Values::Integer { least: 0, most: 65_535 };
const COUNT: Values = Values::Integer { least: 1, most: 65_535 };
const PORT: Values = Values::Integer { least: 1024, most: 65_535 };
const U32: u64 = 4_294_967_295;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

const CONFERENCING: &[Property] = &[
    number("MaxContentStorageMb", 50, 1024, "500"),
    number("MaxUploadFileSizeMb", 0, 65_535, "500"),
    number("MaxBandwidthPerAppSharingServiceMb", 50, 100_000, "375"),
    span("ContentGracePeriod", 1800, 180 * DAY, "15.00:00:00"),
    waits("ClientMediaPortRangeEnabled", Values::Boolean, "False", "enabled"),
    plan("ClientMediaPort", PORT, "5350", "roles.client.legacy-ports"),
    plan("ClientMediaPortRange", COUNT, "40", "roles.client.legacy-ports"),
    plan("ClientAudioPort", PORT, "5350", "roles.client.audio"),
    plan("ClientAudioPortRange", COUNT, "40", "roles.client.audio"),
    plan("ClientVideoPort", PORT, "5350", "roles.client.video"),
    plan("ClientVideoPortRange", COUNT, "40", "roles.client.video"),
    plan("ClientAppSharingPort", PORT, "5350", "roles.client.sharing"),
    plan("ClientAppSharingPortRange", COUNT, "40", "roles.client.sharing"),
    plan("ClientFileTransferPort", PORT, "5350", "roles.client.file-transfer"),
    plan("ClientFileTransferPortRange", COUNT, "40", "roles.client.file-transfer"),
    here("ClientSipDynamicPort", PORT, "7100"),
    here("ClientSipDynamicPortRange", COUNT, "3"),
    text("Organization"),
    text("HelpdeskInternalUrl"),
    text("HelpdeskExternalUrl"),
    text("ConsoleDownloadInternalUrl"),
    text("ConsoleDownloadExternalUrl"),
    text("CloudPollServicePrimaryUrl"),
    text("CloudPollServiceSecondaryUrl"),
    flag("EncryptArchivedData", "True"),
];

const PHONE: &[Property] = &[
    span("CalendarPollInterval", 0, HOUR, "00:03:00"),
    flag("EnforcePhoneLock", "True"),
    span("PhoneLockTimeout", 0, HOUR - 1, "00:10:00"),
    number("MinPhonePinLength", 4, 15, "6"),
    here("SIPSecurityMode", Values::Word(&["Low", "Medium", "High"]), "High"),
    plan("VoiceDiffServTag", Values::Integer { least: 0, most: 63 }, "40", "roles.phone.audio.dscp"),
    number("Voice8021p", 0, 7, "0"),
    here("LoggingLevel", Values::Word(&["Off", "Low", "Medium", "High"]), "Off"),
];

const MEDIA: &[Property] = &[
    Property { name: "EnableQoS", values: Values::Boolean, default: "False", held: Held::HereOr("enabled") },
    here(
        "EncryptionLevel",
        Values::Word(&["SupportEncryption", "RequireEncryption", "DoNotSupportEncryption"]),
        "RequireEncryption",
    ),
    flag("EnableSiren", "False"),
    here("MaxVideoRateAllowed", Values::Word(&["Hd720p15M", "VGA600K", "CIF250K"]), "VGA600K"),
    flag("EnableG722StereoCodec", "True"),
    flag("EnableH264Codec", "True"),
    flag("EnableAdaptiveBandwidthEstimation", "True"),
    flag("EnableInCallQoS", "True"),
    number("InCallQoSIntervalSeconds", 0, 65_535, "35"),
    flag("EnableRtpRtcpMultiplexing", "True"),
    flag("EnableVideoBasedSharing", "True"),
];

const AV_EDGE: &[Property] = &[
    span("MaxTokenLifetime", 1, 30 * DAY, "08:00:00"),
    number("MaxBandwidthPerUserKb", 1, U32, "10000"),
    number("MaxBandwidthPerPortKb", 1, U32, "3000"),
];

const BANDWIDTH_SERVICE: &[Property] = &[
    flag("EnableLogging", "False"),
    span("LogCleanUpInterval", DAY, 60 * DAY, "10.00:00:00"),
    number("MaxLogFileSizeMb", 1, U32, "3"),
    span("MaxTokenLifetime", HOUR, DAY, "08:00:00"),
];

const CDR: &[Property] = &[
    flag("EnableCDR", "True"),
    flag("EnablePurging", "True"),
    number("KeepCallDetailForDays", 1, 2562, "60"),
    number("KeepErrorReportForDays", 1, 2562, "60"),
    number("PurgeHourOfDay", 0, 23, "2"),
];

const QOE: &[Property] = &[
    text("ExternalConsumerIssuedCertId"),
    flag("EnablePurging", "True"),
    number("KeepQoEDataForDays", 1, 2562, "60"),
    number("PurgeHourOfDay", 0, 23, "1"),
    flag("EnableExternalConsumer", "False"),
    text("ExternalConsumerName"),
    text("ExternalConsumerURL"),
    flag("EnableQoE", "True"),
];

const DEVICE_UPDATE: &[Property] = &[
    here("ValidLogFileTypes", Values::List, "Watson, Config, Diaglog, CELog"),
    here("ValidLogFileExtensions", Values::List, ".dmp, .clg, .clg1, .clg2, .bak"),
    number("MaxLogFileSize", 0, U32, "1024000"),
    number("MaxLogCacheLimit", 0, U32, "512000"),
    span("LogCleanUpInterval", DAY, 60 * DAY, "10.00:00:00"),
    span("LogFlushInterval", 0, DAY, "00:05:00"),
    text("LogCleanUpTimeOfDay"),
];

const NETWORK: &[Property] = &[
    here("MediaBypassSettings", Values::List, ""),
    printed("BWPolicyProfiles", ""),
    printed("NetworkRegions", ""),
    printed("NetworkRegionLinks", ""),
    printed("InterNetworkRegionRoutes", ""),
    printed("NetworkSites", ""),
    printed("InterNetworkSitePolicies", ""),
    printed("Subnets", ""),
    flag("EnableBandwidthPolicyCheck", "False"),
];

const REGION: &[Property] = &[
    text("Description"),
    text("BypassID"),
    text("CentralSite"),
    here(
        "BWAlternatePaths",
        Values::List,
        "BWPolicyModality=Audio;AlternatePath=True, BWPolicyModality=Video;AlternatePath=True",
    ),
    printed("NetworkRegionID", ""),
];

const NETWORK_SITE: &[Property] = &[
    printed("NetworkSiteID", ""),
    text("Description"),
    text("NetworkRegionID"),
    text("BypassID"),
    text("BWPolicyProfileID"),
    text("LocationPolicy"),
    flag("EnableLocationBasedRouting", "False"),
    text("VoiceRoutingPolicy"),
];

const SUBNET: &[Property] = &[
    here("MaskBits", Values::Integer { least: 1, most: 32 }, ""),
    text("Description"),
    text("NetworkSiteID"),
    printed("SubnetID", ""),
];

const REGION_LINK: &[Property] = &[
    text("BWPolicyProfileID"),
    printed("NetworkRegionLinkID", ""),
    text("NetworkRegionID1"),
    text("NetworkRegionID2"),
];

const INTER_REGION_ROUTE: &[Property] = &[
    here("NetworkRegionLinks", Values::List, ""),
    printed("InterNetworkRegionRouteID", ""),
    text("NetworkRegionID1"),
    text("NetworkRegionID2"),
];

const INTER_SITE_POLICY: &[Property] = &[
    text("BWPolicyProfileID"),
    printed("InterNetworkSitePolicyID", ""),
    text("NetworkSiteID1"),
    text("NetworkSiteID2"),
];

const BANDWIDTH_PROFILE: &[Property] =
    &[here("BWPolicy", Values::List, ""), printed("BWPolicyProfileID", ""), text("Description")];

const CONFERENCING_SERVER: &[Property] = &[
    text("Registrar"),
    text("FileStore"),
    text("EdgeServer"),
    port("ImSipPort", "5062"),
    port("AudioVideoSipPort", "5063"),
    port("PhoneSipPort", "5064"),
    port("AppSharingSipPort", "5065"),
    port("DataPsomPort", "8057"),
    port("MeetingPsomPort", "8058"),
    waits("AudioPortStart", U16, "49152", "roles.conferencing.audio"),
    waits("AudioPortCount", COUNT, "8348", "roles.conferencing.audio"),
    waits("VideoPortStart", U16, "57501", "roles.conferencing.video"),
    waits("VideoPortCount", COUNT, "8034", "roles.conferencing.video"),
    waits("AppSharingPortStart", U16, "49152", "roles.conferencing.sharing"),
    waits("AppSharingPortCount", COUNT, "16383", "roles.conferencing.sharing"),
];

const APPLICATION_SERVER: &[Property] = &[
    text("Registrar"),
    text("ApplicationDatabase"),
    here("Applications", Values::List, ""),
    port("AtsSipPort", "5076"),
    port("CaaSipPort", "5072"),
    port("CasSipPort", "5073"),
    port("CpsSipPort", "5075"),
    port("PdpSipPort", "5080"),
    port("PdpTurnPort", "448"),
    port("RgsSipPort", "5071"),
    port("RgsWcfMtlsPort", "8404"),
    waits("AudioPortStart", U16, "49152", "roles.application.audio"),
    waits("AudioPortCount", COUNT, "8348", "roles.application.audio"),
    waits("VideoPortStart", U16, "57501", "roles.application.video"),
    waits("VideoPortCount", COUNT, "8034", "roles.application.video"),
    waits("AppSharingPortStart", U16, "49152", "roles.application.sharing"),
    waits("AppSharingPortCount", COUNT, "16383", "roles.application.sharing"),
];

const MEDIATION_SERVER: &[Property] = &[
    text("Registrar"),
    text("EdgeServer"),
    port("SipServerPort", "5070"),
    port("SipClientTcpPort", "0"),
    port("SipClientTlsPort", "5067"),
    waits("AudioPortStart", U16, "49152", "roles.mediation.audio"),
    waits("AudioPortCount", COUNT, "8348", "roles.mediation.audio"),
];

const EDGE_SERVER: &[Property] = &[
    text("Registrar"),
    port("AccessEdgeInternalSipPort", "5061"),
    port("AccessEdgeExternalSipPort", "5061"),
    port("AccessEdgeClientSipPort", "443"),
    port("DataPsomServerPort", "8057"),
    port("DataPsomClientPort", "444"),
    port("MediaRelayAuthEdgePort", "5062"),
    port("MediaRelayInternalTurnTcpPort", "443"),
    port("MediaRelayExternalTurnTcpPort", "443"),
    port("MediaRelayInternalTurnUdpPort", "3478"),
    port("MediaRelayExternalTurnUdpPort", "3478"),
    plan("MediaCommunicationPortStart", U16, "50000", "edge.ports"),
    plan("MediaCommunicationPortCount", COUNT, "10000", "edge.ports"),
    port("XmppInternalPort", "23456"),
    port("XmppListeningPort", "5269"),
    port("SkypeSearchProxyPort", ""),
];

const WEB_SERVER: &[Property] = &[
    text("FileStore"),
    text("UserServer"),
    port("PrimaryHttpPort", "80"),
    port("PrimaryHttpsPort", "443"),
    port("ExternalHttpPort", "8080"),
    port("ExternalHttpsPort", "4443"),
    port("PublishedPrimaryHttpPort", "80"),
    port("PublishedPrimaryHttpsPort", "443"),
    port("PublishedExternalHttpPort", "80"),
    port("PublishedExternalHttpsPort", "443"),
    port("ReachPrimaryPsomServerPort", "8060"),
    port("ReachExternalPsomServerPort", "8061"),
    port("AppSharingPortStart", "49152"),
    here("AppSharingPortCount", COUNT, "16383"),
    printed("LIServiceInternalUri", ""),
    printed("ABHandlerInternalUri", ""),
    printed("ABHandlerExternalUri", ""),
    printed("DLExpansionInternalUri", ""),
    printed("DLExpansionExternalUri", ""),
    printed("CAHandlerInternalUri", ""),
    printed("CAHandlerInternalAnonUri", ""),
    printed("CollabContentInternalUri", ""),
    printed("CollabContentExternalUri", ""),
    printed("CAHandlerExternalUri", ""),
    printed("DeviceUpdateDownloadInternalUri", ""),
    printed("DeviceUpdateDownloadExternalUri", ""),
    printed("DeviceUpdateStoreInternalUri", ""),
    printed("DeviceUpdateStoreExternalUri", ""),
    printed("RgsAgentServiceInternalUri", ""),
    printed("RgsAgentServiceExternalUri", ""),
    printed("MeetExternalUri", ""),
    printed("DialinExternalUri", ""),
    printed("CscpInternalUri", ""),
    printed("ReachExternalUri", ""),
    printed("ReachInternalUri", ""),
    printed("WebTicketExternalUri", ""),
    printed("WebTicketInternalUri", ""),
    text("ExternalFqdn"),
    text("InternalFqdn"),
];

/// What a policy of Windows holds beside what a `[[rules]]` entry says. One that sets no DSCP, or matches by what a rule
/// cannot say, stands here alone.
const NETQOS: &[Property] = &[
    here("PolicyStore", Values::Text, ""),
    here("NetworkProfile", Values::Word(&["Domain", "Public", "Private", "All"]), "All"),
    number("Precedence", 0, 255, "127"),
    here(
        "Template",
        Values::Word(&["Default", "SMB", "NFS", "iSCSI", "LiveMigration", "Cluster", "FCOE"]),
        "",
    ),
    text("User"),
    text("AppPathName"),
    here("IPProtocol", Values::Word(&["None", "TCP", "UDP", "Both"]), ""),
    port("IPPort", ""),
    text("IPSrcPrefix"),
    port("IPSrcPortStart", ""),
    port("IPSrcPortEnd", ""),
    text("IPDstPrefix"),
    port("IPDstPortStart", ""),
    port("IPDstPortEnd", ""),
    port("NetDirectPort", ""),
    text("URI"),
    flag("URIRecursive", ""),
    number("PriorityValue", 0, 7, ""),
    number("DSCPValue", 0, 63, ""),
    number("MinBandwidthWeight", 1, 100, ""),
    number("ThrottleRate", 1, u64::MAX >> 1, ""),
];

const fn kind(name: &'static str, scopes: Scopes, properties: &'static [Property]) -> Kind {
    Kind { name, scopes, properties }
}

/// Every kind of object, as `[management.KIND]` names it.
pub const KINDS: &[Kind] = &[
    kind("ConferencingConfiguration", Scopes::Collections(&["ConferencingServer"]), CONFERENCING),
    kind("UCPhoneConfiguration", Scopes::Collections(&[]), PHONE),
    kind(
        "MediaConfiguration",
        Scopes::Collections(&["ConferencingServer", "MediationServer", "ApplicationServer"]),
        MEDIA,
    ),
    kind("AVEdgeConfiguration", Scopes::Collections(&["EdgeServer"]), AV_EDGE),
    kind("BandwidthPolicyServiceConfiguration", Scopes::Collections(&[]), BANDWIDTH_SERVICE),
    kind("CdrConfiguration", Scopes::Collections(&[]), CDR),
    kind("QoEConfiguration", Scopes::Collections(&[]), QOE),
    kind("DeviceUpdateConfiguration", Scopes::Collections(&[]), DEVICE_UPDATE),
    kind("NetworkConfiguration", Scopes::Global, NETWORK),
    kind("NetworkRegion", Scopes::Names, REGION),
    kind("NetworkSite", Scopes::Names, NETWORK_SITE),
    kind("NetworkSubnet", Scopes::Names, SUBNET),
    kind("NetworkRegionLink", Scopes::Names, REGION_LINK),
    kind("NetworkInterRegionRoute", Scopes::Names, INTER_REGION_ROUTE),
    kind("NetworkInterSitePolicy", Scopes::Names, INTER_SITE_POLICY),
    kind("NetworkBandwidthPolicyProfile", Scopes::Names, BANDWIDTH_PROFILE),
    kind("ConferencingServer", Scopes::Services, CONFERENCING_SERVER),
    kind("ApplicationServer", Scopes::Services, APPLICATION_SERVER),
    kind("MediationServer", Scopes::Services, MEDIATION_SERVER),
    kind("EdgeServer", Scopes::Services, EDGE_SERVER),
    kind("WebServer", Scopes::Services, WEB_SERVER),
    kind("NetQosPolicy", Scopes::Names, NETQOS),
];
