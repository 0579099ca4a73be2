use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::Form;

use super::*;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/db";

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The future of a file's source is ready at once.
fn fetch(source: &dyn Source, references: &[Reference]) -> Vec<Result<Secret, Problem>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(source.fetch(references, Instant::now()))
}

fn one(source: &dyn Source, reference: &str) -> Result<String, Problem> {
    let mut answers = fetch(source, &[reference.parse().unwrap()]);
    assert_eq!(answers.len(), 1);
    let value = answers.remove(0)?;
    Ok(value.expose_str().unwrap().to_owned())
}

fn offline(content: &str) -> Result<OfflineFile, String> {
    let dir = dir();
    let path = dir.path().join("secrets.json");
    fs::write(&path, content).unwrap();
    OfflineFile::load(&path)
}

#[test]
fn a_file_is_its_value_without_one_line_break_at_the_end() {
    let dir = dir();
    let cases = [
        ("", ""),
        ("x", "x"),
        ("x\n", "x"),
        ("x\r\n", "x"),
        ("x\n\n", "x\n"),
        ("x\r", "x\r"),
        ("\n", ""),
        ("x\ny", "x\ny"),
    ];
    for (content, value) in cases {
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        // As Kubernetes mounts them.
        let link = dir.path().join("link");
        let _ = fs::remove_file(&link);
        symlink(&path, &link).unwrap();
        assert_eq!(
            one(&FileSource, &format!("file:{}", link.display())),
            Ok(value.to_owned())
        );
    }
}

