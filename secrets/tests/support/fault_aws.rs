//! The answers of the two services: AWS JSON 1.1. Pure.

use std::time::Instant;

use serde_json::{Value as Json, json};

use super::http::{Request, Response};
use super::store::{Parameter, Secret, Store, Value, Version};
use super::{BATCH_GET_SECRET, Call, Fault, GET_PARAMETER, GET_PARAMETERS, GET_SECRET, Wrong};

/// Who asks, in the services' own words.
const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/task-role/4f3c2b1a";

/// An error: its type and its message.
struct Error(&'static str, String);

impl Error {
    fn response(&self) -> Response {
        let (kind, message) = (self.0, &self.1);
        // Their own errors have a capital letter, those of the shared front do not.
        let key = if kind == "ValidationException" {
            "message"
        } else {
            "Message"
        };
        let status = if kind.contains("InternalService") {
            500
        } else {
            400
        };
        Response::json(status, &json!({ "__type": kind, key: message }))
    }
}

/// Who asks for what: from the target, the credential scope and the body.
pub fn read(request: &Request) -> Result<Call, Response> {
    let refuse = |kind, message: &str| Err(Error(kind, message.to_owned()).response());
    let (action, service) = match request.header("x-amz-target") {
        Some("secretsmanager.GetSecretValue") => (GET_SECRET, "secretsmanager"),
        Some("secretsmanager.BatchGetSecretValue") => (BATCH_GET_SECRET, "secretsmanager"),
        Some("AmazonSSM.GetParameters") => (GET_PARAMETERS, "ssm"),
        Some("AmazonSSM.GetParameter") => (GET_PARAMETER, "ssm"),
        _ => return refuse("UnknownOperationException", ""),
    };
    let authorization = request.header("authorization").unwrap_or_default();
    let scope: Vec<&str> = authorization
        .strip_prefix("AWS4-HMAC-SHA256 Credential=")
        .and_then(|rest| rest.split(',').next())
        .map(|scope| scope.split('/').collect())
        .unwrap_or_default();
    let [access_key, _date, region, of, "aws4_request"] = scope[..] else {
        return refuse(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        );
    };
    if of != service {
        return refuse(
            "InvalidSignatureException",
            &format!("Credential should be scoped to correct service: '{service}'."),
        );
    }
    let Ok(body) = serde_json::from_slice::<Json>(&request.body) else {
        return refuse("SerializationException", "");
    };
    let ids = match action {
        GET_SECRET => vec![&body["SecretId"]],
        GET_PARAMETER => vec![&body["Name"]],
        BATCH_GET_SECRET => body["SecretIdList"].as_array().into_iter().flatten().collect(),
        _ => body["Names"].as_array().into_iter().flatten().collect(),
    };
    Ok(Call {
        action: action.to_owned(),
        region: region.to_owned(),
        ids: ids
            .iter()
            .map(|id| id.as_str().unwrap_or_default().to_owned())
            .collect(),
        access_key: access_key.to_owned(),
        session_token: request.header("x-amz-security-token").map(str::to_owned),
        at: Instant::now(),
    })
}

/// The answer of a service in good health; `number` decides its order.
pub fn answer(store: &Store, call: &Call, request: &Request, number: usize) -> Response {
    let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
    let done = match call.action.as_str() {
        GET_SECRET => get_secret(store, call, &body),
        BATCH_GET_SECRET => batch_get_secret(store, call, number),
        GET_PARAMETER => get_parameter(store, call, &body),
        _ => get_parameters(store, call, &body, number),
    };
    match done {
        Ok(body) => Response::json(200, &body),
        Err(error) => error.response(),
    }
}

/// The answer to somebody who may not call the action at all.
pub fn denied(call: &Call) -> Response {
    // The batch action is not for a resource, so none is named.
    let resource = if call.action == BATCH_GET_SECRET {
        None
    } else {
        call.ids.first().map(String::as_str)
    };
    not_authorized(&call.action, resource).response()
}

fn not_authorized(action: &str, resource: Option<&str>) -> Error {
    let on = resource
        .map(|arn| format!(" on resource: {arn}"))
        .unwrap_or_default();
    Error(
        "AccessDeniedException",
        format!(
            "User: {CALLER} is not authorized to perform: {action}{on} because no identity-based policy \
             allows the {action} action"
        ),
    )
}

fn get_secret(store: &Store, call: &Call, body: &Json) -> Result<Json, Error> {
    let (id, stage) = (body["VersionId"].as_str(), body["VersionStage"].as_str());
    secret(store, call, &call.ids[0], id, stage)
}

fn secret(
    store: &Store,
    call: &Call,
    id: &str,
    version: Option<&str>,
    stage: Option<&str>,
) -> Result<Json, Error> {
    if !(1..=2048).contains(&id.len()) {
        let why = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
        return Err(Error("ValidationException", why.to_owned()));
    }
    let not_found = |what: &str| {
        let message = format!("Secrets Manager can't find the specified secret{what}");
        Error("ResourceNotFoundException", message)
    };
    // Permission comes first: who may not read it does not learn whether it is there.
    let found = store.secret(&call.region, id);
    let wrong = found.and_then(|found| store.wrong.get(&found.arn));
    if wrong == Some(&Wrong::Denied) || store.wrong.get(id) == Some(&Wrong::Denied) {
        let arn = found.map_or(id, |found| &found.arn);
        return Err(not_authorized(GET_SECRET, Some(arn)));
    }
    let found = found.ok_or_else(|| not_found("."))?;
    match wrong {
        Some(Wrong::ScheduledForDeletion) => {
            let why = "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(Error("InvalidRequestException", why.to_owned()));
        }
        Some(Wrong::Kms) => {
            let why = "Access to KMS is not allowed";
            return Err(Error("AccessDeniedException", why.to_owned()));
        }
        Some(Wrong::KeyDisabled) => {
            let why = "Secrets Manager can't decrypt the protected secret text using the provided KMS key.";
            return Err(Error("DecryptionFailure", why.to_owned()));
        }
        Some(Wrong::Internal) => {
            let why = "An error occurred on the server side.";
            return Err(Error("InternalServiceError", why.to_owned()));
        }
        Some(Wrong::Denied) | None => {}
    }
    let wanted = found.version(version, stage).ok_or_else(|| match version {
        Some(id) => not_found(&format!(" value for VersionId: {id}")),
        None => not_found(&format!(
            " value for staging label: {}",
            stage.unwrap_or("AWSCURRENT")
        )),
    })?;
    Ok(secret_entry(found, wanted))
}

fn secret_entry(secret: &Secret, version: &Version) -> Json {
    let mut entry = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "VersionStages": version.stages,
        "CreatedDate": 1.7e9,
    });
    match &version.value {
        Value::Text(text) => entry["SecretString"] = json!(text),
        Value::Base64(base64) => entry["SecretBinary"] = json!(base64),
    }
    entry
}

