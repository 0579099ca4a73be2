//! How tracebacks look, line by line.

use super::{Language, Multiline};

/// What came last, and so what may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Frames of Python, up to the line that names the exception.
    PythonFrames,
    /// That line: another exception may follow.
    PythonEnd,
    /// A sentence that announces another exception.
    PythonChain,
    /// An exception group: all of it is indented.
    PythonGroup,
    /// Java or Node: the line that names the exception; its message may go on.
    Message,
    /// Java or Node: frames, and what is told below them.
    Frames,
    /// Node: the place of the error; the line of source and a caret follow.
    NodeSource,
    /// The caret; the error follows.
    NodeCaret,
    /// Go: the message; stacks follow.
    GoMessage,
    /// Go: stacks.
    GoStacks,
    /// Rust: the place of the panic; the message follows.
    RustPlace,
    /// Rust: the message; it may go on.
    RustMessage,
    /// Rust: the frames.
    RustFrames,
    /// The line that ends it came.
    Over,
}

/// Whether a line belongs to a traceback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Yes(State),
    /// If a later line does.
    Perhaps,
    No,
}

/// A cheap first look: most lines begin with a time or a brace. No more of the line is read than its first
/// word.
#[inline]
pub(super) fn may_start(line: &[u8]) -> bool {
    match line.first() {
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'/' | b' ' | b'\t') => starts_of(line).is_some(),
        _ => false,
    }
}

/// The state after this line, if it begins a traceback of a language that is wanted.
pub(super) fn start(line: &[u8], which: Multiline) -> Option<State> {
    let (language, state) = starts_of(line)?;
    match which {
        Multiline::Auto => Some(state),
        Multiline::Only(only) => (only == language || is_shared(only, language)).then_some(state),
        Multiline::Off => None,
    }
}

/// Frames that stand alone, and the names of errors, are alike in both.
fn is_shared(one: Language, other: Language) -> bool {
    let both = [Language::Java, Language::Node];
    both.contains(&one) && both.contains(&other)
}

fn starts_of(line: &[u8]) -> Option<(Language, State)> {
    use Language::{Go, Java, Node, Python, Rust};
    let starts = |with: &str| line.starts_with(with.as_bytes());
    let found = match line.first()? {
        b' ' | b'\t' if is_frame(line) && names_place(line) => (Java, State::Frames),
        b' ' if starts(GROUP) => (Python, State::PythonGroup),
        b' ' if is_indented_python(line) => (Python, State::PythonFrames),
        b'T' if starts(TRACEBACK) => (Python, State::PythonFrames),
        b'E' if starts("Exception in thread \"") => (Java, State::Message),
        b'E' if starts("Exception in thread ") => (Python, State::PythonChain),
        b'p' if starts("panic: ") => (Go, State::GoMessage),
        b'f' if starts("fatal error: ") => (Go, State::GoMessage),
        b'r' if starts("runtime: ") => (Go, State::GoMessage),
        b'S' if is_go_signal(line) => (Go, State::GoMessage),
        b'g' if is_goroutine(line) => (Go, State::GoStacks),
        b't' if starts("thread '") && contains(line, " panicked at ") => (Rust, after_panicked(line)),
        b's' if starts("stack backtrace:") => (Rust, State::RustFrames),
        b'/' => return is_place(line).then_some((Node, State::NodeSource)),
        b'n' if starts("node:") && is_place(line) => (Node, State::NodeSource),
        b'f' if starts("file://") && is_place(line) => (Node, State::NodeSource),
        _ => (error_named_by(line)?, State::Message),
    };
    Some(found)
}

const TRACEBACK: &str = "Traceback (most recent call last):";
const GROUP: &str = "  + Exception Group Traceback (most recent call last):";

impl State {
    /// Whether this line follows.
    pub fn next(self, line: &[u8]) -> Next {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let indented = matches!(line.first(), Some(b' ' | b'\t'));
        let blank = line.is_empty();
        // It is an event of its own, wherever it stands.
        if line.first() == Some(&b'{') && line.last() == Some(&b'}') {
            return Next::No;
        }
        // Nor does the indented beginning of another one belong, but to the frames that it looks like.
        if is_indented_python(line) && !matches!(self, State::PythonFrames | State::PythonChain) {
            return Next::No;
        }
        match self {
            State::PythonFrames | State::PythonEnd | State::PythonChain | State::PythonGroup => {
                self.python(line, indented, blank)
            }
            State::Message | State::Frames | State::NodeSource | State::NodeCaret => {
                self.stack(line, indented, blank)
            }
            State::GoMessage | State::GoStacks => self.go(line, indented, blank),
            State::RustPlace | State::RustMessage | State::RustFrames => self.rust(line, indented),
            State::Over => Next::No,
        }
    }

