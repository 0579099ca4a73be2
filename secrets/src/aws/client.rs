//! The SDK's clients, one for each region and service, and the translation between their types and ours.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::Response;

use super::api::{
    Api, BatchReply, Call, CallError, ErrorEntry, ParameterEntry, ParametersReply, Reply, SecretEntry,
};
use super::classify::{classify, sentence};
use super::connect::{NoTrustRoots, To};
use super::secrets_manager::is_of;
use crate::{FailureKind, Problem, Secret};

/// Makes calls with the SDK. A client is made when its region is first asked.
pub(super) struct Clients {
    config: SdkConfig,
    secrets: Mutex<BTreeMap<String, aws_sdk_secretsmanager::Client>>,
    parameters: Mutex<BTreeMap<String, aws_sdk_ssm::Client>>,
}

impl Clients {
    /// Clients that take all but the region from `config`.
    pub(super) fn new(config: SdkConfig) -> Clients {
        Clients {
            config,
            secrets: Mutex::default(),
            parameters: Mutex::default(),
        }
    }

    fn secrets(&self, region: &str) -> aws_sdk_secretsmanager::Client {
        of_region(&self.secrets, region, || {
            let config = aws_sdk_secretsmanager::config::Builder::from(&self.config);
            let config = config.region(Region::new(region.to_owned()));
            aws_sdk_secretsmanager::Client::from_conf(config.build())
        })
    }

    fn parameters(&self, region: &str) -> aws_sdk_ssm::Client {
        of_region(&self.parameters, region, || {
            let config = aws_sdk_ssm::config::Builder::from(&self.config);
            let config = config.region(Region::new(region.to_owned()));
            aws_sdk_ssm::Client::from_conf(config.build())
        })
    }
}

fn of_region<C: Clone>(clients: &Mutex<BTreeMap<String, C>>, region: &str, make: impl FnOnce() -> C) -> C {
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    clients.entry(region.to_owned()).or_insert_with(make).clone()
}

impl Api for Clients {
    async fn call(&self, region: &str, call: &Call) -> Result<Reply, CallError> {
        let action = call.action();
        match call {
            Call::Batch { ids, page } => {
                let request = self.secrets(region).batch_get_secret_value();
                let request = request
                    .set_secret_id_list(Some(ids.clone()))
                    .set_next_token(page.clone());
                let output = request.send().await.map_err(|error| call_error(action, &error))?;
                Ok(Reply::Batch(batch_reply(output)))
            }
            Call::Secret { id, stage, version } => {
                let request = self.secrets(region).get_secret_value().secret_id(id);
                let request = request
                    .set_version_stage(stage.clone())
                    .set_version_id(version.clone());
                let output = request.send().await.map_err(|error| call_error(action, &error))?;
                if output.arn.is_some_and(|arn| !is_of(&arn, id)) {
                    return Err(another());
                }
                let value = secret(output.secret_string, output.secret_binary);
                value.map(Reply::Secret).ok_or_else(empty)
            }
            Call::Parameters { names, decrypt } => {
                let request = self
                    .parameters(region)
                    .get_parameters()
                    .set_names(Some(names.clone()));
                let request = request.with_decryption(*decrypt);
                let output = request.send().await.map_err(|error| call_error(action, &error))?;
                Ok(Reply::Parameters(parameters_reply(output)))
            }
        }
    }
}

type Blob = aws_smithy_types::Blob;

fn secret(text: Option<String>, bytes: Option<Blob>) -> Option<Secret> {
    match text {
        Some(text) => Some(Secret::new(text)),
        None => bytes.map(|bytes| Secret::new(bytes.into_inner())),
    }
}

/// Whoever answers with another secret than was asked for is not the service, or a cache that mixes answers up.
fn another() -> CallError {
    CallError {
        problem: Problem::of(
            FailureKind::Unavailable,
            "the service answered with another secret than was asked for",
        ),
        transient: false,
        wait: None,
    }
}

fn empty() -> CallError {
    CallError {
        problem: Problem::of(FailureKind::Unavailable, "the service answered without a value"),
        transient: false,
        wait: None,
    }
}

fn batch_reply(
    output: aws_sdk_secretsmanager::operation::batch_get_secret_value::BatchGetSecretValueOutput,
) -> BatchReply {
    let values = output
        .secret_values
        .unwrap_or_default()
        .into_iter()
        .filter_map(|entry| {
            Some(SecretEntry {
                arn: entry.arn.unwrap_or_default(),
                name: entry.name.unwrap_or_default(),
                value: secret(entry.secret_string, entry.secret_binary)?,
            })
        });
    let errors = output
        .errors
        .unwrap_or_default()
        .into_iter()
        .map(|error| ErrorEntry {
            id: error.secret_id.unwrap_or_default(),
            code: error.error_code.unwrap_or_default(),
            message: error.message.unwrap_or_default(),
        });
    BatchReply {
        values: values.collect(),
        errors: errors.collect(),
        next: output.next_token,
    }
}

fn parameters_reply(output: aws_sdk_ssm::operation::get_parameters::GetParametersOutput) -> ParametersReply {
    let values = output
        .parameters
        .unwrap_or_default()
        .into_iter()
        .filter_map(|parameter| {
            Some(ParameterEntry {
                arn: parameter.arn.unwrap_or_default(),
                name: parameter.name.unwrap_or_default(),
                selector: parameter.selector,
                version: parameter.version,
                value: Secret::new(parameter.value?),
            })
        });
    ParametersReply {
        values: values.collect(),
        invalid: output.invalid_parameters.unwrap_or_default(),
    }
}

