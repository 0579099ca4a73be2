//! The helper that exports traces: a job on stdin, one export, what came of it on the answer descriptor, the end.
//!
//! Being a process of its own, it calls OpenTelemetry's exporters directly, in its own runtime: no provider, no
//! processor that has to be flushed, nothing that could hold up PID 1.

mod endpoint;
mod grpc;
mod heard;
mod http;
mod hush;
mod resource;
mod spans;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::trace::SpanExporter as _;
use runmate_health::Step;
use runmate_health::checks::Peer;
use runmate_secrets::Signer;
use tokio::time::{Instant, timeout_at};
use tracing_subscriber::layer::SubscriberExt;

use self::heard::{Heard, Listener, cut, one_line};
use self::hush::Hush;
use self::resource::Ecs;
use super::ANSWER_FD;
use super::export_protocol::{Answer, Job, Rejection};
use crate::config::Exporter;
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
    prepare(&job);
    let hush = Hush::of(&job.env, variable);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the event loop: {error}"))?;
    let heard = Heard::default();
    let log = tracing_subscriber::registry().with(Listener(heard.clone()));
    let _listening = tracing::subscriber::set_default(log);
    let answer = runtime.block_on(export(job, heard));
    // A lookup of a name that hangs keeps a thread, which must not keep us.
    runtime.shutdown_background();
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
fn prepare(job: &Job) {
    sys::set_variables(&job.env);
    // Compression is left out of the binary: nothing that would ask for it may be seen.
    sys::unset(&[
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    ]);
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

async fn export(job: Job, heard: Heard) -> Answer {
    let deadline = Instant::now() + job.timeout;
    let step = Step::default();
    match timeout_at(deadline, step.watch(send(job, deadline, &step, &heard))).await {
        Ok(answer) => answer,
        Err(_) => Err(late(&step, &heard)),
    }
}

/// What to say when the time is up: what was being done, and what went wrong before.
fn late(step: &Step, heard: &Heard) -> String {
    let step = step.last();
    let doing = step.as_deref().unwrap_or("preparing");
    match heard.take() {
        Some(before) => format!("the time was up while {doing}; before that: {before}"),
        None => format!("the time was up while {doing}"),
    }
}

async fn send(job: Job, deadline: Instant, step: &Step, heard: &Heard) -> Answer {
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    step.tell("asking the platform's metadata endpoint");
    let ecs = Ecs::ask(&env, job.timeout / 4).await;
    let way = Way {
        timeout: job.timeout,
        deadline,
        step,
        heard,
    };
    let built = match &job.exporter {
        Exporter::Off => return Ok(None),
        Exporter::OtlpGrpc(url) => way.grpc(endpoint::grpc(url.as_deref(), &variable)?),
        Exporter::OtlpHttp(url) => way.http(endpoint::http(url.as_deref(), &variable)?, None),
        Exporter::Xray(url) => way.xray(url.as_deref(), &ecs).await?,
    };
    let mut exporter = built?;
    exporter.set_resource(&resource::resource(&job.service, job.resource, &env, &ecs));
    heard.take();
    let exported = exporter.export(spans::spans(job.spans)).await;
    heard.verdict().unwrap_or_else(|| match exported {
        // What else was heard is of attempts before.
        Ok(()) => Ok(None),
        Err(error) => Err(heard.take().unwrap_or_else(|| error.to_string())),
    })
}

/// How exporters are made.
struct Way<'a> {
    timeout: Duration,
    deadline: Instant,
    step: &'a Step,
    heard: &'a Heard,
}

type Built = Result<SpanExporter, String>;

impl Way<'_> {
    fn grpc(&self, uri: Uri) -> Built {
        let connector = grpc::Connector {
            peer: peer(&uri)?,
            step: self.step.clone(),
            heard: self.heard.clone(),
        };
        SpanExporter::builder()
            .with_tonic()
            .with_channel(grpc::channel(uri, connector))
            .with_timeout(self.timeout)
            .build()
            .map_err(unusable)
    }

    fn http(&self, uri: Uri, signer: Option<Signer>) -> Built {
        let client = http::Client {
            peer: peer(&uri)?,
            signer,
            step: self.step.clone(),
            heard: self.heard.clone(),
        };
        SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(client)
            .with_endpoint(uri.to_string())
            .with_timeout(self.timeout)
            .build()
            .map_err(unusable)
    }

    async fn xray(&self, url: Option<&str>, ecs: &Ecs) -> Result<Built, String> {
        let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let region = names.into_iter().find_map(variable);
        let region = region
            .or_else(|| ecs.region().map(str::to_owned))
            .or_else(|| endpoint::region_of(url?))
            .ok_or("the region of X-Ray is not known; set AWS_REGION")?;
        let uri = endpoint::xray(url, &region)?;
        self.step.tell("loading credentials for AWS");
        let left = self.deadline.saturating_duration_since(Instant::now());
        let signer = Signer::from_env(&region, left).await.map_err(|problem| {
            let why = problem.detail.unwrap_or_else(|| problem.kind.name().to_owned());
            format!("no credentials to sign with: {why}")
        })?;
        Ok(self.http(uri, Some(signer)))
    }
}

fn peer(uri: &Uri) -> Result<Arc<Peer>, String> {
    let peer = Peer::of(uri).map_err(|error| format!("the endpoint of traces cannot be used: {error}"))?;
    Ok(Arc::new(peer))
}

/// Its words may have a header or a URL in them.
fn unusable(_: ExporterBuildError) -> String {
    "the settings of OpenTelemetry in the environment cannot be used".to_owned()
}