    fn python(self, line: &[u8], indented: bool, blank: bool) -> Next {
        const CHAIN: &[&str] = &[
            "During handling of the above exception, another exception occurred:",
            "The above exception was the direct cause of the following exception:",
        ];
        // What SQLAlchemy and the drivers of databases write below the line that names the exception.
        const BELOW: &[&str] = &[
            "[SQL: ",
            "[parameters: ",
            "(Background on this error at: ",
            "DETAIL: ",
            "HINT: ",
        ];
        let starts = |with: &&str| line.starts_with(with.as_bytes());
        match self {
            _ if blank => Next::Perhaps,
            State::PythonChain if starts(&GROUP) => Next::Yes(State::PythonGroup),
            State::PythonChain if indented || starts(&TRACEBACK) => Next::Yes(State::PythonFrames),
            State::PythonChain => Next::No,
            _ if indented => Next::Yes(self),
            State::PythonFrames if names_exception(line) => Next::Yes(State::PythonEnd),
            State::PythonFrames => Next::No,
            _ if CHAIN.iter().any(starts) => Next::Yes(State::PythonChain),
            State::PythonEnd if BELOW.iter().any(starts) => Next::Yes(self),
            _ => Next::No,
        }
    }

    fn stack(self, line: &[u8], indented: bool, blank: bool) -> Next {
        let starts = |with: &str| line.starts_with(with.as_bytes());
        let carets = line.trim_ascii();
        let is_caret = || !carets.is_empty() && carets.iter().all(|byte| *byte == b'^');
        match self {
            State::NodeSource if is_caret() => Next::Yes(State::NodeCaret),
            State::NodeSource => Next::Perhaps,
            _ if starts("Node.js v") => Next::Yes(State::Over),
            _ if starts("(Use `node ") => Next::Yes(self),
            State::NodeCaret if blank => Next::Perhaps,
            State::NodeCaret => Next::Yes(State::Message),
            _ if starts("Caused by: ") || starts("Wrapped by: ") => Next::Yes(State::Message),
            _ if is_frame(line) => Next::Yes(State::Frames),
            _ if indented => Next::Yes(self),
            State::Message => Next::Perhaps,
            // The end of the error's properties.
            _ if starts("}") || starts("]") => Next::Yes(self),
            _ if blank => Next::Perhaps,
            _ => Next::No,
        }
    }

    fn go(self, line: &[u8], indented: bool, blank: bool) -> Next {
        let starts = |with: &str| line.starts_with(with.as_bytes());
        match self {
            _ if is_goroutine(line) || starts("runtime stack:") => Next::Yes(State::GoStacks),
            _ if starts("exit status ") => Next::Yes(State::Over),
            _ if indented => Next::Yes(self),
            _ if blank => Next::Perhaps,
            State::GoMessage if starts("[signal ") || starts("fatal error: ") || starts("PC=") => {
                Next::Yes(self)
            }
            State::GoMessage => Next::Perhaps,
            _ if starts("created by ") || starts("...") || is_call(line) || is_register(line) => {
                Next::Yes(self)
            }
            _ => Next::No,
        }
    }

    fn rust(self, line: &[u8], indented: bool) -> Next {
        let starts = |with: &str| line.starts_with(with.as_bytes());
        match self {
            State::RustPlace => Next::Yes(State::RustMessage),
            _ if starts("note: ") => Next::Yes(State::Over),
            _ if starts("stack backtrace:") => Next::Yes(State::RustFrames),
            _ if indented => Next::Yes(self),
            State::RustMessage => Next::Perhaps,
            _ => Next::No,
        }
    }
}

/// A group, or the only frame of a program that cannot be parsed, which has no headline.
fn is_indented_python(line: &[u8]) -> bool {
    line.starts_with(GROUP.as_bytes()) || (line.starts_with(b"  File \"") && contains(line, "\", line "))
}

