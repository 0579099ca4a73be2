use super::*;
use proptest::prelude::*;

#[test]
fn the_forms_of_loggers_and_servers() {
    for (level, line) in [
        (Level::Error, "ERROR cannot open"),
        (Level::Error, "ERROR"),
        (Level::Error, "Error: cannot open"),
        (Level::Error, "[error] cannot open"),
        (Level::Error, "[ERROR]\tcannot open"),
        (Level::Warn, "WARN: disk"),
        (Level::Warn, "warning: disk"),
        (Level::Warn, "WARNING:root:disk"),
        (
            Level::Info,
            "INFO:     127.0.0.1:4711 - \"GET /error HTTP/1.1\" 500",
        ),
        (Level::Info, "NOTICE: x"),
        (Level::Fatal, "CRITICAL x"),
        (Level::Fatal, "EMERG: x"),
        (Level::Fatal, "panic: runtime error: index out of range"),
        (Level::Fatal, "fatal error: all goroutines are asleep"),
        (Level::Debug, "DEBUG - x"),
        (Level::Trace, "TRACE enter"),
        // logfmt
        (Level::Warn, "level=warn msg=x"),
        (
            Level::Error,
            "time=2026-01-02T03:04:05.678Z level=ERROR msg=\"level=info\"",
        ),
        (Level::Info, "msg=\"level=error\" level=info"),
        (Level::Error, "time=\"2026-01-02T03:04:05Z\" level=error msg=x"),
        (Level::Error, "ERRO[0000] x"),
        // Python: logging, uvicorn, gunicorn, Celery
        (Level::Error, "2026-01-02 03:04:05,678 - name - ERROR - x"),
        (Level::Warn, "2026-01-02 03:04:05,678 app.module WARNING x"),
        (Level::Error, "[2026-01-02 03:04:05 +0000] [7] [ERROR] x"),
        (Level::Error, "[2026-01-02 03:04:05,678: ERROR/MainProcess] x"),
        // Java: log4j, logback, Spring Boot
        (
            Level::Error,
            "2026-01-02 03:04:05,678 [main] ERROR com.example.App - x",
        ),
        (
            Level::Warn,
            "03:04:05.678 [http-nio-8080-exec-1] WARN com.example.App -- x",
        ),
        (
            Level::Error,
            "2026-01-02T03:04:05.678Z ERROR 7 --- [main] c.e.App : x",
        ),
        (Level::Error, "SEVERE: x"),
        // Ruby, glog and klog
        (Level::Error, "E, [2026-01-02T03:04:05.678901 #7] ERROR -- : x"),
        (Level::Warn, "W, [2026-01-02T03:04:05.678901 #7]  WARN -- : x"),
        (Level::Error, "E0102 03:04:05.678901       7 file.go:12] x"),
        (Level::Fatal, "F20260102 03:04:05.678901 7 file.cc:12] x"),
        // Go: slog's text, zap, zerolog
        (Level::Error, "2026-01-02T03:04:05.678Z\terror\tmodule\tx"),
        (Level::Error, "3:04AM ERR x"),
        // Rust: env_logger, tracing, with colours
        (Level::Error, "[2026-01-02T03:04:05Z ERROR module] x"),
        (Level::Warn, "2026-01-02T03:04:05.678901Z  WARN target: x"),
        (
            Level::Warn,
            "\x1b[2m2026-01-02T03:04:05.678901Z\x1b[0m \x1b[33m WARN\x1b[0m \x1b[2mtarget\x1b[0m: x",
        ),
        (Level::Debug, " DEBUG target: x"),
        // .NET, Serilog, Elixir, Node, PHP
        (Level::Error, "fail: Category[0]"),
        (Level::Fatal, "crit: Category[0]"),
        (Level::Error, "[03:04:05 ERR] x"),
        (Level::Error, "03:04:05.678 [error] x"),
        (Level::Warn, "(node:7) Warning: x"),
        (Level::Warn, "2026-01-02T03:04:05.678Z warn: x"),
        (Level::Warn, "PHP Warning:  x"),
        (
            Level::Fatal,
            "[02-Jan-2026 03:04:05 UTC] PHP Fatal error:  Uncaught x",
        ),
        (Level::Warn, "[02-Jan-2026 03:04:05] WARNING: [pool www] x"),
        (
            Level::Error,
            "[2026-01-02T03:04:05.678901+00:00] app.ERROR: x [] []",
        ),
        // nginx, Apache, HAProxy, PostgreSQL, MySQL, MariaDB
        (Level::Error, "2026/01/02 03:04:05 [error] 12#0: *1 open() failed"),
        (Level::Fatal, "2026/01/02 03:04:05 [emerg] 1#1: bind() failed"),
        (
            Level::Error,
            "[Fri Jan 02 03:04:05.678901 2026] [core:error] [pid 7:tid 8] x",
        ),
        (Level::Warn, "[WARNING]  (7) : x"),
        (Level::Error, "ERROR:  relation \"x\" does not exist"),
        (Level::Error, "2026-01-02 03:04:05.678 UTC [12] ERROR:  relation"),
        (
            Level::Fatal,
            "2026-01-02 03:04:05.678 UTC [12] app@db FATAL:  role",
        ),
        (
            Level::Warn,
            "2026-01-02T03:04:05.678901Z 0 [Warning] [MY-010068] [Server] x",
        ),
        (Level::Error, "2026-01-02  3:04:05 0 [ERROR] x"),
        // The kernel, systemd, syslog
        (Level::Error, "<3>x"),
        (Level::Warn, "<12>x"),
    ] {
        assert_eq!(detect(line.as_bytes()), Some(level), "{line}");
    }
}

