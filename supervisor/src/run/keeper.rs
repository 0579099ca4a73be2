//! Keeps the helper that runs checks alive, and passes looks on to it.
//!
//! Whatever happens to the helper, a look comes to "nothing is known" at worst: the check goes stale, and what it
//! looks at is not blamed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;
use std::rc::Rc;
use std::time::Duration;

use runmate_health::{Check, ComponentType, Failure, Look, Looked};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use zeroize::Zeroizing;

use super::errands::{Errand, Running};
use super::log;
use super::probes::Sender;
use crate::helper;
use crate::helper::check_protocol::{Answer, Inbox, Request, frame, send, send_now};
use crate::output::{Level, Line, Sink};
use crate::process::{Output, Spec, StdinFrom};
use crate::secrets::environment::Environment;

/// A look that somebody waits for.
pub(super) struct Ask {
    target: usize,
    timeout: Duration,
    reply: oneshot::Sender<Looked>,
}

pub(super) type Asks = mpsc::UnboundedReceiver<Ask>;

/// A check that the helper runs.
pub(super) struct Remote {
    pub target: usize,
    pub timeout: Duration,
    pub component_type: ComponentType,
    pub measures: Option<String>,
    pub asks: mpsc::UnboundedSender<Ask>,
}

/// The helper applies the timeout; its answer is waited for this much longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How long past its timeout a look waits for [`keep`]: that answers each, and knows whom to blame, but it puts off what
/// is overdue for as long as the container is frozen time and again.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// At its own limit the library would take what is looked at for failed.
const OVERTIME: Duration = Duration::from_secs(25 * 3600);

/// The pause before it is started again; it doubles from the first to the second, and is the first again after
/// it lived for the third.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const GOOD_LIFE: Duration = Duration::from_secs(60);

/// A timer that is this late was kept from running, and so was the helper: the whole container was frozen.
const FROZEN: Duration = Duration::from_millis(500);

impl Check for Remote {
    fn look(&self) -> Look<'_> {
        Box::pin(async {
            let (reply, looked) = oneshot::channel();
            let ask = Ask {
                target: self.target,
                timeout: self.timeout,
                reply,
            };
            let _ = self.asks.send(ask);
            answer_within(self.timeout.saturating_add(LONGEST_WAIT), looked).await
        })
    }

    fn component_type(&self) -> ComponentType {
        self.component_type
    }

    fn measures(&self) -> Option<&str> {
        self.measures.as_deref()
    }

    fn overtime(&self) -> Duration {
        OVERTIME
    }
}

/// The answer to a look. Without one nothing is known.
async fn answer_within(limit: Duration, looked: oneshot::Receiver<Looked>) -> Looked {
    match timeout(limit, looked).await {
        Ok(Ok(looked)) => looked,
        Ok(Err(_)) => unknown("is gone"),
        Err(_) => unknown("does not answer"),
    }
}

/// How a life of the helper ended.
enum Over {
    /// It never lived.
    NotStarted(String),
    Ended(String),
    /// The container stops, or there is no check any more.
    Stopping,
}

/// Starts the helper, again and again. `job` is the frame that it gets first.
pub(super) async fn keep(
    job: Zeroizing<Vec<u8>>,
    env: Environment,
    mut asks: Asks,
    sender: Sender,
    sink: Rc<Sink>,
) {
    let mut pause = FIRST_PAUSE;
    let mut said = None;
    loop {
        let since = Instant::now();
        let over = live(&job, &env, &mut asks, &sender).await;
        if since.elapsed() >= GOOD_LIFE {
            pause = FIRST_PAUSE;
        }
        let how = match over {
            Over::Stopping => return,
            // Once: it may go on for as long as the container lives.
            Over::NotStarted(why) => {
                if said.as_ref() != Some(&why) {
                    sink.line(&cannot_start(&why));
                    said = Some(why.clone());
                }
                format!("cannot be started: {why}")
            }
            Over::Ended(how) => {
                sink.line(&ended(&how, since.elapsed(), pause));
                said = None;
                how
            }
        };
        let until = Instant::now() + pause;
        pause = (pause * 2).min(LONGEST_PAUSE);
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                ask = asks.recv() => match ask {
                    Some(ask) => ask.answer(unknown(&how)),
                    None => return,
                },
            }
        }
    }
}

fn cannot_start(why: &str) -> Line {
    let message = format!("the helper that runs checks cannot be started: {why}; trying again and again");
    Line::new(Level::Warn, "helper_failed", message).with("name", "checks")
}

fn ended(how: &str, uptime: Duration, pause: Duration) -> Line {
    let message = format!(
        "the helper that runs checks {how}; starting it again in {}",
        log::human(pause)
    );
    Line::new(Level::Warn, "helper_ended", message)
        .with("name", "checks")
        .with("how", how)
        .with("uptime", log::seconds(uptime))
}

pub(super) fn unknown(how: &str) -> Looked {
    Err(Failure::unknown(format!("the helper that runs it {how}")))
}

impl Ask {
    fn answer(self, looked: Looked) {
        // Nobody waits any more if the check was stopped.
        let _ = self.reply.send(looked);
    }
}

