use super::*;
use crate::frame::Framer;
use proptest::prelude::*;
use std::time::SystemTime;

macro_rules! traceback {
    ($name:literal, $language:ident) => {
        (
            $name,
            Language::$language,
            include_str!(concat!("../../../tests/output/tracebacks/", $name, ".txt")),
        )
    };
}

/// What real programs print; the programs are beside the texts.
const TRACEBACKS: &[(&str, Language, &str)] = &[
    traceback!("python-chained", Python),
    traceback!("python-group", Python),
    traceback!("python-syntax", Python),
    traceback!("java-chained", Java),
    traceback!("java-logged", Java),
    traceback!("go-panic", Go),
    traceback!("go-deadlock", Go),
    traceback!("node-error", Node),
    traceback!("node-logged", Node),
    traceback!("rust-panic", Rust),
    traceback!("rust-backtrace", Rust),
];

/// When all of it came.
fn stamp() -> Stamp {
    Stamp::at(SystemTime::UNIX_EPOCH)
}

/// A stream that reads in chunks.
struct World {
    framer: Framer,
    joiner: Joiner,
    carry: Vec<u8>,
    now: Instant,
    /// Pieces, and whether the line or event ends with each.
    out: Vec<(Vec<u8>, bool)>,
}

impl World {
    fn new(which: Multiline) -> World {
        let now = Instant::now();
        World {
            framer: Framer::new(15 << 10),
            joiner: Joiner::new(which, now, stamp()).expect("something to join"),
            carry: Vec::new(),
            now,
            out: Vec::new(),
        }
    }

    /// Bytes come after a pause.
    fn read(&mut self, pause: Duration, bytes: &[u8]) {
        self.now += pause;
        if self
            .joiner
            .deadline()
            .is_some_and(|deadline| deadline <= self.now)
        {
            self.release();
        }
        self.joiner.arrived(self.now, stamp());
        self.carry.extend_from_slice(bytes);
        let World {
            framer,
            joiner,
            carry,
            out,
            ..
        } = self;
        let used = framer.feed(carry, |piece| feed(joiner, out, piece));
        carry.drain(..used);
    }

    fn release(&mut self) {
        let out = &mut self.out;
        self.joiner
            .release(&mut |piece, _| out.push((piece.bytes.to_vec(), piece.last)));
    }

    fn end(mut self) -> Vec<(Vec<u8>, bool)> {
        let World {
            framer,
            joiner,
            carry,
            out,
            ..
        } = &mut self;
        framer.finish(carry, |piece| feed(joiner, out, piece));
        self.release();
        self.out
    }
}

fn feed(joiner: &mut Joiner, out: &mut Vec<(Vec<u8>, bool)>, piece: Piece<'_>) {
    let joined = joiner.feed(piece, &mut |piece, _| {
        out.push((piece.bytes.to_vec(), piece.last))
    });
    if joined == Joined::Passes {
        out.push((piece.bytes.to_vec(), piece.last));
    }
}

/// The events of a text that comes in chunks, a pause before each.
fn events(which: Multiline, text: &str, chunk: usize, pause: Duration) -> Vec<String> {
    let mut world = World::new(which);
    for chunk in text.as_bytes().chunks(chunk) {
        world.read(pause, chunk);
    }
    let out = world.end();
    assert!(out.iter().all(|(_, last)| *last));
    out.into_iter()
        .map(|(bytes, _)| String::from_utf8(bytes).unwrap())
        .collect()
}

fn at_once(text: &str) -> Vec<String> {
    events(Multiline::Auto, text, usize::MAX, Duration::ZERO)
}

#[test]
fn each_is_one_event_between_the_lines_around_it() {
    for (name, language, text) in TRACEBACKS {
        for which in [Multiline::Auto, Multiline::Only(*language)] {
            for chunk in [1, 7, 200, usize::MAX] {
                // The slowest that it may be.
                let pause = if chunk < 200 {
                    LONGEST / 1000
                } else {
                    QUIET - Duration::from_millis(1)
                };
                let whole = format!("before: 1\n{text}12:00 after\n");
                let expected = ["before: 1", text.trim_end_matches('\n'), "12:00 after"];
                assert_eq!(events(which, &whole, chunk, pause), expected, "{name} {chunk}");
            }
        }
    }
}

#[test]
fn two_after_each_other_are_two() {
    for (name, _, first) in TRACEBACKS {
        for (other, _, second) in TRACEBACKS {
            // The last word of both is frames: nothing tells them apart.
            let expected = [first.trim_end_matches('\n'), second.trim_end_matches('\n')];
            assert_eq!(at_once(&format!("{first}{second}")), expected, "{name} {other}");
        }
    }
}

