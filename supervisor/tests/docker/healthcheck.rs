//! `HEALTHCHECK CMD ["runmate", "probe"]`, run by Docker itself.

use crate::docker::{Container, Images};

const APP: &str = "[process.app]\ncommand = [\"sh\", \"-c\", \"trap 'exit 0' TERM; sleep 1000 & wait\"]\n";

/// A container with this config, once Docker calls it healthy.
fn healthy(config: &str, options: &[&str]) -> Container {
    let variable = format!("RUNMATE_CONFIG_INLINE={config}");
    let options = [options, &["-e", &variable]].concat();
    let container = Container::run(Images::healthcheck(), &options, &[]);
    until(&container, "healthy");
    container
}

fn until(container: &Container, status: &str) {
    container.until(&format!("Docker calls it {status}"), |container| {
        container.inspect("{{.State.Health.Status}}") == status
    });
}

/// What the probe said last.
fn said(container: &Container) -> String {
    container.inspect("{{range .State.Health.Log}}{{.Output}}{{end}}")
}

#[test]
fn a_container_is_healthy_and_while_it_drains_unhealthy() {
    let config = format!("{APP}[run]\ndrain_delay = \"60s\"\nstop_budget = \"70s\"\n");
    let container = healthy(&config, &[]);
    container.signal("TERM");
    until(&container, "unhealthy");
    let said = said(&container);
    assert!(
        said.contains("http://127.0.0.1:9180/healthz answered 503"),
        "{said}"
    );
    // The second one ends the delay.
    container.signal("TERM");
    assert_eq!(container.wait(), 0);
}

#[test]
fn a_container_whose_process_is_down_is_unhealthy_until_it_is_back() {
    let side = "[process.side]\ncommand = [\"sh\", \"-c\", \"while test ! -e /tmp/down; do sleep 0.1; done\"]\n\
                backoff = { min = \"5s\" }\n";
    let container = healthy(&format!("{APP}{side}"), &[]);
    container.shell("touch /tmp/down");
    until(&container, "unhealthy");
    container.shell("rm /tmp/down");
    until(&container, "healthy");
    container.stop();
    assert_eq!(container.exit_code(), 0);
}

#[test]
fn health_on_all_addresses_is_found_though_the_container_has_no_ipv6() {
    let config = format!("{APP}[health]\nlisten = \"[::]:9999\"\n");
    // The default up to Docker 26.
    let container = healthy(&config, &["--sysctl", "net.ipv6.conf.all.disable_ipv6=1"]);
    assert_eq!(container.shell("cat /proc/net/if_inet6"), "", "it has none");
    container.stop();
}

#[test]
fn without_health_endpoints_docker_is_told_why_the_container_is_unhealthy() {
    let variable = format!("RUNMATE_CONFIG_INLINE={APP}[health]\nlisten = \"off\"\n");
    let container = Container::run(Images::healthcheck(), &["-e", &variable], &[]);
    until(&container, "unhealthy");
    let said = said(&container);
    assert!(said.contains("health.listen is \"off\""), "{said}");
    container.stop();
}
