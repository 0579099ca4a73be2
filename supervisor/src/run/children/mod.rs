//! The children of runmate: who lives, what is connected to them, and how they ended.

mod errands;
mod forwarding;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::errands::Errands;
use super::metrics::Counters;
use super::{log, probes};
use crate::config::{self, LogFormat, Probe, Stdin};
use crate::event_loop;
use crate::machine::{End, Event, Pid, ProcessId, Target};
use crate::output::{Level, Line, Origin, Scratch, Sink, Stream};
use crate::process::{self, Listener, OomCounter, Output, Reaped, Spawned, Spec, StdinFrom, Terminal, sys};
use crate::secrets::environment::{self, Environment};
use crate::signal::Signal;
use crate::trace::Context;

pub(super) use forwarding::{Counted, Feeds};

/// A process that runs, or was reaped and not yet spoken of.
struct Life {
    pid: Pid,
    since: Instant,
    streams: Vec<Rc<Stream>>,
    probe: Option<AbortHandle>,
    /// Why the last attempt of the probe failed, where that is known.
    not_yet: Option<String>,
    has_terminal: bool,
    /// It was reaped: its pid may belong to somebody else by now.
    reaped: bool,
}

/// All children, by the process of the plan that they are.
pub(super) struct Children {
    plan: Rc<config::Plan>,
    /// By the process of the plan; empty until the secrets are there.
    environments: Vec<Environment>,
    /// What the task that migrates reads from its stdin: it holds the database's password.
    migration: Option<Rc<OwnedFd>>,
    sink: Rc<Sink>,
    scratch: Scratch,
    sender: probes::Sender,
    lives: Vec<Option<Life>>,
    /// Process groups whose leader is gone while others of it live.
    groups: BTreeMap<ProcessId, Pid>,
    /// Pipes that may still bring something, those of processes that ended included.
    streams: Vec<Rc<Stream>>,
    errands: Errands,
    feeds: Feeds,
    counters: Rc<Counters>,
    terminal: Terminal,
    /// Opened once the first child runs: looking for it is no reason to keep that one waiting.
    oom: Option<OomCounter>,
    oom_seen: u64,
}

/// How far up the process tree is looked for a process of the plan.
const MAX_ANCESTORS: usize = 32;

/// What there is to say of a process that was reaped.
pub(super) struct Buried {
    /// Whether its group still has members.
    pub group_alive: bool,
    /// Whether the kernel killed for lack of memory since the last end of a process.
    pub oom: Option<bool>,
}

/// Who was reaped.
pub(super) struct Dead {
    /// Processes of the plan, in the order they were reaped.
    pub processes: Vec<(ProcessId, End)>,
    /// Whether any child is left, adopted ones included.
    pub any_left: bool,
}

impl Children {
    pub fn new(
        plan: Rc<config::Plan>,
        sink: Rc<Sink>,
        sender: probes::Sender,
        counters: Rc<Counters>,
    ) -> Children {
        Children {
            feeds: Feeds::new(&plan, &sink, &counters.forwarded),
            counters,
            lives: plan.processes.iter().map(|_| None).collect(),
            plan,
            environments: Vec::new(),
            migration: None,
            sink,
            scratch: Scratch::default(),
            sender,
            groups: BTreeMap::new(),
            streams: Vec::new(),
            errands: Errands::default(),
            terminal: Terminal::detect(),
            oom: None,
            oom_seen: 0,
        }
    }

    /// Says what the processes find in their environments. None of them is started before.
    pub fn give_environments(&mut self, environments: Vec<Environment>) {
        self.environments = environments;
    }

    /// Says what the task that migrates has to do. It is not started before.
    pub fn give_migration(&mut self, settings: OwnedFd) {
        self.migration = Some(Rc::new(settings));
    }

    /// Who listens in this container, ourselves excepted; named as the config names them.
    pub fn listeners(&self) -> Vec<Listener> {
        let mut found = process::listeners();
        let ourselves = std::process::id() as Pid;
        found.retain(|listener| {
            listener
                .holder
                .as_ref()
                .is_none_or(|holder| holder.pid != ourselves)
        });
        for holder in found.iter_mut().filter_map(|listener| listener.holder.as_mut()) {
            holder.process = self.process_of(holder.pid);
        }
        found
    }

    /// The name of the process that `pid` is or descends from.
    fn process_of(&self, pid: Pid) -> Option<String> {
        let ancestors = std::iter::successors(Some(pid), |pid| process::parent_of(*pid)).take(MAX_ANCESTORS);
        let mut lives = ancestors.filter_map(|pid| {
            let index = self
                .lives
                .iter()
                .position(|life| life.as_ref().is_some_and(|life| life.pid == pid));
            Some(self.plan.processes[index?].name.clone())
        });
        lives.next()
    }

