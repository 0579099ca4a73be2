//! Parameter Store: batches of ten, split where one spoils them, and who gets which answer.

use std::collections::BTreeSet;

use futures_util::future::{BoxFuture, join_all};

use super::api::{Api, Call, ParameterEntry, ParametersReply, Reply};
use super::caller::{Caller, concerns_all, wrong_reply};
use crate::{FailureKind, ParameterRef, Problem, Secret};

type Answer = Result<Secret, Problem>;

/// Fetches these by one call, or each by its own if the call as a whole is refused: GetParameters is denied
/// for all names if it is for one.
pub(super) async fn batch<A: Api>(caller: &Caller<'_, A>, parameters: &[&ParameterRef]) -> Vec<Answer> {
    let mut answers = match ask(caller, parameters).await {
        Ok(answers) => answers,
        Err(problem) if parameters.len() == 1 || concerns_all(&problem.kind) => {
            return vec![Err(problem); parameters.len()];
        }
        Err(_) => vec![None; parameters.len()],
    };
    if parameters.len() > 1 {
        let missing = positions(&answers, Option::is_none);
        let calls = missing
            .iter()
            .map(|index| Box::pin(single(caller, parameters[*index])) as BoxFuture<'_, _>);
        let late = join_all(calls).await;
        for (index, answer) in missing.into_iter().zip(late) {
            answers[index] = Some(answer);
        }
    }
    let mut answers: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(unanswered))
        .collect();
    name_missing_versions(caller, parameters, &mut answers).await;
    answers
}

async fn single<A: Api>(caller: &Caller<'_, A>, parameter: &ParameterRef) -> Answer {
    let mut answers = ask(caller, &[parameter]).await?;
    answers.pop().flatten().unwrap_or_else(unanswered)
}

/// One call, and what it says of each.
async fn ask<A: Api>(
    caller: &Caller<'_, A>,
    parameters: &[&ParameterRef],
) -> Result<Vec<Option<Answer>>, Problem> {
    let names = parameters.iter().map(|parameter| name(parameter)).collect();
    let reply = get(caller, names, true).await?;
    Ok(parameters
        .iter()
        .map(|parameter| pick(&reply, parameter, parameters))
        .collect())
}

async fn get<A: Api>(
    caller: &Caller<'_, A>,
    names: Vec<String>,
    decrypt: bool,
) -> Result<ParametersReply, Problem> {
    match caller.call(&Call::Parameters { names, decrypt }).await? {
        Reply::Parameters(reply) => Ok(reply),
        _ => Err(wrong_reply()),
    }
}

/// GetParameters does not tell a parameter that does not exist from a version that does not. One more call,
/// without the selectors and without decrypting anything, does.
async fn name_missing_versions<A: Api>(
    caller: &Caller<'_, A>,
    parameters: &[&ParameterRef],
    answers: &mut [Answer],
) {
    let missing = positions(answers, is_not_found);
    let suspects: Vec<_> = missing
        .into_iter()
        .filter(|index| parameters[*index].selector.is_some())
        .collect();
    // Extended, not collected: that would sort first, and the code for it is 5 kB of the binary.
    let mut names = BTreeSet::new();
    names.extend(suspects.iter().map(|index| parameters[*index].arn.clone()));
    if names.is_empty() {
        return;
    }
    let Ok(reply) = get(caller, names.into_iter().collect(), false).await else {
        return;
    };
    for index in suspects {
        if reply
            .values
            .iter()
            .any(|entry| is_entry_of(entry, parameters[index]))
        {
            answers[index] = Err(FailureKind::VersionNotFound.into());
        }
    }
}

fn positions<T>(items: &[T], wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    (0..items.len()).filter(|index| wanted(&items[*index])).collect()
}

fn is_not_found(answer: &Answer) -> bool {
    matches!(answer, Err(problem) if problem.kind == FailureKind::NotFound)
}

fn unanswered() -> Answer {
    Err(Problem::of(
        FailureKind::Unavailable,
        "the service left the parameter out of its answer",
    ))
}

/// The service takes a whole ARN with the selector behind it as a name.
fn name(parameter: &ParameterRef) -> String {
    match &parameter.selector {
        Some(selector) => format!("{}:{selector}", parameter.arn),
        None => parameter.arn.clone(),
    }
}

/// What the answer says of one parameter; `asked` are all that were asked for.
fn pick(reply: &ParametersReply, parameter: &ParameterRef, asked: &[&ParameterRef]) -> Option<Answer> {
    let name = name(parameter);
    if reply
        .invalid
        .iter()
        // An ARN of the same path may be another account's.
        .any(|invalid| *invalid == name || !invalid.starts_with("arn:") && path(invalid) == path(&name))
    {
        return Some(Err(FailureKind::NotFound.into()));
    }
    let entries: Vec<_> = reply
        .values
        .iter()
        .filter(|entry| is_entry_of(entry, parameter))
        .collect();
    let wanted = parameter.selector.as_deref();
    let told_apart = entries.iter().any(|entry| selector(entry).is_some());
    let alone = asked.iter().filter(|other| other.arn == parameter.arn).count() == 1;
    let found = entries.iter().find(|entry| match (selector(entry), wanted) {
        (Some(said), Some(wanted)) => said == wanted,
        (Some(_), None) => false,
        (None, None) => told_apart || alone,
        (None, Some(wanted)) => match wanted.parse::<i64>() {
            Ok(version) => version == entry.version,
            Err(_) => alone,
        },
    })?;
    Some(Ok(found.value.clone()))
}

fn is_entry_of(entry: &ParameterEntry, parameter: &ParameterRef) -> bool {
    entry.arn == parameter.arn || (entry.arn.is_empty() && path(&entry.name) == path(&parameter.arn))
}

/// The selector of an answer, which comes with its colon.
fn selector(entry: &ParameterEntry) -> Option<&str> {
    let said = entry.selector.as_deref()?.trim_start_matches(':');
    Some(said).filter(|said| !said.is_empty())
}

/// What stands behind `:parameter` in an ARN, or the whole of a name; without the slash that a name of one
/// level may have or not.
fn path(name: &str) -> &str {
    let path = match name.starts_with("arn:") {
        true => name.split_once(":parameter").map_or(name, |(_, path)| path),
        false => name,
    };
    path.trim_start_matches('/')
}
