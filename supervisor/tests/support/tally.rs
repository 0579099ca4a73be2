//! What came out of a run, counted.

// Each test file is a crate of its own and uses the part it needs.
#![allow(dead_code)]

use std::collections::BTreeMap;

use serde_json::Value;

/// The lines of a run in JSON format, sorted by where they came from.
#[derive(Default)]
pub struct Tally {
    /// Runmate's own.
    pub own: Vec<Value>,
    /// By process and stream: the lines that came whole, parts put together.
    pub whole: BTreeMap<(String, String), Vec<String>>,
    /// Lines of which a part is missing.
    pub gaps: u64,
    /// Parts that came.
    pub parts: u64,
    /// The longest line as it came, newline included.
    pub longest: usize,
    /// The line under way, by process and stream: its text, and how many parts it has so far. `None`
    /// once a part is missing.
    open: BTreeMap<(String, String), Option<(String, u64)>>,
}

impl Tally {
    /// Reads everything; every line must be one JSON object.
    pub fn of(output: &[u8]) -> Tally {
        let mut tally = Tally::default();
        let output = output.strip_suffix(b"\n").expect("the last line is whole");
        for line in output.split(|byte| *byte == b'\n') {
            tally.longest = tally.longest.max(line.len() + 1);
            let value: Value = serde_json::from_slice(line)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)));
            assert!(value.is_object(), "{value}");
            if value["process"] == "runmate" {
                tally.own.push(value);
            } else {
                tally.add(&value);
            }
        }
        // Its end was dropped and nothing came after it.
        tally.gaps += tally.open.len() as u64;
        tally
    }

    fn add(&mut self, line: &Value) {
        let text = |key: &str| line[key].as_str().expect(key).to_owned();
        let from = (text("process"), text("stream"));
        let message = text("message");
        let part = line.get("part").map(|part| part.as_u64().expect("a number"));
        self.parts += u64::from(part.is_some());
        let under_way = match part {
            Some(1) | None => {
                if self.open.remove(&from).is_some() {
                    self.gaps += 1;
                }
                Some((message, 1))
            }
            // Without its beginning there is nothing to go on with.
            Some(part) => match self.open.remove(&from).flatten() {
                Some((text, before)) if part == before + 1 => Some((text + &message, part)),
                _ => None,
            },
        };
        match (part, &line["last_part"]) {
            (Some(_), Value::Bool(false)) => _ = self.open.insert(from, under_way),
            (None, Value::Null) | (Some(_), Value::Bool(true)) => match under_way {
                Some((text, _)) => self.whole.entry(from).or_default().push(text),
                None => self.gaps += 1,
            },
            _ => panic!("a part without last_part, or the other way round: {line}"),
        }
    }

    /// Checks that the lines of a `writer lines` came unaltered and in order; how many came.
    pub fn check_lines(&self, process: &str, stream: &str, bytes: usize) -> u64 {
        let name = (process.to_owned(), stream.to_owned());
        let lines = self.whole.get(&name).map_or(&[][..], Vec::as_slice);
        let mut next = 0;
        for line in lines {
            let number = check_line(line, process, &stream["std".len()..], bytes);
            assert!(number >= next, "{process} {stream}: line {number} after {next}");
            next = number + 1;
        }
        lines.len() as u64
    }

    /// Own lines of this event.
    pub fn events(&self, event: &str) -> Vec<&Value> {
        self.own.iter().filter(|line| line["event"] == event).collect()
    }

    /// How many lines of a process were reported as dropped.
    pub fn dropped(&self, process: &str) -> u64 {
        let reports = self.events("dropped");
        let counts = reports
            .iter()
            .map(|line| line["by_process"][process].as_u64().unwrap_or(0));
        counts.sum()
    }

    /// The sum of all reports, by anybody; their own sums must be right.
    pub fn dropped_in_all(&self) -> u64 {
        let reports = self.events("dropped");
        let sum = reports.iter().map(|line| {
            let by_process = line["by_process"].as_object().expect("an object");
            let sum: u64 = by_process
                .values()
                .map(|lines| lines.as_u64().expect("a number"))
                .sum();
            assert_eq!(line["lines"], sum, "{line}");
            sum
        });
        sum.sum()
    }
}

/// Checks a line of `writer lines`; its number.
pub fn check_line(line: &str, tag: &str, stream: &str, bytes: usize) -> u64 {
    let head: Vec<&str> = line.splitn(4, ' ').collect();
    let [got_tag, got_stream, number, filler] = head[..] else {
        panic!("no line of a writer: {line}")
    };
    assert_eq!((got_tag, got_stream), (tag, stream), "{line}");
    let number: u64 = number.parse().expect("a number");
    assert_eq!(line.len(), bytes - 1, "{line}");
    let letter = b'a' + (number % 26) as u8;
    assert!(filler.bytes().all(|byte| byte == letter), "torn: {line}");
    number
}
