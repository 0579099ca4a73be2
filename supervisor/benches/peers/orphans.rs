//! Orphans in numbers: PID 1 has to reap them all.

use std::process::Command;

use crate::child::Role;
use crate::peers::{Peer, Setting};
use crate::report::{Section, Target, ms, or_dash};
use crate::stage::{Running, Stage};
use crate::stats::Samples;
use crate::{Result, os};

const ORPHANS: usize = 20_000;
const ROUNDS: usize = 5;
/// For those that no target names.
const FEW_ROUNDS: usize = 3;
/// How much longer than tini runmate may take.
const TARGET: f64 = 1.1;

struct Contender {
    name: &'static str,
    peer: Peer,
    rounds: usize,
    /// Milliseconds.
    time: Samples,
    /// Orphans that were never reaped.
    left: u64,
}

pub fn run() -> Result<Section> {
    let contender = |name, peer, rounds| Contender {
        name,
        peer,
        rounds,
        time: Samples::default(),
        left: 0,
    };
    let mut contenders = [
        contender("tini", Peer::Tini, ROUNDS),
        contender("runmate", Peer::Runmate, ROUNDS),
        contender("dumb-init", Peer::DumbInit, FEW_ROUNDS),
        contender("s6", Peer::S6, FEW_ROUNDS),
        // Reaps one at each turn of its loop.
        contender("supervisord", Peer::Supervisord, 1),
    ];
    for round in 0..ROUNDS {
        for contender in contenders.iter_mut().filter(|contender| round < contender.rounds) {
            measure(contender).map_err(|error| format!("{}: {error}", contender.name))?;
        }
    }
    let [tini, runmate, ..] = &contenders;
    let ratio = runmate.time.ratio_to(&tini.time);
    let row = |contender: &Contender| {
        let reaped = contender.left == 0;
        vec![
            contender.name.to_owned(),
            or_dash(reaped.then(|| ms(contender.time.median()))),
            or_dash(reaped.then(|| format!("{:.2}", contender.time.ratio_to(&tini.time)))),
            contender.left.to_string(),
        ]
    };
    Ok(Section {
        title: "Orphans",
        how: format!(
            "A child double-forks {ORPHANS} grandchildren that end at once, and waits until none is left, \
             not even as a zombie; milliseconds from the first fork on. Every contender is PID 1 of a \
             PID namespace of its own. The ratio is the median of the rounds' ratios ({ROUNDS} rounds of \
             tini and runmate)."
        ),
        header: vec!["contender", "ms", "of tini", "left 2 s later"],
        rows: contenders.iter().map(row).collect(),
        targets: vec![Target {
            what: "20,000 orphans reaped",
            wanted: format!("≤ {TARGET} × tini"),
            measured: format!("{ratio:.2} × tini"),
            met: ratio <= TARGET && runmate.left == 0,
        }],
    })
}

fn measure(contender: &mut Contender) -> Result<()> {
    let mut stage = Stage::new()?;
    let inner = contender
        .peer
        .command(&stage, &[Role::Orphans(ORPHANS)], Setting::default())?;
    let mut command = Command::new("unshare");
    if !os::is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    // --kill-child: when we give unshare up, the namespace goes with it.
    command
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let running = Running::start(&mut command)?;
    let result = stage.expect_any(&["reaped", "left"])?;
    match result.what.as_str() {
        "reaped" => contender.time.push(result.value as f64 / 1e6),
        _ => contender.left = result.value,
    }
    // The child's end is not the end of every supervisor; what is measured is over.
    drop(running);
    Ok(())
}
