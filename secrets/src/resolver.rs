//! From references to values: each fetched once, all failures together.

use std::time::Duration;

use crate::{Failure, Form, Reference, Secret};

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
/// Nothing of the SDK is set up before the first AWS reference is asked for.
pub struct Resolver {
    timeout: Duration,
}

impl Resolver {
    /// A resolver for the environment this program runs in, with 30 s for everything.
    pub fn from_env() -> Resolver {
        Resolver {
            timeout: Duration::from_secs(30),
        }
    }

    /// Changes how long [`resolve`](Resolver::resolve) may take in all.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Resolver {
        self.timeout = timeout;
        self
    }

    /// Resolves all of them with as few calls as the services allow; the answers come in the order of the
    /// requests.
    pub async fn resolve(&self, requests: &[Request]) -> Vec<Result<Secret, Failure>> {
        let _ = (requests, self.timeout);
        Vec::new()
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
}
