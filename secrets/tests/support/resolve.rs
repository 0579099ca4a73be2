//! Resolves what it is told to on stdin, as a program of its own: the SDK reads its configuration from the
//! environment, and the tests of one process cannot have different ones.
//!
//! In: a line per request: name, form, reference, separated by tabs. `RESOLVE_TIMEOUT_MS` is the timeout.
//! Out: a JSON array, an entry per request: `{"name", "value"}` or `{"name", "kind", "class", ...}`; a value
//! that is not UTF-8 comes as an array of bytes.

use std::io::Read;
use std::time::Duration;

use runmate_secrets::{Failure, Form, Reference, Request, Resolver, Secret};
use serde_json::{Value, json};

fn main() {
    let mut input = String::new();
    std::io::stdin()
        .read_to_string(&mut input)
        .expect("stdin is text");
    let requests: Vec<Request> = input.lines().map(request).collect();
    let timeout = std::env::var("RESOLVE_TIMEOUT_MS").map_or(30_000, |text| text.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let answers = runtime.block_on(async {
        let resolver = Resolver::from_env().with_timeout(Duration::from_millis(timeout));
        resolver.resolve(&requests).await
    });
    assert_eq!(answers.len(), requests.len(), "one answer for each request");
    let entries: Vec<Value> = requests.iter().zip(&answers).map(entry).collect();
    println!("{}", Value::Array(entries));
}

fn request(line: &str) -> Request {
    let parts: Vec<&str> = line.split('\t').collect();
    let [name, form, reference] = parts[..] else {
        panic!("not three parts: {line}")
    };
    let parsed = Reference::parse(reference).expect("a good reference");
    Request {
        name: name.to_owned(),
        reference: parsed.expect("a reference"),
        form: Form::parse(form).expect("a form"),
    }
}

fn entry((request, answer): (&Request, &Result<Secret, Failure>)) -> Value {
    match answer {
        Ok(secret) => {
            let value = match secret.expose_str() {
                Some(text) => json!(text),
                None => json!(secret.expose()),
            };
            json!({ "name": request.name, "value": value })
        }
        Err(failure) => {
            assert_eq!(failure.name, request.name);
            json!({
                "name": failure.name,
                "kind": failure.kind.name(),
                "class": format!("{:?}", failure.class()),
                "action": failure.action(),
                "remedy": failure.remedy(),
                "detail": failure.detail,
                "text": failure.to_string(),
                "debug": format!("{failure:?}"),
            })
        }
    }
}
