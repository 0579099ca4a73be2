//! Lines of processes on the stdin of others.

use super::*;

/// An app and a sidecar `shipper` that takes its lines; `more` stands in the table of the app.
fn with_shipper(more: &str, stdin: &str) -> String {
    format!(
        "[process.app]\ncommand = [\"x\"]\n{more}\n\
         [process.shipper]\ncommand = [\"y\"]\nstdin = {{ logs = {stdin} }}\n"
    )
}

#[test]
fn a_forwarder_starts_before_its_sources_and_stops_after_them() {
    let plan = plan(&with_shipper("logs = { stdout = false }", "[\"app\"]"));
    assert_eq!(plan.processes[1].stdin, Stdin::Logs(vec![ProcessId(0)]));
    assert_eq!(plan.processes[0].policy.after, [ProcessId(1)]);
    assert!(!plan.processes[0].to_stdout && plan.processes[1].to_stdout);
    assert_eq!(plan.forwarders(ProcessId(0)).collect::<Vec<_>>(), [ProcessId(1)]);
}

#[test]
fn an_order_that_was_written_is_not_doubled() {
    let plan = plan(&with_shipper("after = [\"shipper\"]", "[\"app\"]"));
    assert_eq!(plan.processes[0].policy.after, [ProcessId(1)]);
}

#[test]
fn names_are_checked() {
    let wrong = |stdin: &str| errors(&World::new(), &with_shipper("", stdin));
    assert_eq!(
        wrong("[\"ap\"]"),
        [
            "6: process.shipper.stdin.logs: there is no process \"ap\"; write the name of another one; did you mean \"app\"?"
        ]
    );
    assert_eq!(
        wrong("[\"app\", \"app\"]"),
        ["6: process.shipper.stdin.logs: \"app\" is named twice; remove one"]
    );
    assert_eq!(
        wrong("[\"shipper\"]"),
        ["6: process.shipper.stdin.logs: its own output would come back to it; remove it"]
    );
    for name in ["runmate", "migrate"] {
        let expected = format!(
            "6: process.shipper.stdin.logs: the lines of {name} itself go to stdout alone; remove it"
        );
        assert_eq!(wrong(&format!("[\"{name}\"]")), [expected]);
    }
    assert_eq!(
        wrong("[]"),
        ["6: process.shipper.stdin.logs: names nobody; write the names of the processes whose lines it gets"]
    );
    assert_eq!(
        wrong("\"app\""),
        ["6: process.shipper.stdin.logs: cannot be a string; write a list of names such as [\"app\"]"]
    );
}

#[test]
fn cycles_say_which_of_their_steps_is_a_way_of_lines() {
    let world = World::new();
    let text = "[process.app]\ncommand = [\"x\"]\n[process.shipper]\ncommand = [\"y\"]\nafter = [\"app\"]\n\
                stdin = { logs = [\"app\"] }\n";
    assert_eq!(
        errors(&world, text),
        [
            "5: process.shipper.after: a cycle: app -> shipper -> app would wait for each other for ever; shipper takes the \
          lines of app, so it starts first; remove one step"
        ]
    );
    let text = "[process.app]\ncommand = [\"x\"]\n[process.a]\ncommand = [\"y\"]\nstdin = { logs = [\"b\"] }\n\
                [process.b]\ncommand = [\"y\"]\nstdin = { logs = [\"a\"] }\n";
    assert_eq!(
        errors(&world, text),
        [
            "5: process.a.stdin: a cycle: a -> b -> a would wait for each other for ever; b takes the lines of a, so it \
          starts first; a takes the lines of b, so it starts first; remove one step"
        ]
    );
}

#[test]
fn only_a_sidecar_takes_lines_and_only_those_that_come_by() {
    let world = World::new();
    let inherit = with_shipper("logs = { format = \"inherit\" }", "[\"app\"]");
    assert_eq!(
        errors(&world, &inherit),
        [
            "6: process.shipper.stdin.logs: the lines of app do not pass through runmate (logs.format \"inherit\"); change \
          its format, or remove it"
        ]
    );
    let task = with_shipper("", "[\"app\"]\nkind = \"task\"")
        .replace("\"]\nkind = \"task\" }", "\"] }\nkind = \"task\"");
    assert_eq!(
        errors(&world, &task),
        [
            "6: process.shipper.stdin.logs: a task cannot take lines: those who write them start once it has ended; make it \
          a service"
        ]
    );
    let main = "[process.app]\ncommand = [\"x\"]\nstdin = { logs = [\"other\"] }\n[process.other]\ncommand = [\"y\"]\n";
    assert_eq!(
        errors(&world, main),
        [
            "3: process.app.stdin.logs: the main process cannot take lines: the container ends with it, and they come until \
          then; give them to a sidecar"
        ]
    );
    let nobody = "[process.app]\ncommand = [\"x\"]\nlogs = { stdout = false }\n";
    assert_eq!(
        errors(&world, nobody),
        [
            "3: process.app.logs.stdout: nobody would get its lines; write stdin = { logs = [\"app\"] } at the process that \
          takes them, or remove this"
        ]
    );
}

#[test]
fn what_goes_where_is_shown() {
    let both = plan(&with_shipper("logs = { format = \"text\" }", "[\"app\"]"));
    let text = explain(&both);
    assert!(text.contains("stdin     the lines of app, as JSON\n"), "{text}");
    assert!(
        text.contains("logs      text, and as JSON to shipper\n"),
        "{text}"
    );
    let json = explain_json(&both);
    assert_eq!(
        json["processes"][0]["stdin"],
        serde_json::json!({"logs": ["app"]})
    );
    assert_eq!(json["processes"][1]["forwarders"], serde_json::json!(["shipper"]));
    let alone = plan(&with_shipper("logs = { stdout = false }", "[\"app\"]"));
    let text = explain(&alone);
    assert!(text.contains("logs      as JSON to shipper alone\n"), "{text}");
    assert_eq!(explain_json(&alone)["processes"][1]["stdout"], false);
}
