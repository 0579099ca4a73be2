//! What a collector made of one request, and what may be said of it.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

use crate::helper::export_protocol::Rejection;

/// As long as an answer may be, in characters.
const LONGEST: usize = 300;

/// What came of one attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// All spans were taken.
    Taken,
    /// The server does not want these spans, and never will.
    Rejected(Rejection),
    /// There is no use in asking again before somebody has put something right.
    Refused(String),
    /// Another attempt may do better, `after` this long if the server said so.
    Later { why: String, after: Option<Duration> },
}

impl Reply {
    /// Nobody answered, or not to the end.
    pub fn lost(why: String) -> Reply {
        Reply::Later { why, after: None }
    }

    /// All spans were rejected.
    pub fn never(why: String) -> Reply {
        Reply::Rejected(Rejection { spans: None, why })
    }

    /// Of a request that was taken.
    pub fn of(response: ExportTraceServiceResponse) -> Reply {
        let partial = response.partial_success.unwrap_or_default();
        let why = one_line(&partial.error_message);
        match u64::try_from(partial.rejected_spans) {
            // Words alone are advice.
            Err(_) | Ok(0) => Reply::Taken,
            Ok(rejected) => Reply::Rejected(Rejection {
                spans: Some(rejected),
                why: match why.as_str() {
                    "" => format!("spans that were rejected: {rejected}"),
                    why => format!("spans that were rejected: {rejected}: {why}"),
                },
            }),
        }
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
