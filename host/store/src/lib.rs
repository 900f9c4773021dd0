//! Durable records of the core's types, embedded (SQLite): what was saved survives `kill -9`.
#![forbid(unsafe_code)]
