//! From the crash of a child to the first act of the one that replaces it.

use std::thread::sleep;
use std::time::Duration;

use crate::child::Role;
use crate::peers::{Peer, Setting, free_port};
use crate::report::{Section, Target, ms};
use crate::stage::{Running, Stage};
use crate::stats::Samples;
use crate::{Result, os};

const ROUNDS: usize = 21;
/// For those that wait a second.
const SLOW_ROUNDS: usize = 5;
/// How long the child lives before it crashes.
const LIFE: Duration = Duration::from_millis(50);
/// runmate starts it again within this, in ms.
const TARGET: f64 = 3.0;

struct Contender {
    name: &'static str,
    rounds: usize,
    stage: Stage,
    running: Running,
    pid: u32,
    replaced: Samples,
}

pub fn run() -> Result<Section> {
    let mut contenders = [
        start("runmate, backoff.min = 0s", Peer::Runmate, ROUNDS)?,
        start("s6", Peer::S6, SLOW_ROUNDS)?,
        start("supervisord", Peer::Supervisord, SLOW_ROUNDS)?,
    ];
    for round in 0..ROUNDS {
        for contender in contenders.iter_mut().filter(|contender| round < contender.rounds) {
            crash(contender).map_err(|error| format!("{}: {error}", contender.name))?;
        }
    }
    let row = |contender: &Contender| vec![contender.name.to_owned(), ms(contender.replaced.median())];
    let rows = contenders.iter().map(row).collect();
    let replaced = contenders[0].replaced.median();
    for contender in contenders {
        contender.running.signal(libc::SIGTERM);
        contender.running.wait()?;
    }
    Ok(Section {
        title: "Crash to replacement",
        how: format!(
            "In milliseconds: from SIGKILL to a child to the first act of the next one. {ROUNDS} rounds, \
             {SLOW_ROUNDS} for those that wait before they start it again."
        ),
        header: vec!["contender", "ms"],
        rows,
        targets: vec![Target {
            what: "crash to replacement, backoff.min = 0s",
            wanted: format!("≤ {TARGET} ms"),
            measured: format!("{replaced:.2} ms"),
            met: replaced <= TARGET,
        }],
    })
}

fn start(name: &'static str, peer: Peer, rounds: usize) -> Result<Contender> {
    let mut stage = Stage::new()?;
    let setting = Setting {
        health: Some(free_port()?),
        restart: true,
        ..Setting::default()
    };
    let running = Running::start(&mut peer.command(&stage, &[Role::Wait(1)], setting)?)?;
    let first = stage
        .expect("start", 1)
        .map_err(|error| format!("{name}: {error}"))?;
    Ok(Contender {
        name,
        rounds,
        stage,
        running,
        pid: first[0].pid,
        replaced: Samples::default(),
    })
}

fn crash(contender: &mut Contender) -> Result<()> {
    sleep(LIFE);
    let crashed = os::now();
    // It waits for SIGTERM only, and our contender is its parent: the pid is still its own.
    os::kill(contender.pid, libc::SIGKILL);
    let next = contender.stage.expect("start", 1)?;
    contender.pid = next[0].pid;
    contender.replaced.push((next[0].value - crashed) as f64 / 1e6);
    Ok(())
}
