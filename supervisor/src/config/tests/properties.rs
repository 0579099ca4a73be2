//! No text makes loading panic, and every text gets a plan or at least one error.
use proptest::prelude::*;

use super::*;

/// Words that reach deep into the reader, in any order.
const WORDS: &[&str] = &[
    "[process.app]\n",
    "[process.b]\n",
    "[[process]]\n",
    "[process]\n",
    "[run]\n",
    "[health]\n",
    "[logs]\n",
    "[health.check.x]\n",
    "[secrets]\n",
    "[secrets.X]\n",
    "[migrate]\n",
    "[trace]\n",
    "[process.app.ready]\n",
    "[process.app.stop]\n",
    "[process.app.signals]\n",
    "command",
    "main",
    "kind",
    "after",
    "ready",
    "restart",
    "backoff",
    "on_exit",
    "stop",
    "signals",
    "env",
    "env_inherit",
    "user",
    "umask",
    "stdin",
    "http",
    "tcp",
    "exec",
    "log",
    "fd",
    "timeout",
    "signal",
    "listen",
    "platform",
    "drain_delay",
    "stop_budget",
    "max_line",
    "SIGHUP",
    "min",
    " = ",
    " = ",
    " = ",
    " = ",
    ".",
    ",",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\n",
    "\n",
    "\n",
    "\"x\"",
    "\"app\"",
    "\"b\"",
    "[\"app\", \"b\"]",
    "\"task\"",
    "true",
    "false",
    "-1",
    "3",
    "18446744073709551616",
    "0x",
    "1.5",
    "1979-05-27",
    "\"5s\"",
    "\"9999999999999h\"",
    "\"${A}\"",
    "\"${\"",
    "\"$${:-}\"",
    "\"http://[::1\"",
    "\"http://127.0.0.1:1/\"",
    "\"(((\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "ü",
    "#",
    "\r\n",
    "\"1:2:3\"",
    "\":99999\"",
    "\"off\"",
    "\"SIGRTMIN+99\"",
];

fn total(text: &str) -> Result<(), TestCaseError> {
    let world = World::new().env("A", "${A}");
    match world.read(text) {
        Ok(plan) => {
            prop_assert!(plan.main.0 < plan.processes.len());
            prop_assert!(plan.run.drain_delay < plan.run.stop_budget);
            prop_assert!(!explain(&plan).is_empty());
            let listed = explain_json(&plan)["processes"].as_array().map(Vec::len);
            prop_assert_eq!(listed, Some(plan.processes.len()));
        }
        Err(errors) => {
            prop_assert!(!errors.errors.is_empty());
            let lines = text.split('\n').count();
            for error in errors.errors {
                prop_assert!(
                    error.line.is_none_or(|line| (1..=lines).contains(&line)),
                    "{}",
                    error
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        total(&text)?;
    }

    #[test]
    fn any_words_of_the_format_are_read(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        total(&words.concat())?;
    }

    #[test]
    fn any_value_of_any_key_is_read(
        key in prop::sample::select(super::super::keys::PROCESS),
        value in prop::sample::select(WORDS),
        text in any::<String>(),
    ) {
        total(&format!("[process.app]\ncommand = [\"x\"]\n{key} = {value}\n"))?;
        total(&format!("[process.app]\n{key} = {text:?}\n"))?;
        total(&format!("[process.app]\n{key} = [{text:?}]\n"))?;
    }
}

#[test]
fn deep_nesting_and_long_chains_are_read() {
    let deep = format!(
        "[process.app]\nenv = {}1{}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(World::new().read(&deep).is_err());
    for deep in [
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
    ] {
        assert!(World::new().read(&deep).is_err());
    }
    let chain: String = (0..500)
        .map(|n| {
            format!(
                "[process.p{n}]\ncommand = \"x\"\nafter = [\"p{}\"]\n",
                (n + 1) % 500
            )
        })
        .collect();
    let errors = World::new().read(&chain).unwrap_err();
    assert!(errors.to_string().contains("a cycle: p0 -> p1 -> "), "{errors}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read() {
    let text = "\u{feff}[process.app]\r\ncommand = [\"x\"]\r\nrestart = \"x\"\r\n";
    let errors = World::new().read(text).unwrap_err();
    assert_eq!(
        (errors.errors.len(), errors.errors[0].line),
        (1, Some(3)),
        "{errors}"
    );
}
