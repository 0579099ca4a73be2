//! What a look is doing, for who gives it up: "no answer" alone does not say where to search.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

/// The step that a look has begun last.
#[derive(Clone, Debug, Default)]
pub struct Step(Arc<Mutex<Option<Cow<'static, str>>>>);

tokio::task_local! {
    /// Of the look that is being polled, so that whatever it calls can tell without knowing of the look.
    static STEP: Step;
}

impl Step {
    /// Runs a look, or a part of it that is a task of its own, that may tell its steps.
    pub async fn watch<L: Future>(&self, look: L) -> L::Output {
        STEP.scope(self.clone(), look).await
    }

    /// What is being done from now on. It must hold no secret.
    #[cfg(feature = "peer")]
    pub fn tell(&self, doing: impl Into<Cow<'static, str>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(doing.into());
    }

    /// The last step, if any was told.
    pub fn last(&self) -> Option<Cow<'static, str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Tells what the look under way is doing from now on: `looking up db.example.com`. It must hold no secret.
pub(crate) fn step(doing: impl Into<Cow<'static, str>>) {
    let doing = doing.into();
    // Outside of the schedule nobody asks.
    let _ = STEP.try_with(|step| *step.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(doing));
}
