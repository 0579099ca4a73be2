//! Families of metrics as text, in the two formats that scrapers read.
//!
//! Sources: "Exposition formats" of the Prometheus documentation (text format 0.0.4), and OpenMetrics 1.0
//! (RFC-style document of the same name), sections "ABNF" and "Metric types".

use std::borrow::Cow;
use std::fmt::Write;

/// The two text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `text/plain; version=0.0.4`
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`. The family of a counter is called without `_total`, and a
    /// last line says that nothing was cut off.
    OpenMetrics,
}

/// What the samples of a [`Family`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only rises. Its samples are called `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Quantiles, `_sum` and `_count`.
    Summary,
}

/// Samples of the same name, for `/metrics`.
#[derive(Clone, Debug)]
pub struct Family<'a> {
    /// Without the `_total` of a counter.
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: Vec<Sample<'a>>,
}

/// A number with its labels.
#[derive(Clone, Debug)]
struct Sample<'a> {
    /// What is added to the name of the family: `_sum`.
    suffix: &'static str,
    labels: Labels<'a>,
    value: f64,
}

/// The last line of OpenMetrics.
const END: &str = "# EOF\n";

/// Names and values, always in the order in which they were given.
pub type Labels<'a> = Vec<(&'static str, Cow<'a, str>)>;

impl<'a> Family<'a> {
    /// `name` without the `_total` of a counter; `help` is a sentence.
    pub fn new(name: &'static str, kind: Kind, help: &'static str) -> Family<'a> {
        Family {
            name,
            help,
            kind,
            samples: Vec::new(),
        }
    }

    /// A family with a single number.
    pub(crate) fn single(name: &'static str, kind: Kind, help: &'static str, value: f64) -> Family<'a> {
        let mut family = Family::new(name, kind, help);
        family.add(Labels::new(), value);
        family
    }

    /// A number, unless it is none: a lie is worse than a gap.
    pub fn add(&mut self, labels: Labels<'a>, value: f64) {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Summary => "",
        };
        self.add_part(suffix, labels, value);
    }

    /// 1 for the one of `all` that is true, and 0 for the others, in the label `label`.
    pub(crate) fn add_states<T: Copy + PartialEq>(
        &mut self,
        labels: &Labels<'a>,
        label: &'static str,
        all: &[T],
        name: fn(T) -> &'static str,
        current: T,
    ) {
        for state in all {
            let mut labels = labels.clone();
            labels.push((label, name(*state).into()));
            self.add(labels, f64::from(u8::from(*state == current)));
        }
    }

    /// What is known of a distribution.
    pub(crate) fn add_summary(
        &mut self,
        labels: &Labels<'a>,
        quantiles: &[(&'static str, f64)],
        sum: f64,
        count: u64,
    ) {
        for (quantile, value) in quantiles {
            let mut labels = labels.clone();
            labels.push(("quantile", (*quantile).into()));
            self.add_part("", labels, *value);
        }
        self.add_part("_sum", labels.clone(), sum);
        self.add_part("_count", labels.clone(), count as f64);
    }

    fn add_part(&mut self, suffix: &'static str, labels: Labels<'a>, value: f64) {
        if value.is_finite() {
            self.samples.push(Sample {
                suffix,
                labels,
                value,
            });
        }
    }
}

/// The families as text. Those without a sample are left out.
pub(crate) fn encode(families: &[Family<'_>], format: Format) -> String {
    let mut out = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        family.encode(&mut out, format);
    }
    if format == Format::OpenMetrics {
        out.push_str(END);
    }
    out
}

/// Adds families to what [`encode`] gave.
pub(crate) fn append(text: &str, families: &[Family<'_>], format: Format) -> String {
    let text = match format {
        Format::OpenMetrics => text.strip_suffix(END).unwrap_or(text),
        Format::Prometheus => text,
    };
    text.to_owned() + &encode(families, format)
}

impl Family<'_> {
    fn encode(&self, out: &mut String, format: Format) {
        let (name, kind) = match self.kind {
            Kind::Counter => (self.name, "counter"),
            Kind::Gauge => (self.name, "gauge"),
            Kind::Summary => (self.name, "summary"),
        };
        let suffix = match (self.kind, format) {
            (Kind::Counter, Format::Prometheus) => "_total",
            _ => "",
        };
        line(out, format_args!("# HELP {name}{suffix} {}", self.help));
        line(out, format_args!("# TYPE {name}{suffix} {kind}"));
        for sample in &self.samples {
            out.push_str(name);
            out.push_str(sample.suffix);
            for (index, (label, value)) in sample.labels.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                out.push_str(label);
                out.push_str("=\"");
                escape(out, value);
                out.push('"');
            }
            if !sample.labels.is_empty() {
                out.push('}');
            }
            line(out, format_args!(" {}", sample.value));
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

/// The same three in both formats.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str(r"\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Vec<Family<'static>> {
        let mut restarts = Family::new("x_restarts", Kind::Counter, "How often.");
        restarts.add(vec![("process", "a".into()), ("host", "b".into())], 3.0);
        let mut took = Family::new("x_duration_seconds", Kind::Summary, "How long.");
        took.add_summary(&vec![("check", "db".into())], &[("0.5", 0.25)], 1.5, 6);
        let mut odd = Family::new("x_odd", Kind::Gauge, "Odd.");
        odd.add(vec![("name", "quote \" back \\ line \n ü".into())], 1e21);
        odd.add(vec![("name", "nothing".into())], f64::NAN);
        odd.add(vec![("name", "too much".into())], f64::INFINITY);
        let mut lies = Family::new("x_lies", Kind::Gauge, "Only lies.");
        lies.add(Labels::new(), f64::NAN);
        vec![
            restarts,
            took,
            odd,
            lies,
            Family::single("x_up", Kind::Gauge, "Up.", 1.0),
        ]
    }

    #[test]
    fn prometheus_calls_a_counter_total_everywhere() {
        let expected = r#"# HELP x_restarts_total How often.
# TYPE x_restarts_total counter
x_restarts_total{process="a",host="b"} 3
# HELP x_duration_seconds How long.
# TYPE x_duration_seconds summary
x_duration_seconds{check="db",quantile="0.5"} 0.25
x_duration_seconds_sum{check="db"} 1.5
x_duration_seconds_count{check="db"} 6
# HELP x_odd Odd.
# TYPE x_odd gauge
x_odd{name="quote \" back \\ line \n ü"} 1000000000000000000000
# HELP x_up Up.
# TYPE x_up gauge
x_up 1
"#;
        assert_eq!(encode(&families(), Format::Prometheus), expected);
    }

    #[test]
    fn what_is_added_comes_before_the_end() {
        let families = families();
        let (some, more) = families.split_at(2);
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let text = append(&encode(some, format), more, format);
            assert_eq!(text, encode(&families, format));
        }
    }

    #[test]
    fn openmetrics_names_the_family_without_total_and_says_where_it_ends() {
        let text = encode(&families(), Format::OpenMetrics);
        let start = "# HELP x_restarts How often.\n# TYPE x_restarts counter\nx_restarts_total{";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with("x_up 1\n# EOF\n"), "{text}");
        assert_eq!(encode(&[], Format::OpenMetrics), "# EOF\n");
    }
}
