//! Requests to services of AWS that the SDK has no client for here: signed, and sent by somebody else.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use tokio::time::Instant;

use super::{connect, credentials, retry};
use crate::Problem;

/// Signs requests with the credentials of the SDK's default chain (Signature Version 4).
pub struct Signer {
    credentials: Credentials,
    region: String,
}

/// A request as it is going to be sent, but for the headers of the signature.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// `POST`.
    pub method: &'a str,
    /// All of it: `https://xray.eu-west-1.amazonaws.com/v1/traces`.
    pub url: &'a str,
    /// The headers that the signature covers, besides `host`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl Signer {
    /// Asks the chain for credentials, again and again if what keeps them away may pass. `region` is where the requests
    /// go to.
    ///
    /// # Errors
    /// If there are none, or not in time.
    pub async fn from_env(region: &str, timeout: Duration) -> Result<Signer, Problem> {
        let (attempt, deadline) = (retry::attempt_limit(timeout), Instant::now() + timeout);
        let http = connect::http_client();
        Ok(Signer {
            credentials: credentials::load(&http, region, attempt, deadline).await?,
            region: region.to_owned(),
        })
    }

    /// The headers to send besides those of the request, for a service by the name that its signatures have: `xray`.
    /// `None` if there can be no such request.
    pub fn sign(
        &self,
        service: &str,
        request: Unsigned<'_>,
        now: SystemTime,
    ) -> Option<Vec<(&'static str, String)>> {
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .ok()?
            .into();
        let headers = request.headers.iter().copied();
        let body = SignableBody::Bytes(request.body);
        let signable = SignableRequest::new(request.method, request.url, headers, body).ok()?;
        let (instructions, _) = sign(signable, &params).ok()?.into_parts();
        let (headers, _) = instructions.into_parts();
        let headers = headers.iter();
        Some(
            headers
                .map(|header| (header.name(), header.value().to_owned()))
                .collect(),
        )
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's documentation, "Create a signed AWS API request", as its own test suite has it
    /// (get-vanilla).
    #[test]
    fn a_request_is_signed_as_aws_does() {
        let signer = Signer {
            credentials: Credentials::new(
                "AKIDEXAMPLE",
                "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                None,
                None,
                "test",
            ),
            region: "us-east-1".into(),
        };
        let request = Unsigned {
            method: "GET",
            url: "https://example.amazonaws.com/",
            headers: &[],
            body: b"",
        };
        // 2015-08-30T12:36:00Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let headers = signer.sign("service", request, now).unwrap();
        let value = |name: &str| {
            let header = headers.iter().find(|(found, _)| *found == name);
            header.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("x-amz-date"), Some("20150830T123600Z"));
        assert_eq!(
            value("authorization"),
            Some(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, \
                 Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            )
        );
        assert!(!format!("{signer:?}").contains("wJalr"));
        let nonsense = Unsigned {
            url: "http://exa mple.com",
            ..request
        };
        assert_eq!(signer.sign("service", nonsense, now), None);
    }
}
