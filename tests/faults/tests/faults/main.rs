//! The fault matrix: every cause, in variants, made by rewriting captures of other programs.

mod class;
mod clean;
mod estate;
mod path;
mod sender;
mod traffic;
