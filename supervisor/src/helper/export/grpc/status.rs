//! How a call of gRPC ended.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::percent_decode;
use prost::Message;

use crate::helper::export::reply::{Reply, one_line};

/// The header of the code.
pub(super) const STATUS: &str = "grpc-status";

/// The codes by their numbers: "Status codes and their use in gRPC",
/// <https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>.
const CODES: [&str; 17] = [
    "Ok",
    "Cancelled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// What went wrong, if something did. What may be asked again is of OTLP's specification, "Failures".
pub(super) fn failure(headers: &HeaderMap) -> Option<Reply> {
    let code = headers.get(STATUS)?.to_str().ok();
    let code = code.and_then(|code| code.parse::<usize>().ok());
    // What is no code is Unknown, as the specification wants it.
    let code = code.and_then(|code| CODES.get(code)).unwrap_or(&"Unknown");
    if *code == "Ok" {
        return None;
    }
    let message = headers
        .get("grpc-message")
        .map_or(&b""[..], |value| value.as_bytes());
    let message = percent_decode(message).decode_utf8_lossy();
    let why = match one_line(&message).as_str() {
        "" => format!("the answer was {code}"),
        message => format!("the answer was {code}: {message}"),
    };
    let after = retry_delay(headers);
    Some(match *code {
        "Cancelled" | "DeadlineExceeded" | "Aborted" | "OutOfRange" | "Unavailable" | "DataLoss" => {
            Reply::Later { why, after }
        }
        // Only a server that says so will have room again.
        "ResourceExhausted" if after.is_some() => Reply::Later { why, after },
        // As 400 of HTTP: it is about the spans themselves.
        "InvalidArgument" => Reply::never(why),
        _ => Reply::Refused(why),
    })
}

/// `google.rpc.Status`, as far as it matters here.
#[derive(Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// When the server wants to be asked again.
fn retry_delay(headers: &HeaderMap) -> Option<Duration> {
    let details = headers.get("grpc-status-details-bin")?.to_str().ok()?;
    // With or without padding: both are allowed.
    let details = STANDARD_NO_PAD.decode(details.trim_end_matches('=')).ok()?;
    let details = Status::decode(details.as_slice()).ok()?.details;
    let info = details
        .iter()
        .find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let (seconds, nanos) = (u64::try_from(delay.seconds), u32::try_from(delay.nanos));
    Some(Duration::from_secs(seconds.ok()?).saturating_add(Duration::from_nanos(nanos.ok()?.into())))
}

#[cfg(test)]
mod tests;
