//! What goes through the pipes between PID 1 and the helper that resolves secrets.
//!
//! The job is JSON: it holds references, no values. The answer is a sequence of frames, so that a value is
//! copied once and no parser keeps parts of it: a letter, the length of the name, the name, the length of the
//! body, the body; lengths are four bytes, most significant first. The last frame is [`END`]; without it the
//! helper did not finish.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use runmate_secrets::{Class, Failure, Form, Reference, Request, Secret};
use serde_json::{Value, json};

const VALUE: u8 = b'v';
const FAILURE: u8 = b'f';
const END: u8 = b'.';

/// What the helper is to resolve.
pub(crate) struct Job {
    /// How long all of it may take.
    pub timeout: Duration,
    /// What is wanted; names are unique.
    pub requests: Vec<Request>,
}

/// Why a secret could not be resolved, as it is told to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// One sentence with everything.
    pub message: String,
    /// The reference, its account number shortened.
    pub reference: String,
    pub region: Option<String>,
    /// The IAM action that is needed.
    pub action: Option<String>,
    /// The kind of failure in a word.
    pub kind: String,
    /// The likely cause and the remedy.
    pub cause: String,
    pub class: Class,
}

/// What came of one request.
#[derive(Debug)]
pub(crate) enum Answer {
    Value(Secret),
    Failure(Report),
}

/// What came of all requests, by their names.
pub(crate) type Answers = BTreeMap<String, Answer>;

impl Job {
    pub fn to_bytes(&self) -> Vec<u8> {
        let request = |request: &Request| json!({"name": request.name, "reference": request.reference.text(), "as": request.form.to_string()});
        let millis = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let requests: Vec<Value> = self.requests.iter().map(request).collect();
        json!({"timeout_ms": millis, "requests": requests})
            .to_string()
            .into_bytes()
    }

    /// `None` if these are not the bytes of a job.
    pub fn from_bytes(bytes: &[u8]) -> Option<Job> {
        let job: Value = serde_json::from_slice(bytes).ok()?;
        let request = |request: &Value| {
            Some(Request {
                name: request["name"].as_str()?.to_owned(),
                reference: Reference::parse(request["reference"].as_str()?).ok()??,
                form: Form::parse(request["as"].as_str()?).ok()?,
            })
        };
        Some(Job {
            timeout: Duration::from_millis(job["timeout_ms"].as_u64()?),
            requests: job["requests"]
                .as_array()?
                .iter()
                .map(request)
                .collect::<Option<_>>()?,
        })
    }
}

impl From<&Failure> for Report {
    fn from(failure: &Failure) -> Report {
        // What begins with "file:" may be a setting of the app's own.
        let hint = match failure.reference {
            Reference::File(_) => "; if it is no secret, name the variable in secrets.exclude",
            _ => "",
        };
        Report {
            message: format!("{failure}{hint}"),
            reference: failure.reference.to_string(),
            region: failure.reference.region().map(str::to_owned),
            action: failure.action().map(str::to_owned),
            kind: failure.kind.name().to_owned(),
            cause: format!("{}{hint}", failure.remedy()),
            class: failure.class(),
        }
    }
}

const CLASSES: [(&str, Class); 3] = [
    ("unavailable", Class::Unavailable),
    ("denied", Class::Denied),
    ("config", Class::Config),
];

impl Report {
    pub fn to_json(&self) -> Value {
        let class = CLASSES.iter().find(|(_, class)| *class == self.class);
        json!({
            "message": self.message, "reference": self.reference, "region": self.region,
            "action": self.action, "kind": self.kind, "cause": self.cause,
            "class": class.map(|(name, _)| name),
        })
    }

    fn from_json(value: &Value) -> Option<Report> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let class = value["class"].as_str()?;
        Some(Report {
            message: text("message")?,
            reference: text("reference")?,
            region: text("region"),
            action: text("action"),
            kind: text("kind")?,
            cause: text("cause")?,
            class: CLASSES.iter().find(|(name, _)| *name == class)?.1,
        })
    }
}

/// Writes the whole answer.
pub(super) fn write_answers(out: &mut impl Write, answers: &Answers) -> io::Result<()> {
    for (name, answer) in answers {
        match answer {
            Answer::Value(secret) => frame(out, VALUE, name, secret.expose())?,
            Answer::Failure(report) => frame(out, FAILURE, name, report.to_json().to_string().as_bytes())?,
        }
    }
    frame(out, END, "", &[])
}

fn frame(out: &mut impl Write, letter: u8, name: &str, body: &[u8]) -> io::Result<()> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput);
    out.write_all(&[letter])?;
    out.write_all(&length(name.as_bytes())?.to_be_bytes())?;
    out.write_all(name.as_bytes())?;
    out.write_all(&length(body)?.to_be_bytes())?;
    out.write_all(body)
}

/// Reads a whole answer; `None` if it is not one, or not all of one.
pub(crate) fn read_answers(mut bytes: &[u8]) -> Option<Answers> {
    let mut answers = Answers::new();
    loop {
        let (letter, name, body) = next_frame(&mut bytes)?;
        let answer = match letter {
            VALUE => Answer::Value(Secret::new(body)),
            FAILURE => Answer::Failure(Report::from_json(&serde_json::from_slice(body).ok()?)?),
            END => return bytes.is_empty().then_some(answers),
            _ => return None,
        };
        answers.insert(std::str::from_utf8(name).ok()?.to_owned(), answer);
    }
}

fn next_frame<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8], &'a [u8])> {
    let (letter, rest) = bytes.split_first()?;
    *bytes = rest;
    let mut part = || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        *bytes = rest;
        Some(part)
    };
    Some((*letter, part()?, part()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            message: "B: cannot read it".into(),
            reference: "arn:…".into(),
            region: Some("eu-west-1".into()),
            action: None,
            kind: "denied".into(),
            cause: "a cause".into(),
            class: Class::Denied,
        }
    }

    #[test]
    fn a_job_arrives_as_it_was_sent() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf:password::";
        let job = Job {
            timeout: Duration::from_secs(7),
            requests: vec![Request {
                name: "DB".into(),
                reference: Reference::parse(arn).unwrap().unwrap(),
                form: Form::DatabaseUrl {
                    scheme: Some("mysql2".into()),
                },
            }],
        };
        let read = Job::from_bytes(&job.to_bytes()).unwrap();
        assert_eq!(read.timeout, job.timeout);
        assert_eq!(read.requests.len(), 1);
        assert_eq!(read.requests[0].name, "DB");
        assert_eq!(read.requests[0].reference, job.requests[0].reference);
        assert_eq!(read.requests[0].form, job.requests[0].form);
        assert!(Job::from_bytes(b"{}").is_none());
    }

    #[test]
    fn an_answer_arrives_as_it_was_sent_or_not_at_all() {
        let answers = Answers::from([
            ("A".to_owned(), Answer::Value(Secret::new([0, 255, b'\n']))),
            ("B".to_owned(), Answer::Failure(report())),
        ]);
        let mut bytes = Vec::new();
        write_answers(&mut bytes, &answers).unwrap();
        let read = read_answers(&bytes).unwrap();
        assert!(matches!(&read["A"], Answer::Value(secret) if secret.expose() == [0, 255, b'\n']));
        assert!(matches!(&read["B"], Answer::Failure(read) if *read == report()));
        assert_eq!(read.len(), 2);
        for cut in 0..bytes.len() {
            assert!(read_answers(&bytes[..cut]).is_none(), "{cut}");
        }
        bytes.push(0);
        assert!(read_answers(&bytes).is_none());
    }
}
