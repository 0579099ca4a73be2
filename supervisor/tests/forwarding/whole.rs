//! What a forwarder that keeps up gets.

use serde_json::json;

use crate::bare::writer;
use crate::programs::find_program;
use crate::support::{Runmate, Setup, eventually, fixture, http, process};
use crate::{collected, metric, numbers, seconds};

const LINES: u64 = 20_000;

#[test]
fn it_gets_every_line_in_order_as_json_and_stdout_as_its_format_says() {
    let run = Setup::new(&format!(
        "{}[process.task]\nkind = \"task\"\ncommand = {}\nlogs = {{ format = \"text\" }}\n{}",
        process("app", "say \"hi\" warn oh ready wait SIGTERM", ""),
        writer(&format!("lines out={LINES} bytes=100 tag=task")),
        process(
            "shipper",
            "collect lines 65536 0",
            "stdin = { logs = [\"app\", \"task\"] }"
        ),
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
        .map(|line| {
            (
                line["stream"].as_str().unwrap(),
                line["message"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(
        said.contains(&("stdout", "\"hi\"")) && said.contains(&("stderr", "oh")),
        "{said:?}"
    );
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
        (
            "runmate_process_lines_total{process=\"app\",stream=\"stdout\"}",
            LINES,
        ),
        (
            "runmate_process_lines_total{process=\"app\",stream=\"stderr\"}",
            7,
        ),
        (
            "runmate_process_bytes_total{process=\"app\",stream=\"stdout\"}",
            LINES * 100,
        ),
        (
            "runmate_process_dropped_lines_total{process=\"app\",destination=\"shipper\"}",
            0,
        ),
        (
            "runmate_process_dropped_lines_total{process=\"app\",destination=\"stdout\"}",
            0,
        ),
    ] {
        assert_eq!(metric(&run, name), Some(expected), "{name}");
    }
    // Brought up to date now and then.
    let forwarded = "runmate_process_forwarded_lines_total{process=\"app\",forwarder=\"shipper\"}";
    eventually("the number of forwarded lines", || {
        (metric(&run, forwarded) == Some(LINES + 7)).then_some(())
    });
    promtool_has_nothing_to_say(&run);
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert!(exit.lines.iter().all(|line| line["process"] != "app"));
    assert_eq!(exit.position("dropped", "shipper"), None);
}

fn promtool_has_nothing_to_say(run: &Runmate) {
    let (_, page) = http::get(run.health_address(), "/metrics").expect("health answers");
    assert!(
        page.contains("runmate_process_state_seconds_total{process=\"app\",state=\"ready\"}"),
        "{page}"
    );
    std::fs::write(run.dir().join("page"), &page).expect("write");
    let file = std::fs::File::open(run.dir().join("page")).expect("open");
    let output = std::process::Command::new(find_program("promtool"))
        .args(["check", "metrics"])
        .stdin(file)
        .output()
        .expect("promtool starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "{}\n{page}",
        String::from_utf8_lossy(&said)
    );
}

/// A restart and a drain that take their time.
#[test]
fn states_and_the_drain_are_timed_while_they_last() {
    let run = Setup::new(&format!(
        "[run]\nstop_budget = \"20s\"\ndrain_delay = \"0s\"\n{}{}",
        process("app", "ready wait SIGTERM", "after = [\"side\"]"),
        process("side", "ready wait SIGTERM await over", ""),
    ))
    .with_health()
    .start();
    run.wait_for_message("app", "ready");
    let drain = |name: &str| {
        seconds(
            &run,
            &format!("runmate_process_drain_seconds{{process=\"{name}\"}}"),
        )
    };
    assert_eq!(drain("side"), None);
    run.signal(libc::SIGTERM);
    run.wait_for_message("side", "got SIGTERM");
    let app = drain("app").expect("app is over");
    eventually("a longer drain", || {
        drain("side").filter(|took| *took > app + 0.3)
    });
    assert_eq!(drain("app"), Some(app));
    let stopping = "runmate_process_state_seconds_total{process=\"side\",state=\"stopping\"}";
    assert!(seconds(&run, stopping).is_some_and(|took| took > 0.3));
    std::fs::write(run.dir().join("over"), "").expect("write");
    run.exit();
}

#[test]
fn two_forwarders_get_the_same() {
    let both = |name: &str| {
        process(
            name,
            &format!("collect {name} 65536 0"),
            "stdin = { logs = [\"app\"] }",
        )
    };
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

/// Needs root, as in a container of CI.
#[test]
fn another_user_can_open_its_stdin_again_and_nobody_else_has_the_pipe() {
    assert_eq!(
        // SAFETY: no memory is involved.
        unsafe { libc::geteuid() },
        0,
        "this test starts processes as other users: run it as root"
    );
    let run = Setup::new(&format!(
        "{}[process.shipper]\ncommand = \"read -r line < /dev/stdin && echo ${{#line}} bytes; exec cat > /dev/null\"\n\
         user = \"nobody\"\nstdin = {{ logs = [\"app\"] }}\n",
        process("app", "await go say hello wait SIGTERM", ""),
    ))
    .start();
    let pids = ["app", "shipper"].map(|name| run.wait_for_event("started", name)["pid"].clone());
    let descriptors = |pid: String| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
        let links = files.map(|file| std::fs::read_link(file.expect("a descriptor").path()).ok());
        links.flatten().collect::<Vec<_>>()
    };
    let stdin = std::fs::read_link(format!("/proc/{}/fd/0", pids[1])).expect("its stdin");
    assert!(stdin.to_string_lossy().starts_with("pipe:"), "{stdin:?}");
    assert!(
        !descriptors(pids[0].to_string()).contains(&stdin),
        "app has it, too"
    );
    std::fs::write(run.dir().join("go"), "").expect("write");
    run.wait_for("what the shipper has read", |line| {
        line["process"] == "shipper"
            && line["message"]
                .as_str()
                .is_some_and(|text| text.ends_with(" bytes"))
    });
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert!(!exit.has("killing", "shipper"));
    assert_eq!(exit.position("dropped", "shipper"), None);
}
