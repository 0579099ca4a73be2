//! The `runmate` binary.
fn main() {}
