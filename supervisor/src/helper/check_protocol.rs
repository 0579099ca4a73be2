//! What goes through the socket between PID 1 and the helper that runs checks.
//!
//! Frames in both directions: four bytes of length, most significant first, and so many bytes of JSON. PID 1
//! sends the [`Job`] first, then a [`Request`] for each look; the helper sends an [`Answer`] to each, in any
//! order. Either side ends the conversation by closing it.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use runmate_health::{Failure, FailureKind, Looked, Measured, Observation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use zeroize::{Zeroize, Zeroizing};

/// What the helper is for. Holds passwords: no `Debug`, and they are wiped when it is dropped.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Variables that are secrets. The helper sets them itself: what it is started with can be read in /proc until it
    /// has closed that to others.
    pub env: Vec<(String, String)>,
    /// What it looks at.
    pub targets: Vec<Target>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.env.iter_mut().for_each(|(_, value)| value.zeroize());
        for target in &mut self.targets {
            match target {
                Target::Postgres(url) | Target::MySql(url) | Target::Redis(url) | Target::Http(url) => {
                    url.zeroize();
                }
                Target::Tcp(_) | Target::CertificateOfFile(..) | Target::CertificateOfServer(..) => {}
            }
        }
    }
}

/// What the helper looks at. May hold a password: no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) enum Target {
    /// The URL of a PostgreSQL server.
    Postgres(String),
    /// The URL of a MySQL or MariaDB server.
    MySql(String),
    /// The URL of a Redis server.
    Redis(String),
    /// A URL.
    Http(String),
    /// `HOST:PORT`.
    Tcp(String),
    /// A PEM file, and for how long what is in it has to be valid.
    CertificateOfFile(PathBuf, Duration),
    /// `HOST:PORT` of a TLS server, and for how long its certificate has to be valid.
    CertificateOfServer(String, Duration),
}

/// One look is asked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    /// Comes back with the answer; no other request of this conversation has it.
    pub number: u64,
    /// Which of the targets.
    pub target: usize,
    /// How long it may take.
    pub timeout: Duration,
}

/// What a look came to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    pub number: u64,
    outcome: Outcome,
    measured: Option<(String, f64, String)>,
}

#[derive(Serialize, Deserialize)]
enum Outcome {
    Passed,
    Failed(String),
    Unknown(String),
}

impl Answer {
    pub fn new(number: u64, looked: Looked) -> Answer {
        let (outcome, measured) = match looked {
            Ok(observation) => (Outcome::Passed, observation.measured),
            Err(failure) => match failure.kind {
                FailureKind::Failed => (Outcome::Failed(failure.why), failure.measured),
                FailureKind::Unknown => (Outcome::Unknown(failure.why), failure.measured),
            },
        };
        // JSON has no other numbers.
        let measured = measured.filter(|measured| measured.value.is_finite());
        Answer {
            number,
            outcome,
            measured: measured.map(|measured| {
                (
                    measured.what.into_owned(),
                    measured.value,
                    measured.unit.into_owned(),
                )
            }),
        }
    }

    pub fn looked(self) -> Looked {
        let measured = self
            .measured
            .map(|(what, value, unit)| Measured::new(what, value, unit));
        let failure = match self.outcome {
            Outcome::Passed => return Ok(measured.map(Observation::of).unwrap_or_default()),
            Outcome::Failed(why) => Failure::new(why),
            Outcome::Unknown(why) => Failure::unknown(why),
        };
        Err(match measured {
            Some(measured) => failure.with(measured),
            None => failure,
        })
    }
}

/// The bytes of a frame. They are wiped when they are dropped: those of the job hold passwords.
pub(crate) fn frame(content: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    // With room from the beginning: what grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(measure(content)? + LENGTH));
    bytes.extend_from_slice(&[0; LENGTH]);
    serde_json::to_writer(&mut *bytes, content)?;
    let length = u32::try_from(bytes.len() - LENGTH).map_err(|_| ErrorKind::InvalidInput)?;
    bytes[..LENGTH].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// How long it is as JSON.
fn measure(content: &impl Serialize) -> io::Result<usize> {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, content)?;
    Ok(count.0)
}

const LENGTH: usize = 4;

/// The longest frame. Each end is a program of ours, but one of them may be out of order.
const LONGEST: usize = 1 << 20;

/// Sends all of it. Given up half-way, the conversation is over.
pub(crate) async fn send(socket: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends all of it at once. `WouldBlock`: the other end does not read.
pub(crate) fn send_now(socket: &UnixStream, bytes: &[u8]) -> io::Result<()> {
    match socket.try_write(bytes)? {
        count if count == bytes.len() => Ok(()),
        _ => Err(ErrorKind::WouldBlock.into()),
    }
}

/// Takes frames from a socket.
#[derive(Default)]
pub(crate) struct Inbox(Zeroizing<Vec<u8>>);

impl Inbox {
    /// The next frame; `None` at the end of the conversation. May be given up at any time.
    pub async fn receive<T: DeserializeOwned>(&mut self, socket: &UnixStream) -> io::Result<Option<T>> {
        let mut piece = Zeroizing::new([0; 4 << 10]);
        loop {
            if let Some(content) = self.take()? {
                return Ok(Some(content));
            }
            socket.readable().await?;
            match socket.try_read(&mut piece[..]) {
                Ok(0) => return Ok(None),
                Ok(count) => self.0.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The first frame, if all of it is there.
    fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some((length, rest)) = self.0.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST {
            return Err(ErrorKind::InvalidData.into());
        }
        let Some(content) = rest.get(..length) else {
            return Ok(None);
        };
        let content = serde_json::from_slice(content)?;
        self.0.drain(..LENGTH + length);
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(looked: Looked) -> (u64, Looked) {
        let mut inbox = Inbox::default();
        inbox
            .0
            .extend_from_slice(&frame(&Answer::new(7, looked)).unwrap());
        let answer: Answer = inbox.take().unwrap().unwrap();
        assert!(inbox.0.is_empty());
        (answer.number, answer.looked())
    }

    #[test]
    fn an_answer_arrives_as_it_was_sent() {
        let measured = Measured::new("validFor", -86_400.5, "s");
        let observed = Observation::of(measured.clone());
        for looked in [
            Ok(Observation::default()),
            Ok(observed),
            Err(Failure::new("no \"answer\"\nwithin 2s")),
            Err(Failure::unknown("a panic").with(measured)),
        ] {
            assert_eq!(through(looked.clone()), (7, looked));
        }
    }

    #[test]
    fn a_value_that_is_no_number_is_left_out() {
        let observed = Observation::of(Measured::new("free", f64::NAN, "bytes"));
        assert_eq!(through(Ok(observed)).1, Ok(Observation::default()));
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let request = |number| Request {
            number,
            target: 3,
            timeout: Duration::from_millis(1500),
        };
        let bytes: Vec<u8> = (1..4)
            .flat_map(|number| frame(&request(number)).unwrap().to_vec())
            .collect();
        let mut inbox = Inbox::default();
        let mut numbers = Vec::new();
        for byte in bytes {
            inbox.0.push(byte);
            if let Some(Request { number, timeout, .. }) = inbox.take().unwrap() {
                assert_eq!(timeout, Duration::from_millis(1500));
                numbers.push(number);
            }
        }
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn nonsense_is_an_error_and_not_a_wait_for_more() {
        for nonsense in [&[255; 8][..], b"\0\0\0\x02{]"] {
            let mut inbox = Inbox::default();
            inbox.0.extend_from_slice(nonsense);
            assert!(inbox.take::<Request>().is_err());
        }
    }
}
