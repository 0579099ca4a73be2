//! The grammar. One pass over the text, whatever it is: every environment variable comes through here.

use std::path::PathBuf;

use crate::detail::{redact_accounts, redact_arn};

use super::{FileRef, ParameterRef, Reference, ReferenceError, SecretsManagerRef};

/// How an ARN begins: the parts before its resource.
struct Arn<'a> {
    text: &'a str,
    region: &'a str,
    account: &'a str,
}

pub(super) fn parse(text: &str) -> Result<Option<Reference>, ReferenceError> {
    if let Some(rest) = text.strip_prefix("file:") {
        return file(rest);
    }
    let Some(rest) = text.strip_prefix("arn:") else {
        return Ok(None);
    };
    let parts: Vec<&str> = rest.splitn(5, ':').collect();
    let &[partition, service, region, account, resource] = parts.as_slice() else {
        return Ok(None);
    };
    // Partitions are aws, aws-cn, aws-us-gov, aws-iso and more to come; regions look the same.
    let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if partition.is_empty()
        || !partition.bytes().all(label)
        || !region.bytes().all(label)
        || !account.bytes().all(is_name)
    {
        return Ok(None);
    }
    let arn = Arn {
        text,
        region,
        account,
    };
    match service {
        "secretsmanager" => resource
            .strip_prefix("secret:")
            .map_or(Ok(None), |rest| secret(&arn, rest)),
        "ssm" => resource
            .strip_prefix("parameter/")
            .map_or(Ok(None), |rest| parameter(&arn, rest)),
        _ => Ok(None),
    }
}

/// `ID[:json-key:version-stage:version-id]`: two or five parts with "secret", as for ECS
/// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html>).
fn secret(arn: &Arn<'_>, rest: &str) -> Result<Option<Reference>, ReferenceError> {
    // One more than may be there: a text of colons is not worth a list.
    let parts: Vec<&str> = rest.splitn(5, ':').collect();
    let (id, key, stage, version) = match *parts.as_slice() {
        [id] => (id, "", "", ""),
        [id, key, stage, version] => (id, key, stage, version),
        _ if rest.bytes().all(|byte| is_name(byte) || byte == b':') => {
            return Err(wrong_count(arn, rest));
        }
        _ => return Ok(None),
    };
    // A JSON key may be any text; what tells a reference from a list or a sentence is all the rest.
    if ![id, stage, version].iter().all(|part| part.bytes().all(is_name)) || key.contains(char::is_control) {
        return Ok(None);
    }
    complete(arn)?;
    if id.is_empty() {
        return Err(error(arn, "it names no secret; write its ID behind \"secret:\""));
    }
    let without_parts = &arn.text[..arn.text.len() - rest.len() + id.len()];
    Ok(Some(Reference::SecretsManager(SecretsManagerRef {
        arn: without_parts.to_owned(),
        region: arn.region.to_owned(),
        json_key: given(key),
        version_stage: given(stage),
        version_id: given(version),
    })))
}

/// `NAME[:selector]`; the selector is a version's number or a label
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html>).
fn parameter(arn: &Arn<'_>, rest: &str) -> Result<Option<Reference>, ReferenceError> {
    if !rest.bytes().all(|byte| is_name(byte) || byte == b':') {
        return Ok(None);
    }
    let (name, selector) = match rest.split_once(':') {
        Some((name, selector)) => (name, Some(selector)),
        None => (rest, None),
    };
    // AWS's own public parameters (AMI ids and the like) have no account, and are no secrets.
    if arn.account.is_empty() && name.starts_with("aws/") {
        return Ok(None);
    }
    complete(arn)?;
    if name.is_empty() {
        return Err(error(
            arn,
            "it names no parameter; write its name behind \"parameter/\"",
        ));
    }
    if name.starts_with('/') {
        return Err(error(
            arn,
            "the slash that a parameter's name begins with is the one behind \"parameter\"; write one, not two",
        ));
    }
    // Labels: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_LabelParameterVersion.html
    let label = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if selector.is_some_and(|selector| selector.is_empty() || !selector.bytes().all(label)) {
        return Err(error(
            arn,
            "behind a parameter's name there may be one version number or one label, as in parameter/NAME:3; \
             without one, leave the colon out",
        ));
    }
    let without_selector = &arn.text[..arn.text.len() - selector.map_or(0, |selector| selector.len() + 1)];
    Ok(Some(Reference::Parameter(ParameterRef {
        arn: without_selector.to_owned(),
        region: arn.region.to_owned(),
        selector: selector.map(ToOwned::to_owned),
    })))
}

/// `PATH[#json-key]`
fn file(rest: &str) -> Result<Option<Reference>, ReferenceError> {
    let (path, key) = match rest.split_once('#') {
        Some((path, key)) => (path, Some(key)),
        None => (rest, None),
    };
    let foreign = |c: char| c.is_whitespace() || c.is_control() || "?*,;\"'`".contains(c);
    if path.starts_with("//")
        || path.starts_with(':')
        || path.ends_with('/')
        || path.contains(foreign)
        || key.is_some_and(|key| key.contains(char::is_control))
    {
        return Ok(None);
    }
    let wrong = |message: &str| {
        Err(ReferenceError {
            message: message.to_owned(),
        })
    };
    if path.is_empty() {
        return wrong("\"file:\" names no file; write file:PATH, such as file:/run/secrets/db");
    }
    if key == Some("") {
        return wrong(
            "there is no key behind \"#\"; write file:PATH#json-key, or file:PATH for the whole file",
        );
    }
    Ok(Some(Reference::File(FileRef {
        path: PathBuf::from(path),
        json_key: key.map(ToOwned::to_owned),
    })))
}

/// What the names of secrets, parameters, stages and versions are made of. Secrets have letters, digits
/// and `/_+=.@-` (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>);
/// those that a service manages have a `!` too (`rds!cluster-…`). Parameters have fewer
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html>),
/// but `parameter/aws/reference/secretsmanager/ID` is one. Lengths are left to the services.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/_+=.@-!".contains(&byte)
}

/// Every secret and parameter is in a region and an account.
fn complete(arn: &Arn<'_>) -> Result<(), ReferenceError> {
    if arn.region.is_empty() {
        return Err(error(arn, "its region is empty; write the whole ARN"));
    }
    if arn.account.len() != 12 || !arn.account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error(
            arn,
            "its account is no number of 12 digits; write the whole ARN",
        ));
    }
    Ok(())
}

fn wrong_count(arn: &Arn<'_>, rest: &str) -> ReferenceError {
    let there = match rest.matches(':').count() {
        1 => "is 1 part".to_owned(),
        count => format!("are {count} parts"),
    };
    let message = format!(
        "behind the secret's ID there {there}; there may be none or three, \
         json-key:version-stage:version-id, each of which may be empty"
    );
    // Empty parts at the end are what people forget or add.
    let meant = redact_arn(arn.text.trim_end_matches(':'));
    match rest.trim_end_matches(':').matches(':').count() {
        0 => error(arn, &format!("{message}; write {meant}")),
        given @ 1..=3 => error(arn, &format!("{message}; write {meant}{}", &"::"[..3 - given])),
        _ => error(arn, &message),
    }
}

fn error(arn: &Arn<'_>, message: &str) -> ReferenceError {
    ReferenceError {
        // An ARN may have got into another one's name.
        message: redact_accounts(&format!("{} cannot be read: {message}", redact_arn(arn.text))),
    }
}

fn given(part: &str) -> Option<String> {
    (!part.is_empty()).then(|| part.to_owned())
}
