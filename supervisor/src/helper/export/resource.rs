//! Who the spans are of, by the names of OpenTelemetry's semantic conventions: what PID 1 knows, and what only asking
//! the platform tells.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Uri;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use runmate_health::checks::Peer;
use serde_json::Value;
use tokio::time::timeout;

use super::http;
use crate::trace::resource::parse;

/// Attributes by their names; the last of a name counts.
pub(super) type Attributes = BTreeMap<String, String>;

/// The longest that the platform's own endpoint is waited for: it is next door, and what it says is a courtesy.
const METADATA: Duration = Duration::from_millis(500);

/// Where the kubelet puts the namespace into every pod that has a service account.
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// What ECS says about the container and its task; both `Null` elsewhere.
#[derive(Default)]
pub(super) struct Ecs {
    container: Value,
    task: Value,
}

impl Ecs {
    /// Asks the task metadata endpoint, version 4.
    pub async fn ask(env: &BTreeMap<String, String>, most: Duration) -> Ecs {
        let Some(base) = env.get("ECS_CONTAINER_METADATA_URI_V4") else {
            return Ecs::default();
        };
        let both = async { tokio::join!(get(base.clone()), get(format!("{base}/task"))) };
        match timeout(METADATA.min(most), both).await {
            Ok((container, task)) => Ecs {
                container: container.unwrap_or_default(),
                task: task.unwrap_or_default(),
            },
            Err(_) => Ecs::default(),
        }
    }

    /// The region that the task runs in.
    pub fn region(&self) -> Option<&str> {
        Some(Arn::of(self.task["TaskARN"].as_str()?)?.region)
    }
}

async fn get(url: String) -> Option<Value> {
    let uri: Uri = url.parse().ok()?;
    let peer = Peer::of(&uri).ok()?;
    // The agent has a literal address; anything else would be a lookup, of a name that somebody else chose.
    if !peer.is_local() {
        return None;
    }
    let answer = http::get(&peer, &uri).await.ok()?;
    answer
        .status()
        .is_success()
        .then(|| serde_json::from_slice(answer.body()).ok())?
}

/// The resource of all spans. Who knows it better wins: the variable of OpenTelemetry over what the platform tells,
/// that over what PID 1 has seen.
pub(super) fn resource(
    service: &str,
    known: Vec<(String, String)>,
    env: &BTreeMap<String, String>,
    ecs: &Ecs,
) -> Resource {
    let mut attributes = Attributes::new();
    let mut put = |key: &str, value: &str| attributes.insert(key.to_owned(), value.to_owned());
    put("telemetry.sdk.name", "opentelemetry");
    put("telemetry.sdk.language", "rust");
    put("telemetry.sdk.version", SDK_VERSION);
    put("telemetry.distro.name", "runmate");
    put("telemetry.distro.version", env!("CARGO_PKG_VERSION"));
    attributes.extend(known);
    attributes.extend(found(ecs, std::fs::read_to_string(NAMESPACE).ok()));
    let written = env.get("OTEL_RESOURCE_ATTRIBUTES");
    attributes.extend(parse(written.map(String::as_str).unwrap_or_default()));
    attributes.insert("service.name".into(), service.into());
    attributes.retain(|_, value| !value.is_empty());
    let attributes = attributes
        .into_iter()
        .map(|(key, value)| KeyValue::new(key, value));
    Resource::builder_empty().with_attributes(attributes).build()
}

/// Of opentelemetry_sdk, which does not tell it; a test compares.
const SDK_VERSION: &str = "0.33.1";

/// What PID 1 cannot know from the environment alone.
fn found(ecs: &Ecs, namespace: Option<String>) -> Attributes {
    let mut found = of_ecs(ecs);
    let namespace = namespace.unwrap_or_default().trim().to_owned();
    found.insert("k8s.namespace.name".into(), namespace);
    found.retain(|_, value| !value.is_empty());
    found
}

fn named<const N: usize>(attributes: [(&str, String); N]) -> Attributes {
    attributes
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// The parts of `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
struct Arn<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl Arn<'_> {
    fn of(text: &str) -> Option<Arn<'_>> {
        let mut parts = text.splitn(6, ':');
        let ("arn", partition, _) = (parts.next()?, parts.next()?, parts.next()?) else {
            return None;
        };
        Some(Arn {
            partition,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        })
    }
}

fn of_ecs(Ecs { container, task }: &Ecs) -> Attributes {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let task_arn = text(&task["TaskARN"]);
    let Arn {
        partition,
        region,
        account,
        resource,
    } = Arn::of(&task_arn).unwrap_or(Arn {
        partition: "",
        region: "",
        account: "",
        resource: "",
    });
    // A cluster is told by its name on EC2, by its ARN on Fargate.
    let mut cluster = text(&task["Cluster"]);
    if !cluster.is_empty() && !cluster.starts_with("arn:") {
        cluster = format!("arn:{partition}:ecs:{region}:{account}:cluster/{cluster}");
    }
    let mut attributes = named([
        ("cloud.region", region.into()),
        ("cloud.availability_zone", text(&task["AvailabilityZone"])),
        ("cloud.account.id", account.into()),
        ("cloud.resource_id", text(&container["ContainerARN"])),
        ("aws.ecs.cluster.arn", cluster),
        ("aws.ecs.container.arn", text(&container["ContainerARN"])),
        ("aws.ecs.launchtype", text(&task["LaunchType"]).to_lowercase()),
        ("aws.ecs.task.family", text(&task["Family"])),
        ("aws.ecs.task.revision", text(&task["Revision"])),
        (
            "aws.ecs.task.id",
            resource.rsplit('/').next().unwrap_or_default().into(),
        ),
        ("container.id", text(&container["DockerId"])),
        ("container.name", text(&container["DockerName"])),
    ]);
    // X-Ray goes from a trace to these logs.
    let options = &container["LogOptions"];
    if container["LogDriver"] == "awslogs" {
        attributes.extend(named([
            ("aws.log.group.names", text(&options["awslogs-group"])),
            ("aws.log.stream.names", text(&options["awslogs-stream"])),
        ]));
    }
    attributes.insert("aws.ecs.task.arn".into(), task_arn);
    attributes
}

#[cfg(test)]
mod tests;
