//! Memory of the supervisor while nothing happens.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::Result;
use crate::child::Role;
use crate::peers::{Peer, Setting, free_port};
use crate::report::{Section, Target};
use crate::stage::{Running, Stage};
use crate::stats::Samples;

const ROUNDS: usize = 3;
/// Until everything that comes after the start of the children is over.
const SETTLE: Duration = Duration::from_millis(500);
/// Until the first attempt to send the trace of the start is over, too.
const EXPORTED: Duration = Duration::from_secs(3);
/// What may be used with three children and health, in MiB, by a program that has the AWS SDK in it.
const TARGET: f64 = 6.0;
/// What of it may be its own.
const ANONYMOUS: f64 = 1.5;

struct Contender {
    name: &'static str,
    peer: Peer,
    roles: Vec<Role>,
    /// It exports traces.
    traced: bool,
    pss: Samples,
    anonymous: Samples,
    processes: usize,
}

pub fn run() -> Result<Section> {
    let contender = |name, peer, roles: &[Role]| Contender {
        name,
        peer,
        roles: roles.to_vec(),
        traced: false,
        pss: Samples::default(),
        anonymous: Samples::default(),
        processes: 0,
    };
    let three = [Role::Wait(1); 3];
    let mut contenders = [
        contender("runmate, health on", Peer::Runmate, &three),
        Contender {
            traced: true,
            ..contender("runmate, health and traces on", Peer::Runmate, &three)
        },
        contender("tini -g", Peer::TiniGroup, &[Role::Wait(3)]),
        contender("dumb-init", Peer::DumbInit, &[Role::Wait(3)]),
        contender("s6", Peer::S6, &three),
        contender("supervisord", Peer::Supervisord, &three),
    ];
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            measure(contender).map_err(|error| format!("{}: {error}", contender.name))?;
        }
    }
    let most = |of: fn(&Contender) -> &Samples| of(&contenders[0]).median().max(of(&contenders[1]).median());
    let (pss, anonymous) = (most(|one| &one.pss), most(|one| &one.anonymous));
    let row = |contender: &Contender| {
        vec![
            contender.name.to_owned(),
            format!("{:.2}", contender.pss.median()),
            format!("{:.2}", contender.anonymous.median()),
            contender.processes.to_string(),
        ]
    };
    Ok(Section {
        title: "Memory",
        how: "Pss and Pss_Anon from /proc/PID/smaps_rollup with three idle children, summed over the \
              processes of the supervisor, the children excluded. runmate has answered some health \
              requests before. A library that other processes of the machine use too counts in part \
              only, which helps whoever is linked dynamically."
            .into(),
        header: vec!["contender", "Pss, MiB", "of it anonymous", "processes"],
        rows: contenders.iter().map(row).collect(),
        targets: vec![Target {
            what: "Pss with three idle children, health and traces",
            wanted: format!("≤ {TARGET} MiB, {ANONYMOUS} anonymous"),
            measured: format!("{pss:.2} MiB, {anonymous:.2} anonymous"),
            met: pss <= TARGET && anonymous <= ANONYMOUS,
        }],
    })
}

fn measure(contender: &mut Contender) -> Result<()> {
    let mut stage = Stage::new()?;
    let port = free_port()?;
    let setting = Setting {
        health: Some(port),
        traced: contender.traced,
        ..Setting::default()
    };
    let running = Running::start(&mut contender.peer.command(&stage, &contender.roles, setting)?)?;
    stage.expect("start", 3)?;
    sleep(if contender.traced { EXPORTED } else { SETTLE });
    if contender.peer == Peer::Runmate {
        for path in ["/healthz", "/readyz", "/healthz"] {
            get(port, path)?;
        }
    }
    let ours = std::env::current_exe()?;
    let supervisors = tree(running.pid(), &ours);
    let (mut pss, mut anonymous) = (0, 0);
    for pid in &supervisors {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        pss += kib(&text, "Pss:")?;
        anonymous += kib(&text, "Pss_Anon:")?;
    }
    contender.pss.push(pss as f64 / 1024.0);
    contender.anonymous.push(anonymous as f64 / 1024.0);
    contender.processes = supervisors.len();
    running.signal(libc::SIGTERM);
    running.wait()?;
    Ok(())
}

fn get(port: u16, path: &str) -> Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(format!("{path} answers {:?}", answer.lines().next()).into())
    }
}

/// The process and all below it that do not run `excluded`.
pub fn tree(root: u32, excluded: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        if fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == excluded) {
            continue;
        }
        found.push(pid);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        next.extend(
            children
                .split_ascii_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    found
}

pub fn kib(smaps: &str, field: &str) -> Result<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_ascii_whitespace().next());
    Ok(number
        .ok_or_else(|| format!("no {field} in smaps_rollup"))?
        .parse()?)
}
