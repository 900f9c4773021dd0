//! Records of calls, for whoever reads them where no server runs.

pub use carillon_store::{COLUMNS, CallPage, CallQuery, CallReader, CallRow, CallSummary, Column, Relayed};
