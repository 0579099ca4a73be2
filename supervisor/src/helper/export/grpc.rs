//! HTTP/2 for gRPC: tonic's channel over connections of our own, which tell what they are at.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::Uri;
use hyper_util::rt::TokioIo;
use runmate_health::Step;
use runmate_health::checks::{Peer, Stream};
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use super::heard::Heard;

/// A channel that connects when it is first used.
pub(super) fn channel(uri: Uri, connector: Connector) -> Channel {
    // TLS is the connector's: without that of its own, tonic never asks the scheme.
    Endpoint::from(uri).connect_with_connector_lazy(connector)
}

/// Connects to one server.
#[derive(Clone)]
pub(super) struct Connector {
    pub peer: Arc<Peer>,
    pub step: Step,
    pub heard: Heard,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = String;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, String>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Connector { peer, step, heard } = self.clone();
        Box::pin(async move {
            match step.watch(peer.connect(&["h2"])).await {
                Ok(stream) => {
                    step.tell(format!("waiting for {peer} to answer by gRPC"));
                    Ok(TokioIo::new(stream))
                }
                Err(failure) => {
                    heard.trouble(failure.why.clone());
                    Err(failure.why)
                }
            }
        })
    }
}
