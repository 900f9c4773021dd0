//! Puts the cores and the machine together: the turn, configuration, admin API, metrics.
#![forbid(unsafe_code)]
