//! Words that all of Cisco's IOS shares.

use carillon_wire::ip::Dscp;

use crate::dscp;

/// The mark as IOS prints it back: `ef`, `af41`, `cs3`, `default`, else the number.
pub(in crate::export) fn keyword(mark: Dscp) -> String {
    if mark == Dscp::DEFAULT {
        return "default".to_owned();
    }
    let name = dscp::name(mark).to_lowercase();
    let known = name == "ef" || name.starts_with("cs") || name.starts_with("af");
    if known { name } else { mark.value().to_string() }
}