#[test]
fn words_in_a_sentence_are_no_levels() {
    for line in [
        "",
        "E",
        "information about errors",
        "errors: 3",
        "Error handling is on",
        "error budget is spent",
        "warn the others",
        "ERROR_COUNT=5",
        "ERRORS 5",
        "GET /error HTTP/1.1 200",
        "TRACE /error HTTP/1.1",
        "127.0.0.1 - - [02/Jan/2026:03:04:05 +0000] \"GET /error HTTP/1.1\" 500 12",
        "2001:db8::1 - - [02/Jan/2026:03:04:05 +0000] \"GET /error HTTP/1.1\" 500 12",
        "[02/Jan/2026:03:04:05 +0000] \"GET /error HTTP/1.1\" 500 12",
        "3 ERROR lines",
        "2026-01-02 03:04:05 got ERROR from upstream",
        "2026-01-02 03:04:05 report: ERROR rate is low",
        "2026-01-02 03:04:05.678 UTC [12] LOG:  database system is ready",
        "[main] Error handling is on",
        "[\"error\"]",
        "<a>error</a>",
        "<3",
        "time=12 took longer",
        "E, E, E",
        "Einstein: relative",
        "checkout: order 4711 paid",
    ] {
        assert_eq!(detect(line.as_bytes()), None, "{line}");
    }
}

proptest! {
    #[test]
    fn any_bytes_can_be_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = detect(&bytes);
    }

    #[test]
    fn whatever_looks_like_a_header_can_be_looked_at(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "2026-01-02", "03:04:05,678", "[", "]", "(", ")", "<", "3", ">", "ERROR", "warn", ":", " - ", "=",
                "level", "\"", "\\", "\x1b[", "m", "\t", ".", "E, [", "E0102 ", "PHP ", " ", "app.", "ä",
            ]),
            0..12,
        ),
    ) {
        let _ = detect(parts.concat().as_bytes());
    }

    #[test]
    fn a_level_behind_what_is_looked_at_changes_nothing(text in "[a-z ]{96,120}", tail in "[A-Z ]{0,20}") {
        prop_assert_eq!(detect(text.as_bytes()), detect(format!("{text}{tail} ERROR").as_bytes()));
    }
}
