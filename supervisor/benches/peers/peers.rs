//! The contenders, and how each is told to run the same children.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::child::Role;
use crate::stage::Stage;

/// The release binary: cargo builds it with the bench, with the settings of the release profile.
pub const RUNMATE: &str = env!("CARGO_BIN_EXE_runmate");

/// Who runs the children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Nobody: the child is a child of the bench.
    Nobody,
    Tini,
    /// `tini -g` signals the whole group.
    TiniGroup,
    /// Signals the whole group by default.
    DumbInit,
    Runmate,
    S6,
    Supervisord,
}

/// What the children may expect of their supervisor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting {
    /// Runmate serves health on this port.
    pub health: Option<u16>,
    /// Children that end are started again, as soon as the supervisor can.
    pub restart: bool,
    /// Runmate resolves so many secrets and masks them in what the children print.
    pub masked: usize,
    /// Runmate exports traces, to where nobody listens.
    pub traced: bool,
}

/// What must be installed: the program, and the Debian package that has it.
const NEEDED: [(&str, &str); 8] = [
    ("tini", "tini"),
    ("dumb-init", "dumb-init"),
    ("s6-svscan", "s6"),
    ("s6-log", "s6"),
    ("supervisord", "supervisor"),
    ("jq", "jq"),
    ("unshare", "util-linux"),
    ("wrk", "wrk"),
];

/// An error that names everything that is missing and says how to get it.
pub fn check_installed() -> Result<()> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let installed = |program: &str| std::env::split_paths(&paths).any(|path| path.join(program).is_file());
    let mut missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !installed(program))
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "missing: {}; `scripts/setup-tests.sh bench` installs what the bench compares with",
        missing.join(", ")
    )
    .into())
}

/// Name and version of every peer, for the report.
pub fn versions() -> String {
    let mut packages: Vec<&str> = NEEDED.map(|(_, package)| package).to_vec();
    packages.dedup();
    let version = |package: &&str| {
        let output = Command::new("dpkg-query")
            .args(["-W", "-f", "${Version}", package])
            .output();
        let known = output
            .ok()
            .filter(|output| output.status.success())
            .and_then(|output| String::from_utf8(output.stdout).ok());
        format!("{package} {}", known.as_deref().unwrap_or("(version unknown)"))
    };
    packages.iter().map(version).collect::<Vec<_>>().join(", ")
}

impl Peer {
    /// The command that runs these children. Those that run one child take the first.
    pub fn command(self, stage: &Stage, roles: &[Role], setting: Setting) -> Result<Command> {
        let children: Vec<Vec<String>> = roles.iter().map(|role| role.arguments(stage.pipe())).collect();
        let mut command = match self {
            Peer::Nobody => Command::new(&children[0][0]),
            Peer::Tini | Peer::TiniGroup => Command::new("tini"),
            Peer::DumbInit => Command::new("dumb-init"),
            Peer::Runmate => Command::new(RUNMATE),
            Peer::S6 => Command::new("s6-svscan"),
            Peer::Supervisord => Command::new("supervisord"),
        };
        match self {
            Peer::Nobody => command.args(&children[0][1..]),
            // -s: adopts orphans when it is not PID 1, as runmate does.
            Peer::Tini => command.args(["-s", "--"]).args(&children[0]),
            Peer::TiniGroup => command.args(["-s", "-g", "--"]).args(&children[0]),
            Peer::DumbInit => command.arg("--").args(&children[0]),
            Peer::Runmate => {
                let config = stage.write("runmate.toml", &runmate_config(&children, setting))?;
                command.args(["run", "-c"]).arg(config)
            }
            Peer::S6 => {
                let directory = stage.path().join("scan");
                write_services(&directory, &children)?;
                command.arg(directory)
            }
            Peer::Supervisord => {
                let config =
                    stage.write("supervisord.conf", &supervisord_config(stage, &children, setting))?;
                command.arg("-c").arg(config)
            }
        };
        // Nothing of ours may be taken for a setting.
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.as_encoded_bytes().starts_with(b"RUNMATE_"))
        {
            command.env_remove(key);
        }
        if setting.masked > 0 {
            let file = stage.write("secrets.json", &secrets(setting.masked))?;
            command.env("RUNMATE_SECRETS_FILE", file);
        }
        command
            .env_remove("PORT")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    }
}

/// A port of the loopback that is free now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn runmate_config(children: &[Vec<String>], setting: Setting) -> String {
    let listen = match setting.health {
        Some(port) => format!("127.0.0.1:{port}"),
        None => "off".into(),
    };
    let mut text = format!("[run]\nplatform = \"docker\"\n[health]\nlisten = \"{listen}\"\n");
    if setting.masked > 0 {
        text.push_str("[logs]\nmask = true\n");
    }
    if setting.traced {
        text.push_str("[trace]\nexporter = \"otlp-http\"\nendpoint = \"http://127.0.0.1:1\"\n");
    }
    for secret in 0..setting.masked {
        let reference = reference(secret);
        text.push_str(&format!("[secrets.SECRET_{secret}]\nfrom = \"{reference}\"\n"));
    }
    for (index, argv) in children.iter().enumerate() {
        let name = if index == 0 {
            "app".into()
        } else {
            format!("sidecar{index}")
        };
        // A list of plain strings is the same in TOML as in Rust.
        text.push_str(&format!("[process.{name}]\ncommand = {argv:?}\n"));
        if setting.restart {
            text.push_str("restart = \"always\"\nbackoff = { min = \"0s\", restarts = 1000 }\n");
        }
    }
    text
}

fn reference(secret: usize) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:bench-{secret}-AbCdEf")
}

/// Values that begin with letters which are common in the lines, as those of real passwords are.
fn secrets(count: usize) -> String {
    let value = |secret: usize| {
        let letter = char::from(b'a' + (secret % 26) as u8);
        format!(
            "{letter}{:022x}{letter}",
            (secret as u128 + 1) * 0x9e37_79b9_7f4a_7c15
        )
    };
    let pairs: Vec<String> = (0..count)
        .map(|secret| format!("{:?}: {:?}", reference(secret), value(secret)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn write_services(directory: &Path, children: &[Vec<String>]) -> Result<()> {
    for (index, argv) in children.iter().enumerate() {
        let service = directory.join(format!("service{index}"));
        fs::create_dir_all(&service)?;
        let run = service.join("run");
        // The arguments hold nothing that sh would take apart.
        fs::write(&run, format!("#!/bin/sh\nexec {}\n", argv.join(" ")))?;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn supervisord_config(stage: &Stage, children: &[Vec<String>], setting: Setting) -> String {
    let pid_file = stage.path().join("supervisord.pid");
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\n",
        pid_file.display()
    );
    for (index, argv) in children.iter().enumerate() {
        text.push_str(&format!(
            "[program:service{index}]\ncommand={}\nstartsecs=0\nautorestart={}\n\
             stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n",
            argv.join(" "),
            setting.restart
        ));
    }
    text
}
