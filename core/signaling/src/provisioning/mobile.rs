//! Mobile clients, known by what they call themselves. Their networks are nobody's who runs a plan, and neither ports nor
//! marks would mean anything there: they are told to take no part.

/// Systems of mobile phones, as they stand in the User-Agent of clients for them. Case tells Apple's from Cisco's.
const SYSTEMS: [&str; 7] = ["Android", "iPhone", "iPad", "iPod", "iOS", "Windows Phone", "WPLync"];

/// Whether the value of a User-Agent (RFC 3261, 20.41) is that of a mobile client.
pub(super) fn is_mobile(user_agent: &[u8]) -> bool {
    let named = |system: &str| user_agent.windows(system.len()).any(|part| part == system.as_bytes());
    SYSTEMS.into_iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_on_desks_and_computers_are_not_mobile() {
        for (agent, mobile) in [
            ("UCCAPI/5.0.4411.1000 AndroidLync/5.2.8.1", true),
            ("UCCAPI/15.0.0 iPhoneLync/5.4", true),
            ("LinphoneiOS/5.0.1 (iPad) LinphoneSDK/5.2.0", true),
            ("WPLync/4.3", true),
            ("Zoiper for Windows Phone 2.0", true),
            ("UCCAPI/4.0.7577.314 OC/4.0.7577.314 (Microsoft Lync 2010)", false),
            ("CPE/4.0.7577.4455 OCPhone/4.0.7577.4455 (Microsoft Lync Phone Edition)", false),
            ("Cisco-SIPGateway/IOS-15.4.3.M", false),
            ("baresip v1.0.0 (x86_64/linux)", false),
            ("", false),
        ] {
            assert_eq!(is_mobile(agent.as_bytes()), mobile, "{agent}");
        }
    }
}
