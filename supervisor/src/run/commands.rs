//! Checks that are commands. The one waiter runs them.

use std::sync::Arc;
use std::time::Duration;

use runmate_health::{Check, Failure, Look, Observation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::errands::{Errand, Running};
use super::log::end_in_words;
use super::probes::Sender;

/// The right to run the command of a check. It is held until the command was reaped, which may be long after it was
/// killed.
pub(super) type Turn = OwnedSemaphorePermit;

/// Passes if a command exits with 0. Dropping a look kills the command and what it has started.
pub(super) struct Command {
    index: usize,
    timeout: Duration,
    turns: Arc<Semaphore>,
    sender: Sender,
}

impl Command {
    /// The command of this check of the plan; a look may take that long.
    pub fn new(index: usize, timeout: Duration, sender: Sender) -> Command {
        Command {
            index,
            timeout,
            turns: Arc::new(Semaphore::new(1)),
            sender,
        }
    }
}

impl Check for Command {
    fn look(&self) -> Look<'_> {
        Box::pin(async {
            // One that was killed is gone in a moment. If it waits for a disk that does not answer, nothing can kill
            // it, and those of more looks would fill the container.
            let turn = timeout(self.timeout / 2, Arc::clone(&self.turns).acquire_owned());
            let Ok(Ok(turn)) = turn.await else {
                return Err(Failure::unknown("its command cannot be killed"));
            };
            let mut running = Running::start(Errand::Check(self.index, turn), &self.sender);
            match running.outcome().await {
                Some(Ok(end)) if end.succeeded() => Ok(Observation::default()),
                Some(Ok(end)) => Err(Failure::new(format!("its command {}", end_in_words(end)))),
                Some(Err(error)) => {
                    let why = format!("cannot run its command: {}", error.why);
                    Err(if error.temporary {
                        Failure::unknown(why)
                    } else {
                        Failure::new(why)
                    })
                }
                None => Err(Failure::unknown("the container stops")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::errands::NotStarted;
    use crate::run::probes::Message;
    use runmate_health::{FailureKind, Looked, look_once};
    use tokio::sync::mpsc;

    const TIMEOUT: Duration = Duration::from_millis(40);

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(future)
    }

    fn kind(looked: Looked) -> FailureKind {
        looked.unwrap_err().kind
    }

    #[test]
    fn a_command_that_the_system_has_no_room_for_tells_nothing() {
        block_on(async {
            let (sender, mut inbox) = mpsc::unbounded_channel();
            let command = Command::new(0, TIMEOUT, sender);
            for (temporary, expected) in [(true, FailureKind::Unknown), (false, FailureKind::Failed)] {
                let refuse = async {
                    while let Some(message) = inbox.recv().await {
                        if let Message::Run(_, _, reply) = message {
                            let why = "cannot execute it".to_owned();
                            return reply.send(Err(NotStarted { why, temporary })).is_ok();
                        }
                    }
                    false
                };
                let (looked, refused) = tokio::join!(look_once(&command, Duration::from_secs(5)), refuse);
                assert!(refused);
                assert_eq!(kind(looked), expected);
            }
        });
    }

    #[test]
    fn while_a_killed_command_is_not_reaped_nothing_is_known_and_no_other_is_started() {
        block_on(async {
            let (sender, mut inbox) = mpsc::unbounded_channel();
            let command = Command::new(0, TIMEOUT, sender);
            assert_eq!(kind(look_once(&command, TIMEOUT).await), FailureKind::Failed);
            let Some(Message::Run(errand, ..)) = inbox.recv().await else {
                panic!("a command is to be run")
            };
            assert!(matches!(inbox.recv().await, Some(Message::GiveUp(_))));
            for _ in 0..3 {
                assert_eq!(kind(look_once(&command, TIMEOUT).await), FailureKind::Unknown);
                assert!(inbox.try_recv().is_err(), "another command");
            }
            // It is reaped.
            drop(errand);
            assert_eq!(kind(look_once(&command, TIMEOUT).await), FailureKind::Failed);
            assert!(matches!(inbox.recv().await, Some(Message::Run(..))));
        });
    }
}
