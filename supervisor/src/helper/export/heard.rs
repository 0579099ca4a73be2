//! What was heard of an export: the exporters of OpenTelemetry keep the words of a server for their own log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::helper::export_protocol::{Answer, Rejection};

/// As long as an answer may be, in characters.
const LONGEST: usize = 300;

/// What was said last, from all who hear it.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    trouble: Option<String>,
    verdict: Option<Answer>,
}

impl Heard {
    /// Something went wrong.
    pub fn trouble(&self, what: String) {
        self.lock().trouble = Some(what);
    }

    /// What went wrong last.
    pub fn take(&self) -> Option<String> {
        self.lock().trouble.take()
    }

    /// The export came to something else than the exporter sees.
    pub fn decide(&self, verdict: Answer) {
        self.lock().verdict = Some(verdict);
    }

    /// The server does not want these spans, and never will.
    pub fn rejection(&self, spans: Option<u64>, why: String) {
        self.decide(Ok(Some(Rejection { spans, why })));
    }

    /// What it came to, if that was decided.
    pub fn verdict(&self) -> Option<Answer> {
        self.lock().verdict.take()
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// No longer than a line should be. The last thing that is done to it: a cut may leave the half of a word that would
/// have been kept quiet as a whole.
pub(super) fn cut(mut line: String) -> String {
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}

/// Takes from the log of the exporters what a server said.
pub(super) struct Listener(pub Heard);

impl<S: Subscriber> Layer<S> for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() && metadata.target().starts_with("opentelemetry") {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        if let Some(code) = words.grpc_code {
            let said = match one_line(&words.grpc_message).as_str() {
                "" => format!("the answer was {code}"),
                message => format!("the answer was {code}: {message}"),
            };
            if code == INVALID {
                self.0.rejection(None, said);
                return;
            }
            // Without an answer the code is one that was made up here; then who connects has said why.
            let told = &mut self.0.lock().trouble;
            if told.is_none() || !words.grpc_message.is_empty() && words.grpc_message != TRANSPORT {
                *told = Some(said);
            }
        }
        if let Some(rejected) = words.rejected.and_then(|rejected| u64::try_from(rejected).ok())
            && rejected > 0
        {
            let why = match one_line(&words.error).as_str() {
                "" => format!("spans that were rejected: {rejected}"),
                why => format!("spans that were rejected: {rejected}: {why}"),
            };
            self.0.rejection(Some(rejected), why);
        }
    }
}

/// The code of gRPC for what will never be right: 400 of HTTP.
const INVALID: &str = "InvalidArgument";
/// What tonic says instead of a server.
const TRANSPORT: &str = "transport error";

#[derive(Default)]
struct Words {
    grpc_code: Option<String>,
    grpc_message: String,
    rejected: Option<i64>,
    error: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "grpc_code" => self.grpc_code = Some(value.to_owned()),
            "grpc_message" => value.clone_into(&mut self.grpc_message),
            "error_message" => value.clone_into(&mut self.error),
            _ => {}
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "rejected_spans" {
            self.rejected = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
