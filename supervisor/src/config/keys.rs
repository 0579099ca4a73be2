//! Every key of the format, one table per section.

/// The top level.
pub(super) const ROOT: &[&str] = &[
    "process", "run", "secrets", "migrate", "health", "logs", "trace", "ingress",
];

/// `[process.NAME]`.
pub(super) const PROCESS: &[&str] = &[
    "command",
    "main",
    "kind",
    "after",
    "ready",
    "restart",
    "backoff",
    "on_exit",
    "stop",
    "signals",
    "cwd",
    "user",
    "umask",
    "env",
    "env_inherit",
    "secrets",
    "stdin",
    "logs",
];
/// The kinds of `ready`.
pub(super) const READY_KINDS: &[&str] = &["http", "tcp", "exec", "log", "fd"];
/// `process.NAME.ready`.
pub(super) const READY: &[&str] = &["http", "tcp", "exec", "log", "fd", "timeout", "interval"];
/// `process.NAME.backoff`.
pub(super) const BACKOFF: &[&str] = &["min", "max", "reset", "restarts", "within"];
/// `process.NAME.stop`.
pub(super) const STOP: &[&str] = &["signal", "grace", "scope"];
/// `process.NAME.logs`.
pub(super) const PROCESS_LOGS: &[&str] = &["format", "stdout"];
/// `process.NAME.stdin` as a table.
pub(super) const STDIN: &[&str] = &["logs"];

/// `[run]`.
pub(super) const RUN: &[&str] = &["success_codes", "drain_delay", "stop_budget", "platform"];

/// `[health]`.
pub(super) const HEALTH: &[&str] = &["listen", "token", "details", "check"];
/// The kinds of a check.
pub(super) const CHECK_KINDS: &[&str] = &[
    "postgres",
    "mysql",
    "redis",
    "http",
    "tcp",
    "exec",
    "disk",
    "memory",
    "fds",
    "certificate",
];
/// `[health.check.NAME]`.
pub(super) const CHECK: &[&str] = &[
    "postgres",
    "mysql",
    "redis",
    "http",
    "tcp",
    "exec",
    "disk",
    "memory",
    "fds",
    "certificate",
    "interval",
    "timeout",
    "fail_after",
    "pass_after",
    "level",
    "restart",
];
/// `health.check.NAME.disk`.
pub(super) const DISK: &[&str] = &["path", "min_free"];
/// `health.check.NAME.memory` and `health.check.NAME.fds`.
pub(super) const USED: &[&str] = &["max_used"];
/// Where the certificate of a check is.
pub(super) const CERTIFICATE_KINDS: &[&str] = &["file", "server"];
/// `health.check.NAME.certificate`.
pub(super) const CERTIFICATE: &[&str] = &["file", "server", "min_valid"];

/// `[logs]`.
pub(super) const LOGS: &[&str] = &[
    "format",
    "style",
    "fields",
    "mask",
    "multiline",
    "max_line",
    "blocked",
];

/// `[secrets.NAME]`; `[secrets]` itself holds `exclude`, `timeout` and tables of any name.
pub(super) const SECRET: &[&str] = &["from", "as", "optional", "default"];
/// `[migrate]`.
pub(super) const MIGRATE: &[&str] = &[
    "database",
    "dir",
    "command",
    "release",
    "inputs",
    "wait",
    "lock_timeout",
    "statement_timeout",
    "create",
    "on_failure",
];
/// `[trace]`.
pub(super) const TRACE: &[&str] = &["exporter", "endpoint", "service", "carrier"];
