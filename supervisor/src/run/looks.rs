//! One look at everything, outside of a run: by the same checks, in the same places.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use runmate_health::{Looked, look_once};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::checks::{Checks, Place};
use super::keeper;
use crate::config::Plan;
use crate::helper::check_protocol::{Answer, Inbox, Request, frame, send};
use crate::process;
use crate::secrets::Values;
use crate::secrets::environment::{Environment, Inherited};

/// What a look came to, and how long it took.
pub(crate) type Look = (Looked, Duration);

/// Looks at everything at once, and takes as long as the longest timeout. By the number of the check in the plan;
/// commands are missing, which only a run runs.
///
/// # Errors
/// All that is wrong with the checks, a sentence each.
pub(crate) async fn look_at_all(
    plan: &Plan,
    values: &Values,
    inherited: &Inherited,
) -> Result<BTreeMap<usize, Look>, Vec<String>> {
    let Checks { places, job, env, .. } = Checks::settle(plan, values, inherited, true)?;
    let mut here = JoinSet::new();
    let mut requests = Vec::new();
    for (index, place) in places {
        let timeout = plan.health.checks[index].settings.timeout;
        match place {
            Place::Here(check) => {
                here.spawn(async move {
                    let began = Instant::now();
                    (index, (look_once(&*check, timeout).await, began.elapsed()))
                });
            }
            Place::Helper { target, .. } => requests.push(Request {
                number: index as u64,
                target,
                timeout,
            }),
            Place::Command => {}
        }
    }
    let helped = async {
        match job {
            Some(job) => ask(&job, env, requests).await,
            None => BTreeMap::new(),
        }
    };
    let (mut looks, here) = tokio::join!(helped, here.join_all());
    looks.extend(here);
    Ok(looks)
}

/// Has the helper look. Whatever it does not answer is unknown.
async fn ask(job: &[u8], env: Environment, requests: Vec<Request>) -> BTreeMap<usize, Look> {
    let began = Instant::now();
    let mut looks = BTreeMap::new();
    let longest = requests.iter().map(|request| request.timeout).max();
    let limit = longest.unwrap_or_default().saturating_add(keeper::PATIENCE);
    let why = match timeout(limit, converse(job, env, &requests, began, &mut looks)).await {
        Ok(Ok(())) => "is gone".to_owned(),
        Ok(Err(error)) => format!("cannot be asked: {error}"),
        Err(_) => "does not answer".to_owned(),
    };
    for request in requests {
        let unknown = || (keeper::unknown(&why), began.elapsed());
        looks.entry(request.number as usize).or_insert_with(unknown);
    }
    looks
}

async fn converse(
    job: &[u8],
    env: Environment,
    requests: &[Request],
    began: Instant,
    looks: &mut BTreeMap<usize, Look>,
) -> io::Result<()> {
    let (ours, theirs) = keeper::pair()?;
    let spec = keeper::spec(theirs.into(), env);
    process::spawn(&spec).map_err(|error| io::Error::other(error.explain(&spec)))?;
    // Or its end would not be seen here.
    drop(spec);
    send(&ours, job).await?;
    for request in requests {
        send(&ours, &frame(request)?).await?;
    }
    let mut inbox = Inbox::default();
    while looks.len() < requests.len() {
        let Some(answer) = inbox.receive::<Answer>(&ours).await? else {
            break;
        };
        looks.insert(answer.number as usize, (answer.looked(), began.elapsed()));
    }
    Ok(())
}
