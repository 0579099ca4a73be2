//! A process is ready when its probe says so, and those that need it wait until then.

#[path = "../support/bare.rs"]
mod bare;
#[path = "../support/mod.rs"]
mod support;

mod gates;
mod port;
mod timeouts;
