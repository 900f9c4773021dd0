//! The one program, `carillon`.
fn main() {}