#[test]
fn what_is_no_readable_file_is_said_at_once() {
    let dir = dir();
    let path = |name: &str| format!("file:{}", dir.path().join(name).display());
    assert_eq!(one(&FileSource, &path("none")), Err(FailureKind::NotFound.into()));
    fs::write(dir.path().join("plain"), "").unwrap();
    assert_eq!(
        one(&FileSource, &path("plain/x")),
        Err(FailureKind::NotFound.into())
    );

    fs::create_dir(dir.path().join("dir")).unwrap();
    let fifo = CString::new(dir.path().join("fifo").as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    fs::write(dir.path().join("large"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    symlink("loop", dir.path().join("loop")).unwrap();
    let cases = [
        (path("dir"), "name an ordinary file"),
        (path("fifo"), "name an ordinary file"),
        ("file:/dev/zero".to_owned(), "name an ordinary file"),
        (path("large"), "more than 1048576 bytes"),
        (path("loop"), "cannot be read (filesystem loop"),
    ];
    for (reference, part) in cases {
        match one(&FileSource, &reference).unwrap_err().kind {
            FailureKind::BadValue(what) => assert!(what.contains(part), "{what}"),
            other => panic!("{reference}: {other:?}"),
        }
    }
    let fits = "x".repeat(1024 * 1024);
    fs::write(dir.path().join("large"), &fits).unwrap();
    assert_eq!(one(&FileSource, &path("large")), Ok(fits));
    let foreign = one(&FileSource, SECRET).unwrap_err().kind;
    assert!(matches!(foreign, FailureKind::BadReference(what) if what.contains("write file:PATH")));
}

#[test]
fn answers_come_in_the_order_of_the_references() {
    let dir = dir();
    fs::write(dir.path().join("a"), "1").unwrap();
    fs::write(dir.path().join("b"), "2").unwrap();
    let references = ["b", "none", "a", "b"].map(|name| {
        format!("file:{}", dir.path().join(name).display())
            .parse()
            .unwrap()
    });
    let answers = fetch(&FileSource, &references);
    let shown: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().ok().and_then(Secret::expose_str))
        .collect();
    assert_eq!(shown, [Some("2"), None, Some("1"), Some("2")]);
}

#[test]
fn one_file_stands_in_for_every_service() {
    let other = SECRET.replace("db-AbCdEf", "other-AbCdEf");
    let file = offline(&format!(
        r#"{{"{SECRET}": {{"pw": "x", "n" : 1.10}}, "{PARAMETER}": "level", "{PARAMETER}:3": 1e3, "{other}:::": "{{\"pw\": 1}}",
            "file:x": true, "{SECRET}::OLD:": [1, 2], "_comment": null}}"#
    ))
    .unwrap();
    let cases = [
        (SECRET.to_owned(), r#"{"pw":"x","n":1.10}"#),
        (format!("{SECRET}:pw::"), r#"{"pw":"x","n":1.10}"#),
        (format!("{SECRET}:pw:AWSCURRENT:"), r#"{"pw":"x","n":1.10}"#),
        (format!("{SECRET}::OLD:"), "[1,2]"),
        (PARAMETER.to_owned(), "level"),
        (format!("{PARAMETER}:3"), "1e3"),
        (format!("{other}:pw::"), r#"{"pw": 1}"#),
        ("file:x#key".to_owned(), "true"),
    ];
    for (reference, value) in cases {
        assert_eq!(one(&file, &reference), Ok(value.to_owned()), "{reference}");
    }
    for reference in [
        format!("{SECRET}::NEW:"),
        format!("{PARAMETER}:4"),
        "file:y".to_owned(),
    ] {
        let problem = one(&file, &reference).unwrap_err();
        assert_eq!(problem.kind, FailureKind::NotFound);
        let detail = problem.detail.unwrap();
        assert!(
            detail.contains("RUNMATE_SECRETS_FILE") && detail.contains("secrets.json"),
            "{detail}"
        );
    }
}

#[test]
fn values_of_single_keys_make_up_the_secret() {
    let both = [
        format!(r#"{{"{SECRET}:pw::": "x\"\n", "{SECRET}:a b\"\\:AWSCURRENT:": 1.10}}"#),
        format!(r#"{{"{SECRET}:pw::": "x\"\n", "{SECRET}": {{"pw": "y", "a b\"\\": 1.10}}}}"#),
        format!(r#"{{"{SECRET}:pw::": "x\"\n", "{SECRET}": "{{\"pw\": \"y\", \"a b\\\"\\\\\": 1.10}}"}}"#),
    ];
    for content in both {
        let file = offline(&content).unwrap();
        for (key, value) in [("pw", "x\"\n"), ("a b\"\\", "1.10")] {
            let reference: Reference = format!("{SECRET}:{key}::").parse().unwrap();
            let whole = fetch(&file, std::slice::from_ref(&reference)).remove(0).unwrap();
            let picked = Form::Text.apply(&whole, reference.json_key()).unwrap();
            assert_eq!(picked.expose_str(), Some(value));
        }
    }
}

#[test]
fn what_is_wrong_with_the_file_is_said_without_its_values() {
    let cases = [
        (
            "hunter2".to_owned(),
            "is no JSON (from line 1, column 1 on); write a JSON object",
        ),
        (r#"["hunter2"]"#.to_owned(), "is JSON, but no object"),
        (format!(r#"{{"{SECRET}": null}}"#), "is null; write a string"),
        (format!(r#"{{"{SECRET}": "hunter2\ud800"}}"#), "is no text"),
        (format!(r#"{{"{SECRET}:pw": "hunter2"}}"#), ":pw::"),
        (
            format!(r#"{{"{SECRET}": "hunter2", "{SECRET}:::": "x"}}"#),
            "is in it twice",
        ),
        (
            format!(r#"{{"{SECRET}:a::": "hunter2", "{SECRET}:a:AWSCURRENT:": "x"}}"#),
            "is in it twice",
        ),
        (
            format!(r#"{{"{SECRET}": "hunter2", "{SECRET}:a::": "x"}}"#),
            "is no JSON object; leave one",
        ),
    ];
    for (content, part) in cases {
        let error = offline(&content).unwrap_err();
        assert!(error.contains(part) && error.contains("secrets.json"), "{error}");
        assert!(
            !error.contains("hunter") && !error.contains("123456789012"),
            "{error}"
        );
    }
    let missing = OfflineFile::load(dir().path().join("none")).unwrap_err();
    assert!(missing.contains("no such file"), "{missing}");
    let device = OfflineFile::load("/dev/zero").unwrap_err();
    assert!(device.contains("name an ordinary file"), "{device}");
}

#[test]
fn a_loaded_file_shows_no_values() {
    let file = offline(&format!(r#"{{"{SECRET}": "hunter2"}}"#)).unwrap();
    let shown = format!("{file:?}");
    assert!(
        !shown.contains("hunter") && !shown.contains("123456789012"),
        "{shown}"
    );
}
