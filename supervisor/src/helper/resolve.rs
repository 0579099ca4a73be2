//! Resolving in this very process: what the helper does, and `exec` and `check --online`, which are
//! short-lived themselves.

use runmate_secrets::Resolver;

use super::protocol::{Answer, Answers, Job, Report};
use crate::event_loop;
use crate::process::sys;

/// Resolves everything the job names. Must be called while the program has one thread. `Err`: it could not even begin.
pub(crate) fn resolve(job: &Job) -> Result<Answers, String> {
    // A variable that is set to nothing means nothing; the SDK would take it for a URL.
    sys::unset_if_empty(&[
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "AWS_ENDPOINT_URL_SSM",
        "AWS_ENDPOINT_URL_STS",
    ]);
    let resolver = Resolver::from_env().with_timeout(job.timeout);
    let resolved = event_loop::block_on(resolver.resolve(&job.requests))?;
    let names = job.requests.iter().map(|request| request.name.clone());
    let answers = resolved.into_iter().map(|answer| match answer {
        Ok(secret) => Answer::Value(secret),
        Err(failure) => Answer::Failure(Report::from(&failure)),
    });
    // Extended, not collected: that would sort first, and the code for it is 5 kB of the binary.
    let mut by_name = Answers::new();
    by_name.extend(names.zip(answers));
    Ok(by_name)
}
