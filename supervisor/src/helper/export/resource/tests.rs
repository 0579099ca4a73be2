use super::*;

fn env(set: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = set.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn shown(resource: &Resource) -> Attributes {
    let pairs = resource.iter();
    pairs
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

#[test]
fn what_says_it_more_precisely_wins() {
    let env = env(&[(
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.version=2,a=b%20c, d = e ,=x,nonsense,empty=,service.name=other",
    )]);
    let known = vec![
        ("service.version".to_owned(), "1".to_owned()),
        ("service.instance.id".to_owned(), "i".to_owned()),
    ];
    let shown = shown(&resource("checkout", known, &env, &Ecs::default()));
    for (key, value) in [
        ("service.name", "checkout"),
        ("service.version", "2"),
        ("service.instance.id", "i"),
        ("a", "b c"),
        ("d", "e"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.distro.name", "runmate"),
    ] {
        assert_eq!(shown.get(key).map(String::as_str), Some(value), "{shown:?}");
    }
    assert!(!shown.contains_key("empty") && !shown.contains_key(""));
    assert!(!shown.contains_key("cloud.provider"));
}

#[test]
fn the_version_of_the_sdk_is_the_one_that_is_built_in() {
    let lock = include_str!("../../../../../Cargo.lock");
    let entry = format!("name = \"opentelemetry_sdk\"\nversion = \"{SDK_VERSION}\"");
    assert!(lock.contains(&entry));
}

/// Shaped as in ECS's documentation, "Task metadata endpoint version 4", examples for Fargate.
fn fargate() -> Ecs {
    Ecs {
        container: serde_json::json!({
            "DockerId": "cd189a933e5849daa93386466019ab50-2495160603",
            "Name": "app",
            "DockerName": "app",
            "Image": "123456789012.dkr.ecr.us-west-2.amazonaws.com/app:latest",
            "ContainerARN": "arn:aws:ecs:us-west-2:123456789012:container/demo/cd189a933e5849daa93386466019ab50/05d6",
            "LogDriver": "awslogs",
            "LogOptions": {
                "awslogs-group": "/ecs/app",
                "awslogs-region": "us-west-2",
                "awslogs-stream": "ecs/app/cd189a933e5849daa93386466019ab50"
            }
        }),
        task: serde_json::json!({
            "Cluster": "arn:aws:ecs:us-west-2:123456789012:cluster/demo",
            "TaskARN": "arn:aws:ecs:us-west-2:123456789012:task/demo/cd189a933e5849daa93386466019ab50",
            "Family": "app",
            "Revision": "7",
            "LaunchType": "FARGATE",
            "AvailabilityZone": "us-west-2a"
        }),
    }
}

#[test]
fn ecs_tells_task_and_container() {
    let ecs = fargate();
    assert_eq!(ecs.region(), Some("us-west-2"));
    let found = of_ecs(&ecs);
    for (key, value) in [
        ("cloud.region", "us-west-2"),
        ("cloud.availability_zone", "us-west-2a"),
        ("cloud.account.id", "123456789012"),
        (
            "aws.ecs.task.arn",
            "arn:aws:ecs:us-west-2:123456789012:task/demo/cd189a933e5849daa93386466019ab50",
        ),
        ("aws.ecs.task.id", "cd189a933e5849daa93386466019ab50"),
        ("aws.ecs.task.family", "app"),
        ("aws.ecs.task.revision", "7"),
        ("aws.ecs.launchtype", "fargate"),
        (
            "aws.ecs.cluster.arn",
            "arn:aws:ecs:us-west-2:123456789012:cluster/demo",
        ),
        ("container.name", "app"),
        ("container.id", "cd189a933e5849daa93386466019ab50-2495160603"),
        ("aws.log.group.names", "/ecs/app"),
    ] {
        assert_eq!(found.get(key).map(String::as_str), Some(value), "{found:?}");
    }
}

#[test]
fn a_cluster_by_its_name_gets_its_arn() {
    let mut ecs = fargate();
    ecs.task["Cluster"] = "default".into();
    assert_eq!(
        of_ecs(&ecs)["aws.ecs.cluster.arn"],
        "arn:aws:ecs:us-west-2:123456789012:cluster/default"
    );
}

#[test]
fn documents_that_are_none_tell_nothing() {
    for nonsense in [
        Value::Null,
        serde_json::json!([]),
        serde_json::json!({"TaskARN": "arn:x"}),
    ] {
        let ecs = Ecs {
            container: nonsense.clone(),
            task: nonsense,
        };
        assert_eq!(ecs.region(), None);
        assert_eq!(of_ecs(&ecs)["cloud.region"], "");
    }
}

#[test]
fn kubernetes_has_its_namespace_in_a_file() {
    let namespace = Some("shop\n".to_owned());
    assert_eq!(
        found(&Ecs::default(), namespace),
        named([("k8s.namespace.name", "shop".into())])
    );
    assert!(found(&Ecs::default(), None).is_empty());
}

#[test]
fn what_the_platform_does_not_tell_leaves_what_is_known() {
    let env = env(&[("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x")]);
    let known = || vec![("cloud.region".to_owned(), "eu-west-1".to_owned())];
    let region = |ecs: &Ecs| shown(&resource("checkout", known(), &env, ecs))["cloud.region"].clone();
    assert_eq!(region(&Ecs::default()), "eu-west-1");
    assert_eq!(region(&fargate()), "us-west-2");
}
