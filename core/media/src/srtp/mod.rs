//! SRTP and SRTCP with keys from the session description.

mod sdes;

pub use sdes::Key;
pub use sdes::{Offered, Refusal, Suite, parse};
