//! Spellings of a DSCP (being written).
use carillon_wire::ip::Dscp;
use serde::Serializer;

/// Serialises the value.
pub fn serialize<S: Serializer>(dscp: &Dscp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(dscp.value())
}

/// Serialises the value, if there is one.
pub fn serialize_option<S: Serializer>(dscp: &Option<Dscp>, serializer: S) -> Result<S::Ok, S::Error> {
    match dscp {
        Some(dscp) => serializer.serialize_some(&dscp.value()),
        None => serializer.serialize_none(),
    }
}