/// Looks that the helper is at, by their number.
#[derive(Default)]
struct Waiting {
    last: u64,
    asked: BTreeMap<u64, (Instant, Ask)>,
}

impl Waiting {
    fn add(&mut self, ask: Ask) -> u64 {
        self.last += 1;
        let by = Instant::now() + ask.timeout + PATIENCE;
        self.asked.insert(self.last, (by, ask));
        self.last
    }

    /// When the first of them is overdue.
    fn first_due(&self) -> Option<Instant> {
        self.asked.values().map(|(by, _)| *by).min()
    }

    /// Grants all of them some more time.
    fn put_off(&mut self, by: Duration) {
        self.asked.values_mut().for_each(|(due, _)| *due += by);
    }

    fn answer(&mut self, answer: Answer) {
        if let Some((_, ask)) = self.asked.remove(&answer.number) {
            ask.answer(answer.looked());
        }
    }
}

/// One life of the helper.
async fn live(job: &[u8], env: &Environment, asks: &mut Asks, sender: &Sender) -> Over {
    let (ours, theirs) = match pair() {
        Ok(pair) => pair,
        Err(error) => return Over::NotStarted(format!("cannot make a socket: {error}")),
    };
    let mut running = Running::start(Errand::Helper(theirs.into(), env.clone()), sender);
    let mut waiting = Waiting::default();
    let why = match converse(&ours, job, asks, &mut waiting).await {
        Ok(()) => return Over::Stopping,
        Err(why) => why,
    };
    running.kill();
    // Whoever is killed ends at once; if the kernel does not let go of it, it is left behind.
    let (over, how) = match timeout(PATIENCE, running.outcome()).await {
        Ok(None) => (Over::Stopping, "is stopped".to_owned()),
        Ok(Some(Err(error))) => {
            let how = format!("cannot be started: {}", error.why);
            (Over::NotStarted(error.why), how)
        }
        Ok(Some(Ok(end))) => {
            let how = why.unwrap_or_else(|| log::end_in_words(end));
            (Over::Ended(how.clone()), how)
        }
        Err(_) => {
            let how = "does not answer, and cannot be killed".to_owned();
            (Over::Ended(how.clone()), how)
        }
    };
    for (_, ask) in waiting.asked.into_values() {
        ask.answer(unknown(&how));
    }
    over
}

/// How the helper is started; it talks over its stdin.
pub(super) fn spec(conversation: OwnedFd, env: Environment) -> Spec {
    Spec {
        argv: helper::command(helper::CHECKS),
        env,
        cwd: None,
        user: None,
        umask: None,
        stdin: StdinFrom::File(Rc::new(conversation)),
        output: Output::Null,
        out_fd: None,
    }
}

/// Both ends of a conversation: ours, and the helper's.
pub(super) fn pair() -> io::Result<(UnixStream, Socket)> {
    let (ours, theirs) = Socket::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs))
}

/// Passes looks on and answers back. `Ok`: nobody asks any more. `Err`: the conversation is over; the reason, unless it
/// is how the helper ended.
async fn converse(
    socket: &UnixStream,
    job: &[u8],
    asks: &mut Asks,
    waiting: &mut Waiting,
) -> Result<(), Option<String>> {
    let mute = || Err(Some("did not answer and was killed".to_owned()));
    match timeout(PATIENCE, send(socket, job)).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(None),
        Err(_) => return mute(),
    }
    let mut inbox = Inbox::default();
    loop {
        let due = waiting.first_due();
        tokio::select! {
            // An answer that is there counts, however late it is.
            biased;
            answer = inbox.receive::<Answer>(socket) => match answer {
                Ok(Some(answer)) => waiting.answer(answer),
                Ok(None) => return Err(None),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(Some("gave an answer that is none and was killed".to_owned()));
                }
                Err(_) => return Err(None),
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let late = due.map_or(Duration::ZERO, |due| due.elapsed());
                if late < FROZEN {
                    return mute();
                }
                waiting.put_off(late + PATIENCE);
            }
            ask = asks.recv() => {
                let Some(ask) = ask else { return Ok(()) };
                let (target, timeout) = (ask.target, ask.timeout);
                let number = waiting.add(ask);
                let request = frame(&Request { number, target, timeout });
                match request.and_then(|request| send_now(socket, &request)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return mute(),
                    Err(_) => return Err(None),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runmate_health::FailureKind;

    #[test]
    fn a_look_that_nobody_answers_tells_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let (asks, mut inbox) = mpsc::unbounded_channel();
            let remote = Remote {
                target: 0,
                timeout: Duration::from_secs(1),
                component_type: ComponentType::Component,
                measures: None,
                asks,
            };
            assert!(
                LONGEST_WAIT < remote.overtime(),
                "the library's limit comes later"
            );
            let (_reply, looked) = oneshot::channel();
            let looked = answer_within(Duration::from_millis(10), looked).await;
            assert_eq!(looked.unwrap_err().kind, FailureKind::Unknown);
            // Whoever keeps the helper is gone.
            let (looked, ()) = tokio::join!(remote.look(), async {
                drop(inbox.recv().await);
            });
            assert_eq!(looked.unwrap_err().kind, FailureKind::Unknown);
        });
    }
}
