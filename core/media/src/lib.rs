//! One media leg as a state machine: packets and speech in, packets and speech out; no sockets, no clock.
#![forbid(unsafe_code)]
