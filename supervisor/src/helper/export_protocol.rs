//! What goes through the pipes between PID 1 and the helper that exports traces: the job is JSON on its stdin, the
//! answer is JSON on descriptor [`ANSWER_FD`](super::ANSWER_FD).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Exporter;
use crate::trace::Span;

/// What the helper is to send, and where to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    /// Where to; never [`Exporter::Off`].
    pub exporter: Exporter,
    /// Variables that the helper sets for itself before anything else: those of OpenTelemetry and AWS that are made of
    /// secrets, which therefore cannot stand in the environment that it is started with.
    pub env: Vec<(String, String)>,
    /// The name of the service.
    pub service: String,
    /// What PID 1 knows of the resource; the helper adds what it finds out from the platform.
    pub resource: Vec<(String, String)>,
    /// What happened.
    pub spans: Vec<Span>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// What came of it. `Ok`: these spans are not to be sent again, whatever became of them; `Err`: why nobody took them, a
/// sentence without secrets.
pub(crate) type Answer = Result<Option<Rejection>, String>;

/// The server does not want spans, and never will: OTLP forbids to send them again.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rejection {
    /// How many; `None` is all.
    pub spans: Option<u64>,
    /// A sentence without secrets.
    pub why: String,
}
