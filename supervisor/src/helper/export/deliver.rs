//! One export: as many requests as it takes, in the time that there is.

use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use runmate_health::Step;
use tokio::time::{Instant, sleep, timeout_at};

use super::reply::Reply;
use super::{grpc, http};
use crate::helper::export_protocol::Answer;

/// How often is asked again, and after how long at first and at most; each time the pause doubles.
const RETRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(1600);

/// What a pause may be longer by, so that containers that were started together do not ask together.
const JITTER: Duration = Duration::from_millis(100);

/// Who sends.
pub(super) enum Client {
    Grpc(grpc::Client),
    Http(http::Client),
}

impl Client {
    async fn attempt(&self, message: &Bytes, step: &Step) -> Reply {
        match self {
            Client::Grpc(client) => client.call(message, step).await,
            Client::Http(client) => client.post(message, step).await,
        }
    }
}

/// Sends an encoded request until it is taken or refused, or the time is up.
pub(super) async fn deliver(client: &Client, message: &Bytes, deadline: Instant, step: &Step) -> Answer {
    let mut before = None;
    let mut retry = 0;
    loop {
        let (why, after) = match timeout_at(deadline, client.attempt(message, step)).await {
            Ok(Reply::Taken) => return Ok(None),
            Ok(Reply::Rejected(rejection)) => return Ok(Some(rejection)),
            Ok(Reply::Refused(why)) => return Err(why),
            Ok(Reply::Later { why, after }) => (why, after),
            Err(_) => return Err(late(step, before)),
        };
        let pause = pause(retry, after);
        if retry == RETRIES || Instant::now() + pause >= deadline {
            return Err(why);
        }
        before = Some(why);
        sleep(pause).await;
        retry += 1;
    }
}

/// What to say when the time is up: what was being done, and what went wrong before.
pub(super) fn late(step: &Step, before: Option<String>) -> String {
    let step = step.last();
    let doing = step.as_deref().unwrap_or("preparing");
    match before {
        Some(before) => format!("the time was up while {doing}; before that: {before}"),
        None => format!("the time was up while {doing}"),
    }
}

/// What a server asks for counts, if it is longer than what we would wait.
fn pause(retry: u32, after: Option<Duration>) -> Duration {
    let ours = (FIRST_PAUSE * 2u32.pow(retry)).min(LONGEST_PAUSE);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let jitter = now.unwrap_or_default().subsec_nanos() % JITTER.subsec_nanos();
    // Whatever a server says, the sum can be added to a point in time.
    let theirs = after.unwrap_or_default().min(Duration::from_secs(600));
    ours.max(theirs) + Duration::from_nanos(jitter.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_a_server_may_lengthen_them() {
        let seconds = Duration::from_secs;
        for (retry, after, expected) in [
            (0, None, FIRST_PAUSE),
            (2, None, FIRST_PAUSE * 4),
            (9, None, LONGEST_PAUSE),
            (0, Some(seconds(3)), seconds(3)),
            (9, Some(seconds(1)), LONGEST_PAUSE),
            (0, Some(Duration::MAX), seconds(600)),
        ] {
            let pause = pause(retry, after);
            assert!(
                pause >= expected && pause < expected + JITTER,
                "{retry} {after:?}: {pause:?}"
            );
        }
    }
}
