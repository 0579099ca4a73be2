//! From references to values: each fetched once, all failures together.

use std::env;
use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::aws::AwsSource;
use crate::file::{FileSource, OfflineFile};
use crate::plan::distinct;
use crate::{Failure, FailureKind, Form, Problem, Reference, Secret, Source};

/// The variable that names a file with values for all references.
const OFFLINE: &str = "RUNMATE_SECRETS_FILE";

/// One thing to be resolved.
#[derive(Clone, Debug)]
pub struct Request {
    /// What failures call it: mostly the variable.
    pub name: String,
    /// What stands for the value.
    pub reference: Reference,
    /// How the value is wanted.
    pub form: Form,
}

/// Resolves references: AWS ones by the SDK's credential chain, `file:` ones from files, and all of them from
/// the file that `RUNMATE_SECRETS_FILE` names, if it is set.
///
/// Nothing of the SDK is set up before the first AWS reference is asked for. Keep the resolver if you resolve
/// more than once: connections and credentials are kept with it.
#[derive(Debug)]
pub struct Resolver {
    timeout: Duration,
    sources: Sources,
}

/// Who answers.
enum Sources {
    /// AWS references and files, each from where they are.
    Real { aws: Box<dyn Source>, files: FileSource },
    /// One for everything.
    One(Box<dyn Source>),
    /// Nobody: the offline file cannot be used.
    None(Problem),
}

impl Resolver {
    /// A resolver for the environment this program runs in, with 30 s for everything.
    ///
    /// `RUNMATE_SECRETS_FILE` is read now; if that fails, everything that is asked for fails and says why.
    pub fn from_env() -> Resolver {
        let sources = match env::var_os(OFFLINE).filter(|path| !path.is_empty()) {
            Some(path) => match OfflineFile::load(path) {
                Ok(file) => Sources::One(Box::new(file)),
                Err(sentence) => Sources::None(FailureKind::BadValue(sentence).into()),
            },
            None => Sources::Real {
                aws: Box::new(AwsSource::from_env()),
                files: FileSource,
            },
        };
        Resolver::of(sources)
    }

    /// A resolver that asks this source for everything, whatever the environment says: for tests, and for
    /// values that are kept elsewhere.
    pub fn with_source(source: impl Source + 'static) -> Resolver {
        Resolver::of(Sources::One(Box::new(source)))
    }

    fn of(sources: Sources) -> Resolver {
        Resolver {
            timeout: Duration::from_secs(30),
            sources,
        }
    }

    /// Changes how long [`resolve`](Resolver::resolve) may take in all; at most a year.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Resolver {
        // A point in time further away than this cannot be had everywhere.
        self.timeout = timeout.min(Duration::from_secs(365 * 24 * 3600));
        self
    }

    /// Resolves all of them with as few calls as the services allow; the answers come in the order of the
    /// requests. What is not answered in time fails as [`FailureKind::TimedOut`].
    pub async fn resolve(&self, requests: &[Request]) -> Vec<Result<Secret, Failure>> {
        // The same value may be wanted by several requests, each with a key or form of its own.
        let (wanted, places) = distinct(
            requests
                .iter()
                .map(|request| request.reference.without_json_key()),
        );
        let answers = self.fetch(&wanted).await;
        let mut results = Vec::with_capacity(requests.len());
        for (request, place) in requests.iter().zip(places) {
            let Request {
                name,
                reference,
                form,
            } = request;
            let whole = answers[place].as_ref().map_err(Clone::clone);
            let value = whole.and_then(|whole| Ok(form.apply(whole, reference.json_key())?));
            results.push(value.map_err(|problem| Failure {
                name: name.clone(),
                reference: reference.clone(),
                kind: problem.kind,
                detail: problem.detail,
            }));
        }
        results
    }

    /// Resolves one reference as text.
    ///
    /// # Errors
    /// The failure; its name is the reference itself, with a shortened account number.
    pub async fn get(&self, reference: &Reference) -> Result<Secret, Failure> {
        let request = Request {
            name: reference.to_string(),
            reference: reference.clone(),
            form: Form::Text,
        };
        let mut answers = self.resolve(&[request]).await;
        answers.remove(0)
    }

    async fn fetch(&self, wanted: &[Reference]) -> Vec<Result<Secret, Problem>> {
        let deadline = Instant::now() + self.timeout;
        match &self.sources {
            Sources::One(source) => bounded(&**source, wanted, deadline).await,
            Sources::None(problem) => vec![Err(problem.clone()); wanted.len()],
            Sources::Real { aws, files } => {
                let is_file = |reference: &&Reference| matches!(reference, Reference::File(_));
                let (in_files, in_aws): (Vec<_>, Vec<_>) = wanted.iter().cloned().partition(|r| is_file(&r));
                let (from_files, from_aws) = tokio::join!(
                    bounded(files, &in_files, deadline),
                    bounded(&**aws, &in_aws, deadline)
                );
                let (mut from_files, mut from_aws) = (from_files.into_iter(), from_aws.into_iter());
                let next = |reference| {
                    if is_file(&reference) {
                        from_files.next()
                    } else {
                        from_aws.next()
                    }
                };
                wanted.iter().filter_map(next).collect()
            }
        }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sources::Real { .. } => "AWS and files",
            Sources::One(_) => "one source",
            Sources::None(_) => "an offline file that cannot be used",
        })
    }
}

/// Asks a source, and answers in its place if it does not.
async fn bounded(
    source: &dyn Source,
    wanted: &[Reference],
    deadline: Instant,
) -> Vec<Result<Secret, Problem>> {
    if wanted.is_empty() {
        return Vec::new();
    }
    // A source that keeps to its deadline has kept what it got so far; it must not be cut off in that moment.
    let left = deadline.saturating_duration_since(Instant::now());
    let early = deadline - (left / 20).min(Duration::from_millis(200));
    let answers = timeout_at(deadline, source.fetch(wanted, early.into_std())).await;
    let mut answers = answers.unwrap_or_default();
    answers.resize_with(wanted.len(), || {
        Err(Problem::of(FailureKind::TimedOut, "there was no answer in time"))
    });
    answers
}

#[cfg(test)]
mod tests;
