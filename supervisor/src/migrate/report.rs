//! What is said about a run, for people and for programs.

use std::io::Write;
use std::time::Duration;

use runmate_migrate::{Error, Event, Holder, Outcome, Planned, Status, Unlocked};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Style {
    /// A sentence a line; errors go to stderr.
    Text,
    /// A JSON object a line, all on stdout.
    Json,
}

/// The lines of one run.
pub(crate) struct Reporter(pub Style);

impl Reporter {
    pub fn event(self: &Reporter, event: &Event) {
        let message = sentence(event);
        match self.0 {
            Style::Text => out(&message),
            Style::Json => {
                let level = match event {
                    Event::WaitingForDatabase { .. }
                    | Event::Retrying { .. }
                    | Event::LeftoversEnded { .. } => "WARN",
                    _ => "INFO",
                };
                self.json(level, &message, serde_json::to_value(event).unwrap_or_default());
            }
        }
    }

    pub fn outcome(&self, outcome: &Outcome) {
        let message = match outcome {
            Outcome {
                skipped: true,
                release,
                ..
            } => format!("nothing to do: release {release} is done"),
            Outcome {
                applied,
                took,
                release,
                ..
            } => {
                let what = match applied.len() {
                    0 => String::new(),
                    1 => "1 migration applied, ".to_owned(),
                    count => format!("{count} migrations applied, "),
                };
                format!("{what}release {release} is done, in {}", for_people(*took))
            }
        };
        self.result("done", &message, outcome);
    }

    pub fn plan(&self, plan: &Planned) {
        let mut lines: Vec<String> = plan
            .pending
            .iter()
            .map(|pending| match pending.done {
                0 => format!("pending  {}", pending.file),
                done => format!("pending  {} (behind statement {done})", pending.file),
            })
            .collect();
        lines.push(summary(plan));
        self.result("plan", &lines.join("\n"), plan);
    }

    pub fn status(&self, status: &Status) {
        self.result("status", &status_lines(status).join("\n"), status);
    }

    pub fn unlocked(&self, unlocked: &Unlocked) {
        let message = match (unlocked.sessions, unlocked.runs.as_slice()) {
            (0, _) => "nobody holds the lock".to_owned(),
            (sessions, []) => format!("{sessions} sessions ended"),
            (sessions, runs) => format!("{sessions} sessions ended, of run {}", runs.join(", ")),
        };
        self.result("unlocked", &message, unlocked);
    }

    pub fn error(&self, error: &Error, exit_code: i32) {
        match self.0 {
            Style::Text => {
                eprintln!("runmate migrate: {error}");
                if let Some(remedy) = error.remedy() {
                    eprintln!("  {remedy}");
                }
            }
            Style::Json => {
                let message = in_full(error);
                let fields =
                    json!({"event": "failed", "reason": error.kind().name(), "exit_code": exit_code});
                self.json("ERROR", &message, fields);
            }
        }
    }

    /// What keeps it from beginning: a wrong config or command line, a secret that cannot be had.
    pub fn refusal(&self, why: &str, exit_code: i32) {
        let fields = json!({"event": "failed", "reason": "config", "exit_code": exit_code});
        self.json("ERROR", why, fields);
    }

    fn result(&self, event: &str, message: &str, result: &impl Serialize) {
        match self.0 {
            Style::Text => out(message),
            Style::Json => {
                let mut fields = serde_json::to_value(result).unwrap_or_default();
                fields["event"] = json!(event);
                self.json("INFO", message, fields);
            }
        }
    }

    fn json(&self, level: &str, message: &str, fields: Value) {
        let mut line = json!({"level": level, "message": message});
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            for (key, value) in fields {
                // A note is its message.
                line.entry(key).or_insert(value);
            }
        }
        out(&line.to_string());
    }
}

/// Who reads only the beginning (`| head`) has seen enough.
fn out(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// What is wrong and what to do about it.
pub(super) fn in_full(error: &Error) -> String {
    match error.remedy() {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}

fn sentence(event: &Event) -> String {
    match event {
        Event::WaitingForDatabase { database, cause } => {
            format!("waiting for the database {database}: {cause}")
        }
        Event::WaitingForLock { holder, waited } => {
            let who = match holder {
                Some(holder) => describe(holder),
                None => "somebody who has not said who".to_owned(),
            };
            format!("waiting for the lock for {}: held by {who}", for_people(*waited))
        }
        Event::Locked { run, waited } => format!("run {run} has the lock, after {}", for_people(*waited)),
        Event::LeftoversEnded { sessions, runs } => format!(
            "ended {sessions} database sessions that a dead run had left behind: {}",
            runs.join(", ")
        ),
        Event::Applying { file, done: 0, .. } => format!("applying {file}"),
        Event::Applying { file, done, .. } => format!("applying {file}, going on behind statement {done}"),
        Event::Statement {
            version,
            statement,
            of,
            took,
        } => {
            format!(
                "{version}: statement {statement} of {of} done in {}",
                for_people(*took)
            )
        }
        Event::Applied { file, took, .. } => format!("applied {file} in {}", for_people(*took)),
        Event::Retrying {
            version,
            cause,
            after,
        } => {
            format!("{version}: {cause}; trying again in {}", for_people(*after))
        }
        Event::Note { message } => message.clone(),
        Event::CommandStarted { command, .. } => format!("running {}", command.join(" ")),
        Event::Stopping => "stopping as asked".to_owned(),
        // The library may learn to say more.
        other => format!("{other:?}"),
    }
}

fn describe(holder: &Holder) -> String {
    format!(
        "run {} on {} for {} (release {})",
        holder.run,
        holder.host,
        for_people(holder.held),
        holder.release
    )
}

/// What there is to do, in a sentence.
pub(super) fn summary(plan: &Planned) -> String {
    match (plan.up_to_date, plan.pending.len()) {
        (true, _) => format!("up to date ({}, release {})", plan.what, plan.release),
        (false, 0) => format!("would run {} (release {})", plan.what, plan.release),
        (false, count) => format!("{count} to apply ({}, release {})", plan.what, plan.release),
    }
}

fn status_lines(status: &Status) -> Vec<String> {
    let newest = status
        .newest
        .map_or_else(String::new, |newest| format!(", the newest is {newest}"));
    let mut lines = vec![
        format!("database  {}", status.database),
        format!("applied   {}{newest}", status.applied),
    ];
    if let Some(plan) = &status.planned {
        lines.extend(
            plan.pending
                .iter()
                .map(|pending| format!("pending   {}", pending.file)),
        );
        lines.push(format!("plan      {}", summary(plan)));
    }
    if let Some(problem) = &status.problem {
        lines.push(format!("{:<9} {}", problem.kind, problem.message));
        lines.extend(problem.remedy.iter().map(|remedy| format!("          {remedy}")));
    }
    if let Some(holder) = &status.holder {
        lines.push(format!("running   {}", describe(holder)));
    }
    for release in &status.releases {
        let detail = release
            .detail
            .as_ref()
            .map_or_else(String::new, |detail| format!(": {detail}"));
        lines.push(format!(
            "{:<9} {} ({}) by run {} on {}, {}{detail}",
            release.state,
            release.release,
            release.what,
            release.run,
            release.host,
            match release.age {
                0 => "just now".to_owned(),
                age => format!("{} ago", for_people(Duration::from_secs(age))),
            }
        ));
    }
    lines
}

/// `7ms`, `7.5s`, `3m 20s`, `2h 5m`.
fn for_people(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{:.1}s", duration.as_secs_f64()),
        seconds @ 60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        seconds => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
    }
}
