//! Credentials: the SDK's default chain, asked once and before anything else, so that having none is one
//! failure and said as such.

use std::env;
use std::fs;
use std::io;
use std::time::Duration;

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::imds;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::ConnectorError;
use tokio::time::{Instant, timeout_at};

use super::api::CallError;
use super::client::{cause, chain, connect_error, has_cause};
use super::connect::host;
use super::retry;
use crate::detail::clean_detail;
use crate::{FailureKind, Problem};

/// Loads credentials, again and again if what keeps them away may pass. `region` is where a profile or a web
/// identity asks STS, if it names none.
pub(super) async fn load(
    http: &SharedHttpClient,
    region: &str,
    attempt: Duration,
    deadline: Instant,
) -> Result<Credentials, Problem> {
    let chain = chain_of(http, region).await;
    let once = || async {
        let limit = deadline.min(Instant::now() + attempt);
        match timeout_at(limit, chain.provide_credentials()).await {
            Ok(result) => result.map_err(|error| meaning(&error)),
            Err(_) => Err(CallError {
                problem: Problem::of(FailureKind::TimedOut, timed_out(attempt)),
                transient: true,
                wait: None,
            }),
        }
    };
    retry::until(deadline, once).await
}

async fn chain_of(http: &SharedHttpClient, region: &str) -> DefaultCredentialsChain {
    let region = Region::new(region.to_owned());
    let config = ProviderConfig::without_region().with_http_client(http.clone());
    let config = config.with_region(Some(region.clone()));
    // The instance's metadata are the last in the chain and mostly not there: one attempt of a second, as in
    // the other SDKs, or a machine without credentials learns of it late.
    let metadata = imds::Client::builder().configure(&config).max_attempts(1).build();
    let chain = DefaultCredentialsChain::builder()
        .configure(config)
        .region(region);
    chain.imds_client(metadata).build().await
}

const NOTHING_SET_UP: &str = "there are no credentials in the environment, in a profile, from a web identity, from a \
     container's endpoint or in an instance's metadata";

/// What a failure of the chain means: only having nothing set up lets it go on to its next member.
fn meaning(error: &CredentialsError) -> CallError {
    let words = chain(error);
    if let Some(error) = cause::<ConnectorError>(error)
        && !has_cause::<ImdsError>(error)
    {
        return connect_error(error);
    }
    let (kind, transient) = match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            return without_retry(FailureKind::NoCredentials, NOTHING_SET_UP.into());
        }
        CredentialsError::ProviderTimedOut(_) => (FailureKind::TimedOut, true),
        CredentialsError::InvalidConfiguration(_) => {
            let words = bad_token().unwrap_or(words);
            return without_retry(FailureKind::NoCredentials, words);
        }
        // Elsewhere than on EC2 somebody else may listen at that address, and answer as they like.
        _ if has_cause::<ImdsError>(error) => {
            let words = clean_detail(&format!("{NOTHING_SET_UP}: {words}"));
            return without_retry(FailureKind::NoCredentials, words);
        }
        // A file that a variable names and that is not there.
        _ if has_cause::<io::Error>(error) => {
            let words = unreadable_file().unwrap_or(words);
            return without_retry(FailureKind::NoCredentials, words);
        }
        _ => by_words(&words),
    };
    CallError {
        problem: Problem::of(kind, words),
        transient,
        wait: None,
    }
}

fn without_retry(kind: FailureKind, words: String) -> CallError {
    CallError {
        problem: Problem::of(kind, words),
        transient: false,
        wait: None,
    }
}

/// The SDK keeps the status of a container's endpoint and the code of STS for its words alone.
fn by_words(words: &str) -> (FailureKind, bool) {
    const REFUSED: [&str; 10] = [
        "credential provider: 4",
        "StatusCode(4",
        "AccessDenied",
        "NotAuthorized",
        "ExpiredToken",
        "InvalidIdentityToken",
        "IDPRejectedClaim",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "failed to load credentials [",
    ];
    let throttled = words.contains("StatusCode(429)") || words.contains("Throttling");
    if !throttled && REFUSED.iter().any(|refused| words.contains(refused)) {
        (FailureKind::CredentialsRefused, false)
    } else {
        (FailureKind::Unavailable, true)
    }
}