    /// Whether this life of the process goes on.
    pub fn is_current(&self, process: ProcessId, pid: Pid) -> bool {
        self.lives[process.0].as_ref().is_some_and(|life| life.pid == pid)
    }

    /// A process whose group was left by its leader and is empty now.
    pub fn gone_group(&mut self) -> Option<ProcessId> {
        let (process, _) = self.groups.iter().find(|(_, group)| !sys::group_alive(**group))?;
        let process = *process;
        self.groups.remove(&process);
        Some(process)
    }

    /// Hands over the pipes that may still hold something.
    pub fn take_streams(&mut self) -> Vec<Rc<Stream>> {
        std::mem::take(&mut self.streams)
    }

    /// How many processes of the container the kernel has killed for lack of memory.
    pub fn oom_kills(&self) -> Option<u64> {
        self.oom.as_ref()?.kills()
    }

    /// Reaps every dead child. Each of the processes named must then be [`Children::bury`]ed.
    pub fn reap(&mut self) -> Dead {
        let mut processes = Vec::new();
        let any_left = process::reap(|Reaped { pid, end }| {
            self.errands.reaped(pid, end);
            let lives = self.lives.iter_mut().enumerate();
            let mut lives = lives.filter_map(|(index, life)| Some((index, life.as_mut()?)));
            // Anybody else is an adopted orphan: reaped, and no news.
            if let Some((index, life)) = lives.find(|(_, life)| life.pid == pid) {
                life.reaped = true;
                processes.push((ProcessId(index), end));
            }
        });
        Dead { processes, any_left }
    }

    /// Ends the life of a process that was reaped. `planned`: the container is stopping, and an end is no failure.
    /// `span` is what the line about it belongs to.
    pub fn bury(
        &mut self,
        process: ProcessId,
        end: End,
        planned: bool,
        span: Option<Context>,
    ) -> Option<Buried> {
        let life = self.lives[process.0].take()?;
        if let Some(probe) = life.probe {
            probe.abort();
        }
        if life.has_terminal {
            self.terminal.take_back();
        }
        // Its last words come before the line that says it is gone, as far as there is room.
        life.streams.iter().for_each(|stream| stream.catch_up());
        self.streams.retain(|stream| !stream.ended());
        if planned {
            self.gone_for_good(process);
        }
        let group_alive = sys::group_alive(life.pid);
        if group_alive {
            self.groups.insert(process, life.pid);
        } else {
            self.groups.remove(&process);
        }
        let name = self.plan.processes[process.0].name.as_str();
        let kills = self.oom_kills();
        let oom = kills.map(|kills| kills > std::mem::replace(&mut self.oom_seen, kills));
        let level = if end.succeeded() || planned {
            Level::Info
        } else {
            Level::Error
        };
        let mut message = format!("{name} {}", log::end_in_words(end));
        if oom == Some(true) {
            message.push_str("; the kernel killed for lack of memory");
        }
        let line = Line::new(level, "ended", message)
            .with("name", name)
            .with("pid", life.pid);
        let line = log::with_end(line, end)
            .with("uptime", log::seconds(life.since.elapsed()))
            .with_some("oom", oom);
        self.sink.line(&line.within(span));
        Some(Buried { group_alive, oom })
    }

    /// Sends a signal, unless the process was reaped already: its end is on its way to the machine
    /// then, and its pid may be somebody else's.
    pub fn signal(&self, process: ProcessId, target: Target, signal: Signal) {
        let reaped = self.lives[process.0].as_ref().is_some_and(|life| life.reaped);
        if !(reaped && matches!(target, Target::Process(_))) {
            let _ = sys::kill(target, signal);
        }
    }

    /// Remembers why the last attempt of the probe failed.
    pub fn not_yet(&mut self, process: ProcessId, why: Option<String>) {
        if let Some(life) = &mut self.lives[process.0] {
            life.not_yet = why;
        }
    }

    /// Why the last attempt of the probe failed, as far as its answer tells.
    pub fn why_not_ready(&mut self, process: ProcessId) -> Option<String> {
        self.lives[process.0].as_mut()?.not_yet.take()
    }

    /// Gives up waiting for the process to become ready.
    pub fn stop_probe(&mut self, process: ProcessId) {
        if let Some(probe) = self.lives[process.0].as_mut().and_then(|life| life.probe.take()) {
            probe.abort();
        }
    }

