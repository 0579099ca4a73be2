//! The way of a log line from a child's pipe to our stdout.

use std::io::Read;
use std::process::{ChildStdout, Command, Stdio};

use crate::child::{LINE, Role, Text};
use crate::peers::{Peer, Setting, free_port};
use crate::report::{Section, Target};
use crate::stage::{Running, Stage};
use crate::stats::Samples;
use crate::{Result, os};

const ROUNDS: usize = 5;
/// runmate enlarges its pipes to this; `cat` is shown with both sizes.
const LARGE_PIPE: i32 = 1 << 20;

/// Who stands between the producer and the consumer.
#[derive(Clone, Copy, Debug)]
enum Between {
    /// A filter behind a shell's pipe; `large` pipes or default ones.
    Filter(&'static [&'static str], bool),
    /// A supervisor that has the producer as its child.
    Supervisor(Peer),
    /// runmate that masks so many secrets.
    Masked(usize),
}

struct Contender {
    name: &'static str,
    between: Between,
    text: Text,
    /// Fewer for those that are slow.
    lines: usize,
    /// Million lines a second.
    speed: Samples,
    /// CPU seconds per million lines.
    cpu: Samples,
}

const CAT: usize = 0;
const RUNMATE: usize = 2;
const JSON: usize = 5;
const MASKED: usize = 6;
/// How many of the contenders, from RUNMATE on, are runmate.
const OURS: usize = 5;

pub fn run() -> Result<Section> {
    let contender = |name, between, text, lines| Contender {
        name,
        between,
        text,
        lines,
        speed: Samples::default(),
        cpu: Samples::default(),
    };
    let filter = |argv, large| Between::Filter(argv, large);
    let runmate = Between::Supervisor(Peer::Runmate);
    let supervisord = Between::Supervisor(Peer::Supervisord);
    let mut contenders = [
        contender("cat (no JSON)", filter(&["cat"], false), Text::Plain, 2_000_000),
        contender(
            "cat, 1 MiB pipes (no JSON)",
            filter(&["cat"], true),
            Text::Plain,
            2_000_000,
        ),
        contender("runmate", runmate, Text::Plain, 2_000_000),
        contender(
            "runmate, access log (6 quotes a line)",
            runmate,
            Text::Quoted,
            2_000_000,
        ),
        contender(
            "runmate, level behind time and name",
            runmate,
            Text::Leveled,
            2_000_000,
        ),
        contender("runmate, objects pass through", runmate, Text::Json, 2_000_000),
        contender(
            "runmate, 20 secrets masked",
            Between::Masked(20),
            Text::Plain,
            2_000_000,
        ),
        contender(
            "s6-log T (timestamp, no JSON)",
            filter(&["s6-log", "T", "1"], false),
            Text::Plain,
            400_000,
        ),
        contender("supervisord (no JSON)", supervisord, Text::Plain, 1_000_000),
        contender("jq -cR", filter(&["jq", "-cR", "."], false), Text::Plain, 50_000),
    ];
    check_output()?;
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            measure(contender).map_err(|error| format!("{}: {error}", contender.name))?;
        }
    }
    let (cat, runmate) = (&contenders[CAT], &contenders[RUNMATE]);
    let (json, masked) = (&contenders[JSON], &contenders[MASKED]);
    let (speed, ratio) = (runmate.speed.median(), runmate.speed.ratio_to(&cat.speed));
    let (json, masked) = (json.speed.median(), masked.speed.ratio_to(&runmate.speed));
    let most_cpu = contenders[RUNMATE..RUNMATE + OURS]
        .iter()
        .map(|contender| contender.cpu.median())
        .fold(0.0, f64::max);
    let row = |contender: &Contender| {
        vec![
            contender.name.to_owned(),
            format!("{:.2}", contender.speed.median()),
            format!("{:.2}", contender.speed.ratio_to(&cat.speed)),
            format!("{:.2}", contender.cpu.median()),
        ]
    };
    Ok(Section {
        title: "Log lines",
        how: format!(
            "Lines of {LINE} bytes, written in large blocks, from the producer's first act to the last byte \
             at the consumer, which discards them. CPU time is that of the contender alone. The ratio is \
             the median of {ROUNDS} rounds' ratios."
        ),
        header: vec![
            "contender",
            "million lines/s",
            "of cat",
            "CPU s per million lines",
        ],
        rows: contenders.iter().map(row).collect(),
        targets: vec![
            Target {
                what: "200-byte lines to JSON",
                wanted: "≥ 3 M lines/s or ≥ 0.55 × cat".into(),
                measured: format!("{speed:.2} M lines/s, {ratio:.2} × cat"),
                met: speed >= 3.0 || ratio >= 0.55,
            },
            Target {
                what: "lines that are objects already",
                wanted: "≥ 1.5 M lines/s".into(),
                measured: format!("{json:.2} M lines/s"),
                met: json >= 1.5,
            },
            Target {
                what: "20 secrets masked",
                wanted: "≥ 0.7 × without".into(),
                measured: format!("{masked:.2} × without"),
                met: masked >= 0.7,
            },
            Target {
                what: "CPU time per million lines, the slowest kind",
                wanted: "≤ 0.25 s".into(),
                measured: format!("{most_cpu:.2} s"),
                met: most_cpu <= 0.25,
            },
        ],
    })
}

