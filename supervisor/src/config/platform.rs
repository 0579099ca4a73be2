//! Where the container runs, seen from its environment, and what follows for the drain.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Platform;

/// The platforms by their names in the config.
pub(super) const NAMES: &[(&str, Platform)] = &[
    ("app-runner", Platform::AppRunner),
    ("ecs", Platform::Ecs),
    ("cloud-run", Platform::CloudRun),
    ("kubernetes", Platform::Kubernetes),
    ("docker", Platform::Docker),
];

/// Variables that give a platform away; the first that is set decides.
///
/// Kubernetes stands before Cloud Run because Knative, the API that Cloud Run implements, sets
/// K_SERVICE on plain clusters too.
const MARKERS: &[(&str, Platform)] = &[
    // Kubernetes docs, "Accessing the API from a Pod": set by the kubelet in every pod.
    ("KUBERNETES_SERVICE_HOST", Platform::Kubernetes),
    // Cloud Run docs, "Container runtime contract", "Environment variables" of services.
    ("K_SERVICE", Platform::CloudRun),
    // The same page, of jobs.
    ("CLOUD_RUN_JOB", Platform::CloudRun),
    // ECS docs, "Task metadata endpoint version 4": set by the agent on Fargate and EC2.
    ("ECS_CONTAINER_METADATA_URI_V4", Platform::Ecs),
];

/// The platform that the environment shows.
pub(super) fn detect(env: &BTreeMap<String, String>) -> Platform {
    let value = |name: &str| env.get(name).map(String::as_str).unwrap_or_default();
    if let Some((_, platform)) = MARKERS.iter().find(|(name, _)| !value(name).is_empty()) {
        return *platform;
    }
    // A heuristic, for no page of App Runner names a variable of its own: it runs on Fargate and
    // says so, but gives no task metadata endpoint, which a Fargate task always has.
    if value("AWS_EXECUTION_ENV").starts_with("AWS_ECS_FARGATE") {
        return Platform::AppRunner;
    }
    Platform::Docker
}

impl Platform {
    /// How long to keep serving after SIGTERM so that the load balancer lets go. Docker has none,
    /// and Cloud Run stops sending before it signals.
    pub(super) fn drain_delay(self) -> Duration {
        Duration::from_secs(match self {
            Platform::Docker | Platform::CloudRun => 0,
            Platform::AppRunner => 2,
            Platform::Ecs | Platform::Kubernetes => 5,
        })
    }

    /// The platform's time from SIGTERM to SIGKILL (10 s or 30 s by default), less a margin.
    pub(super) fn stop_budget(self) -> Duration {
        Duration::from_secs(match self {
            Platform::AppRunner | Platform::Docker | Platform::CloudRun => 9,
            Platform::Ecs | Platform::Kubernetes => 28,
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Platform::AppRunner => "app-runner",
            Platform::Ecs => "ecs",
            Platform::CloudRun => "cloud-run",
            Platform::Kubernetes => "kubernetes",
            Platform::Docker => "docker",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_told_by_their_variables() {
        for (env, expected) in [
            (&[][..], "docker"),
            (&[("K_SERVICE", "hello")], "cloud-run"),
            (&[("CLOUD_RUN_JOB", "hello")], "cloud-run"),
            (&[("K_SERVICE", "")], "docker"),
            (&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], "kubernetes"),
            (
                &[("K_SERVICE", "hello"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
                "kubernetes",
            ),
            (&[("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")], "app-runner"),
            (&[("AWS_EXECUTION_ENV", "AWS_ECS_EC2")], "docker"),
            (
                &[
                    ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"),
                    ("ECS_CONTAINER_METADATA_URI_V4", "http://x"),
                ],
                "ecs",
            ),
            (
                &[("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x")],
                "ecs",
            ),
        ] {
            let env = env
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            assert_eq!(detect(&env).to_string(), expected, "{env:?}");
        }
    }

    #[test]
    fn every_name_shows_as_it_is_written() {
        for (name, platform) in NAMES {
            assert_eq!(platform.to_string(), *name);
        }
    }
}
