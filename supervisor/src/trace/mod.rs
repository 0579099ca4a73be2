//! Traces of what runmate does: boot, restart, drain.
//!
//! PID 1 only writes down what happened, as [`Span`]s; a helper turns them into OTLP and sends them
//! (`helper::export`). So neither an exporter nor its connections, timers and threads are ever in PID 1.

mod carrier;
pub(crate) mod journal;
pub(crate) mod resource;
mod span;

pub use span::{Context, Kind, Span, Value};
