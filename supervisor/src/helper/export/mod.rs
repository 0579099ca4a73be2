//! The helper that exports traces: a job on stdin, one export, what came of it on the answer descriptor, the end.
//!
//! One request is all that it ever sends, so it does without OpenTelemetry's exporters: their messages, by gRPC or HTTP
//! over hyper, and what a server answered in its own words. Nothing has to be flushed, nothing could hold up PID 1.

mod deliver;
mod endpoint;
mod grpc;
mod headers;
mod http;
mod hush;
mod reply;
mod resource;
mod spans;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Uri;
use prost::Message;
use runmate_health::Step;
use runmate_health::checks::Peer;
use runmate_secrets::Signer;
use tokio::time::{Instant, timeout_at};

use self::deliver::{Client, deliver, late};
use self::hush::Hush;
use self::reply::{cut, one_line};
use self::resource::Ecs;
use super::ANSWER_FD;
use super::export_protocol::{Answer, Job, Rejection};
use crate::config::Exporter;
use crate::event_loop;
use crate::process::{self, sys};
use crate::run::exit_code;

/// What the helper may map: a service that sends without end must not take the container's memory.
const MEMORY: u64 = 1 << 30;

/// Runs the helper; returns its exit code. It prints nothing: all it has to say is in the answer.
pub(crate) fn main() -> i32 {
    // Before anything else is opened: if it was not handed over, the number is soon somebody else's.
    let Some(mut out) = sys::take_descriptor(ANSWER_FD).map(File::from) else {
        return exit_code::USAGE;
    };
    // The exec undid what PID 1 had set for itself.
    if process::hold_secrets().is_err() {
        return exit_code::INTERNAL;
    }
    sys::limit_memory(MEMORY);
    let mut bytes = Vec::new();
    let read = match sys::take_descriptor(libc::STDIN_FILENO) {
        Some(stdin) => File::from(stdin).read_to_end(&mut bytes).ok(),
        None => None,
    };
    // The number is taken, or a connection would get it.
    let _stdin = File::open("/dev/null");
    let Some(job) = read.and_then(|_| serde_json::from_slice::<Job>(&bytes).ok()) else {
        return exit_code::USAGE;
    };
    // A panic would print to what may be the container's own output.
    std::panic::set_hook(Box::new(|_| {}));
    let answer: Answer = std::panic::catch_unwind(|| perform(job))
        .unwrap_or_else(|_| Err("the helper that exports them panicked".to_owned()));
    let written = serde_json::to_vec(&answer).map(|bytes| out.write_all(&bytes));
    match written {
        Ok(Ok(())) => 0,
        _ => exit_code::INTERNAL,
    }
}

fn perform(job: Job) -> Answer {
    set_environment(&job);
    let hush = Hush::of(&job.env, variable);
    let answer = event_loop::block_on(export(job))?;
    let told = |why: &str| cut(hush.hush(&one_line(why)));
    match answer {
        Ok(None) => Ok(None),
        Ok(Some(Rejection { spans, why })) => Ok(Some(Rejection {
            spans,
            why: told(&why),
        })),
        Err(why) => Err(told(&why)),
    }
}

/// Makes the environment what the libraries are to see of it. The program has one thread yet.
fn set_environment(job: &Job) {
    sys::set_variables(&job.env);
    if matches!(job.exporter, Exporter::Xray(_)) {
        return;
    }
    // Whom to trust is read where all of the program does.
    let names = [
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
    ];
    if let Some(file) = names.into_iter().find_map(variable) {
        sys::unset(&["SSL_CERT_DIR"]);
        sys::set_variables(&[("SSL_CERT_FILE".to_owned(), file)]);
    }
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn export(job: Job) -> Answer {
    let timeout = configured_timeout().map_or(job.timeout, |most| job.timeout.min(most));
    let deadline = Instant::now() + timeout;
    let step = Step::default();
    let prepared = timeout_at(deadline, step.watch(prepare(job, deadline, &step))).await;
    let Some((client, message)) = prepared.unwrap_or_else(|_| Err(late(&step, None)))? else {
        return Ok(None);
    };
    deliver(&client, &message, deadline, &step).await
}

/// How long OpenTelemetry's variables let an export take, in milliseconds; PID 1 may have less time.
fn configured_timeout() -> Option<Duration> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
    let millis = names.into_iter().find_map(variable)?.trim().parse().ok()?;
    (millis > 0).then(|| Duration::from_millis(millis))
}

/// Who is to get what; `None`: nobody.
async fn prepare(job: Job, deadline: Instant, step: &Step) -> Result<Option<(Client, Bytes)>, String> {
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    step.tell("asking the platform's metadata endpoint");
    let ecs = Ecs::ask(&env, left(deadline) / 4).await;
    let client = match &job.exporter {
        Exporter::Off => return Ok(None),
        Exporter::OtlpGrpc(url) => grpc(endpoint::grpc(url.as_deref(), &variable)?)?,
        Exporter::OtlpHttp(url) => http(endpoint::http(url.as_deref(), &variable)?)?,
        Exporter::Xray(url) => xray(url.as_deref(), &ecs, deadline, step).await?,
    };
    let resource = resource::resource(&job.service, job.resource, &env, &ecs);
    let resource = resource.iter();
    let resource = resource.map(|(key, value)| (key.to_string(), value.to_string()));
    let message = spans::request(resource, job.spans).encode_to_vec();
    Ok(Some((client, message.into())))
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn grpc(uri: Uri) -> Result<Client, String> {
    Ok(Client::Grpc(grpc::Client {
        peer: peer(&uri)?,
        uri,
        headers: headers::headers(&variable),
    }))
}

fn http(uri: Uri) -> Result<Client, String> {
    Ok(Client::Http(http::Client {
        peer: peer(&uri)?,
        uri,
        headers: headers::headers(&variable),
        signer: None,
    }))
}

async fn xray(url: Option<&str>, ecs: &Ecs, deadline: Instant, step: &Step) -> Result<Client, String> {
    let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let region = names.into_iter().find_map(variable);
    let region = region
        .or_else(|| ecs.region().map(str::to_owned))
        .or_else(|| endpoint::region_of(url?))
        .ok_or("the region of X-Ray is not known; set AWS_REGION")?;
    let uri = endpoint::xray(url, &region)?;
    let peer = peer(&uri)?;
    step.tell("loading credentials for AWS");
    let signer = Signer::from_env(&region, left(deadline)).await;
    let signer = signer.map_err(|problem| {
        let why = problem.detail.unwrap_or_else(|| problem.kind.name().to_owned());
        format!("no credentials to sign with: {why}")
    })?;
    Ok(Client::Http(http::Client {
        uri,
        peer,
        // The variables are of a collector: a token of one service is not for another.
        headers: headers::own(),
        signer: Some(signer),
    }))
}

fn peer(uri: &Uri) -> Result<Peer, String> {
    Peer::of(uri).map_err(|error| format!("the endpoint of traces cannot be used: {error}"))
}