fn measure(contender: &mut Contender) -> Result<()> {
    let (nanoseconds, cpu) = pump(contender.between, contender.lines, contender.text, |_| ())?;
    let millions = contender.lines as f64 / 1e6;
    contender.speed.push(millions / (nanoseconds as f64 / 1e9));
    contender.cpu.push(cpu / millions);
    Ok(())
}

/// Runs the lines through and shows the consumer's bytes to `each`. Returns how long it took, in
/// nanoseconds, and the CPU seconds of the one in between.
fn pump(between: Between, lines: usize, text: Text, mut each: impl FnMut(&[u8])) -> Result<(u64, f64)> {
    let mut stage = Stage::new()?;
    let role = Role::Lines(lines, text);
    let mut producer = None;
    let mut command = match between {
        Between::Filter(argv, large) => {
            let mut command = Command::new(argv[0]);
            command.args(&argv[1..]);
            let argv = role.arguments(stage.pipe());
            let mut running = Running::start(Command::new(&argv[0]).args(&argv[1..]).stdout(Stdio::piped()))?;
            let pipe = running.child().stdout.take().ok_or("no pipe")?;
            if large {
                os::enlarge_pipe(&pipe, LARGE_PIPE);
            }
            command.stdin(pipe).stderr(Stdio::null());
            producer = Some(running);
            command
        }
        Between::Supervisor(peer) => peer.command(&stage, &[role], setting(0)?)?,
        Between::Masked(secrets) => Peer::Runmate.command(&stage, &[role], setting(secrets)?)?,
    };
    let mut running = Running::start(command.stdout(Stdio::piped()))?;
    let mut consumer = running.child().stdout.take().ok_or("no pipe")?;
    if let Between::Filter(_, true) = between {
        os::enlarge_pipe(&consumer, LARGE_PIPE);
    }
    // supervisord goes on when the producer has ended, and adds nothing to its output.
    let outlives = matches!(between, Between::Supervisor(Peer::Supervisord));
    let expected = lines * LINE;
    let (bytes, last) = consume(&mut consumer, outlives.then_some(expected), &mut each)?;
    if bytes < expected {
        return Err(format!("{bytes} of {expected} bytes came out").into());
    }
    if outlives {
        running.signal(libc::SIGTERM);
    }
    let first = stage.expect("start", 1)?[0].value;
    let (_, cpu) = running.wait()?;
    if let Some(producer) = producer {
        producer.wait()?;
    }
    Ok((last - first, cpu.as_secs_f64()))
}

fn setting(masked: usize) -> Result<Setting> {
    Ok(Setting {
        health: Some(free_port()?),
        masked,
        ..Setting::default()
    })
}

/// Reads to the end, or until there were so many bytes. Returns how many there were, and when the
/// last ones came.
fn consume(
    pipe: &mut ChildStdout,
    enough: Option<usize>,
    each: &mut impl FnMut(&[u8]),
) -> Result<(usize, u64)> {
    let mut buffer = vec![0; 256 << 10];
    let (mut bytes, mut last) = (0, os::now());
    while enough.is_none_or(|enough| bytes < enough) {
        let count = pipe.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        bytes += count;
        last = os::now();
        each(&buffer[..count]);
    }
    Ok((bytes, last))
}

/// Speed is worth nothing if the lines are not what they should be: each must come out once, whole,
/// as JSON.
fn check_output() -> Result<()> {
    const LINES: usize = 20_000;
    for text in [Text::Plain, Text::Quoted, Text::Leveled, Text::Json] {
        let mut output = Vec::new();
        pump(Between::Supervisor(Peer::Runmate), LINES, text, |bytes| {
            output.extend_from_slice(bytes)
        })?;
        let mut found = 0;
        for line in output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let object: serde_json::Value = serde_json::from_slice(line)?;
            let whole = match text {
                Text::Json => object["order"] == 4711 && object["level"] == "info",
                _ => object["message"].as_str().map(str::len) == Some(LINE - 1),
            };
            let level = text != Text::Leveled || object["level"] == "ERROR";
            found += usize::from(object["process"] == "app" && whole && level);
        }
        if found != LINES {
            return Err(format!("{found} of {LINES} lines came out whole").into());
        }
    }
    Ok(())
}
