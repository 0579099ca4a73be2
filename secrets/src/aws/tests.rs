//! The plan carried out, against a service that is made of closures.

use std::sync::Mutex as StdMutex;

use super::api::{
    BatchReply, Call, CallError, ErrorEntry, ParameterEntry, ParametersReply, Reply, SecretEntry,
};
use super::*;

mod batches;
mod names;
mod time;

/// A service that answers as a test says, and remembers what it was asked.
pub(super) struct Fake<F> {
    answer: F,
    calls: StdMutex<Vec<(String, Call)>>,
}

pub(super) fn fake<F>(answer: F) -> Fake<F>
where
    F: Fn(&str, &Call) -> Result<Reply, CallError> + Sync,
{
    Fake {
        answer,
        calls: StdMutex::default(),
    }
}

impl<F> Fake<F> {
    fn calls(&self) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// How often each action was called.
    fn count(&self, action: &str) -> usize {
        self.calls()
            .iter()
            .filter(|call| call.action().ends_with(action))
            .count()
    }
}

impl<F: Fn(&str, &Call) -> Result<Reply, CallError> + Sync> Api for Fake<F> {
    async fn call(&self, region: &str, call: &Call) -> Result<Reply, CallError> {
        self.calls.lock().unwrap().push((region.to_owned(), call.clone()));
        // Others get their turn, as they do while a real service is asked.
        tokio::task::yield_now().await;
        (self.answer)(region, call)
    }
}

const WEST: &str = "eu-west-1";

fn secret_arn(id: &str) -> String {
    format!("arn:aws:secretsmanager:{WEST}:123456789012:secret:{id}")
}

fn parameter_arn(name: &str) -> String {
    format!("arn:aws:ssm:{WEST}:123456789012:parameter/{name}")
}

fn secret(id: &str) -> Reference {
    Reference::parse(&secret_arn(id)).unwrap().unwrap()
}

fn parameter(name: &str) -> Reference {
    Reference::parse(&parameter_arn(name)).unwrap().unwrap()
}

/// `count` secrets with complete ARNs.
fn many(count: usize) -> Vec<Reference> {
    (0..count)
        .map(|number| secret(&format!("s{number:02}-AbCdEf")))
        .collect()
}

fn error(kind: FailureKind, transient: bool) -> CallError {
    CallError {
        problem: kind.into(),
        transient,
        wait: None,
    }
}

fn denied(call: &Call) -> CallError {
    error(
        FailureKind::Denied {
            action: call.action(),
        },
        false,
    )
}

fn entry(arn: &str, value: &str) -> SecretEntry {
    let id = arn.rsplit_once(':').map_or(arn, |(_, id)| id);
    SecretEntry {
        arn: arn.into(),
        name: id.rsplit_once('-').map_or(id, |(name, _)| name).into(),
        value: Secret::new(value),
    }
}

/// A batch in which each value is the ARN it was asked for by, last first.
fn echo_batch(ids: &[String]) -> Reply {
    Reply::Batch(BatchReply {
        values: ids.iter().rev().map(|id| entry(id, id)).collect(),
        ..BatchReply::default()
    })
}

fn of_name(name: &str) -> ParameterEntry {
    ParameterEntry {
        arn: name.into(),
        name: String::new(),
        selector: None,
        version: 1,
        value: Secret::new(name),
    }
}

fn parameters_reply(values: impl IntoIterator<Item = ParameterEntry>, invalid: &[&str]) -> Reply {
    Reply::Parameters(ParametersReply {
        values: values.into_iter().collect(),
        invalid: invalid.iter().map(|&name| name.into()).collect(),
    })
}

async fn run<A: Api>(api: &A, references: &[Reference]) -> Vec<Result<Secret, Problem>> {
    run_with(api, &Gates::default(), references).await
}

async fn run_with<A: Api>(api: &A, gates: &Gates, references: &[Reference]) -> Vec<Result<Secret, Problem>> {
    let overall = Duration::from_secs(30);
    let deadline = Instant::now() + overall;
    fetch(api, gates, references, retry::attempt_limit(overall), deadline).await
}

/// The values, or the kinds of the failures.
fn shown(answers: &[Result<Secret, Problem>]) -> Vec<Result<&str, &FailureKind>> {
    let shown = answers.iter().map(|answer| match answer {
        Ok(value) => Ok(value.expose_str().unwrap()),
        Err(problem) => Err(&problem.kind),
    });
    shown.collect()
}

/// Asserts that each got the value that is its own text.
fn assert_own(references: &[Reference], answers: &[Result<Secret, Problem>]) {
    let texts: Vec<_> = references.iter().map(Reference::text).collect();
    let expected: Vec<_> = texts.iter().map(|text| Ok(text.as_str())).collect();
    assert_eq!(shown(answers), expected);
}
