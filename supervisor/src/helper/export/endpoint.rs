//! Where spans are sent to.

use axum::http::Uri;

/// The path of OTLP/HTTP for traces.
pub(super) const PATH: &str = "/v1/traces";

/// A variable, if it is set to something.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// By gRPC: the address alone counts. `configured` wins over the environment, and that over the default.
pub(super) fn grpc(configured: Option<&str>, variable: Variables<'_>) -> Result<Uri, String> {
    let named = configured
        .map(|url| ("[trace] endpoint", url.to_owned()))
        .or_else(|| named(variable, TRACES))
        .or_else(|| named(variable, ALL));
    let Some((name, url)) = named else {
        return read("", "http://localhost:4317");
    };
    if url.contains("://") {
        return read(name, &url);
    }
    // OpenTelemetry's protocol/exporter.md: without a scheme, these variables decide.
    let insecure = variable("OTEL_EXPORTER_OTLP_TRACES_INSECURE")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_INSECURE"))
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let scheme = if insecure { "http" } else { "https" };
    read(name, &format!("{scheme}://{url}"))
}

/// By HTTP: the path is added to what is configured and to `OTEL_EXPORTER_OTLP_ENDPOINT`, not to the variable for
/// traces alone.
pub(super) fn http(configured: Option<&str>, variable: Variables<'_>) -> Result<Uri, String> {
    if let Some(url) = configured {
        return read("[trace] endpoint", &with_path(url));
    }
    if let Some((name, url)) = named(variable, TRACES) {
        return read(name, &url);
    }
    match named(variable, ALL) {
        Some((name, url)) => read(name, &with_path(&url)),
        None => read("", &with_path("http://localhost:4318")),
    }
}

/// X-Ray's of a region; `configured` stands in for it.
pub(super) fn xray(configured: Option<&str>, region: &str) -> Result<Uri, String> {
    match configured {
        Some(url) => read("[trace] endpoint", &with_path(url)),
        None => {
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            let url = format!("https://xray.{region}.amazonaws.com{suffix}{PATH}");
            // Without it: whatever it is, it is no region.
            read("", &url)
                .map_err(|_| "the region is none; write one such as eu-west-1 into AWS_REGION".to_owned())
        }
    }
}

/// The region in the name of one of AWS's own hosts: `https://xray.eu-west-1.amazonaws.com`.
pub(super) fn region_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let region = uri.host()?.strip_prefix("xray.")?;
    let (region, _) = region.split_once(".amazonaws.com")?;
    Some(region.to_owned())
}

const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn named(variable: Variables<'_>, name: &'static str) -> Option<(&'static str, String)> {
    Some((name, variable(name)?))
}

fn with_path(url: &str) -> String {
    let (base, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    let base = base.trim_end_matches('/');
    let path = if base.ends_with(PATH) { "" } else { PATH };
    format!("{base}{path}{query}")
}

fn read(name: &str, url: &str) -> Result<Uri, String> {
    // Without the text, which may have a password or a key in it.
    url.trim()
        .parse()
        .map_err(|_| format!("{name} is no URL; write one such as http://collector:4318"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |wanted| {
            let found = set.iter().find(|(name, _)| *name == wanted)?;
            Some(found.1.to_owned())
        }
    }

    #[test]
    fn the_path_of_http() {
        for (configured, set, expected) in [
            (None, &[][..], "http://localhost:4318/v1/traces"),
            (None, &[(ALL, "http://c:4318")], "http://c:4318/v1/traces"),
            (None, &[(ALL, "http://c:4318/")], "http://c:4318/v1/traces"),
            (None, &[(ALL, "http://c/otlp")], "http://c/otlp/v1/traces"),
            (None, &[(ALL, "http://c/?k=1/")], "http://c/v1/traces?k=1/"),
            (None, &[(ALL, "http://a"), (TRACES, "http://b/x")], "http://b/x"),
            (Some("http://k"), &[(TRACES, "http://b/x")], "http://k/v1/traces"),
            (Some("http://k/v1/traces"), &[], "http://k/v1/traces"),
            (Some("http://k/v1/traces/"), &[], "http://k/v1/traces"),
        ] {
            let uri = http(configured, &variables(set)).expect("a URL");
            assert_eq!(uri.to_string(), expected);
        }
    }

    #[test]
    fn the_scheme_of_grpc() {
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        for (configured, set, expected) in [
            (None, &[][..], "http://localhost:4317/"),
            (None, &[(ALL, "http://c:4317")], "http://c:4317/"),
            (None, &[(ALL, "c:4317")], "https://c:4317/"),
            (None, &[(ALL, "c:4317"), insecure], "http://c:4317/"),
            (None, &[(ALL, "https://c:4317"), insecure], "https://c:4317/"),
            (None, &[(ALL, "http://a"), (TRACES, "http://b")], "http://b/"),
            (Some("http://k"), &[(TRACES, "http://b")], "http://k/"),
        ] {
            let uri = grpc(configured, &variables(set)).expect("a URL");
            assert_eq!(uri.to_string(), expected);
        }
    }

    #[test]
    fn the_host_of_xray() {
        for (configured, region, expected) in [
            (
                None,
                "eu-west-1",
                "https://xray.eu-west-1.amazonaws.com/v1/traces",
            ),
            (
                None,
                "cn-north-1",
                "https://xray.cn-north-1.amazonaws.com.cn/v1/traces",
            ),
            (
                Some("http://127.0.0.1:1"),
                "eu-west-1",
                "http://127.0.0.1:1/v1/traces",
            ),
        ] {
            assert_eq!(xray(configured, region).expect("a URL").to_string(), expected);
        }
        let no_region = xray(None, "eu west").expect_err("no region");
        assert!(no_region.contains("AWS_REGION"), "{no_region}");
        for (url, region) in [
            (
                "https://xray.eu-west-1.amazonaws.com/v1/traces",
                Some("eu-west-1"),
            ),
            ("https://xray.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("http://127.0.0.1:1", None),
            ("https://vpce-1.xray.eu-west-1.vpce.amazonaws.com", None),
        ] {
            assert_eq!(region_of(url).as_deref(), region);
        }
    }

    #[test]
    fn what_is_no_url_is_named_but_not_shown() {
        for url in ["http://", "http://u:secret p@x", "::secret"] {
            let error = http(None, &variables(&[(ALL, url)])).expect_err(url);
            assert!(error.contains(ALL) && !error.contains("secret"), "{error}");
        }
    }
}
