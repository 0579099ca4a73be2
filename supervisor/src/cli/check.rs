//! `runmate check`.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::config::{self, ConfigErrors, Finding, Inputs, Severity};
use crate::run::exit_code;

/// Validates without starting anything. Exit code 0, or 78 if there is an error.
pub(super) fn check(file: Option<&Path>, command: Vec<String>, as_json: bool) -> i32 {
    let env = super::environment();
    let plan = config::load(&Inputs::of_this_container(file, command, &env));
    let (text, ok) = match &plan {
        Ok(plan) => {
            let findings = config::findings(plan, &env);
            let ok = findings.iter().all(|finding| finding.severity != Severity::Error);
            if as_json {
                let findings: Vec<Value> = findings.iter().map(finding_json).collect();
                (
                    json!({"ok": ok, "findings": findings, "plan": config::explain_json(plan)}).to_string(),
                    ok,
                )
            } else {
                let mut text = config::explain(plan);
                for finding in &findings {
                    text.push_str(&format!("\n{finding}"));
                }
                text.push_str(if ok { "\nok" } else { "\nnot ok" });
                (text, ok)
            }
        }
        Err(errors) if as_json => (
            json!({"ok": false, "findings": errors_json(errors)}).to_string(),
            false,
        ),
        Err(errors) => (errors.to_string(), false),
    };
    // Who reads only the beginning (`| head`) has seen enough.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    if ok { 0 } else { exit_code::CONFIG }
}

fn finding_json(finding: &Finding) -> Value {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({"severity": severity, "key": finding.key, "message": finding.message})
}

fn errors_json(errors: &ConfigErrors) -> Vec<Value> {
    let one = |error: &config::ConfigError| {
        json!({"severity": "error", "file": error.file, "line": error.line, "key": error.key,
               "message": error.message})
    };
    errors.errors.iter().map(one).collect()
}
