//! Secrets Manager and Parameter Store references to values.

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

pub use aws::AwsSource;
pub use failure::{Class, Failure, FailureKind};
pub use file::{FileSource, OfflineFile};
pub use form::Form;
pub use reference::{FileRef, ParameterRef, Reference, ReferenceError, SecretsManagerRef};
pub use resolver::{Request, Resolver};
pub use secret::Secret;
pub use source::{Answers, Problem, Source};
