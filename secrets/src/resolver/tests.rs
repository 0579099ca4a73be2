use std::sync::Mutex;

use super::*;
use crate::Answers;

/// A source whose values are the references themselves; it remembers what it was asked for, and can hang.
struct Echo {
    asked: &'static Mutex<Vec<Reference>>,
    hangs: bool,
    forgets: usize,
}

impl Source for Echo {
    fn fetch<'a>(&'a self, references: &'a [Reference], deadline: std::time::Instant) -> Answers<'a> {
        Box::pin(async move {
            self.asked.lock().unwrap().extend_from_slice(references);
            if self.hangs {
                std::future::pending::<()>().await;
            }
            assert!(Instant::from_std(deadline) > Instant::now());
            let count = references.len() - self.forgets;
            references[..count]
                .iter()
                .map(|reference| Ok(Secret::new(reference.text())))
                .collect()
        })
    }
}

fn echo(hangs: bool, forgets: usize) -> (Resolver, &'static Mutex<Vec<Reference>>) {
    let asked: &'static Mutex<_> = Box::leak(Box::default());
    (
        Resolver::with_source(Echo {
            asked,
            hangs,
            forgets,
        }),
        asked,
    )
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap().unwrap()
}

fn request(name: &str, text: &str) -> Request {
    Request {
        name: name.into(),
        reference: reference(text),
        form: Form::Text,
    }
}

const DB: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
const KEY: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/key";

#[tokio::test]
async fn answers_keep_the_order_of_the_requests_and_each_is_asked_for_once() {
    let (resolver, asked) = echo(false, 0);
    let requests = [request("A", KEY), request("B", DB), request("C", KEY)];
    let answers = resolver.resolve(&requests).await;
    let shown: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap().expose_str().unwrap())
        .collect();
    assert_eq!(shown, [KEY, DB, KEY]);
    assert_eq!(*asked.lock().unwrap(), [reference(KEY), reference(DB)]);
}

#[tokio::test]
async fn nothing_is_asked_for_nothing() {
    let (resolver, asked) = echo(false, 0);
    assert!(resolver.resolve(&[]).await.is_empty());
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn failures_of_the_form_are_named_after_their_request() {
    let (resolver, asked) = echo(false, 0);
    let requests = [request("FINE", DB), request("BAD", &format!("{DB}:password::"))];
    let answers = resolver.resolve(&requests).await;
    assert!(answers[0].is_ok());
    let failure = answers[1].as_ref().unwrap_err();
    assert_eq!(failure.name, "BAD");
    assert_eq!(failure.reference, requests[1].reference);
    assert!(
        matches!(failure.kind, FailureKind::BadValue(_)),
        "{:?}",
        failure.kind
    );
    assert_eq!(
        asked.lock().unwrap().len(),
        1,
        "the key is no affair of the source"
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_left_at_the_deadline() {
    let (resolver, _) = echo(true, 0);
    let start = Instant::now();
    let resolver = resolver.with_timeout(Duration::from_secs(3));
    let failure = resolver.get(&reference(KEY)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(failure.name, reference(KEY).to_string());
    assert!(!failure.name.contains("123456789012"));
}

#[tokio::test]
async fn a_source_that_answers_too_little_fails_for_the_rest() {
    let (resolver, _) = echo(false, 1);
    let answers = resolver.resolve(&[request("A", KEY), request("B", DB)]).await;
    assert!(answers[0].is_ok());
    assert_eq!(answers[1].as_ref().unwrap_err().kind, FailureKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn files_are_kept_when_the_services_hang() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from a file").unwrap();
    let (hanging, _) = echo(true, 0);
    let Sources::One(hanging) = hanging.sources else {
        panic!("one source")
    };
    let resolver = Resolver::of(Sources::Real {
        aws: hanging,
        files: FileSource,
    });
    let requests = [
        request("A", KEY),
        request("B", &format!("file:{}", file.path().display())),
    ];
    let answers = resolver.resolve(&requests).await;
    assert_eq!(answers[0].as_ref().unwrap_err().kind, FailureKind::TimedOut);
    assert_eq!(answers[1].as_ref().unwrap().expose_str(), Some("from a file"));
}

#[test]
fn it_can_be_kept_in_the_state_of_a_server() {
    fn assert_state<T: Send + Sync + 'static>(_: &T) {}
    fn assert_handler<F: Future + Send>(_: &F) {}
    let (resolver, _) = echo(false, 0);
    assert_state(&resolver);
    assert_handler(&resolver.get(&reference(KEY)));
    assert_handler(&resolver.resolve(&[]));
}
