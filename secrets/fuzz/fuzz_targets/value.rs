//! Any bytes become what the form promises or an error that shows nothing of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runmate_secrets::{Failure, Form, Secret};

/// Stands in the value wherever the input has a `$`; no error of ours is written in these letters.
const MARK: &[u8] = b"QXZJQXZJ";

const FORMS: [&str; 6] = [
    "text",
    "json-key:a",
    "base64",
    "file",
    "database-url",
    "database-url:x",
];

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (form, key, bytes) = input;
    let form = Form::parse(FORMS[usize::from(form) % FORMS.len()]).expect("these are forms");
    let key = key.then_some("a");
    let value: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| {
            if *byte == b'$' {
                MARK
            } else {
                std::slice::from_ref(byte)
            }
        })
        .copied()
        .collect();

    match form.apply(&Secret::new(value.as_slice()), key) {
        Ok(made) => match form {
            Form::Base64 => assert!(made.expose().len() % 4 == 0 && made.expose_str().is_some()),
            Form::File if key.is_none() => assert_eq!(made.expose(), value),
            Form::File => assert!(made.expose_str().is_some()),
            Form::DatabaseUrl { .. } => assert!(made.expose().iter().all(u8::is_ascii_graphic)),
            Form::Text | Form::JsonKey(_) => {
                let text = made.expose_str().expect("variables hold UTF-8");
                assert!(!text.contains('\0'));
            }
        },
        Err(kind) => {
            let failure = Failure {
                name: "A".to_owned(),
                reference: "file:/a".parse().expect("this is a reference"),
                kind,
                detail: None,
            };
            let said = format!("{failure} {failure:?}");
            assert!(!said.contains("QXZJQX"), "{said}");
        }
    }
});
