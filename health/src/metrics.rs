//! `/metrics`: OpenMetrics 1.0, or the older text format of Prometheus for who does not ask for it.

use std::time::Duration;

use crate::board::{Board, Verdicts};
use crate::snapshot::Status;

/// The two text formats; they differ in the names of counters' families and in the last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `text/plain; version=0.0.4`
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

/// What everyone may see: the status.
pub(crate) fn plain(verdicts: &Verdicts, format: Format) -> String {
    let mut out = String::new();
    status(&mut out, verdicts);
    end(&mut out, format);
    out
}

/// Everything.
pub(crate) fn detailed(
    _board: &Board,
    verdicts: &Verdicts,
    _since_published: Duration,
    format: Format,
) -> String {
    let mut out = String::new();
    status(&mut out, verdicts);
    end(&mut out, format);
    out
}

fn status(out: &mut String, verdicts: &Verdicts) {
    out.push_str(
        "# HELP runmate_health_status Whether /health says this.\n# TYPE runmate_health_status gauge\n",
    );
    for (name, status) in [
        ("pass", Status::Pass),
        ("warn", Status::Warn),
        ("fail", Status::Fail),
    ] {
        let value = u8::from(verdicts.status == status);
        out.push_str(&format!("runmate_health_status{{status=\"{name}\"}} {value}\n"));
    }
}

fn end(out: &mut String, format: Format) {
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
}
