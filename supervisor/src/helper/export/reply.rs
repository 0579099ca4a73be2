//! What a collector made of one request, and what may be said of it.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

/// As long as an answer may be, in characters.
const LONGEST: usize = 300;

/// What came of one attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// All spans were taken.
    Taken,
    /// The request was taken, and not all of its spans.
    Rejected(String),
    /// It would be the same next time.
    Refused(String),
    /// Another attempt may do better, `after` this long if the server said so.
    Later { why: String, after: Option<Duration> },
}

impl Reply {
    /// Nobody answered, or not to the end.
    pub fn lost(why: String) -> Reply {
        Reply::Later { why, after: None }
    }

    /// Of a request that was taken.
    pub fn of(response: ExportTraceServiceResponse) -> Reply {
        match response.partial_success {
            Some(partial) if partial.rejected_spans > 0 => {
                let rejected = partial.rejected_spans;
                Reply::Rejected(match one_line(&partial.error_message).as_str() {
                    "" => format!("{rejected} spans were rejected"),
                    why => format!("{rejected} spans were rejected: {why}"),
                })
            }
            _ => Reply::Taken,
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
