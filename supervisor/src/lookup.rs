//! Finding a program the way execvp(3) does, and saying why one cannot be run.
//!
//! The kernel answers a missing interpreter with the same ENOENT as a missing program, so the plain
//! error misleads ("/app/run: No such file" about a file that is there). [`why_not`] looks closer.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

mod elf;

/// The PATH of a process that has none: Docker's own default.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A file that may be executed (whether its interpreter is there is for [`why_not`]).
    Found(PathBuf),
    /// Only files that may not: the first of them. Exit code 126.
    NotExecutable(PathBuf),
    /// Nothing of this name. Exit code 127.
    NotFound,
}

/// Finds `command`: as a path if it holds a slash, else in `path`, both relative to `cwd`.
///
/// `None` for `path` is [`DEFAULT_PATH`], for `cwd` our own directory. As in execvp(3), an empty
/// element of the path is the working directory, and a file that may not be executed does not end
/// the search.
pub fn find(command: &str, path: Option<&str>, cwd: Option<&Path>) -> Lookup {
    let mut refused = None;
    for candidate in candidates(command, path, cwd) {
        match state(&candidate) {
            State::Executable => return Lookup::Found(candidate),
            State::Directory | State::Denied if refused.is_none() => refused = Some(candidate),
            _ => {}
        }
    }
    refused.map_or(Lookup::NotFound, Lookup::NotExecutable)
}

/// Why `command` cannot be executed, as part of a sentence; the best guess if all seems well.
pub fn why_not(command: &str, path: Option<&str>, cwd: Option<&Path>) -> String {
    if command.is_empty() {
        return "its name is empty".to_owned();
    }
    match find(command, path, cwd) {
        Lookup::Found(file) => obstacle(&file, path, cwd).unwrap_or_else(|| {
            format!(
                "{} is there and may be executed, yet the system refuses it",
                file.display()
            )
        }),
        Lookup::NotExecutable(file) => match state(&file) {
            State::Directory => format!("{} is a directory", file.display()),
            _ => format!(
                "{} may not be executed; run chmod +x on it (COPY --chmod=755)",
                file.display()
            ),
        },
        Lookup::NotFound if command.contains('/') => {
            format!(
                "{} does not exist; correct the path or COPY it into the image",
                candidates(command, path, cwd)[0].display()
            )
        }
        Lookup::NotFound => {
            // The commonest slip of those who expect a shell.
            let remedy = if command.contains(' ') {
                "write a command with arguments as a list, or as a string for sh"
            } else {
                "install it or write its full path"
            };
            format!(
                "there is no {command} in PATH ({}); {remedy}",
                path.unwrap_or(DEFAULT_PATH)
            )
        }
    }
}

/// What keeps an executable file from running: its interpreter, its loader or its architecture.
/// `None` if nothing is seen.
pub fn obstacle(file: &Path, path: Option<&str>, cwd: Option<&Path>) -> Option<String> {
    let shown = file.display();
    let mut head = Vec::new();
    // A file that may be executed but not read is legal, and says nothing.
    File::open(file)
        .ok()?
        .take(64 * 1024)
        .read_to_end(&mut head)
        .ok()?;
    if let Some(line) = head.strip_prefix(b"#!") {
        return script(&shown.to_string(), line, path, cwd);
    }
    match elf::read(&head) {
        Some(elf) if elf.foreign() => Some(format!(
            "{shown} is built for another processor ({})",
            elf.machine()
        )),
        Some(elf) => {
            let loader = elf.interpreter?;
            let missing = state(&in_dir(Path::new(&loader), cwd)) == State::Absent;
            missing.then(|| {
                format!(
                    "{shown} exists, but its loader {loader} does not: it was linked against another C library than this image has"
                )
            })
        }
        // 32-bit or big-endian: we cannot tell.
        None if head.starts_with(b"\x7fELF") => None,
        None if head.is_empty() => Some(format!("{shown} is empty")),
        None => Some(format!(
            "{shown} is no program: it is not an ELF file and does not begin with #!"
        )),
    }
}

/// What is wrong with the first line of a script, `line` being what follows `#!`.
fn script(shown: &str, line: &[u8], path: Option<&str>, cwd: Option<&Path>) -> Option<String> {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let windows = line.ends_with('\r');
    let mut words = line.split_ascii_whitespace();
    let Some(interpreter) = words.next() else {
        return Some(format!("{shown} begins with #! but names no interpreter"));
    };
    // The kernel takes the carriage return as part of the last word.
    if windows {
        return Some(format!(
            "the lines of {shown} end in CR LF, so that #! asks for {interpreter:?} with a carriage return; save it with LF"
        ));
    }
    match state(&in_dir(Path::new(interpreter), cwd)) {
        State::Absent => {
            return Some(format!(
                "{shown} exists, but its interpreter {interpreter} does not"
            ));
        }
        State::Denied | State::Directory => {
            return Some(format!(
                "{shown} exists, but its interpreter {interpreter} may not be executed"
            ));
        }
        State::Executable => {}
    }
    // `#!/usr/bin/env node` names its true interpreter in the second word.
    let second = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    let by_env = interpreter.rsplit('/').next() == Some("env");
    (by_env && find(second, path, cwd) == Lookup::NotFound).then(|| {
        format!(
            "{shown} exists, but its interpreter {second} is not in PATH ({})",
            path.unwrap_or(DEFAULT_PATH)
        )
    })
}

