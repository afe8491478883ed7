//! The `p2pcall` binary.
fn main() {}