fn batch_get_secret(store: &Store, call: &Call, number: usize) -> Result<Json, Error> {
    at_most(&call.ids, 20, "secretIdList")?;
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for id in &call.ids {
        match secret(store, call, id, None, None) {
            Ok(entry) => values.push(entry),
            Err(Error(kind, message)) => {
                errors.push(json!({ "SecretId": id, "ErrorCode": kind, "Message": message }));
            }
        }
    }
    shuffle(&mut values, number);
    Ok(json!({ "SecretValues": values, "Errors": errors }))
}

fn get_parameters(store: &Store, call: &Call, body: &Json, number: usize) -> Result<Json, Error> {
    at_most(&call.ids, 10, "names")?;
    // One that may not be read is the end of the whole call.
    for id in &call.ids {
        readable(store, call, id)?;
    }
    let (mut values, mut invalid) = (Vec::new(), Vec::new());
    for id in &call.ids {
        let found = store.parameter(&call.region, id);
        match found.and_then(|(found, selector)| parameter_entry(found, selector, body)) {
            Some(entry) => values.push(entry),
            None => invalid.push(json!(id)),
        }
    }
    shuffle(&mut values, number);
    Ok(json!({ "Parameters": values, "InvalidParameters": invalid }))
}

fn get_parameter(store: &Store, call: &Call, body: &Json) -> Result<Json, Error> {
    let id = &call.ids[0];
    readable(store, call, id)?;
    let found = store.parameter(&call.region, id);
    let (found, selector) = found.ok_or_else(|| Error("ParameterNotFound", String::new()))?;
    let entry = parameter_entry(found, selector, body).ok_or_else(|| {
        let why = format!(
            "Systems Manager could not find version {} of {}. Verify the version and try again.",
            selector.unwrap_or_default(),
            found.name
        );
        Error("ParameterVersionNotFound", why)
    })?;
    Ok(json!({ "Parameter": entry }))
}

