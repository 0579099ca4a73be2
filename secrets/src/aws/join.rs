//! Waiting for several futures in one task: nothing is spawned, and dropping it drops all of them.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// A future that knows what it borrows.
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Waits for all of them; the results come in their order. They are few, so that all may be polled each time
/// one wakes the task.
pub(super) async fn join_all<T>(mut futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_keep_their_order_whoever_is_first() {
        let (first, second) = tokio::sync::oneshot::channel::<()>();
        let waits = async {
            second.await.unwrap();
            1
        };
        let wakes = async {
            first.send(()).unwrap();
            2
        };
        assert_eq!(
            join_all(vec![Box::pin(waits) as Boxed<'_, _>, Box::pin(wakes)]).await,
            [1, 2]
        );
        assert!(join_all(Vec::<Boxed<'_, u8>>::new()).await.is_empty());
    }
}
