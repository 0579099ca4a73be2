//! The machine's hands and eyes: performs its actions, turns what happens into its events.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use runmate_health::Health;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::environment::{self, Inherited};
use super::probes::{self, Message};
use super::{health, log, ports};
use crate::config::{self, LogFormat, Probe, Stdin};
use crate::machine::{Action, Cause, End, Event, Machine, Pid, ProcessId, Report, Target, View};
use crate::output::{Level, Line, Origin, Scratch, Sink, Stream};
use crate::process::{self, OomCounter, Output, Reaped, Spawned, Spec, StdinFrom, Terminal, sys};
use crate::signal::Signal;

/// A process that runs.
struct Life {
    pid: Pid,
    since: Instant,
    streams: Vec<Rc<Stream>>,
    probe: Option<AbortHandle>,
    has_terminal: bool,
}

/// A probe command that runs.
struct ProbeCommand {
    id: u64,
    reply: oneshot::Sender<End>,
}

pub(super) struct Supervisor {
    config: config::Plan,
    names: Vec<String>,
    machine: Machine,
    /// When runmate started; the zero of the machine's time.
    zero: Instant,
    inherited: Inherited,
    sink: Rc<Sink>,
    scratch: Scratch,
    lives: Vec<Option<Life>>,
    /// Process groups whose leader is gone while others of it live.
    groups: BTreeMap<ProcessId, Pid>,
    /// Pipes that may still bring something, those of processes that ended included.
    streams: Vec<Rc<Stream>>,
    probe_commands: HashMap<Pid, ProbeCommand>,
    sender: probes::Sender,
    terminal: Terminal,
    oom: OomCounter,
    oom_seen: u64,
    health: Option<Health>,
    published: Option<View>,
    stop_by: Option<Instant>,
    exit: Option<(i32, Cause)>,
}

impl Supervisor {
    pub fn new(
        config: config::Plan,
        machine: Machine,
        inherited: Inherited,
        sink: Rc<Sink>,
        zero: Instant,
    ) -> (Supervisor, mpsc::UnboundedReceiver<Message>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let names = config
            .processes
            .iter()
            .map(|process| process.name.clone())
            .collect();
        let supervisor = Supervisor {
            lives: config.processes.iter().map(|_| None).collect(),
            names,
            machine,
            zero,
            inherited,
            sink,
            scratch: Scratch::default(),
            groups: BTreeMap::new(),
            streams: Vec::new(),
            probe_commands: HashMap::new(),
            sender,
            terminal: Terminal::detect(),
            oom: OomCounter::open(),
            oom_seen: 0,
            health: None,
            published: None,
            stop_by: None,
            exit: None,
            config,
        };
        (supervisor, receiver)
    }

    /// From here on the health endpoints are told what happens.
    pub fn publish_to(&mut self, health: Health) {
        self.health = Some(health);
        self.published = None;
        self.publish();
    }

    /// A sender for tasks.
    pub fn sender(&self) -> probes::Sender {
        self.sender.clone()
    }

    /// When the machine must hear of the time.
    pub fn deadline(&self) -> Option<Instant> {
        self.machine.deadline().map(|deadline| self.zero + deadline)
    }

    /// Whether [`Supervisor::check_groups`] must be called now and then. The last member of a group
    /// may be reaped by a parent outside it, and then nothing else tells us.
    pub fn watches_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The exit code and its cause, once the machine has said so.
    pub fn exit(&self) -> Option<(i32, Cause)> {
        self.exit
    }

    /// When everything must be over.
    pub fn stop_by(&self) -> Option<Instant> {
        self.stop_by
    }

    /// Hands over the pipes that may still hold something.
    pub fn take_streams(&mut self) -> Vec<Rc<Stream>> {
        std::mem::take(&mut self.streams)
    }

