//! HTTP/1.1, one request on a connection of its own.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use runmate_health::Step;
use runmate_health::checks::Peer;
use runmate_secrets::{Signer, Unsigned};

use super::endpoint::PATH;
use super::reply::{Reply, one_line};

/// The longest body of an answer: an error message, or a document of a metadata endpoint.
const LONGEST_ANSWER: usize = 64 << 10;

/// Answers that are about the spans themselves: they will be the same next time. Whatever else is refused, credentials
/// or a path, somebody may put right while we run.
const NEVER: &[StatusCode] = &[StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE];

/// A collector, or X-Ray.
pub(super) struct Client {
    pub uri: Uri,
    pub peer: Peer,
    pub headers: HeaderMap,
    /// Signs every attempt anew, since a signature has its time in it.
    pub signer: Option<Signer>,
}

impl Client {
    /// Sends an encoded `ExportTraceServiceRequest`.
    pub async fn post(&self, message: &Bytes, step: &Step) -> Reply {
        let mut request = Request::new(message.clone());
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.uri);
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        let kind = HeaderValue::from_static("application/x-protobuf");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(signer) = &self.signer
            && let Err(why) = sign(signer, &mut request)
        {
            return Reply::Refused(why);
        }
        let confidences = confidences(&request);
        let asked = exchange(&self.peer, step, request.map(Body::from));
        match step.watch(asked).await {
            Ok(answer) => self.reply(&answer, &confidences),
            Err(why) => Reply::lost(why),
        }
    }

    fn reply(&self, answer: &Response<Bytes>, confidences: &[String]) -> Reply {
        let peer = &self.peer;
        let status = answer.status();
        if status.is_success() {
            if is_page(answer) {
                let why = format!("{peer} answered with a web page; does a collector listen there?");
                return Reply::Refused(why);
            }
            // Some answer with something else, and have taken the spans.
            return Reply::of(ExportTraceServiceResponse::decode(answer.body().clone()).unwrap_or_default());
        }
        let why = reason(answer.body());
        let why = confidences
            .iter()
            .fold(why, |why, word| why.replace(word.as_str(), "***"));
        let why = match why.as_str() {
            "" => format!("{peer} answered {status}"),
            why => format!("{peer} answered {status}: {why}"),
        };
        // OTLP's specification, "Failures" of OTLP/HTTP.
        match status.as_u16() {
            429 | 503 => Reply::Later {
                why,
                after: retry_after(answer.headers()),
            },
            502 | 504 => Reply::lost(why),
            _ if NEVER.contains(&status) => Reply::never(why),
            _ => Reply::Refused(why),
        }
    }
}

/// When a server wants to be asked again, if it says so in seconds; who sends a date has our own pauses.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// What a server may repeat and nobody is to read: the token that came with credentials, which is in no variable, and a
/// path or query of one's own, which may have a key in it.
fn confidences(request: &Request<Bytes>) -> Vec<String> {
    let token = request.headers().get("x-amz-security-token");
    let token = token.and_then(|token| token.to_str().ok());
    let whole = request.uri().path_and_query().map(PathAndQuery::as_str);
    // Then as configured: a server may know it without what was added.
    let path = request.uri().path();
    let configured = path.strip_suffix(PATH).unwrap_or(path);
    let paths = whole.into_iter().chain([path, configured]);
    let paths = paths.filter(|path| ![PATH, "/", ""].contains(path));
    token.into_iter().chain(paths).map(str::to_owned).collect()
}

/// Whether an answer is for people: a web server's, that has this page for every path.
fn is_page(answer: &Response<Bytes>) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