const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// Names the token file that cannot be read; the SDK says only why.
fn unreadable_file() -> Option<String> {
    let problem = |variable| {
        let path = env::var_os(variable)?;
        let error = fs::read(&path).err()?;
        let path = path.display();
        Some(format!("cannot read the token file {path} ({variable}): {error}"))
    };
    ["AWS_WEB_IDENTITY_TOKEN_FILE", TOKEN_FILE]
        .into_iter()
        .find_map(problem)
}

/// Says so if the token for a container's endpoint is one that cannot be sent. The SDK sends a token file as it
/// is, and `echo token > file` ends it with a line break.
fn bad_token() -> Option<String> {
    const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    if let Some(path) = env::var_os(TOKEN_FILE) {
        let token = fs::read(&path).ok()?;
        let path = path.display();
        return is_bad(&token).then(|| {
            format!(
                "the token file {path} ({TOKEN_FILE}) holds a line break, which cannot be sent; write it \
                 without, as printf %s does"
            )
        });
    }
    let token = env::var_os(TOKEN)?;
    is_bad(token.as_encoded_bytes()).then(|| format!("{TOKEN} holds a line break, which cannot be sent"))
}

/// Whether a token has what no header may have.
fn is_bad(token: &[u8]) -> bool {
    token.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

fn timed_out(attempt: Duration) -> String {
    const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let endpoint = match (env::var(RELATIVE), env::var(FULL)) {
        // Not its path: whoever knows that may get the role's credentials, too.
        (Ok(_), _) => format!("the credentials endpoint 169.254.170.2 ({RELATIVE})"),
        (_, Ok(url)) => format!("the credentials endpoint {} ({FULL})", host(&url)),
        _ => "the chain of credentials".into(),
    };
    format!("{endpoint} gave none within {} ms", attempt.as_millis())
}

#[cfg(test)]
mod tests {
    use super::super::connect::name_host;
    use super::*;

    fn kind(error: CredentialsError) -> (FailureKind, bool) {
        let error = meaning(&error);
        (error.problem.kind, error.transient)
    }

    #[test]
    fn what_failures_of_the_chain_mean() {
        let refused = (FailureKind::CredentialsRefused, false);
        let passing = (FailureKind::Unavailable, true);
        let none = (FailureKind::NoCredentials, false);
        let told = |words: &str| CredentialsError::provider_error(words.to_owned());
        let status = |code: &str| {
            told(&format!(
                "Non-success status from HTTP credential provider: StatusCode({code})"
            ))
        };
        assert_eq!(kind(CredentialsError::not_loaded_no_source()), none);
        assert_eq!(
            kind(CredentialsError::invalid_configuration("no such profile")),
            none
        );
        assert_eq!(
            kind(CredentialsError::provider_error(io::Error::other("no file"))),
            none
        );
        assert_eq!(kind(status("403")), refused);
        assert_eq!(kind(status("404")), refused);
        assert_eq!(kind(status("429")), passing);
        assert_eq!(kind(status("500")), passing);
        assert_eq!(
            kind(told("service error: unhandled error (AccessDenied)")),
            refused
        );
        assert_eq!(kind(told("service error: Throttling: Rate exceeded")), passing);
        assert_eq!(kind(CredentialsError::unhandled("no JSON")), passing);
        let connection = name_host(ConnectorError::io("refused".into()), "127.0.0.1:1".into());
        assert_eq!(kind(CredentialsError::unhandled(connection)), passing);
        let timeout = name_host(ConnectorError::timeout("slow".into()), "127.0.0.1:1".into());
        assert_eq!(
            kind(CredentialsError::unhandled(timeout)),
            (FailureKind::TimedOut, true)
        );
    }

    #[test]
    fn a_token_with_a_line_break_cannot_be_sent() {
        assert!(is_bad(b"token\n"));
        assert!(is_bad(b"to\rken"));
        assert!(!is_bad(b"Bearer abc=="));
    }
}
