//! What the environment tells about where we run, in the words of OpenTelemetry's semantic conventions. Nobody is
//! asked: what only a network call can tell is for the helper that exports.

use crate::config::Platform;

/// What is known of the resource; `get` gives variables that hold what they say.
pub(crate) fn attributes<'a>(
    platform: Platform,
    get: impl Fn(&str) -> Option<&'a str>,
) -> Vec<(String, String)> {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    let any = |names: &[&str]| names.iter().find_map(|name| get(name));
    let region = || any(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    let known: Vec<(&str, Option<&str>)> = match platform {
        Platform::Ecs => vec![
            ("cloud.provider", Some("aws")),
            ("cloud.platform", Some("aws_ecs")),
            ("cloud.region", region()),
        ],
        Platform::AppRunner => vec![
            ("cloud.provider", Some("aws")),
            ("cloud.platform", Some("aws_app_runner")),
            ("cloud.region", region()),
        ],
        Platform::CloudRun => vec![
            ("cloud.provider", Some("gcp")),
            ("cloud.platform", Some("gcp_cloud_run")),
            ("faas.name", any(&["K_SERVICE", "CLOUD_RUN_JOB"])),
            ("faas.version", get("K_REVISION")),
            ("gcp.cloud_run.job.execution", get("CLOUD_RUN_EXECUTION")),
            ("gcp.cloud_run.job.task_index", get("CLOUD_RUN_TASK_INDEX")),
        ],
        // The kubelet names the container's host after the pod; the others are what manifests call them.
        Platform::Kubernetes => vec![
            ("k8s.pod.name", any(&["POD_NAME", "K8S_POD_NAME", "HOSTNAME"])),
            (
                "k8s.namespace.name",
                any(&["POD_NAMESPACE", "K8S_NAMESPACE", "NAMESPACE"]),
            ),
            ("k8s.node.name", any(&["NODE_NAME", "K8S_NODE_NAME"])),
        ],
        Platform::Docker => Vec::new(),
    };
    let known = known.into_iter();
    known
        .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
        .collect()
}

/// As the value of `OTEL_RESOURCE_ATTRIBUTES`; `None` if nothing is known.
pub(crate) fn variable(attributes: &[(String, String)]) -> Option<String> {
    let pairs: Vec<String> = attributes
        .iter()
        .map(|(key, value)| format!("{key}={}", encoded(value)))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join(","))
}

/// Percent-encoded: all but what is unreserved in a URL (RFC 3986), and so also all that separates pairs.
fn encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What the value of `OTEL_RESOURCE_ATTRIBUTES` says: `key=value,key=value`, percent-encoded.
pub(crate) fn parse(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split(',').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then(|| (key.to_owned(), decode(value.trim())))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        match escaped.flatten() {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(platform: Platform, env: &[(&'static str, &'static str)]) -> String {
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        variable(&attributes(platform, get)).unwrap_or_default()
    }

    #[test]
    fn each_platform_tells_what_its_environment_knows() {
        let region = [("AWS_REGION", "eu-west-1"), ("HOSTNAME", "ip-10-0-0-1")];
        assert_eq!(
            of(Platform::Ecs, &region),
            "cloud.provider=aws,cloud.platform=aws_ecs,cloud.region=eu-west-1"
        );
        assert_eq!(
            of(Platform::AppRunner, &[("AWS_REGION", "")]),
            "cloud.provider=aws,cloud.platform=aws_app_runner"
        );
        assert_eq!(
            of(
                Platform::CloudRun,
                &[("K_SERVICE", "hello"), ("K_REVISION", "hello-1")]
            ),
            "cloud.provider=gcp,cloud.platform=gcp_cloud_run,faas.name=hello,faas.version=hello-1"
        );
        assert_eq!(
            of(
                Platform::Kubernetes,
                &[("HOSTNAME", "web-0"), ("POD_NAMESPACE", "shop")]
            ),
            "k8s.pod.name=web-0,k8s.namespace.name=shop"
        );
        assert_eq!(of(Platform::Docker, &region), "");
    }

    #[test]
    fn values_keep_out_of_each_others_way() {
        let name = [("POD_NAME", "a=b,c d%é")];
        assert_eq!(
            of(Platform::Kubernetes, &name),
            "k8s.pod.name=a%3Db%2Cc%20d%25%C3%A9"
        );
        let read: Vec<_> = parse(" k8s.pod.name = a%3Db%2Cc%20d%25%C3%A9,=x,broken=5%").collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(read, [pair("k8s.pod.name", "a=b,c d%é"), pair("broken", "5%")]);
    }

    #[test]
    fn percent_signs_that_escape_nothing_stay() {
        for (text, expected) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%C3%A9", "é"),
            ("100%", "100%"),
        ] {
            assert_eq!(decode(text), expected);
        }
    }
}
