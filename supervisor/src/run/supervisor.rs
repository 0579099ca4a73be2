//! The machine's hands and eyes: performs its actions, turns what happens into its events.

mod lines;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use runmate_health::Health;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::children::{Buried, Children};
use super::errands::Errand;
use super::metrics::Counters;
use super::monitor::Monitor;
use super::outcomes::Seen;
use super::ports;
use super::probes::{self, Message};
use super::telemetry::Telemetry;
use crate::config;
use crate::event_loop;
use crate::machine::{Action, Cause, Event, Machine, ProcessId, Report, Target};
use crate::output::{Sink, Stream};
use crate::process;
use crate::secrets::Files;
use crate::signal::Signal;

/// How often groups without a leader are looked at.
pub(super) const GROUP_POLL: Duration = Duration::from_millis(50);

pub(super) struct Supervisor {
    plan: Rc<config::Plan>,
    names: Vec<String>,
    machine: Machine,
    children: Children,
    /// When runmate started; the zero of the machine's time.
    zero: Instant,
    sink: Rc<Sink>,
    sender: probes::Sender,
    monitor: Monitor,
    telemetry: Telemetry,
    counters: Rc<Counters>,
    /// The look that asks for a new life of a process, while the machine is told.
    blamed: Option<Seen>,
    /// `$PORT`, as the platform set it.
    port: Option<String>,
    /// Secrets that are files; gone when we are.
    files: Option<Files>,
    stop_by: Option<Instant>,
    exit: Option<(i32, Cause)>,
}

impl Supervisor {
    pub fn new(
        plan: config::Plan,
        machine: Machine,
        port: Option<String>,
        sink: Rc<Sink>,
        telemetry: Telemetry,
        zero: Instant,
    ) -> (Supervisor, mpsc::UnboundedReceiver<Message>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let plan = Rc::new(plan);
        let monitor = Monitor::new(Rc::clone(&plan), zero);
        let counters = Rc::new(Counters::new(&plan, sink.unwritten()));
        let supervisor = Supervisor {
            names: plan
                .processes
                .iter()
                .map(|process| process.name.clone())
                .collect(),
            machine,
            children: Children::new(
                Rc::clone(&plan),
                Rc::clone(&sink),
                sender.clone(),
                Rc::clone(&counters),
            ),
            counters,
            plan,
            zero,
            sink,
            sender,
            monitor,
            telemetry,
            blamed: None,
            port,
            files: None,
            stop_by: None,
            exit: None,
        };
        (supervisor, receiver)
    }

    /// From here on the health endpoints are told what happens. `served`: somebody can ask them.
    pub fn publish_to(&mut self, health: Health, served: bool) {
        self.monitor.publish_to(health, served, &self.counters);
        self.publish();
    }

    /// The health endpoints and the checks.
    pub fn monitor(&mut self) -> &mut Monitor {
        &mut self.monitor
    }

    /// The traces.
    pub fn telemetry(&mut self) -> &mut Telemetry {
        &mut self.telemetry
    }

    /// All children.
    pub fn children(&mut self) -> &mut Children {
        &mut self.children
    }

    /// Everything is there: the processes begin.
    pub fn start(&mut self) {
        self.feed(Event::Start);
    }

    /// The configuration.
    pub fn plan(&self) -> Rc<config::Plan> {
        Rc::clone(&self.plan)
    }

    /// Where log lines go.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Where log lines go, for what outlives a borrow of this.
    pub fn shared_sink(&self) -> Rc<Sink> {
        Rc::clone(&self.sink)
    }

    /// Whether a stop was decided.
    pub fn is_stopping(&self) -> bool {
        self.stop_by.is_some() || self.exit.is_some()
    }

    /// Keeps secrets that are files for as long as we run.
    pub fn keep_files(&mut self, files: Files) {
        self.files = Some(files);
    }

    /// A sender for tasks.
    pub fn sender(&self) -> probes::Sender {
        self.sender.clone()
    }

    /// Where the platform connects to, if `$PORT` says so.
    pub fn platform_address(&self) -> Option<SocketAddr> {
        ports::platform_address(self.port.as_deref())
    }

    /// When the machine must hear of the time.
    pub fn deadline(&self) -> Option<Instant> {
        self.machine.deadline().map(|deadline| self.zero + deadline)
    }

    /// Whether [`Supervisor::check_groups`] must be called now and then: its last member may be reaped by
    /// a parent outside it, and then nothing else tells us. Whom a task left behind may stay for as long
    /// as the container lives; nobody waits for that.
    pub fn watches_groups(&self) -> bool {
        self.machine.awaits_group()
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
        self.children.take_streams()
    }