    /// Starts a process of the plan; gives the event for the machine. `span` is its start in the trace.
    pub fn spawn(&mut self, process: ProcessId, span: Option<Context>) -> Event {
        let plan = &self.plan.processes[process.0];
        let has_terminal = plan.stdin == Stdin::Inherit && self.terminal.can_hand_over();
        let mut spec = self.spec(process, &plan.command);
        if let Some(span) = span {
            environment::add_carrier(&mut spec.env, &self.plan, plan, &span);
        }
        let stdin = match plan.stdin {
            Stdin::Null => Ok(StdinFrom::Null),
            Stdin::Inherit if has_terminal => Ok(StdinFrom::Terminal),
            Stdin::Inherit => Ok(StdinFrom::Inherit),
            Stdin::Logs(_) => self.stdin_of_forwarder(process),
        };
        // Taken: it is started once, and the password stays with us no longer than that.
        let settings = self
            .migration
            .take_if(|_| plan.command == config::Command::Migrate);
        let stdin = settings.map_or(stdin, |settings| Ok(StdinFrom::File(settings)));
        spec.output = if plan.format == LogFormat::Inherit {
            Output::Inherit
        } else {
            Output::Pipes
        };
        spec.out_fd = match plan.ready.as_ref().map(|ready| &ready.probe) {
            Some(Probe::Fd(fd)) => Some(*fd),
            _ => None,
        };
        let spawned = stdin.and_then(|stdin| {
            spec.stdin = stdin;
            process::spawn(&spec)
        });
        let spawned = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                let line = Line::new(
                    Level::Error,
                    "cannot_start",
                    format!("cannot start {}: {}", plan.name, error.explain(&spec)),
                )
                .with("name", plan.name.as_str())
                .with("code", error.exit_code());
                self.sink.line(&line.within(span));
                if has_terminal {
                    // The child may have taken it before it failed.
                    self.terminal.take_back();
                }
                return Event::SpawnFailed {
                    process,
                    code: error.exit_code(),
                    temporary: error.is_temporary(),
                };
            }
        };
        let line = Line::new(Level::Info, "started", format!("{} started", plan.name))
            .with("name", plan.name.as_str())
            .with("pid", spawned.pid);
        self.sink.line(&line.within(span));
        let pid = spawned.pid;
        self.oom.get_or_insert_with(OomCounter::open);
        let life = self.attend(process, spawned, has_terminal);
        self.lives[process.0] = Some(life);
        Event::Spawned(process, pid)
    }

    /// Connects a new child to its streams and its probe.
    fn attend(&mut self, process: ProcessId, spawned: Spawned, has_terminal: bool) -> Life {
        let plan = &self.plan.processes[process.0];
        let pid = spawned.pid;
        let mut streams = Vec::new();
        let watch = plan
            .ready
            .as_ref()
            .and_then(|ready| probes::watch(ready, process, pid, self.sender.clone()));
        if let Some((stdout, stderr)) = spawned.pipes {
            for (pipe, stream) in [(stdout, "stdout"), (stderr, "stderr")] {
                let origin = Origin {
                    process: plan.name.clone(),
                    stream,
                    pid,
                };
                let fork = self.fork(process, &origin);
                let read = Stream::new(
                    pipe,
                    plan.format,
                    origin,
                    &self.plan.logs,
                    watch.clone(),
                    Rc::clone(&self.sink),
                    Rc::clone(&self.scratch),
                );
                match read {
                    Ok(read) => {
                        let counts = self.counters.stream(process, stream);
                        streams.push(Rc::new(read.forked(fork).counted(counts)));
                    }
                    Err(error) => self.sink.line(&Line::new(
                        Level::Error,
                        "cannot_read",
                        format!("cannot read the output of {}: {error}", plan.name),
                    )),
                }
            }
        }
        for stream in &streams {
            event_loop::spawn(Rc::clone(stream).run());
            self.streams.push(Rc::clone(stream));
        }
        let probe = plan
            .ready
            .as_ref()
            .and_then(|ready| probes::start(ready, process, pid, spawned.out, self.sender.clone()));
        Life {
            pid,
            since: Instant::now(),
            streams,
            probe,
            not_yet: None,
            has_terminal,
            reaped: false,
        }
    }

    /// A command with the environment and identity of a process.
    fn spec(&self, process: ProcessId, command: &config::Command) -> Spec {
        let plan = &self.plan.processes[process.0];
        Spec {
            argv: environment::argv(command),
            env: self.environments[process.0].clone(),
            cwd: plan.cwd.clone(),
            user: plan.user.clone(),
            umask: plan.umask,
            stdin: StdinFrom::Null,
            output: Output::Null,
            out_fd: None,
        }
    }
}