fn sign(signer: &Signer, request: &mut Request<Bytes>) -> Result<(), String> {
    let impossible = || "the request cannot be signed".to_owned();
    let url = request.uri().to_string();
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let kind = kind.as_ref().and_then(|kind| kind.to_str().ok());
    let headers: Vec<(&str, &str)> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
    let unsigned = Unsigned {
        method: request.method().as_str(),
        url: &url,
        headers: &headers,
        body: request.body(),
    };
    let signed = signer.sign("xray", unsigned, SystemTime::now());
    for (name, value) in signed.ok_or_else(impossible)? {
        let value = HeaderValue::from_str(&value).map_err(|_| impossible())?;
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

/// What an answer with an error says, as far as it is text.
fn reason(body: &[u8]) -> String {
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body)
        && let Some(message) = json.get("message").or_else(|| json.get("Message"))
    {
        return one_line(message.as_str().unwrap_or_default());
    }
    match std::str::from_utf8(body) {
        Ok(text) => one_line(text),
        Err(_) => String::new(),
    }
}

/// Asks for a document.
pub(super) async fn get(peer: &Peer, uri: &Uri) -> Result<Response<Bytes>, String> {
    let request = Request::get(uri.clone())
        .body(Body::empty())
        .map_err(|error| error.to_string())?;
    exchange(peer, &Step::default(), request).await
}

/// What the header `Host` says. A signature covers it without the port that its scheme has anyway.
fn host(uri: &Uri) -> &str {
    let usual = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    match uri.port_u16() {
        Some(port) if port == usual => uri.host().unwrap_or_default(),
        _ => uri.authority().map_or("", |authority| authority.as_str()),
    }
}

/// Sends a request and reads all of its answer. The error is a clause that names the peer.
async fn exchange(peer: &Peer, step: &Step, mut request: Request<Body>) -> Result<Response<Bytes>, String> {
    let stream = peer.connect(&["http/1.1"]).await.map_err(|failure| failure.why)?;
    step.tell(format!("waiting for {peer} to answer"));
    let failed = |error: hyper::Error| failure(peer, &error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let uri = request.uri().clone();
    let host = HeaderValue::from_str(host(&uri)).map_err(|_| "this host cannot be asked".to_owned())?;
    request.headers_mut().insert(header::HOST, host);
    let close = HeaderValue::from_static("close");
    request.headers_mut().insert(header::CONNECTION, close);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path
        .parse()
        .map_err(|_| "this path cannot be asked for".to_owned())?;
    let answered = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(Body::new(body), LONGEST_ANSWER)
            .await
            .map_err(|_| format!("the answer of {peer} did not come to an end as it should"))?;
        Ok(Response::from_parts(head, body))
    };
    let mut answered = pin!(answered);
    tokio::select! {
        answer = &mut answered => answer,
        // It carries the question and the answer, and may end with handing that over.
        ended = connection => match (answered.await, ended) {
            (Err(_), Err(error)) if spoke_first(&error) => Err(not_http(peer)),
            (answer, _) => answer,
        },
    }
}

/// Whether a connection failed because the server said something before it was asked, as those of HTTP/2 do.
/// Hyper has no name for it: it is no early end, and nobody else's error.
fn spoke_first(error: &hyper::Error) -> bool {
    error.is_parse() || !error.is_incomplete_message() && std::error::Error::source(error).is_none()
}

/// Why a question was not sent, if it was not.
fn kept_back(error: &hyper::Error) -> Option<&hyper::Error> {
    let cause = std::error::Error::source(error).filter(|_| error.is_canceled());
    cause?.downcast_ref()
}

fn not_http(peer: &Peer) -> String {
    format!("what {peer} answered is not HTTP/1.1")
}

fn failure(peer: &Peer, error: &hyper::Error) -> String {
    if error.is_parse() || kept_back(error).is_some_and(spoke_first) {
        not_http(peer)
    } else if error.is_incomplete_message() || error.is_canceled() {
        format!("{peer} closed the connection without an answer")
    } else {
        let cause = std::error::Error::source(error);
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        one_line(&format!("asking {peer}: {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Request, confidences, host, reason};

    #[test]
    fn a_path_of_ones_own_is_not_told_with_or_without_what_was_added() {
        let of = |url: &str| confidences(&Request::post(url).body(Bytes::new()).unwrap());
        let none: [&str; 0] = [];
        assert_eq!(of("http://c:4318/v1/traces"), none);
        let mut said = "no /k/hunter2/v1/traces?x=1, /k/hunter2/v1/traces or /k/hunter2".to_owned();
        for word in of("http://c:4318/k/hunter2/v1/traces?x=1") {
            said = said.replace(&word, "***");
        }
        assert_eq!(said, "no ***, *** or ***");
    }

    #[test]
    fn the_host_is_the_one_that_is_signed() {
        for (url, expected) in [
            (
                "https://xray.eu-west-1.amazonaws.com/v1/traces",
                "xray.eu-west-1.amazonaws.com",
            ),
            (
                "https://xray.eu-west-1.amazonaws.com:443/v1/traces",
                "xray.eu-west-1.amazonaws.com",
            ),
            ("http://[::1]:80/", "[::1]"),
            ("http://127.0.0.1:443/", "127.0.0.1:443"),
            ("https://c:80/", "c:80"),
        ] {
            assert_eq!(host(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn why_a_server_refuses() {
        for (body, expected) in [
            (&b""[..], ""),
            (b"no such tenant\n", "no such tenant"),
            (b"{\"message\":\"bad\\u0000 token\"}", "bad token"),
            (b"{\"Message\":\"denied\"}", "denied"),
            (b"\xff\xfe", ""),
        ] {
            assert_eq!(reason(body), expected);
        }
    }
}