fn readable(store: &Store, call: &Call, id: &str) -> Result<(), Error> {
    let found = store.parameter(&call.region, id).map(|(found, _)| found);
    let wrong = found.and_then(|found| store.wrong.get(&found.arn));
    match wrong.or_else(|| store.wrong.get(id)) {
        Some(Wrong::Denied) => {
            let arn = found.map_or(id, |found| &found.arn);
            Err(not_authorized(&call.action, Some(arn)))
        }
        Some(Wrong::Kms) => {
            let why = "The ciphertext refers to a customer master key that does not exist, does not exist in \
                       this region, or you are not allowed to access.";
            Err(Error("AccessDeniedException", why.to_owned()))
        }
        Some(Wrong::KeyDisabled) => {
            let why = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-4000-8000-000000000000 is disabled. \
                       (Service: Kms, Status Code: 400)";
            Err(Error("InvalidKeyId", why.to_owned()))
        }
        Some(Wrong::Internal) => Err(Error("InternalServiceError", String::new())),
        Some(Wrong::ScheduledForDeletion) | None => Ok(()),
    }
}

fn parameter_entry(parameter: &Parameter, selector: Option<&str>, body: &Json) -> Option<Json> {
    let version = parameter.version(selector)?;
    // Without being told to decrypt, the service hands the ciphertext over.
    let value = if body["WithDecryption"] == json!(true) {
        &parameter.values[version - 1]
    } else {
        "AQICAHhciphertext"
    };
    let mut entry = json!({
        "ARN": parameter.arn,
        "Name": parameter.name,
        "Type": "SecureString",
        "Value": value,
        "Version": version,
        "LastModifiedDate": 1.7e9,
        "DataType": "text",
    });
    if let Some(selector) = selector {
        entry["Selector"] = json!(format!(":{selector}"));
    }
    Some(entry)
}

/// The limits of both services: how many ids, and none twice.
fn at_most(ids: &[String], limit: usize, member: &str) -> Result<(), Error> {
    let invalid = |why: String| {
        let message =
            format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {why}");
        Err(Error("ValidationException", message))
    };
    if ids.len() > limit {
        return invalid(format!("Member must have length less than or equal to {limit}"));
    }
    if ids.is_empty() {
        return invalid("Member must have length greater than or equal to 1".to_owned());
    }
    let mut distinct: Vec<&String> = ids.iter().collect();
    distinct.sort();
    distinct.dedup();
    if distinct.len() < ids.len() {
        return invalid("Member must have unique elements".to_owned());
    }
    Ok(())
}

/// Another order than asked for, and another one each time.
fn shuffle(values: &mut [Json], number: usize) {
    values.reverse();
    let by = number % values.len().max(1);
    values.rotate_left(by);
}

/// The answer of a service that is not in good health. Hanging and closing are not answers.
pub fn fault(fault: &Fault) -> Response {
    let error = |kind, message: &str| Error(kind, message.to_owned()).response();
    match fault {
        Fault::Throttle(retry_after) => {
            let mut response = error("ThrottlingException", "Rate exceeded");
            response
                .headers
                .extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
            response
        }
        Fault::ServerError => error("InternalServiceError", "An error occurred on the server side."),
        Fault::Unavailable => Response {
            status: 503,
            headers: vec![("content-type", "text/html".to_owned())],
            body: b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>".to_vec(),
        },
        Fault::Garbage => Response {
            status: 200,
            headers: vec![("content-type", "application/x-amz-json-1.1".to_owned())],
            body: b"\xff\x00{{{ not JSON".to_vec(),
        },
        Fault::WrongShape => Response::json(200, &json!({ "SecretValues": 1, "Parameters": "none" })),
        Fault::ExpiredToken => error(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        Fault::UnknownKey => error(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        Fault::WrongClock => error(
            "InvalidSignatureException",
            "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z \
             (20260101T001500Z - 5 min.)",
        ),
        Fault::Error(kind, message) => error(kind, message),
        Fault::Hang | Fault::HangInBody | Fault::Close => unreachable!("no answer"),
    }
}
