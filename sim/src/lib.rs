//! A virtual network and clock around the cores. Deterministic by seed; every run ends with a verdict.
#![forbid(unsafe_code)]
