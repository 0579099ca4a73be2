//! Where values come from.

use std::pin::Pin;
use std::time::Instant;

use crate::{FailureKind, Reference, Secret};

/// The answers of a source, in the order they were asked for.
pub type Answers<'a> = Pin<Box<dyn Future<Output = Vec<Result<Secret, Problem>>> + Send + 'a>>;

/// Something that has values for references: a service, a file, a fake in a test.
pub trait Source: Send + Sync {
    /// Fetches whole values; a json-key is not the source's affair. One answer for each reference, in their
    /// order, at the latest at the deadline.
    fn fetch<'a>(&'a self, references: &'a [Reference], deadline: Instant) -> Answers<'a>;
}

/// Why a source has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What went wrong.
    pub kind: FailureKind,
    /// The service's own words; see [`Failure::detail`](crate::Failure::detail).
    pub detail: Option<String>,
}

impl Problem {
    /// A problem with the words of whoever has it.
    pub(crate) fn of(kind: FailureKind, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            detail: Some(detail.into()),
        }
    }
}

impl From<FailureKind> for Problem {
    fn from(kind: FailureKind) -> Problem {
        Problem { kind, detail: None }
    }
}
