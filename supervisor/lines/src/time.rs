//! Timestamps: RFC 3339, UTC, microseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-01-02T03:04:05.678901Z`, always 27 bytes until the year 10000.
pub fn rfc3339_micros(time: SystemTime) -> [u8; 27] {
    // A clock before 1970 is a broken clock; the epoch is as good an answer as any.
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (year, month, day) = civil_from_days(since.as_secs() / 86_400);
    let second = since.as_secs() % 86_400;
    let mut out = *b"0000-00-00T00:00:00.000000Z";
    put(&mut out[0..4], year);
    put(&mut out[5..7], month);
    put(&mut out[8..10], day);
    put(&mut out[11..13], second / 3600);
    put(&mut out[14..16], second / 60 % 60);
    put(&mut out[17..19], second % 60);
    put(&mut out[20..26], u64::from(since.subsec_micros()));
    out
}

fn put(field: &mut [u8], mut value: u64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01. Years are taken to begin in
/// March, so that the leap day is the last of its year and months have a regular length.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_YEAR_0: u64 = 719_468; // 0000-03-01 to 1970-01-01
    const DAYS_IN_ERA: u64 = 146_097; // 400 years
    let days = days + DAYS_FROM_YEAR_0;
    let era = days / DAYS_IN_ERA;
    let day_of_era = days % DAYS_IN_ERA;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153; // 0 is March
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// The inside of a JSON string that is a time of RFC 3339 with a date.
pub(crate) fn rfc3339(value: &[u8]) -> Option<&[u8]> {
    /// A zero stands for any digit.
    const SHAPE: &[u8; 19] = b"0000-00-00T00:00:00";
    const LONGEST: usize = "2026-01-02T03:04:05.678901234+00:00".len();
    let inside = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let (time, rest) = inside.split_first_chunk::<19>()?;
    // Without a branch for each byte: nearly all are what they should be.
    let differs = |byte: u8, shape: u8| {
        if shape == b'0' {
            byte.wrapping_sub(b'0') > 9
        } else {
            byte != shape
        }
    };
    let wrong = SHAPE
        .iter()
        .zip(time)
        .fold(false, |wrong, (shape, byte)| wrong | differs(*byte, *shape));
    let ends = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b':' | b'+' | b'-' | b'Z');
    let fits = !wrong && (20..=LONGEST).contains(&inside.len()) && rest.iter().all(ends);
    fits.then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (1_709_164_800, 0, "2024-02-29T00:00:00.000000Z"),
            (1_735_689_599, 0, "2024-12-31T23:59:59.000000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
            assert_eq!(std::str::from_utf8(&rfc3339_micros(time)).unwrap(), expected);
        }
    }

    #[test]
    fn times_of_others_are_told_from_what_is_none() {
        let written = |text: &str| rfc3339(format!("\"{text}\"").as_bytes()).is_some();
        for time in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.678901Z",
            "2026-01-02T03:04:05.678901234+00:00",
            "2026-01-02T03:04:05-0330",
        ] {
            assert!(written(time), "{time}");
            for at in 0..time.len() {
                let mut other = time.as_bytes().to_vec();
                other[at] = b'x';
                assert!(!written(std::str::from_utf8(&other).unwrap()), "{other:?}");
            }
        }
        for text in [
            "",
            "2026-01-02",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05",
            "02/Jan/2026:03:04:05 +0000",
            "2026-01-02T03:04:05.6789012345+00:00",
        ] {
            assert!(!written(text), "{text}");
        }
        assert_eq!(rfc3339(b"1767322800"), None);
    }

    #[test]
    fn days_follow_each_other() {
        let mut before = civil_from_days(0);
        for day in 1..200_000 {
            let now = civil_from_days(day);
            let next_day = now.0 == before.0 && now.1 == before.1 && now.2 == before.2 + 1;
            let next_month = now.2 == 1 && before.2 >= 28;
            assert!(next_day || next_month, "{before:?} then {now:?}");
            before = now;
        }
    }
}
