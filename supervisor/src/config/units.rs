//! Durations and sizes as text: `1m30s`, `15KiB`.

use std::time::Duration;

/// Far beyond every sensible setting, and small enough to be added to any clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The units of a duration, the largest first: that is also the order they may be written in.
const TIME_UNITS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

const SIZE_UNITS: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads `500ms`, `60s`, `2m`, `1h`, `14d` or `1m30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no duration; write one such as \"500ms\", \"5s\", \"2m\" or \"1m30s\"");
    let too_long = || format!("{text:?} is longer than a year; write a shorter one");
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{text:?} has no unit; write \"{text}s\""));
    }
    let mut total: u64 = 0;
    let mut units = TIME_UNITS.iter();
    let mut rest = text;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let (number, after) = digits(rest).ok_or_else(bad)?;
        let length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        // Taking from the same iterator each time keeps the units in order and each to one use.
        let (_, milliseconds) = units
            .find(|(unit, _)| *unit == &after[..length])
            .ok_or_else(bad)?;
        let number = number.parse::<u64>().map_err(|_| too_long())?;
        total = number
            .checked_mul(*milliseconds)
            .and_then(|n| total.checked_add(n))
            .ok_or_else(too_long)?;
        rest = &after[length..];
    }
    let duration = Duration::from_millis(total);
    if duration > LONGEST {
        Err(too_long())
    } else {
        Ok(duration)
    }
}

/// Reads `256B`, `15KiB`, `1MiB` or `1GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no size; write one such as \"512B\", \"15KiB\" or \"1MiB\"");
    let (number, unit) = digits(text).ok_or_else(bad)?;
    if unit.is_empty() {
        return Err(format!("{text:?} has no unit; write \"{text}B\""));
    }
    let (_, factor) = SIZE_UNITS
        .iter()
        .find(|(known, _)| *known == unit)
        .ok_or_else(bad)?;
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| format!("{text:?} is too large; write a smaller size"))
}

/// The leading digits, at least one, and what follows them.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A duration the way it is written in the config.
pub(crate) fn show(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut out = String::new();
    for (unit, milliseconds) in TIME_UNITS {
        let count = rest / u128::from(*milliseconds);
        if count > 0 {
            out.push_str(&format!("{count}{unit}"));
            rest -= count * u128::from(*milliseconds);
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show() {
        for (text, milliseconds, shown) in [
            ("0s", 0, "0s"),
            ("0ms", 0, "0s"),
            ("500ms", 500, "500ms"),
            ("60s", 60_000, "1m"),
            ("2m", 120_000, "2m"),
            ("1h", 3_600_000, "1h"),
            ("1m30s", 90_000, "1m30s"),
            ("1h0m1s5ms", 3_601_005, "1h1s5ms"),
            ("8760h", 31_536_000_000, "365d"),
            ("14d", 1_209_600_000, "14d"),
            ("36h", 129_600_000, "1d12h"),
        ] {
            let read = duration(text).unwrap();
            assert_eq!(read.as_millis(), milliseconds, "{text}");
            assert_eq!(show(read), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_a_remedy() {
        assert_eq!(duration("5").unwrap_err(), "\"5\" has no unit; write \"5s\"");
        let shape = " is no duration; write one such as \"500ms\", \"5s\", \"2m\" or \"1m30s\"";
        for text in [
            "", "s", "-5s", "1.5s", "5 s", "5sec", "30s1m", "1s1s", "5s3", "1w", "５s", "+5s",
        ] {
            assert_eq!(duration(text).unwrap_err(), format!("{text:?}{shape}"));
        }
        for text in ["8761h", "366d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(
                duration(text).unwrap_err().contains("longer than a year"),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_read() {
        assert_eq!(size("15KiB"), Ok(15 * 1024));
        assert_eq!(size("256B"), Ok(256));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("512").unwrap_err(), "\"512\" has no unit; write \"512B\"");
        for text in ["", "KiB", "15KB", "15 KiB", "1.5MiB", "-1B"] {
            assert!(size(text).unwrap_err().contains("is no size"), "{text}");
        }
        assert!(size("99999999999999GiB").unwrap_err().contains("too large"));
    }
}
