//! What is secret does not come out, however it is printed.

use serde_json::{Value, json};

use crate::support::{Exit, Setup};

const KEY: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/key";
const PEM: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/pem";
const DB: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";

const SECRET: &str = "s3cr\"et\\value-0123456789";
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----\n";

/// Runs a program that has the secrets, to its end.
fn run(logs: &str, program: &str) -> Exit {
    let program = json!(["python3", "-c", program]);
    let config = format!(
        "[logs]\n{logs}\n[secrets.DATABASE_URL]\nfrom = \"{DB}\"\nas = \"database-url\"\n\
         [secrets.FALLBACK]\nfrom = \"file:nowhere\"\ndefault = \"not-so-secret\"\n[secrets.PEM]\nfrom = \"{PEM}\"\nas = \"file\"\n\
         [process.app]\ncommand = {program}\n"
    );
    let setup = Setup::new(&config).any_output();
    let database =
        json!({"engine": "postgres", "host": "db.example.com", "username": "app", "password": "pass/word+1"});
    let values = json!({(KEY): SECRET, (PEM): PRIVATE, (DB): database.to_string()});
    std::fs::write(setup.dir().join("secrets.json"), values.to_string()).expect("write");
    let run = setup
        .env("RUNMATE_SECRETS_FILE", "secrets.json")
        .env("KEY", KEY)
        .start();
    // Not `exit`: as text the last line is no JSON.
    let exit = run.end();
    assert_eq!(exit.code, Some(0), "{}", run.said());
    exit
}

/// What the program printed, as it came out.
fn printed(exit: &Exit) -> Vec<String> {
    let lines = exit.lines.iter().filter(|line| line["process"] != "runmate");
    lines
        .map(|line| match line {
            Value::String(text) => text.clone(),
            line => line["message"].as_str().map_or(line.to_string(), str::to_owned),
        })
        .collect()
}

#[test]
fn every_kind_of_value_in_every_format() {
    let program = r#"
import json, os, sys
from urllib.parse import quote
key = os.environ["KEY"]
print("key", key, quote(key), json.dumps(key))
print("url", os.environ["DATABASE_URL"], "pass/word+1", quote("pass/word+1", safe=""))
print("default", os.environ["FALLBACK"])
print(open(os.environ["PEM"]).read().strip())
print("db.example.com")
print("long", "x" * 20000 + key + "y" * 20000)
print("last", key, end="")
"#;
    for (format, prefix) in [("json", ""), ("raw", ""), ("text", "app | ")] {
        let exit = run(&format!("format = \"{format}\""), program);
        let all: Vec<String> = printed(&exit)
            .iter()
            .map(|line| line.strip_prefix(prefix).unwrap_or(line).to_owned())
            .filter(|line| !line.starts_with("runmate | "))
            .collect();
        assert_eq!(
            all[..8],
            [
                "key *** *** \"***\"",
                "url *** *** ***",
                "default ***",
                "-----BEGIN PRIVATE KEY-----",
                "***",
                "***",
                "-----END PRIVATE KEY-----",
                "db.example.com"
            ],
            "{format}"
        );
        assert_eq!(all.last().map(String::as_str), Some("last ***"), "{format}");
        let marked = |line: &String| match line.rsplit_once(" [part ") {
            Some((part, _)) if format == "text" => part.to_owned(),
            _ => line.clone(),
        };
        let long: String = all[8..all.len() - 1].iter().map(marked).collect();
        let expected = format!("long {}***{}", "x".repeat(20_000), "y".repeat(20_000));
        assert!(long == expected, "{format}: {} bytes", long.len());
    }
}

#[test]
fn a_secret_in_two_writes_is_found_wherever_it_is_split() {
    let program = r#"
import os, sys, time
key = os.environ["KEY"].encode()
for cut in range(len(key) + 1):
    for fd in (1, 2):
        os.write(fd, b"<" + key[:cut])
        time.sleep(0.005)
        os.write(fd, key[cut:] + b">\n")
"#;
    let exit = run("", program);
    let all = printed(&exit);
    assert_eq!(all.len(), 2 * (SECRET.len() + 1));
    assert!(all.iter().all(|line| line == "<***>"), "{all:?}");
}

#[test]
fn within_json_the_line_stays_json() {
    let program = r#"
import json, os
print(json.dumps({"message": "m", "key": os.environ["KEY"], "pem": open(os.environ["PEM"]).read()}))
"#;
    let exit = run("", program);
    let line = exit
        .lines
        .iter()
        .find(|line| line["message"] == "m")
        .expect("the line");
    assert_eq!(line["key"], "***");
    assert_eq!(
        line["pem"],
        "-----BEGIN PRIVATE KEY-----\n***\n***\n-----END PRIVATE KEY-----\n"
    );
}

#[test]
fn mask_false_leaves_output_alone() {
    let exit = run("mask = false", "import os; print(os.environ['KEY'])");
    assert_eq!(printed(&exit), [SECRET]);
}

#[test]
fn what_runmate_cannot_see_it_warns_of() {
    let config = "[process.app]\ncommand = [\"true\"]\nlogs = { format = \"inherit\" }\n";
    let check = |config: &str| {
        let output = Setup::new(config).args(["check"]).env("KEY", KEY).output();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    assert!(check(config).contains("not masked."), "{}", check(config));
    let off = format!("[logs]\nmask = false\n{config}");
    assert!(!check(&off).contains("not masked."), "{}", check(&off));
}