/// What an error of the SDK means. Its own words are kept for a failed connection only: those for an answer
/// that cannot be read may quote it.
fn call_error<E>(action: &'static str, error: &SdkError<E>) -> CallError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let failed = |kind, detail: &str, transient| CallError {
        problem: Problem::of(kind, detail),
        transient,
        wait: None,
    };
    match error {
        SdkError::ServiceError(answer) => {
            let (code, message) = (answer.err().code(), answer.err().message().unwrap_or_default());
            let status = answer.raw().status().as_u16();
            let verdict = classify(action, code, message, status);
            let words = match code {
                Some(code) => sentence(code, message),
                None => format!("HTTP status {status}, without an error of AWS's"),
            };
            CallError {
                problem: Problem::of(verdict.kind, words),
                transient: verdict.transient,
                wait: retry_after(answer.raw()),
            }
        }
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => connect_error(error),
            None => failed(FailureKind::Unavailable, "the request could not be sent", true),
        },
        SdkError::TimeoutError(_) => failed(FailureKind::TimedOut, "the SDK's own time limit passed", true),
        SdkError::ResponseError(_) => failed(
            FailureKind::Unavailable,
            "the answer could not be read or understood",
            true,
        ),
        // An endpoint's URL that is none, a region that cannot be.
        _ => failed(FailureKind::Unavailable, "the request could not be made", false),
    }
}

/// What a connection that failed means.
pub(super) fn connect_error(error: &ConnectorError) -> CallError {
    let mut words = chain(error);
    let (kind, transient) = if has_cause::<NoTrustRoots>(error) {
        (FailureKind::NoTrustRoots, false)
    } else if !has_cause::<To>(error) {
        // It did not get as far as to a host. The SDK's words would show the whole request.
        words =
            "the request could not be made; an endpoint that was set has to begin with http:// or https://"
                .into();
        (FailureKind::Unavailable, false)
    } else if words.contains("invalid peer certificate") {
        // The same server shows the same certificate next time.
        (FailureKind::Unavailable, false)
    } else if error.is_timeout() {
        (FailureKind::TimedOut, true)
    } else {
        (FailureKind::Unavailable, true)
    };
    CallError {
        problem: Problem::of(kind, words),
        transient,
        wait: None,
    }
}

/// Whether one of the causes of an error is an `E`.
pub(super) fn has_cause<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    cause::<E>(error).is_some()
}

/// The first of the causes of an error that is an `E`.
pub(super) fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}

/// An error and its causes, as one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for error in causes(error) {
        let text = error.to_string();
        // Many say what their cause says.
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
    }
    crate::detail::clean_detail(&words.join(": "))
}

/// How long the service asks to be left alone: seconds, or milliseconds in AWS's own header.
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let number = |name: &str| response.headers().get(name)?.trim().parse::<u64>().ok();
    let seconds = number("retry-after").map(Duration::from_secs);
    seconds.or_else(|| number("x-amz-retry-after").map(Duration::from_millis))
}

#[cfg(test)]
mod tests {
    use super::super::connect::name_host;
    use super::*;

    fn connection(error: ConnectorError) -> CallError {
        connect_error(&name_host(error, "example.com:443".into()))
    }

    #[test]
    fn connections_that_fail() {
        let judge = |error| {
            let error = connection(error);
            (error.problem.kind, error.transient)
        };
        let io = |words: &str| ConnectorError::io(words.to_owned().into());
        assert_eq!(judge(io("connection reset")), (FailureKind::Unavailable, true));
        assert_eq!(
            judge(ConnectorError::timeout("slow".into())),
            (FailureKind::TimedOut, true)
        );
        let untrusted = io("invalid peer certificate: UnknownIssuer");
        assert_eq!(judge(untrusted), (FailureKind::Unavailable, false));
    }

    #[test]
    fn the_host_is_named_and_nothing_is_said_twice() {
        let error = connection(ConnectorError::io("connection reset".into()));
        let detail = error.problem.detail.unwrap();
        assert_eq!(
            detail,
            "io error: cannot talk to example.com:443: connection reset"
        );
    }

    #[test]
    fn without_authorities_nothing_is_tried_again() {
        let error = connect_error(&ConnectorError::other(NoTrustRoots.into(), None));
        assert_eq!(
            (error.problem.kind, error.transient),
            (FailureKind::NoTrustRoots, false)
        );
    }

    #[test]
    fn a_request_that_cannot_be_made_is_not_shown() {
        let error = connect_error(&ConnectorError::other("Request { secret }".into(), None));
        assert_eq!(
            (&error.problem.kind, error.transient),
            (&FailureKind::Unavailable, false)
        );
        assert!(!error.problem.detail.unwrap().contains("secret"));
    }

    fn told(name: &'static str, value: &'static str) -> Option<Duration> {
        let mut response = Response::new(429.try_into().unwrap(), ());
        response.headers_mut().insert(name, value);
        retry_after(&response)
    }

    #[test]
    fn how_long_to_wait() {
        assert_eq!(told("Retry-After", "3"), Some(Duration::from_secs(3)));
        assert_eq!(
            told("x-amz-retry-after", "1500"),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(told("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(
            told("retry-after", "18446744073709551615"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(told("date", "3"), None);
    }
}