fn contains(line: &[u8], what: &str) -> bool {
    memchr::memmem::find(line, what.as_bytes()).is_some()
}

/// `\tat com.example.App.main(App.java:3)`, `    at main (/app/x.js:3:9)`, `\t... 12 more`.
fn is_frame(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    text.len() < line.len() && (text.starts_with(b"at ") || text.starts_with(b"... ") && ends_elided(text))
}

/// A frame that stands alone is told from a sentence by the place in it: brackets right behind a name, or the
/// number of a line and of a column.
fn names_place(line: &[u8]) -> bool {
    let is_call = |two: &[u8]| !two[0].is_ascii_whitespace() && two[1] == b'(';
    line.windows(2).any(is_call) || ends_with_column(line)
}

/// `/srv/app.js:3:9`, also in brackets.
fn ends_with_column(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let mut parts = line
        .strip_suffix(b")")
        .unwrap_or(line)
        .rsplitn(3, |byte| *byte == b':');
    let mut number = || {
        let part = parts.next().unwrap_or_default();
        !part.is_empty() && part.iter().all(u8::is_ascii_digit)
    };
    number() && number() && parts.next().is_some_and(|path| path.contains(&b'/'))
}

fn ends_elided(text: &[u8]) -> bool {
    text.ends_with(b" more") || text.ends_with(b" common frames omitted")
}

/// A path and the number of a line, and nothing else.
fn is_place(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let Some(colon) = memchr::memrchr(b':', line) else {
        return false;
    };
    let number = &line[colon + 1..];
    !number.is_empty() && number.iter().all(u8::is_ascii_digit) && !line.contains(&b' ')
}

/// `SIGQUIT: quit`
fn is_go_signal(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or(line);
    line.starts_with(b"SIG") && name.len() < line.len() && name.iter().all(u8::is_ascii_uppercase)
}

/// `goroutine 1 [running]:`, with more between the number and the bracket when memory is dumped.
fn is_goroutine(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"goroutine ");
    rest.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit) && rest.ends_with(b":"))
}

/// `main.(*Server).serve(0xc000012080, {0x1, 0x2})`: no blank before the arguments.
fn is_call(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b'(').next().unwrap_or(line);
    line.ends_with(b")") && !name.is_empty() && !name.contains(&b' ')
}

/// `rax    0x0`
fn is_register(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let name = words
        .next()
        .is_some_and(|word| word.iter().all(u8::is_ascii_alphanumeric));
    name && words.next().is_some_and(|word| word.starts_with(b"0x")) && words.next().is_none()
}

/// Since Rust 1.73 the message has lines of its own.
fn after_panicked(line: &[u8]) -> State {
    if line.trim_ascii_end().ends_with(b":") {
        State::RustPlace
    } else {
        State::RustMessage
    }
}

/// `ValueError: text`, `KeyboardInterrupt`, `app.errors.Refused: text`.
fn names_exception(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or(line);
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.<>".contains(byte) || !byte.is_ascii();
    !name.is_empty() && name.iter().all(is_part)
}

/// The language of a line that begins with the name of an error: `java.lang.IllegalStateException: text`,
/// `TypeError: text`, `Error [ERR_X]: text`.
fn error_named_by(line: &[u8]) -> Option<Language> {
    // Nearly every line ends here: what it says before its first colon, or all of it, is no such name. That is
    // looked for from behind; a long first word must not cost anything.
    let head = memchr::memchr(b':', line).map_or(line.trim_ascii_end(), |colon| &line[..colon]);
    let name = match head.last()? {
        b']' => &head[..memchr::memmem::find(head, b" [")?],
        // Of `Error`, `Exception`, `Throwable`.
        b'r' | b'n' | b'e' => head,
        _ => return None,
    };
    let is_error = name.ends_with(b"Error");
    let is_class = is_error || name.ends_with(b"Exception") || name.ends_with(b"Throwable");
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$".contains(byte);
    if !is_class || !name.iter().all(is_part) {
        return None;
    }
    let dotted = name.contains(&b'.');
    let capital = name.first().is_some_and(u8::is_ascii_uppercase);
    match (dotted, capital) {
        (true, _) => Some(Language::Java),
        (false, true) if is_error => Some(Language::Node),
        (false, true) => Some(Language::Java),
        (false, false) => None,
    }
}