    /// Tells the machine and performs what it answers, until it has nothing more to do.
    pub fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = self.machine.step(self.zero.elapsed(), event);
            // Before any signal is sent: a probe must find 503 no later than the app its SIGTERM.
            self.publish();
            // Signals next, all of them: what is said about them must not delay them. Only who is not
            // ready is looked at while it still listens somewhere.
            actions.sort_by_key(|action| match action {
                Action::Report(Report::NotReady(..)) => 0,
                Action::Signal(..) => 1,
                _ => 2,
            });
            for action in actions {
                events.extend(self.perform(action));
            }
        }
    }

    /// A signal arrived at runmate.
    pub fn signal(&mut self, signal: Signal) {
        if signal == Signal::CHLD {
            self.children()
        } else {
            self.feed(Event::Signal(signal))
        }
    }

    /// A task has something to say.
    pub fn message(&mut self, message: Message) {
        match message {
            Message::Ready(process, pid) => {
                let current = self.lives[process.0].as_ref().is_some_and(|life| life.pid == pid);
                if current {
                    self.feed(Event::Ready(process));
                }
            }
            Message::RunProbe(process, id, reply) => self.run_probe_command(process, id, reply),
            Message::DropProbe(id) => {
                let running = self.probe_commands.iter().find(|(_, command)| command.id == id);
                if let Some((pid, _)) = running {
                    let _ = sys::kill(Target::Group(*pid), Signal::KILL);
                }
            }
            Message::CheckPort => {
                let port = self.inherited.iter().find(|(key, _)| key == "PORT");
                let port = port.and_then(|(_, value)| value.to_str());
                let line = ports::platform_address(port).and_then(ports::check_platform_address);
                if let Some(line) = line {
                    self.sink.line(&line);
                }
            }
        }
    }

    /// Reaps every dead child and tells the machine.
    fn children(&mut self) {
        let mut dead = Vec::new();
        let any_left = process::reap(|reaped| dead.push(reaped));
        for Reaped { pid, end } in dead {
            if let Some(command) = self.probe_commands.remove(&pid) {
                let _ = command.reply.send(end);
                continue;
            }
            let process = self
                .lives
                .iter()
                .position(|life| life.as_ref().is_some_and(|life| life.pid == pid));
            // Anybody else is an adopted orphan: reaped, and no news.
            if let Some(index) = process {
                self.ended(ProcessId(index), end);
            }
        }
        self.check_groups();
        if !any_left {
            self.feed(Event::NoChildren);
        }
    }

    /// Looks whether groups without a leader are gone.
    pub fn check_groups(&mut self) {
        let gone: Vec<ProcessId> = self
            .groups
            .iter()
            .filter(|(_, group)| !sys::group_alive(**group))
            .map(|(id, _)| *id)
            .collect();
        for process in gone {
            self.groups.remove(&process);
            self.feed(Event::GroupGone(process));
        }
    }

    fn ended(&mut self, process: ProcessId, end: End) {
        let Some(life) = self.lives[process.0].take() else {
            return;
        };
        if let Some(probe) = life.probe {
            probe.abort();
        }
        if life.has_terminal {
            self.terminal.take_back();
        }
        // Its last words come before the line that says it is gone, as far as there is room.
        life.streams.iter().for_each(|stream| stream.catch_up());
        self.streams.retain(|stream| !stream.ended());
        let group_alive = sys::group_alive(life.pid);
        if group_alive {
            self.groups.insert(process, life.pid);
        } else {
            self.groups.remove(&process);
        }
        let name = &self.names[process.0];
        let kills = self.oom.kills();
        let oom = kills.map(|kills| kills > std::mem::replace(&mut self.oom_seen, kills));
        let failed = !end.succeeded() && self.stop_by.is_none();
        let level = if failed { Level::Error } else { Level::Info };
        let mut message = format!("{name} {}", log::end_in_words(end));
        if oom == Some(true) {
            message.push_str("; the kernel killed for lack of memory");
        }
        let line = Line::new(level, "ended", message)
            .with("name", name.as_str())
            .with("pid", life.pid);
        let line = log::with_end(line, end)
            .with("uptime", log::seconds(life.since.elapsed()))
            .with_some("oom", oom);
        self.sink.line(&line);
        self.feed(Event::Ended {
            process,
            end,
            group_alive,
        });
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(process) => return Some(self.spawn(process)),
            Action::Signal(_, target, signal) => {
                // It may have ended since; then its end is on its way to us.
                let _ = sys::kill(target, signal);
            }
            Action::Sweep(signal) => {
                // Mostly nobody is left, and then there is no need to read /proc.
                if !process::reap(|_| {}) {
                    return Some(Event::NoChildren);
                }
                process::signal_descendants(signal);
                if signal == Signal::TERM {
                    process::signal_descendants(Signal::CONT);
                }
            }
            Action::Report(report) => self.report(&report),
            Action::Exit { code, cause } => self.exit = Some((code, cause)),
        }
        None
    }

    fn report(&mut self, report: &Report) {
        let mut line = log::line(report, &self.names, |index| {
            self.config.processes[index].policy.stop.clone()
        });
        match report {
            Report::NotReady(process, _) => {
                line = line.with_some("why", ports::explain_probe(&self.config.processes[process.0]));
                self.stop_probe(*process);
            }
            Report::Stopping(process, ..) | Report::Killing(process) => self.stop_probe(*process),
            Report::Draining { budget, .. } => self.stop_by = Some(Instant::now() + *budget),
            _ => {}
        }
        self.sink.line(&line);
    }

    fn stop_probe(&mut self, process: ProcessId) {
        if let Some(probe) = self.lives[process.0].as_mut().and_then(|life| life.probe.take()) {
            probe.abort();
        }
    }

    fn spawn(&mut self, process: ProcessId) -> Event {
        let plan = &self.config.processes[process.0];
        let has_terminal = plan.stdin == Stdin::Inherit && self.terminal.can_hand_over();
        let mut spec = self.spec(process, &plan.command);
        spec.stdin = match plan.stdin {
            Stdin::Null => StdinFrom::Null,
            Stdin::Inherit if has_terminal => StdinFrom::Terminal,
            Stdin::Inherit => StdinFrom::Inherit,
        };
        spec.output = if plan.format == LogFormat::Inherit {
            Output::Inherit
        } else {
            Output::Pipes
        };
        spec.ready_fd = match plan.ready.as_ref().map(|ready| &ready.probe) {
            Some(Probe::Fd(fd)) => Some(*fd),
            _ => None,
        };
        let spawned = match process::spawn(&spec) {
            Ok(spawned) => spawned,
            Err(error) => {
                let line = Line::new(
                    Level::Error,
                    "cannot_start",
                    format!("cannot start {}: {}", plan.name, error.explain(&spec)),
                )
                .with("name", plan.name.as_str())
                .with("code", error.exit_code());
                self.sink.line(&line);
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
        self.sink.line(&line);
        let pid = spawned.pid;
        let life = self.attend(process, spawned, has_terminal);
        self.lives[process.0] = Some(life);
        Event::Spawned(process, pid)
    }

    /// Connects a new child to its streams and its probe.
    fn attend(&mut self, process: ProcessId, spawned: Spawned, has_terminal: bool) -> Life {
        let plan = &self.config.processes[process.0];
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
                let stream = Stream::new(
                    pipe,
                    plan.format,
                    origin,
                    self.config.logs.max_line,
                    watch.clone(),
                    Rc::clone(&self.sink),
                    Rc::clone(&self.scratch),
                );
                match stream {
                    Ok(stream) => streams.push(Rc::new(stream)),
                    Err(error) => self.sink.line(&Line::new(
                        Level::Error,
                        "cannot_read",
                        format!("cannot read the output of {}: {error}", plan.name),
                    )),
                }
            }
        }
        for stream in &streams {
            tokio::task::spawn_local(Rc::clone(stream).run());
            self.streams.push(Rc::clone(stream));
        }
        let probe = plan
            .ready
            .as_ref()
            .and_then(|ready| probes::start(ready, process, pid, spawned.ready, self.sender.clone()));
        Life {
            pid,
            since: Instant::now(),
            streams,
            probe,
            has_terminal,
        }
    }

    /// A command with the environment and identity of a process.
    fn spec(&self, process: ProcessId, command: &config::Command) -> Spec {
        let plan = &self.config.processes[process.0];
        Spec {
            argv: environment::argv(command),
            env: environment::of_process(plan, &self.inherited),
            cwd: plan.cwd.clone(),
            user: plan.user.clone(),
            umask: plan.umask,
            stdin: StdinFrom::Null,
            output: Output::Null,
            ready_fd: None,
        }
    }

    fn run_probe_command(&mut self, process: ProcessId, id: u64, reply: oneshot::Sender<End>) {
        let plan = &self.config.processes[process.0];
        let Some(Probe::Exec(command)) = plan.ready.as_ref().map(|ready| &ready.probe) else {
            return;
        };
        if self.lives[process.0].is_none() || reply.is_closed() {
            return;
        }
        match process::spawn(&self.spec(process, command)) {
            Ok(spawned) => {
                self.probe_commands
                    .insert(spawned.pid, ProbeCommand { id, reply });
            }
            // The reply is dropped: the attempt failed. The reason shows at the timeout.
            Err(_) => drop(reply),
        }
    }

    /// Gives the health endpoints a new state, if it is new.
    fn publish(&mut self) {
        let Some(health) = &self.health else { return };
        let view = self.machine.view();
        if self.published.as_ref() != Some(&view) {
            health.publish(health::snapshot(&view, &self.names, self.zero.elapsed()));
            self.published = Some(view);
        }
    }

    /// Brings the durations in the health answers up to date.
    pub fn refresh_health(&mut self) {
        self.published = None;
        self.publish();
    }

    /// The last line: why the container ended.
    pub fn exit_line(&self, code: i32, cause: Cause) -> Line {
        let main = self.config.main;
        let about = cause.process().unwrap_or(main);
        let why = log::cause_in_words(cause, |process| self.names[process.0].clone());
        let end = match cause {
            Cause::MainEnded(end) => Some(end),
            _ => self.machine.last_end(about),
        };
        let kills = self.oom.kills();
        super::exit::line(code, cause.name(), &why, self.zero.elapsed())
            .with("name", self.names[about.0].as_str())
            .with_some(
                "process_code",
                end.and_then(|end| match end {
                    End::Exited(code) => Some(code),
                    End::Killed(_) => None,
                }),
            )
            .with_some(
                "signal",
                end.and_then(|end| match end {
                    End::Killed(signal) => Some(signal.to_string()),
                    End::Exited(_) => None,
                }),
            )
            .with(
                "restarts",
                (0..self.names.len())
                    .map(|index| self.machine.restarts(ProcessId(index)))
                    .sum::<u32>(),
            )
            .with_some("oom", kills.map(|kills| kills > 0))
    }
}

/// How often groups without a leader are looked at.
pub(super) const GROUP_POLL: Duration = Duration::from_millis(50);
