//! RFC 3339 in UTC, from the system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, with microseconds: `2026-01-16T08:15:32.123456+00:00`.
pub fn now() -> String {
    rfc3339(SystemTime::now())
}

/// Any moment after 1970, with microseconds; an earlier one is shown as 1970.
pub fn rfc3339(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}+00:00",
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
        since.subsec_micros()
    )
}

/// Milliseconds since 1970 of a time in RFC 3339; without a zone it is UTC.
pub fn millis(text: &str) -> Option<i64> {
    let number = |from: usize, upto: usize| -> Option<i64> {
        let digits = text.get(from..upto)?;
        digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if !((1..=12).contains(&month) && (1..=31).contains(&day)) {
        return None;
    }
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let rest = text.get(19..)?;
    let digits = rest.strip_prefix('.').unwrap_or_default();
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let fraction = format!("{:0<3}", digits.get(..length)?);
    let zone = if length > 0 { digits.get(length..)? } else { rest };
    let offset = match zone.get(..1) {
        Some(sign @ ("+" | "-")) => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let all = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == "+" { all } else { -all }
        }
        _ => 0,
    };
    // Days of a date, in years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    let days = days + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + seconds - offset * 60;
    Some(seconds * 1000 + fraction.get(..3)?.parse::<i64>().ok()?)
}

/// A moment of so many milliseconds after 1970, as the API wants it.
pub fn from_millis(millis: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    rfc3339(UNIX_EPOCH + since)
}

/// Days since 1970-01-01 to a date, by the 400-year cycle of the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000+00:00"),
            (951_782_400, "2000-02-29T00:00:00.000000+00:00"),
            (1_768_551_332, "2026-01-16T08:15:32.000000+00:00"),
            (4_102_444_799, "2099-12-31T23:59:59.000000+00:00"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
            assert_eq!(millis(text), Some(seconds as i64 * 1000));
            assert_eq!(from_millis(seconds as i64 * 1000), text);
        }
    }

    #[test]
    fn times_of_servers() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1000)),
            ("1970-01-01T00:00:01.5Z", Some(1500)),
            ("1970-01-01T00:00:01.123456Z", Some(1123)),
            ("1970-01-01T02:00:00+02:00", Some(0)),
            ("1969-12-31T22:30:00.25-01:30", Some(250)),
            ("1970-01-01", None),
            ("1970-13-01T00:00:00Z", None),
            ("yesterday at 10:00:00", None),
            ("", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
