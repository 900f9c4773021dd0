//! `carillon verify`: judges captures against a plan.

mod terminal;
