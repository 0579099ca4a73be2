//! One unary call of gRPC, over HTTP/2 on a connection of its own: "gRPC over HTTP2",
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

mod status;

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use runmate_health::Step;
use runmate_health::checks::Peer;

use super::reply::{Reply, one_line};

/// The method that takes spans.
const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The longest body of an answer; it holds one message, which holds one sentence. Hyper has a limit for headers.
const LONGEST_ANSWER: usize = 64 << 10;

/// In front of each message: one byte that tells whether it is compressed, four that tell its length.
const PREFIX: usize = 5;

/// A collector.
pub(super) struct Client {
    pub uri: Uri,
    pub peer: Peer,
    pub headers: HeaderMap,
}

impl Client {
    /// Sends an encoded `ExportTraceServiceRequest`.
    pub async fn call(&self, message: &Bytes, step: &Step) -> Reply {
        let request = match self.request(message) {
            Ok(request) => request,
            Err(why) => return Reply::Refused(why),
        };
        self.exchange(request, step).await.unwrap_or_else(Reply::lost)
    }

    fn request(&self, message: &[u8]) -> Result<Request<Body>, String> {
        let length = u32::try_from(message.len()).map_err(|_| "the spans are too many for one message")?;
        let mut body = Vec::with_capacity(PREFIX + message.len());
        body.push(0);
        body.extend(length.to_be_bytes());
        body.extend(message);
        let mut uri = self.uri.clone().into_parts();
        uri.path_and_query = Some(PATH.parse().expect("a path"));
        let mut request = Request::post(Uri::from_parts(uri).expect("a URL"))
            .body(Body::from(body))
            .expect("a request");
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        Ok(request)
    }

    /// The error is a clause that names the peer.
    async fn exchange(&self, request: Request<Body>, step: &Step) -> Result<Reply, String> {
        let peer = &self.peer;
        let connecting = step.watch(peer.connect(&["h2"]));
        let stream = connecting.await.map_err(|failure| failure.why)?;
        step.tell(format!("waiting for {peer} to answer by gRPC"));
        let failed = |error: hyper::Error| failure(peer, &error);
        let io = TokioIo::new(stream);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
        // It ends with its sender, or with the runtime.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(failed)?;
        let answer = read(answer).await.map_err(failed)?;
        Ok(self.reply(&answer))
    }

    fn reply(&self, answer: &Answer) -> Reply {
        let peer = &self.peer;
        let status = answer.head.status();
        match answer.grpc_status() {
            Some(headers) => match status::failure(headers) {
                None => answer.message().unwrap_or_else(|| {
                    Reply::Refused(format!(
                        "what {peer} answered is no answer to an export of traces"
                    ))
                }),
                Some(failure) => failure,
            },
            // In the way of a proxy: "HTTP to gRPC Status Code Mapping".
            None if matches!(status.as_u16(), 429 | 502..=504) => {
                Reply::lost(format!("{peer} answered {status}"))
            }
            None => Reply::Refused(match status.is_success() {
                true => format!("what {peer} answered is not gRPC"),
                false => format!("{peer} answered {status}"),
            }),
        }
    }
}

/// All of an answer.
struct Answer {
    head: Response<()>,
    /// `None` if it was too long.
    body: Option<Vec<u8>>,
    trailers: HeaderMap,
}

impl Answer {
    /// Where the status of the call stands: in the trailers, or in the headers of an answer that has nothing else.
    fn grpc_status(&self) -> Option<&HeaderMap> {
        let places = [&self.trailers, self.head.headers()];
        places
            .into_iter()
            .find(|headers| headers.contains_key(status::STATUS))
    }

    /// What the server says of the spans, if it can be read.
    fn message(&self) -> Option<Reply> {
        // Nothing is compressed that nobody asked to compress.
        let (&[0, a, b, c, d], message) = self.body.as_ref()?.split_first_chunk::<PREFIX>()? else {
            return None;
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let response = ExportTraceServiceResponse::decode(message.get(..length)?).ok()?;
        Some(Reply::of(response))
    }
}

async fn read(answer: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, mut incoming) = answer.into_parts();
    let mut body = Some(Vec::new());
    let mut trailers = HeaderMap::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        match frame?.into_data() {
            Ok(data) => {
                body = body.filter(|body| body.len() + data.len() <= LONGEST_ANSWER);
                match &mut body {
                    Some(body) => body.extend(&data),
                    // Whatever else comes, it is not what was asked for.
                    None => break,
                }
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok(Answer {
        head: Response::from_parts(head, ()),
        body,
        trailers,
    })
}

fn failure(peer: &Peer, error: &hyper::Error) -> String {
    // Hyper says where in itself it was, its cause what happened.
    let cause = std::error::Error::source(error);
    let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
    // A server of HTTP/1.1 answers with what is no frame, or hangs up; which of them is seen is chance.
    one_line(&format!(
        "asking {peer} by gRPC: {cause}; does it take OTLP by HTTP (http/protobuf)?"
    ))
}