    /// Tells the machine and performs what it answers, until it has nothing more to do.
    pub fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = self.machine.step(self.zero.elapsed(), event);
            let budget = actions.iter().find_map(|action| match action {
                Action::Report(Report::Draining { budget, .. }) => Some(*budget),
                _ => None,
            });
            let drains = budget.is_some();
            if let Some(budget) = budget {
                self.stop_by = Some(Instant::now() + budget);
                self.monitor.begin_drain();
            }
            // Signals first, all of them: nothing else must delay them. Only who is not ready is looked at
            // while it still listens somewhere. SIGCONT only makes sure that a stopped process hears the
            // others, and can wait.
            let rank = |action: &Action| match action {
                Action::Report(Report::NotReady(..)) => 0,
                Action::Signal(_, _, Signal::CONT) => 2,
                Action::Signal(..) => 1,
                _ => 3,
            };
            actions.sort_by_key(rank);
            let after = actions.partition_point(|action| rank(action) < 2);
            let others = actions.split_off(after);
            for action in actions {
                events.extend(self.perform(action));
            }
            if after > 1 {
                // Several were woken; on few cores, what we say about it would keep the last one waiting.
                std::thread::yield_now();
            }
            // Health is served on this thread: whoever asks because it got a signal is answered after
            // this, and finds 503.
            self.publish();
            if drains {
                self.monitor.stop_checks();
                self.telemetry.begin_drain();
                self.children.kill_idle();
            }
            for action in others {
                events.extend(self.perform(action));
            }
        }
        if !self.is_stopping() {
            let view = || self.machine.view();
            self.monitor.begin_checks(view, &self.sender, &self.sink);
        }
        self.telemetry.collect(&self.sender);
    }

    /// A signal arrived at runmate.
    pub fn signal(&mut self, signal: Signal) {
        if signal == Signal::CHLD {
            self.reap();
        } else {
            self.feed(Event::Signal(signal));
        }
    }

    /// A task has something to say.
    pub fn message(&mut self, message: Message) {
        match message {
            Message::Ready(process, pid) if self.children.is_current(process, pid) => {
                self.feed(Event::Ready(process));
            }
            Message::NotYet(process, pid, why) if self.children.is_current(process, pid) => {
                self.children.not_yet(process, why);
            }
            Message::Forwarded(process, pid) if self.children.is_current(process, pid) => {
                self.children.send_held(process);
            }
            Message::Looked(seen) => self.looked(*seen),
            // Of an earlier life.
            Message::Ready(..) | Message::NotYet(..) | Message::Forwarded(..) => {}
            // A look that begins now would only be in the way of the stop.
            Message::Run(Errand::Check(..) | Errand::Helper(..), ..) if self.is_stopping() => {}
            Message::Run(errand, id, reply) => self.children.run(errand, id, reply),
            Message::GiveUp(id) => self.children.give_up(id),
            Message::Export => {
                let line = self.telemetry.export(&mut self.children, &self.sender);
                line.iter().for_each(|line| self.sink.line(line));
            }
            Message::Exported(id, answer) => {
                let line = self.telemetry.exported(id, &answer, &self.sender);
                line.iter().for_each(|line| self.sink.line(line));
            }
            // Tasks before it, migrations above all, may take their time.
            Message::CheckPort if self.machine.view().processes[self.plan.main.0].state == "waiting" => {
                self.watch_port();
            }
            Message::CheckPort => {
                let line = self
                    .platform_address()
                    .and_then(|expected| ports::check_platform_address(expected, &self.children.listeners()));
                if let Some(line) = line {
                    self.sink.line(&line);
                }
            }
        }
    }

    /// A check was looked at.
    fn looked(&mut self, seen: Seen) {
        seen.lines().for_each(|line| self.sink.line(&line));
        let view = || self.machine.view();
        if let Some(process) = self.monitor.restarts(&seen, self.zero.elapsed(), view) {
            self.blamed = Some(seen);
            self.feed(Event::Unhealthy(process));
            self.blamed = None;
        }
    }

    /// Looks at the platform's port when the app has had time to listen on it.
    pub fn watch_port(&self) {
        if self.platform_address().is_some() {
            let sender = self.sender();
            event_loop::spawn(async move {
                sleep(ports::PATIENCE).await;
                let _ = sender.send(Message::CheckPort);
            });
        }
    }

    /// Reaps every dead child and tells the machine.
    fn reap(&mut self) {
        let dead = self.children.reap();
        for (process, end) in dead.processes {
            let planned = self.stop_by.is_some();
            let span = self.telemetry.life(process);
            if let Some(Buried { group_alive, oom }) = self.children.bury(process, end, planned, span) {
                self.telemetry.ended(process, end, group_alive, oom);
                self.feed(Event::Ended {
                    process,
                    end,
                    group_alive,
                });
            }
        }
        self.check_groups();
        if !dead.any_left {
            self.feed(Event::NoChildren);
        }
    }

    /// Looks whether groups without a leader are gone.
    pub fn check_groups(&mut self) {
        while let Some(process) = self.children.gone_group() {
            self.telemetry.group_gone(process);
            self.feed(Event::GroupGone(process));
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(process) => {
                let span = self.telemetry.starting(process);
                let event = self.children.spawn(process, span);
                self.telemetry.started(&event);
                return Some(event);
            }
            Action::Signal(process, target, signal) => self.send(process, target, signal),
            Action::Sweep(signal) => {
                // Mostly nobody is left, and then there is no need to read /proc.
                if !self.children.reap().any_left {
                    return Some(Event::NoChildren);
                }
                process::signal_descendants(signal);
                if signal == Signal::TERM {
                    process::signal_descendants(Signal::CONT);
                }
            }
            Action::Report(report) => self.report(&report),
            Action::Exit { code, cause } => {
                self.telemetry.exit(code);
                self.exit = Some((code, cause));
            }
        }
        None
    }

    fn send(&mut self, process: ProcessId, target: Target, signal: Signal) {
        let is_stop = signal == self.plan.processes[process.0].policy.stop.signal;
        match self.machine.killed_at(process) {
            Some(killed_at) if is_stop && self.is_stopping() => {
                self.children.stop(process, target, signal, self.zero + killed_at);
            }
            _ => self.children.signal(process, target, signal),
        }
    }

    fn publish(&mut self) {
        self.monitor.publish(|| self.machine.view(), self.zero.elapsed());
    }

    /// Brings the durations in the health answers up to date.
    pub fn refresh_health(&mut self) {
        self.children.feeds().bring_up_to_date();
        self.monitor.forget_published();
        self.publish();
    }
}
