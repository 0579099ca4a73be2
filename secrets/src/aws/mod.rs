//! Values from Secrets Manager and Parameter Store.

mod api;
mod caller;
mod classify;
mod client;
mod connect;
mod credentials;
mod parameters;
mod retry;
mod secrets_manager;
mod signer;

pub use self::signer::{Signer, Unsigned};

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::{Instant, timeout_at};

use self::api::Api;
use self::caller::{Caller, Gate};
use self::client::Clients;
use crate::plan::{RegionPlan, distinct, plan};
use crate::{Answers, FailureKind, ParameterRef, Problem, Reference, Secret, SecretsManagerRef, Source};

/// Credentials that end sooner than this are renewed before they are used.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// Secrets Manager and Parameter Store, with the credentials of the SDK's default chain.
///
/// Each region is asked in as few calls as its services allow. Endpoints can be changed by the SDK's own
/// variables (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL_SSM`) and profiles.
/// Clients and credentials are kept from one fetch to the next, and renewed when they end.
pub struct AwsSource {
    http: SharedHttpClient,
    session: tokio::sync::Mutex<Option<Session>>,
    gates: Gates,
}

/// Clients, and how long their credentials are good.
#[derive(Clone)]
struct Session {
    clients: Arc<Clients>,
    expiry: Option<SystemTime>,
}

/// What is known of the regions.
type Gates = Mutex<BTreeMap<String, Arc<Gate>>>;

impl AwsSource {
    /// A source for the environment this program runs in. Nothing is read, loaded or called before the first
    /// fetch.
    pub fn from_env() -> AwsSource {
        AwsSource {
            http: connect::http_client(),
            session: tokio::sync::Mutex::new(None),
            gates: Gates::default(),
        }
    }

    async fn session(&self, region: &str, attempt: Duration, deadline: Instant) -> Result<Session, Problem> {
        let late = |_| {
            Problem::of(
                FailureKind::TimedOut,
                "another fetch was loading credentials all the time",
            )
        };
        let mut kept = timeout_at(deadline, self.session.lock()).await.map_err(late)?;
        let now = SystemTime::now();
        if let Some(session) = kept.as_ref()
            && session.expiry.is_none_or(|expiry| expiry > now + RENEW_BEFORE)
        {
            return Ok(session.clone());
        }
        connect::check_endpoints(|name| env::var(name).ok())?;
        let credentials = credentials::load(&self.http, region, attempt, deadline).await?;
        let expiry = credentials.expiry();
        // Retries and time limits are ours (see `retry`). The region is each client's own.
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .credentials_provider(credentials)
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .load()
            .await;
        let session = Session {
            clients: Arc::new(Clients::new(config)),
            expiry,
        };
        *kept = Some(session.clone());
        Ok(session)
    }

    async fn fetch_all(&self, references: &[Reference], deadline: Instant) -> Vec<Result<Secret, Problem>> {
        let attempt = retry::attempt_limit(deadline.saturating_duration_since(Instant::now()));
        let Some(region) = references.iter().find_map(Reference::region) else {
            return not_ours(references);
        };
        let session = match self.session(region, attempt, deadline).await {
            Ok(session) => session,
            Err(problem) => return vec![Err(problem); references.len()],
        };
        let answers = fetch(&*session.clients, &self.gates, references, attempt, deadline).await;
        let refused = |answer: &Result<Secret, Problem>| matches!(answer, Err(problem) if problem.kind == FailureKind::CredentialsRefused);
        if answers.iter().any(refused) {
            *self.session.lock().await = None;
        }
        answers
    }
}

impl fmt::Debug for AwsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsSource").finish_non_exhaustive()
    }
}

impl Source for AwsSource {
    fn fetch<'a>(&'a self, references: &'a [Reference], deadline: std::time::Instant) -> Answers<'a> {
        Box::pin(self.fetch_all(references, Instant::from_std(deadline)))
    }
}

