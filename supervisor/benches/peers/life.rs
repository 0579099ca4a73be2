//! From the exec of the supervisor to its exit: the first child, the stop, the end.

use std::thread::sleep;
use std::time::Duration;

use crate::Result;
use crate::child::Role;
use crate::peers::{Peer, Setting, free_port};
use crate::report::{Section, Target, ms};
use crate::stage::{Running, Stage};
use crate::stats::Samples;

const ROUNDS: usize = 31;
/// supervisord takes seconds, and is in another class anyway.
const ROUNDS_OF_SUPERVISORD: usize = 3;
/// Between the last child's start and the stop.
const SETTLE: Duration = Duration::from_millis(20);

struct Contender {
    name: &'static str,
    peer: Peer,
    roles: Vec<Role>,
    /// It exports traces.
    traced: bool,
    /// Exec of the supervisor to the first act of its first child, in ms, as all below.
    boot: Samples,
    /// SIGTERM to the first and to the last child's handler.
    first: Samples,
    last: Samples,
    /// End of the last child to the end of the supervisor.
    exit: Samples,
}

const TINI: usize = 1;
const TINI_GROUP: usize = 2;
const RUNMATE_3: usize = 5;
const TRACED: usize = 6;

pub fn run() -> Result<Section> {
    let contender = |name, peer, roles: &[Role]| Contender {
        name,
        peer,
        roles: roles.to_vec(),
        traced: false,
        boot: Samples::default(),
        first: Samples::default(),
        last: Samples::default(),
        exit: Samples::default(),
    };
    let one = [Role::Wait(1)];
    let group = [Role::Wait(3)];
    let three = [Role::Wait(1); 3];
    let mut contenders = [
        contender("no supervisor, 1 process", Peer::Nobody, &one),
        contender("tini, 1 process", Peer::Tini, &one),
        contender("tini -g, group of 3", Peer::TiniGroup, &group),
        contender("dumb-init, group of 3", Peer::DumbInit, &group),
        contender("runmate, 1 process", Peer::Runmate, &one),
        contender("runmate, 3 processes", Peer::Runmate, &three),
        Contender {
            traced: true,
            ..contender("runmate, 3 processes, traces", Peer::Runmate, &three)
        },
        contender("s6, 3 services", Peer::S6, &three),
        contender("supervisord, 3 programs", Peer::Supervisord, &three),
    ];
    for round in 0..ROUNDS {
        for contender in &mut contenders {
            if contender.peer != Peer::Supervisord || round < ROUNDS_OF_SUPERVISORD {
                measure(contender).map_err(|error| format!("{}: {error}", contender.name))?;
            }
        }
    }
    let row = |contender: &Contender| {
        vec![
            contender.name.to_owned(),
            ms(contender.boot.median()),
            ms(contender.first.median()),
            ms(contender.last.median()),
            ms(contender.exit.median()),
        ]
    };
    Ok(Section {
        title: "Start and stop",
        how: format!(
            "In milliseconds: from just before the supervisor is spawned to the first act of its first \
             child; from SIGTERM to the handler of the first and of the last child; from the end of the \
             last child to the end of the supervisor. {ROUNDS} rounds, {ROUNDS_OF_SUPERVISORD} for \
             supervisord. Differences to tini are the medians of the rounds' differences. Traces go to an \
             address where nobody listens, and the exit waits for a last attempt to send them; without an \
             exporter none are made."
        ),
        header: vec!["contender", "first child", "TERM, first", "TERM, last", "exit"],
        rows: contenders.iter().map(row).collect(),
        targets: targets(&contenders),
    })
}

fn targets(contenders: &[Contender]) -> Vec<Target> {
    let (tini, runmate) = (&contenders[TINI], &contenders[RUNMATE_3]);
    let boot = runmate.boot.minus(&tini.boot);
    let traced = contenders[TRACED].boot.minus(&runmate.boot);
    let stop = runmate.last.minus(&tini.last);
    let stop_group = runmate.last.minus(&contenders[TINI_GROUP].last);
    let exit = runmate.exit.median();
    vec![
        Target {
            what: "exec to the first of three children",
            wanted: "≤ tini + 1 ms".into(),
            measured: format!("tini {boot:+.2} ms"),
            met: boot <= 1.0,
        },
        Target {
            what: "exec to the first child with traces",
            wanted: "≤ without + 0.5 ms".into(),
            measured: format!("without {traced:+.2} ms"),
            met: traced <= 0.5,
        },
        Target {
            what: "SIGTERM to the last of three handlers",
            wanted: "≤ tini (one child) + 0.2 ms".into(),
            measured: format!("tini {stop:+.2} ms, tini -g (group of 3) {stop_group:+.2} ms"),
            met: stop <= 0.2,
        },
        Target {
            what: "end of the last child to exit",
            wanted: "≤ 3 ms".into(),
            measured: format!("{exit:.2} ms"),
            met: exit <= 3.0,
        },
    ]
}

fn measure(contender: &mut Contender) -> Result<()> {
    let mut stage = Stage::new()?;
    let setting = Setting {
        health: Some(free_port()?),
        traced: contender.traced,
        ..Setting::default()
    };
    let processes: usize = contender
        .roles
        .iter()
        .map(|role| {
            if let Role::Wait(processes) = role {
                *processes
            } else {
                0
            }
        })
        .sum();
    let running = Running::start(&mut contender.peer.command(&stage, &contender.roles, setting)?)?;
    let starts = stage.expect("start", processes)?;
    sleep(SETTLE);
    let sent = crate::os::now();
    running.signal(libc::SIGTERM);
    let terms = stage.expect("term", processes)?;
    let ends = stage.expect("end", processes)?;
    let began = running.began;
    let (ended, _) = running.wait()?;

    let values = |reports: &[crate::stage::Report]| -> Vec<u64> {
        reports.iter().map(|report| report.value).collect()
    };
    let (starts, terms, ends) = (values(&starts), values(&terms), values(&ends));
    let first = |times: &[u64]| times.iter().min().copied().unwrap_or_default();
    let last = |times: &[u64]| times.iter().max().copied().unwrap_or_default();
    contender.boot.push(between(began, first(&starts)));
    contender.first.push(between(sent, first(&terms)));
    contender.last.push(between(sent, last(&terms)));
    contender.exit.push(between(last(&ends), ended));
    Ok(())
}

/// Milliseconds.
fn between(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1e6
}
