//! What secrets cost: against the emulator on loopback, and beside the same run without any.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::memory::kib;
use crate::moto::Moto;
use crate::peers::RUNMATE;
use crate::report::{Section, Target, ms};
use crate::stats::Samples;

const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
const ROUNDS: usize = 21;
const MEMORY_ROUNDS: usize = 3;
/// Until everything that comes after the start is over.
const SETTLE: Duration = Duration::from_millis(500);
/// For the whole program with one secret, in milliseconds.
const ONE: f64 = 60.0;
/// What 100 secrets may add to the anonymous memory of PID 1, in MB.
const HUNDRED: f64 = 0.3;

const SHORT: &str = "[process.app]\ncommand = [\"/bin/true\"]\n[health]\nlisten = \"off\"";
const LONG: &str = "[process.app]\ncommand = [\"/bin/sleep\", \"60\"]\n[health]\nlisten = \"off\"";

type Variables = Vec<(String, String)>;

pub fn run() -> Result<Section> {
    let moto = Moto::start();
    let one = vec![(
        "SECRET".to_owned(),
        moto.secret(REGIONS[0], "alone", "a value of some length"),
    )];
    let hundred = hundred(&moto);
    let (mut without, mut with_one, mut with_hundred) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        without.push(whole_run(&moto, &Variables::new())?);
        with_one.push(whole_run(&moto, &one)?);
        with_hundred.push(whole_run(&moto, &hundred)?);
    }
    let (mut idle, mut holding) = (Samples::default(), Samples::default());
    for _ in 0..MEMORY_ROUNDS {
        idle.push(anonymous(&moto, &Variables::new())?);
        holding.push(anonymous(&moto, &hundred)?);
    }
    let more = holding.minus(&idle);
    let row = |what: &str, run: &Samples, memory: Option<&Samples>| {
        vec![
            what.to_owned(),
            ms(run.median()),
            memory.map_or_else(|| "–".into(), |memory| format!("{:.2}", memory.median())),
        ]
    };
    Ok(Section {
        title: "Secrets",
        how: format!(
            "`runmate run` of /bin/true from its start to its end, {ROUNDS} rounds, in milliseconds; and the anonymous \
             memory of PID 1 with one idle child, in MB ({MEMORY_ROUNDS} rounds). The values come from moto, an \
             emulator of AWS, over plain http on loopback. The hundred are 60 secrets and 40 parameters in two \
             regions."
        ),
        header: vec!["variables", "whole run", "anonymous"],
        rows: vec![
            row("none is a reference", &without, Some(&idle)),
            row("1 secret", &with_one, None),
            row("100 secrets", &with_hundred, Some(&holding)),
        ],
        targets: vec![
            Target {
                what: "one secret from loopback, the whole program",
                wanted: format!("≤ {ONE} ms"),
                measured: format!("{} ms", ms(with_one.median())),
                met: with_one.median() <= ONE,
            },
            Target {
                what: "anonymous memory of PID 1 with 100 secrets",
                wanted: format!("≤ without + {HUNDRED} MB"),
                measured: format!("without + {more:.2} MB"),
                met: more <= HUNDRED,
            },
        ],
    })
}

fn hundred(moto: &Moto) -> Variables {
    let mut variables = Variables::new();
    for region in REGIONS {
        let suffix = region.replace('-', "_");
        for number in 0..30 {
            let arn = moto.secret(region, &format!("secret-{number}"), &"v".repeat(64));
            variables.push((format!("SECRET_{number}_{suffix}"), arn));
        }
        for number in 0..20 {
            let arn = moto.parameter(region, &format!("/bench/{number}"), &"p".repeat(64));
            variables.push((format!("PARAMETER_{number}_{suffix}"), arn));
        }
    }
    variables
}

fn start(moto: &Moto, config: &str, variables: &Variables) -> Result<Child> {
    Ok(Command::new(RUNMATE)
        .arg("run")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("RUNMATE_CONFIG_INLINE", config)
        .env("AWS_ENDPOINT_URL", moto.url())
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .envs(variables.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?)
}

/// Milliseconds from the start to the end of a run that does nothing else.
fn whole_run(moto: &Moto, variables: &Variables) -> Result<f64> {
    let started = Instant::now();
    let output = start(moto, SHORT, variables)?.wait_with_output()?;
    let took = started.elapsed();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stdout).into());
    }
    Ok(took.as_secs_f64() * 1e3)
}

/// Megabytes of anonymous memory while nothing happens.
fn anonymous(moto: &Moto, variables: &Variables) -> Result<f64> {
    let mut child = start(moto, LONG, variables)?;
    let stdout = child.stdout.take().ok_or("stdout is piped")?;
    let mut lines = BufReader::new(stdout).lines().map_while(std::result::Result::ok);
    let is_up = lines.any(|line| line.contains("\"event\":\"up\""));
    sleep(SETTLE);
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id()))
        .map_err(|error| format!("cannot read the memory of what holds secrets ({error}); be root"));
    // SAFETY: the child was not waited for, so the pid is still its own.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    child.wait()?;
    if !is_up {
        return Err("it did not come up".into());
    }
    Ok(kib(&text?, "Anonymous:")? as f64 * 1024.0 / 1e6)
}