#[test]
fn a_language_that_is_not_wanted_stays_lines() {
    for (name, language, text) in TRACEBACKS {
        let other = if *language == Language::Go {
            Language::Rust
        } else {
            Language::Go
        };
        let out = events(Multiline::Only(other), text, usize::MAX, Duration::ZERO);
        assert_eq!(out.len(), text.lines().count(), "{name}");
    }
    assert!(Joiner::new(Multiline::Off, Instant::now(), stamp()).is_none());
}

#[test]
fn ordinary_lines_are_not_held() {
    let mut world = World::new(Multiline::Auto);
    for line in [
        "",
        "request 7 took 3 ms",
        "GET /app/health:80 200",
        "2026-01-02 03:04:05 ERROR app failed",
        "{\"message\":\"Traceback (most recent call last):\"}",
        "Error while reading",
        "Errors: 7",
        "  indented",
        "\tindented",
        "at night",
        "thread 'main' started",
        "panicked",
        "goroutine count 7",
        "node: 3",
        "SIGTERM received",
        "error: could not compile",
        "see java.lang.IllegalStateException: there",
        "Traceback",
    ] {
        world.read(Duration::ZERO, format!("{line}\n").as_bytes());
        assert_eq!(world.joiner.deadline(), None, "{line}");
        assert_eq!(world.out.pop().unwrap().0, line.as_bytes());
    }
}

#[test]
fn what_began_and_does_not_go_on_comes_out_as_it_was() {
    assert_eq!(
        at_once("Error: a\nError: b\nplain\n\nplain\n"),
        ["Error: a", "Error: b", "plain", "", "plain"]
    );
    assert_eq!(at_once("panic: a\n\nb\nc"), ["panic: a", "", "b", "c"]);
}

#[test]
fn frames_below_a_line_of_a_logger_are_one_event() {
    assert_eq!(
        at_once(
            "12:00 ERROR failed: java.lang.Error: x\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)\n12:01 next\n"
        ),
        [
            "12:00 ERROR failed: java.lang.Error: x",
            "\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)",
            "12:01 next"
        ]
    );
}

#[test]
fn an_object_is_an_event_of_its_own() {
    let text = "java.lang.Error: x\n{\"a\":1}\n\tat a.B.c(B.java:1)\n";
    assert_eq!(
        at_once(text),
        ["java.lang.Error: x", "{\"a\":1}", "\tat a.B.c(B.java:1)"]
    );
}

#[test]
fn threads_of_python_and_messages_with_more_lines() {
    for text in [
        "Exception in thread Thread-1 (run):\nTraceback (most recent call last):\n  File \"a\", line 1\nKeyError: 1",
        "Traceback (most recent call last):\n  File \"a\", line 1\nsqlalchemy.exc.E: (x) y\n[SQL: SELECT 1]\n(Background on this error at: https://sqlalche.me/e/20)",
        "Traceback (most recent call last):\n  File \"a\", line 1\nKeyboardInterrupt",
        "Error: Cannot find module 'x'\nRequire stack:\n- /srv/app/x.js\n    at a (b:1:2) {\n  code: 'X'\n}",
        "panic: one\ntwo\n\tpanic: three\n[signal SIGSEGV: segmentation violation code=0x1]\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1",
        "runtime: goroutine stack exceeds 1000000000-byte limit\nfatal error: stack overflow\n\nruntime stack:\nruntime.throw({0x1?, 0x2?})\n\t/x.go:1\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/x.go:1\n...additional frames elided...\ncreated by main.main\n\t/x.go:2",
        "thread 'a' panicked at 'old', src/main.rs:1:2\nnote: run with `RUST_BACKTRACE=1`",
    ] {
        assert_eq!(at_once(text), [text]);
    }
}

#[test]
fn silence_ends_it() {
    let mut world = World::new(Multiline::Auto);
    world.read(Duration::ZERO, b"Traceback (most recent call last):\n  File");
    assert_eq!(world.joiner.deadline(), Some(world.now + QUIET));
    world.read(QUIET / 2, b" \"a\", line 1\n");
    assert_eq!(world.joiner.deadline(), Some(world.now + QUIET));
    assert_eq!(world.out, []);
    world.read(QUIET, b"plain\n");
    let held = b"Traceback (most recent call last):\n  File \"a\", line 1".to_vec();
    assert_eq!(world.out, [(held, true), (b"plain".to_vec(), true)]);
    assert_eq!(world.joiner.deadline(), None);
}

