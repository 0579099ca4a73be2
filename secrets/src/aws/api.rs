//! The few calls that are made, as plain data: what the SDK's client answers and a test's fake can.

use std::time::Duration;

use crate::{Problem, Secret};

/// One request to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// BatchGetSecretValue for these ids, from this page on.
    Batch { ids: Vec<String>, page: Option<String> },
    /// GetSecretValue.
    Secret {
        id: String,
        stage: Option<String>,
        version: Option<String>,
    },
    /// GetParameters for these names.
    Parameters { names: Vec<String>, decrypt: bool },
}

/// What a service answers.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Batch(BatchReply),
    Secret(Secret),
    Parameters(ParametersReply),
}

/// The answer to [`Call::Batch`].
#[derive(Clone, Debug, Default)]
pub(super) struct BatchReply {
    pub values: Vec<SecretEntry>,
    pub errors: Vec<ErrorEntry>,
    pub next: Option<String>,
}

/// One value of a batch.
#[derive(Clone, Debug)]
pub(super) struct SecretEntry {
    pub arn: String,
    pub name: String,
    pub value: Secret,
}

/// One refusal within a batch that as a whole succeeded.
#[derive(Clone, Debug)]
pub(super) struct ErrorEntry {
    pub id: String,
    pub code: String,
    pub message: String,
}

/// The answer to [`Call::Parameters`].
#[derive(Clone, Debug, Default)]
pub(super) struct ParametersReply {
    pub values: Vec<ParameterEntry>,
    pub invalid: Vec<String>,
}

/// One value of GetParameters.
#[derive(Clone, Debug)]
pub(super) struct ParameterEntry {
    pub arn: String,
    pub name: String,
    pub selector: Option<String>,
    pub version: i64,
    pub value: Secret,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallError {
    pub problem: Problem,
    /// Whether the same call may succeed later.
    pub transient: bool,
    /// How long the service wants to be left alone.
    pub wait: Option<Duration>,
}

/// Whoever makes the calls: one attempt each, without retries and without a time limit.
pub(super) trait Api: Sync {
    fn call(&self, region: &str, call: &Call) -> impl Future<Output = Result<Reply, CallError>> + Send;
}

impl Call {
    /// The IAM action that it needs.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Call::Batch { .. } => "secretsmanager:BatchGetSecretValue",
            Call::Secret { .. } => "secretsmanager:GetSecretValue",
            Call::Parameters { .. } => "ssm:GetParameters",
        }
    }
}
