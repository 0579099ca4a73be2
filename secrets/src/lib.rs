//! Secrets Manager and Parameter Store references to values: in as few calls as the services allow, with all
//! failures together, and without showing a value to anybody who did not ask for it.
//!
//! A [`Reference`] is what ECS takes for `valueFrom`: the ARN of a secret (with a key of its JSON, a stage or
//! a version behind it) or of a parameter; or `file:PATH`, for development. A [`Resolver`] turns references
//! into [`Secret`]s. In a web service:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use axum::{Router, extract::State, routing::get};
//! use runmate_secrets::{Reference, Resolver, Secret};
//!
//! async fn length(State(key): State<Arc<Secret>>) -> String {
//!     format!("the key has {} bytes", key.expose().len())
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let arn = std::env::var("API_KEY_ARN")?;
//!     let reference = Reference::parse(&arn)?.ok_or("API_KEY_ARN holds no reference")?;
//!     let key = Resolver::from_env().get(&reference).await?;
//!
//!     let app = Router::new().route("/", get(length)).with_state(Arc::new(key));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     Ok(axum::serve(listener, app).await?)
//! }
//! ```
//!
//! Several at once cost hardly more than one (20 secrets or 10 parameters are one call), and fail together:
//!
//! ```no_run
//! use runmate_secrets::{Form, Reference, Request, Resolver};
//!
//! # async fn resolve() -> Result<(), Box<dyn std::error::Error>> {
//! let wanted = [
//!     ("DATABASE_URL", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf", "database-url"),
//!     ("LOG_LEVEL", "arn:aws:ssm:eu-west-1:123456789012:parameter/app/level", "text"),
//! ];
//! let mut requests = Vec::new();
//! for (name, arn, form) in wanted {
//!     let reference = Reference::parse(arn)?.ok_or("no reference")?;
//!     requests.push(Request { name: name.into(), reference, form: Form::parse(form)? });
//! }
//! for (request, answer) in requests.iter().zip(Resolver::from_env().resolve(&requests).await) {
//!     match answer {
//!         Ok(value) => println!("{} has {} bytes", request.name, value.expose().len()),
//!         Err(failure) => eprintln!("{failure}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! In tests, and for values that are kept elsewhere, a [`Source`] of your own answers instead; and
//! `RUNMATE_SECRETS_FILE` answers for everything with an [`OfflineFile`].
//!
//! ```
//! use std::time::Instant;
//!
//! use runmate_secrets::{Answers, Reference, Resolver, Secret, Source};
//!
//! struct Always(&'static str);
//!
//! impl Source for Always {
//!     fn fetch<'a>(&'a self, references: &'a [Reference], _deadline: Instant) -> Answers<'a> {
//!         Box::pin(async move { references.iter().map(|_| Ok(Secret::new(self.0))).collect() })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let resolver = Resolver::with_source(Always("hunter2"));
//! let reference = Reference::parse("arn:aws:ssm:eu-west-1:123456789012:parameter/key")?.ok_or("no reference")?;
//! let secret = resolver.get(&reference).await?;
//! assert_eq!(secret.expose_str(), Some("hunter2"));
//! assert_eq!(format!("{secret:?}"), "Secret(***)");
//! # Ok(())
//! # }
//! ```
//!
//! What is asked of the role: `secretsmanager:GetSecretValue` and `ssm:GetParameters` for what it reads,
//! `kms:Decrypt` for keys of one's own, and better also `secretsmanager:BatchGetSecretValue` (for `*`);
//! without it each secret is a call of its own.
//!
//! Runs on tokio, on any of its runtimes; with its clock and its network enabled.

mod aws;
mod detail;
mod failure;
mod file;
mod form;
mod plan;
mod reference;
mod resolver;
mod secret;
mod source;

pub use aws::{AwsSource, Signer, Unsigned};
pub use failure::{Class, Failure, FailureKind};
pub use file::{FileSource, OfflineFile};
pub use form::Form;
pub use reference::{FileRef, ParameterRef, Reference, ReferenceError, SecretsManagerRef};
pub use resolver::{Request, Resolver};
pub use secret::Secret;
pub use source::{Answers, Problem, Source};
