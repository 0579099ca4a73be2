//! Secrets Manager: batches of current values, single values, and who gets which answer.

use futures_util::future::{BoxFuture, join_all};

use super::api::{Api, BatchReply, Call, ErrorEntry, Reply, SecretEntry};
use super::caller::{Caller, concerns_all, wrong_reply};
use super::classify::{classify, may_lack_its_suffix, sentence};
use crate::{FailureKind, Problem, Secret, SecretsManagerRef};

/// What the failures of a value are called after, whether the batch or the single action was used: a batch that
/// is denied is no failure yet.
const ACTION: &str = "secretsmanager:GetSecretValue";

/// A batch that is longer in pages than in secrets goes round in circles.
const PAGES: usize = 20;

type Answer = Result<Secret, Problem>;

/// Fetches the current values of these, by one call if that is allowed.
pub(super) async fn batch<A: Api>(caller: &Caller<'_, A>, secrets: &[&SecretsManagerRef]) -> Vec<Answer> {
    if caller.batch_is_denied() {
        return singles(caller, secrets).await;
    }
    let reply = match pages(caller, secrets).await {
        Ok(reply) => reply,
        Err(problem) if concerns_all(&problem.kind) => return vec![Err(problem); secrets.len()],
        Err(problem) => {
            // One of them may be what spoils it, or the action is not allowed here at all.
            if matches!(problem.kind, FailureKind::Denied { .. }) {
                caller.remember_denied_batch();
            }
            return singles(caller, secrets).await;
        }
    };
    let mut answers: Vec<Option<Answer>> = secrets.iter().map(|secret| pick(&reply, secret)).collect();
    let missing: Vec<_> = unanswered(secrets, &answers).collect();
    let mut late = singles(caller, &missing).await.into_iter();
    for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
        *answer = late.next();
    }
    answers.into_iter().flatten().collect()
}

fn unanswered<'a>(
    secrets: &'a [&'a SecretsManagerRef],
    answers: &'a [Option<Answer>],
) -> impl Iterator<Item = &'a SecretsManagerRef> {
    let pairs = secrets.iter().zip(answers);
    pairs
        .filter(|(_, answer)| answer.is_none())
        .map(|(secret, _)| *secret)
}

/// All pages of the answer to one batch.
async fn pages<A: Api>(
    caller: &Caller<'_, A>,
    secrets: &[&SecretsManagerRef],
) -> Result<BatchReply, Problem> {
    let ids: Vec<_> = secrets.iter().map(|secret| secret.arn.clone()).collect();
    let mut all = BatchReply::default();
    for _ in 0..PAGES {
        let (ids, page) = (ids.clone(), all.next.take());
        let Reply::Batch(reply) = caller.call(&Call::Batch { ids, page }).await? else {
            return Err(wrong_reply());
        };
        all.values.extend(reply.values);
        all.errors.extend(reply.errors);
        all.next = reply.next;
        if all.next.is_none() {
            break;
        }
    }
    Ok(all)
}

/// Fetches each of them by a call of its own.
pub(super) async fn singles<A: Api>(caller: &Caller<'_, A>, secrets: &[&SecretsManagerRef]) -> Vec<Answer> {
    let calls = secrets
        .iter()
        .map(|secret| Box::pin(single(caller, secret)) as BoxFuture<'_, _>);
    join_all(calls).await
}

async fn single<A: Api>(caller: &Caller<'_, A>, secret: &SecretsManagerRef) -> Answer {
    let call = Call::Secret {
        id: secret.arn.clone(),
        stage: secret.version_stage.clone(),
        version: secret.version_id.clone(),
    };
    match caller.call(&call).await {
        Ok(Reply::Secret(value)) => Ok(value),
        Ok(_) => Err(wrong_reply()),
        Err(problem) => Err(specific(problem, secret)),
    }
}

/// What a batch says of one secret; `None`: nothing, or nothing that would not better be asked again.
fn pick(reply: &BatchReply, secret: &SecretsManagerRef) -> Option<Answer> {
    let identity = |entry: &SecretEntry| (entry.arn.clone(), entry.name.clone());
    if let Some(entry) = find(&reply.values, secret, identity) {
        return Some(Ok(entry.value.clone()));
    }
    let identity = |error: &ErrorEntry| match error.id.starts_with("arn:") {
        true => (error.id.clone(), String::new()),
        false => (String::new(), error.id.clone()),
    };
    let ErrorEntry { code, message, .. } = find(&reply.errors, secret, identity)?;
    let verdict = classify(ACTION, Some(code), message, 400);
    if verdict.kind == FailureKind::Throttled || verdict.kind == FailureKind::Unavailable {
        return None;
    }
    let problem = Problem::of(verdict.kind, sentence(code, message));
    Some(Err(specific(problem, secret)))
}

/// The entry that belongs to a secret, by the ARN and name of each: the one of that ARN, or of that ARN with
/// the suffix it lacks. A name counts only where there is no ARN: another account may have one of that name.
fn find<'a, E>(
    entries: &'a [E],
    secret: &SecretsManagerRef,
    identity: impl Fn(&E) -> (String, String),
) -> Option<&'a E> {
    let id = secret.arn.splitn(7, ':').nth(6).unwrap_or_default();
    let by = |matches: &dyn Fn(&str, &str) -> bool| {
        entries.iter().find(|entry| {
            let (arn, name) = identity(entry);
            matches(&arn, &name)
        })
    };
    by(&|arn, _| arn == secret.arn)
        .or_else(|| by(&|arn, _| is_completed(&secret.arn, arn)))
        .or_else(|| by(&|arn, name| arn.is_empty() && !name.is_empty() && name == id))
}

/// Whether the ARN of an answer is the one that was asked for, in full or without its suffix.
pub(super) fn is_of(answered: &str, asked: &str) -> bool {
    answered == asked || is_completed(asked, answered)
}

/// Whether `whole` is `partial` and the hyphen and six characters that Secrets Manager adds.
fn is_completed(partial: &str, whole: &str) -> bool {
    whole
        .strip_prefix(partial)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|suffix| suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// What can be said more precisely, knowing the reference.
fn specific(mut problem: Problem, secret: &SecretsManagerRef) -> Problem {
    if problem.kind == FailureKind::NotFound && may_lack_its_suffix(&secret.arn) {
        problem.kind = FailureKind::NotFoundSuffix;
    }
    problem
}
