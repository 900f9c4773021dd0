//! tmp
/// tmp
pub struct T {
    /// n
    pub name: &'static str,
    /// c
    pub clock_rate: u32,
    /// v
    pub video: bool,
}
/// tmp
pub fn static_payload_type(n: u8) -> Option<T> {
    match n {
        0 => Some(T { name: "PCMU", clock_rate: 8000, video: false }),
        8 => Some(T { name: "PCMA", clock_rate: 8000, video: false }),
        9 => Some(T { name: "G722", clock_rate: 8000, video: false }),
        _ => None,
    }
}
