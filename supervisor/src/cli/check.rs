//! `runmate check`.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::looks::{self, Looks};
use crate::config::{self, ConfigErrors, Finding, Inputs, Plan, Severity};
use crate::helper::{self, Answer, Answers};
use crate::migrate;
use crate::process::{self, sys};
use crate::run::exit_code;
use crate::secrets::{self, Missing, Settled, environment};

/// Validates without starting anything. Exit code 0, or 78 if there is an error; online also 77 or 69, as
/// `run` would end.
pub(super) fn check(file: Option<&Path>, command: Vec<String>, as_json: bool, online: bool) -> i32 {
    let env = super::environment();
    let plan = match config::load(&Inputs::of_this_container(file, command, &env)) {
        Ok(plan) => plan,
        Err(errors) => {
            print(&if as_json {
                json!({"ok": false, "findings": errors_json(&errors)}).to_string()
            } else {
                errors.to_string()
            });
            return exit_code::CONFIG;
        }
    };
    let mut findings = config::findings(&plan, &env);
    let mut code = match findings.iter().any(|finding| finding.severity == Severity::Error) {
        true => exit_code::CONFIG,
        false => 0,
    };
    let mut asked = None;
    if online {
        match Asked::ask(&plan) {
            Ok(found) => asked = Some(found),
            Err(why) => {
                eprintln!("runmate check: {why}");
                return exit_code::INTERNAL;
            }
        }
    }
    if let Some(asked) = &asked {
        if let Some(unusable) = &asked.unusable {
            findings.push(Finding {
                severity: Severity::Error,
                key: "migrate.database".to_owned(),
                message: unusable.message.clone(),
            });
            if code == 0 && asked.wrong.is_empty() && asked.missing.is_empty() {
                code = unusable.exit_code;
            }
        }
        findings.extend(asked.findings());
        findings.extend(asked.looks.findings());
        if code == 0 && !asked.wrong.is_empty() {
            code = exit_code::CONFIG;
        } else if code == 0 && !asked.missing.is_empty() {
            code = secrets::exit_code_for(&asked.missing);
        } else if code == 0 && asked.looks.hold_the_container() {
            code = exit_code::UNAVAILABLE;
        }
    }
    let ok = code == 0;
    if as_json {
        let findings: Vec<Value> = findings.iter().map(finding_json).collect();
        let mut report = json!({"ok": ok, "findings": findings, "plan": config::explain_json(&plan)});
        if let Some(asked) = &asked {
            report["resolved"] = json!(asked.resolved);
            report["database"] = json!(asked.database);
            report["checks"] = asked.looks.json();
        }
        print(&report.to_string());
    } else {
        let mut text = config::explain(&plan);
        if let Some(asked) = &asked {
            text.push('\n');
            for name in &asked.resolved {
                text.push_str(&format!("{name}: resolved\n"));
            }
            if let Some(database) = &asked.database {
                text.push_str(&format!("{database}\n"));
            }
            for line in asked.looks.lines() {
                text.push_str(&format!("{line}\n"));
            }
        }
        for finding in &findings {
            text.push_str(&format!("\n{finding}"));
        }
        text.push_str(if ok { "\nok" } else { "\nnot ok" });
        print(&text);
    }
    code
}

fn print(text: &str) {
    // Who reads only the beginning (`| head`) has seen enough.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// What a dry run of the secrets found; the values were dropped at once.
struct Asked {
    resolved: Vec<String>,
    missing: Vec<Missing>,
    absent: Vec<Missing>,
    /// What cannot be made of the values.
    wrong: Vec<String>,
    /// What the migrations found, in a sentence.
    database: Option<String>,
    /// Why they would fail.
    unusable: Option<Unusable>,
    /// What the health checks found.
    looks: Looks,
}

/// Why the migrations would fail.
struct Unusable {
    message: String,
    exit_code: i32,
}

impl Asked {
    fn ask(plan: &Plan) -> Result<Asked, String> {
        let answers = match secrets::job(&plan.secrets) {
            None => Answers::new(),
            Some(job) => {
                sys::end_on_stop_signals();
                process::hold_secrets()
                    .map_err(|error| format!("cannot protect this process's memory: {error}"))?;
                helper::resolve(&job)?
            }
        };
        let values = answers
            .iter()
            .filter(|(_, answer)| matches!(answer, Answer::Value(_)));
        let resolved = values.map(|(name, _)| name.clone()).collect();
        let Settled {
            mut values,
            for_files,
            missing,
            absent,
        } = secrets::settle(&plan.secrets, answers);
        let mut wrong = Vec::new();
        let (mut database, mut unusable) = (None, None);
        let mut looks = Looks::default();
        if missing.is_empty() {
            // Nothing is written: this is a dry run.
            let write = |name: &str, _: &_, _| Ok(format!("/dev/shm/{name}"));
            wrong.extend(secrets::place_files(plan, &for_files, &mut values, write).err());
            let inherited = std::env::vars_os().collect();
            wrong.extend(
                environment::of_all(plan, &inherited, &values)
                    .err()
                    .into_iter()
                    .flatten(),
            );
            wrong.extend(secrets::health_token(plan, &values).err());
            match migrate::settings(plan, &values).map(|settings| settings.map(migrate::look)) {
                Ok(None) => {}
                Ok(Some(Ok(found))) => database = Some(found),
                Ok(Some(Err((message, exit_code)))) => unusable = Some(Unusable { message, exit_code }),
                Err(why) => wrong.push(why),
            }
            looks = looks::look(plan, &values, &inherited)?;
            wrong.append(&mut looks.wrong);
        }
        Ok(Asked {
            resolved,
            missing,
            absent,
            wrong,
            database,
            unusable,
            looks,
        })
    }

    fn findings(&self) -> impl Iterator<Item = Finding> {
        let finding = |severity, message: &str| Finding {
            severity,
            key: String::new(),
            message: message.to_owned(),
        };
        let missing = self.missing.iter().map(|missing| missing.report.message.as_str());
        let errors = missing.chain(self.wrong.iter().map(String::as_str));
        let absent = self.absent.iter().map(|absent| absent.report.message.as_str());
        let errors = errors.map(move |message| finding(Severity::Error, message));
        errors.chain(absent.map(move |message| finding(Severity::Warning, message)))
    }
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
