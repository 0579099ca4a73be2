//! The helper that exports traces, alone: a job on its stdin, its answer on descriptor 3, and collectors that others
//! wrote.

#[path = "../support/mod.rs"]
mod support;

mod aws;
mod lab;
mod otlp;
mod trouble;
