//! `[logs]`: styles and names of fields.
use super::*;
use crate::config::Style;

fn errors_of(logs: &str) -> Vec<String> {
    errors(
        &World::new(),
        &format!("[process.app]\ncommand = [\"x\"]\n[logs]\n{logs}"),
    )
}

#[test]
fn styles_and_renames_are_read_and_shown() {
    let text = "[process.app]\ncommand = [\"x\"]\n[logs]\nstyle = \"ecs\"\n\
                fields = { level = \"severity\", message = \"log.level\" }";
    let plan = World::new().read(text).unwrap();
    assert_eq!(plan.logs.style, Style::Ecs);
    assert_eq!(
        plan.logs.fields["message"], "log.level",
        "a name that is free by now"
    );
    let shown = explain(&plan);
    assert!(
        shown.contains("json, style ecs, level as \"severity\", message as \"log.level\", secrets masked, "),
        "{shown}"
    );
    let json = explain_json(&plan);
    assert_eq!(json["logs"]["style"], "ecs");
    assert_eq!(json["logs"]["fields"]["level"], "severity");
    for (word, style) in [("lambda", Style::Lambda), ("otel", Style::Otel)] {
        let text = format!("[process.app]\ncommand = [\"x\"]\n[logs]\nstyle = \"{word}\"");
        assert_eq!(World::new().read(&text).unwrap().logs.style, style);
    }
}

#[test]
fn wrong_names_of_fields_are_named() {
    assert_eq!(
        errors_of("fields = { levle = \"severity\" }"),
        [
            "4: logs.fields.levle: is no field of a log line; there are timestamp, level, message, process, stream, pid, \
             trace_id, span_id, xray_trace_id, event; did you mean \"level\"?"
        ]
    );
    assert_eq!(
        errors_of("fields = { level = \"\" }"),
        ["4: logs.fields.level: cannot be empty; write another name, such as \"severity\""]
    );
    assert_eq!(
        errors_of("fields = { level = \"a\", message = \"a\" }"),
        ["4: logs.fields.message: cannot be \"a\": level has this name already; write another name"]
    );
    assert_eq!(
        errors_of("fields = { level = \"message\" }"),
        ["4: logs.fields.level: cannot be \"message\": message has this name already; write another name"]
    );
    assert_eq!(
        errors_of("style = \"otel\"\nfields = { level = \"resource\" }"),
        ["5: logs.fields.level: cannot be \"resource\": the style has a field resource; write another name"]
    );
    assert_eq!(
        errors_of("fields = { event = \"_aws\" }"),
        ["4: logs.fields.event: cannot be \"_aws\", which marks a metric of CloudWatch; write another name"]
    );
    assert_eq!(
        errors_of("fields = [\"level\"]"),
        ["4: logs.fields: cannot be a list; write a table such as { level = \"severity\" }"]
    );
}