#[test]
fn what_may_not_belong_does_not_keep_it_for_long() {
    let mut world = World::new(Multiline::Auto);
    world.read(Duration::ZERO, b"Error: a\n");
    let since = world.now;
    for _ in 0..30 {
        world.read(QUIET / 2, b".");
    }
    assert!(world.now > since + LONGEST);
    assert_eq!(world.out, [(b"Error: a".to_vec(), true)]);
    let lines = "Error: a\n".to_owned() + &"b\n".repeat(MOST_DOUBTFUL + 1);
    let mut world = World::new(Multiline::Auto);
    world.read(Duration::ZERO, lines.as_bytes());
    assert_eq!(world.out.len(), MOST_DOUBTFUL + 2);
}

#[test]
fn what_comes_slowly_does_not_wait_for_its_end() {
    let mut world = World::new(Multiline::Auto);
    world.read(Duration::ZERO, b"Error: a\n");
    let since = world.now;
    while world.out.is_empty() {
        world.read(QUIET / 2, b"  b\n");
        assert!(world.now <= since + OLDEST + QUIET);
    }
}

#[test]
fn indented_sentences_are_no_frames() {
    let text = "Meetings:\n  at home\n  at work (again)\n    at 10:30\n";
    assert_eq!(
        at_once(text),
        ["Meetings:", "  at home", "  at work (again)", "    at 10:30"]
    );
    for frames in [
        "    at main (/srv/app.js:3:9)\n    at /srv/app.js:3:9\n    at async b",
        "\tat a.B.c(B.java:1) ~[b.jar:1.0]\n\t... 12 more",
    ] {
        assert_eq!(at_once(frames), [frames]);
    }
}

#[test]
fn what_is_too_long_goes_out() {
    let frame = "\tat a.B.c(B.java:1)\n";
    let text = "java.lang.Error: x\n".to_owned() + &frame.repeat(MOST_BYTES / frame.len() + 10);
    let out = at_once(&text);
    assert!((MOST_BYTES..MOST_BYTES + 100).contains(&out[0].len()));
    assert_eq!(out.join("\n") + "\n", text);
}

#[test]
fn a_line_that_came_in_parts_stays_one_line() {
    let text = format!(
        "java.lang.Error: {}\n\tat a.B.c(B.java:1)\nx\n",
        "y".repeat(40 << 10)
    );
    let out = at_once(&text);
    assert_eq!(out.len(), 2);
    assert_eq!(out.join("\n") + "\n", text);
    // Cut off within it.
    let mut world = World::new(Multiline::Auto);
    world.read(Duration::ZERO, &text.as_bytes()[..20 << 10]);
    world.release();
    world.read(Duration::ZERO, &text.as_bytes()[20 << 10..]);
    let out = world.end();
    let shape: Vec<_> = out
        .iter()
        .map(|(bytes, last)| (bytes.len() > 1000, *last))
        .collect();
    assert_eq!(
        shape,
        [
            (true, false),
            (true, false),
            (true, true),
            (false, true),
            (false, true)
        ]
    );
}

fn line() -> impl Strategy<Value = String> {
    let real: Vec<String> = TRACEBACKS
        .iter()
        .flat_map(|(_, _, text)| text.lines().map(str::to_owned))
        .collect();
    prop_oneof![8 => prop::sample::select(real), 1 => "[a-z :{}(){}\\[\\]]{0,40}", 1 => "x{100}"]
}

proptest! {
    #[test]
    fn nothing_is_lost_added_or_moved(
        lines in prop::collection::vec(line(), 0..60),
        chunk in 1..200usize,
        limit in 16..200usize,
        pauses in prop::collection::vec(0..300_u64, 1..20),
    ) {
        let text = lines.join("\n");
        let mut world = World::new(Multiline::Auto);
        world.framer = Framer::new(limit);
        for (chunk, pause) in text.as_bytes().chunks(chunk).zip(pauses.iter().cycle()) {
            world.read(Duration::from_millis(*pause), chunk);
        }
        let mut out = Vec::new();
        for (bytes, last) in world.end() {
            out.extend_from_slice(&bytes);
            if last {
                out.push(b'\n');
            }
        }
        let mut expected = text.into_bytes();
        if expected.last().is_some_and(|byte| *byte != b'\n') {
            expected.push(b'\n');
        }
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn the_time_and_the_chunks_make_no_difference(
        lines in prop::collection::vec(line(), 0..60),
        chunk in 1..200usize,
    ) {
        let text = lines.join("\n");
        // Doubtful lines have an end of their patience.
        let pause = Duration::from_millis(1);
        let slow = events(Multiline::Auto, &text, chunk, pause);
        prop_assert_eq!(slow, at_once(&text));
    }
}
