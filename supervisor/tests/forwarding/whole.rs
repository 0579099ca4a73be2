//! What a forwarder that keeps up gets.

use serde_json::json;

use crate::bare::writer;
use crate::support::{Setup, eventually, fixture, process};
use crate::{collected, metric, numbers};

const LINES: u64 = 20_000;

#[test]
fn it_gets_every_line_in_order_as_json_and_stdout_as_its_format_says() {
    let run = Setup::new(&format!(
        "{}[process.task]\nkind = \"task\"\ncommand = {}\nlogs = {{ format = \"text\" }}\n{}",
        process("app", "say \"hi\" warn oh ready wait SIGTERM", ""),
        writer(&format!("lines out={LINES} bytes=100 tag=task")),
        process("shipper", "collect lines 65536 0", "stdin = { logs = [\"app\", \"task\"] }"),
    ))
    .any_output()
    .start();
    run.wait_for("the last line of the task", |line| {
        line.as_str()
            .is_some_and(|line| line.starts_with(&format!("task | task out {} ", LINES - 1)))
    });
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.end();
    assert_eq!(exit.code, Some(0), "{}", run.said());
    let (lines, torn) = collected(&run.dir().join("lines"));
    assert_eq!(torn, 0);
    assert_eq!(numbers(&lines)["task"], (0..LINES).collect::<Vec<_>>());
    let app: Vec<_> = lines.iter().filter(|line| line["process"] == "app").collect();
    let said: Vec<_> = app
        .iter()
        .map(|line| (line["stream"].as_str().unwrap(), line["message"].as_str().unwrap()))
        .collect();
    assert!(said.contains(&("stdout", "\"hi\"")) && said.contains(&("stderr", "oh")), "{said:?}");
    // The last words of the source, too.
    assert_eq!(said.last(), Some(&("stdout", "got SIGTERM")));
}

#[test]
fn with_stdout_off_lines_go_to_the_forwarder_alone_and_are_counted() {
    let run = Setup::new(&format!(
        "[process.app]\ncommand = {}\nlogs = {{ stdout = false }}\n{}",
        writer(&format!("lines out={LINES} err=7 bytes=100 tag=app stay=1")),
        process("shipper", "collect lines 65536 0", "stdin = { logs = [\"app\"] }"),
    ))
    .with_health()
    .start();
    eventually("all lines", || {
        (collected(&run.dir().join("lines")).0.len() as u64 == LINES + 7).then_some(())
    });
    for (name, expected) in [
        ("runmate_process_lines_total{process=\"app\",stream=\"stdout\"}", LINES),
        ("runmate_process_lines_total{process=\"app\",stream=\"stderr\"}", 7),
        ("runmate_process_bytes_total{process=\"app\",stream=\"stdout\"}", LINES * 100),
        ("runmate_process_dropped_lines_total{process=\"app\",destination=\"shipper\"}", 0),
        ("runmate_process_dropped_lines_total{process=\"app\",destination=\"stdout\"}", 0),
    ] {
        assert_eq!(metric(&run, name), Some(expected), "{name}");
    }
    // Brought up to date now and then.
    let forwarded = "runmate_process_forwarded_lines_total{process=\"app\",forwarder=\"shipper\"}";
    eventually("the number of forwarded lines", || {
        (metric(&run, forwarded) == Some(LINES + 7)).then_some(())
    });
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert!(exit.lines.iter().all(|line| line["process"] != "app"));
    assert_eq!(exit.position("dropped", "shipper"), None);
}

#[test]
fn two_forwarders_get_the_same() {
    let both = |name: &str| process(name, &format!("collect {name} 65536 0"), "stdin = { logs = [\"app\"] }");
    let run = Setup::new(&format!(
        "[process.app]\ncommand = {}\n{}{}",
        fixture("say one say two wait SIGTERM"),
        both("a"),
        both("b"),
    ))
    .start();
    run.wait_for_message("app", "two");
    run.signal(libc::SIGTERM);
    run.exit();
    for name in ["a", "b"] {
        let (lines, _) = collected(&run.dir().join(name));
        let said: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(said, [&json!("one"), &json!("two"), &json!("got SIGTERM")]);
    }
}