/// The files that `command` may stand for, in the order they are tried; never empty.
pub(crate) fn candidates(command: &str, path: Option<&str>, cwd: Option<&Path>) -> Vec<PathBuf> {
    if command.contains('/') {
        return vec![in_dir(Path::new(command), cwd)];
    }
    // In a directory every path is there, but an empty name is no program.
    if command.is_empty() {
        return vec![PathBuf::new()];
    }
    path.unwrap_or(DEFAULT_PATH)
        .split(':')
        .map(|dir| {
            in_dir(
                &Path::new(if dir.is_empty() { "." } else { dir }).join(command),
                cwd,
            )
        })
        .collect()
}

fn in_dir(file: &Path, cwd: Option<&Path>) -> PathBuf {
    cwd.map_or_else(|| file.to_owned(), |cwd| cwd.join(file))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Executable,
    /// It is there, and we may not execute it.
    Denied,
    Directory,
    Absent,
}

fn state(file: &Path) -> State {
    match fs::metadata(file) {
        Ok(meta) if meta.is_dir() => State::Directory,
        Ok(meta) if meta.is_file() && may_execute(file) => State::Executable,
        Ok(_) => State::Denied,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => State::Denied,
        Err(_) => State::Absent,
    }
}

/// Asks the kernel, who also knows of ACLs and `noexec` mounts.
fn may_execute(file: &Path) -> bool {
    let Ok(file) = CString::new(file.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: access(2) only reads the NUL-terminated string, which lives until it returns.
    unsafe { libc::access(file.as_ptr(), libc::X_OK) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn write(dir: &Path, name: &str, text: &[u8], mode: u32) {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn image() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a/tool", b"#!/bin/sh\n", 0o644);
        write(dir.path(), "b/tool", b"#!/bin/sh\n", 0o755);
        write(dir.path(), "plain", b"#!/bin/sh\n", 0o644);
        write(dir.path(), "bash", b"#!/no/bash -e\n", 0o755);
        write(dir.path(), "crlf", b"#!/bin/sh\r\necho\r\n", 0o755);
        write(dir.path(), "env", b"#!/usr/bin/env -S no-such-thing x\n", 0o755);
        write(dir.path(), "text", b"echo hello\n", 0o755);
        write(dir.path(), "void", b"", 0o755);
        write(dir.path(), "hashbang", b"#! \n", 0o755);
        write(
            dir.path(),
            "musl",
            &elf::tests::program(Some("/lib/ld-none.so.1"), None),
            0o755,
        );
        write(
            dir.path(),
            "alien",
            &elf::tests::program(None, Some(0xBEEF)),
            0o755,
        );
        write(dir.path(), "static", &elf::tests::program(None, None), 0o755);
        dir
    }

    #[test]
    fn the_search_goes_on_past_what_may_not_be_executed() {
        let dir = image();
        let cwd = Some(dir.path());
        let at = |name: &str| dir.path().join(name);
        assert_eq!(find("tool", Some("none:a:b"), cwd), Lookup::Found(at("b/tool")));
        assert_eq!(find("tool", Some("a"), cwd), Lookup::NotExecutable(at("a/tool")));
        assert_eq!(find("tool", Some("none"), cwd), Lookup::NotFound);
        assert_eq!(find("b/tool", Some(""), cwd), Lookup::Found(at("b/tool")));
        assert_eq!(find("./b/tool", None, cwd), Lookup::Found(at("./b/tool")));
        assert_eq!(find("./tool", Some("b"), cwd), Lookup::NotFound);
        assert_eq!(find("bash", Some("none:"), cwd), Lookup::Found(at("./bash")));
        assert_eq!(find("./a", None, cwd), Lookup::NotExecutable(at("./a")));
        assert_eq!(find("", None, cwd), Lookup::NotFound);
        assert!(matches!(find("sh", None, None), Lookup::Found(_)));
    }

    #[test]
    fn the_reason_is_the_one_the_kernel_hides() {
        let dir = image();
        let why = |command: &str| {
            why_not(command, Some("/bin"), Some(dir.path())).replace(&dir.path().display().to_string(), "")
        };
        for (command, expected) in [
            ("", "its name is empty"),
            (
                "./none",
                "/./none does not exist; correct the path or COPY it into the image",
            ),
            (
                "no-such-thing",
                "there is no no-such-thing in PATH (/bin); install it or write its full path",
            ),
            (
                "node app.js",
                "there is no node app.js in PATH (/bin); write a command with arguments as a list, or as a string for sh",
            ),
            (
                "./plain",
                "/./plain may not be executed; run chmod +x on it (COPY --chmod=755)",
            ),
            ("./a", "/./a is a directory"),
            ("./bash", "/./bash exists, but its interpreter /no/bash does not"),
            (
                "./env",
                "/./env exists, but its interpreter no-such-thing is not in PATH (/bin)",
            ),
            (
                "./crlf",
                "the lines of /./crlf end in CR LF, so that #! asks for \"/bin/sh\" with a carriage return; save it with LF",
            ),
            (
                "./text",
                "/./text is no program: it is not an ELF file and does not begin with #!",
            ),
            ("./void", "/./void is empty"),
            (
                "./hashbang",
                "/./hashbang begins with #! but names no interpreter",
            ),
            (
                "./musl",
                "/./musl exists, but its loader /lib/ld-none.so.1 does not: it was linked against another C library than this image has",
            ),
            (
                "./alien",
                "/./alien is built for another processor (ELF machine 48879)",
            ),
            (
                "./static",
                "/./static is there and may be executed, yet the system refuses it",
            ),
        ] {
            assert_eq!(why(command), expected, "{command}");
        }
    }

    #[test]
    fn programs_that_run_have_no_obstacle() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(obstacle(&own, None, None), None);
        assert_eq!(obstacle(Path::new("/bin/sh"), None, None), None);
    }
}