/// Fetches each value once and by the plan, all regions at the same time.
async fn fetch<A: Api>(
    api: &A,
    gates: &Gates,
    references: &[Reference],
    attempt: Duration,
    deadline: Instant,
) -> Vec<Result<Secret, Problem>> {
    let (references, places) = distinct(references.iter().map(Reference::without_json_key));
    let references = &references;
    let plans = plan(references);
    let regions = plans.iter().map(|(region, plan)| {
        let fetch = async move {
            let gate = gate(gates, region);
            let caller = Caller {
                api,
                region,
                gate: &gate,
                deadline,
                attempt,
            };
            fetch_region(&caller, plan, references).await
        };
        Box::pin(fetch) as BoxFuture<'_, _>
    });
    let mut answers = not_ours(references);
    for (index, answer) in join_all(regions).await.into_iter().flatten() {
        answers[index] = answer;
    }
    places.into_iter().map(|place| answers[place].clone()).collect()
}

fn gate(gates: &Gates, region: &str) -> Arc<Gate> {
    let mut gates = gates.lock().unwrap_or_else(PoisonError::into_inner);
    gates.entry(region.to_owned()).or_default().clone()
}

type Numbered = Vec<(usize, Result<Secret, Problem>)>;

async fn fetch_region<A: Api>(
    caller: &Caller<'_, A>,
    plan: &RegionPlan,
    references: &[Reference],
) -> Numbered {
    let mut calls: Vec<BoxFuture<'_, Numbered>> = Vec::new();
    calls.push(Box::pin(fetch_batches(caller, &plan.secret_batches, references)));
    calls.push(Box::pin(async {
        let indices = &plan.single_secrets;
        numbered(
            indices,
            secrets_manager::singles(caller, &secrets(references, indices)).await,
        )
    }));
    for indices in &plan.parameter_batches {
        calls.push(Box::pin(async {
            numbered(
                indices,
                parameters::batch(caller, &parameters(references, indices)).await,
            )
        }));
    }
    join_all(calls).await.into_iter().flatten().collect()
}

/// Fetches batches of secrets. The first goes ahead: if the batch action is denied, that is one call in vain
/// and not as many as there are batches.
async fn fetch_batches<A: Api>(
    caller: &Caller<'_, A>,
    batches: &[Vec<usize>],
    references: &[Reference],
) -> Numbered {
    let fetch = |indices| async move {
        numbered(
            indices,
            secrets_manager::batch(caller, &secrets(references, indices)).await,
        )
    };
    let Some((first, others)) = batches.split_first() else {
        return Vec::new();
    };
    let mut answers = fetch(first).await;
    let others = others
        .iter()
        .map(|indices| Box::pin(fetch(indices)) as BoxFuture<'_, _>);
    answers.extend(join_all(others).await.into_iter().flatten());
    answers
}

fn numbered(indices: &[usize], answers: Vec<Result<Secret, Problem>>) -> Numbered {
    indices.iter().copied().zip(answers).collect()
}

fn secrets<'a>(references: &'a [Reference], indices: &[usize]) -> Vec<&'a SecretsManagerRef> {
    let secret = |index: &usize| match &references[*index] {
        Reference::SecretsManager(secret) => Some(secret),
        _ => None,
    };
    indices.iter().filter_map(secret).collect()
}

fn parameters<'a>(references: &'a [Reference], indices: &[usize]) -> Vec<&'a ParameterRef> {
    let parameter = |index: &usize| match &references[*index] {
        Reference::Parameter(parameter) => Some(parameter),
        _ => None,
    };
    indices.iter().filter_map(parameter).collect()
}

/// The answer to what is not in AWS.
fn not_ours(references: &[Reference]) -> Vec<Result<Secret, Problem>> {
    let problem = Problem::of(FailureKind::NotFound, "this is no reference to AWS");
    vec![Err(problem); references.len()]
}

#[cfg(test)]
mod tests;
