//! RFC 3339: in UTC from the system's clock, and back to milliseconds. And dates as HTTP has them.

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

/// A moment as HTTP writes it: `Fri, 16 Jan 2026 08:15:32 GMT`.
pub fn http(moment: SystemTime) -> String {
    const DAYS: &str = "ThuFriSatSunMonTueWed";
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let word = |all: &'static str, at: u64| {
        let at = usize::try_from(at * 3).unwrap_or(0);
        all.get(at..at + 3).unwrap_or_default()
    };
    let (weekday, month) = (word(DAYS, days % 7), word(MONTHS, month - 1));
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Milliseconds since 1970 of an RFC 3339 moment; none for any other text.
pub fn unix_millis(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let end = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(end);
    let numbers = |text: &str, by: char| -> Option<Vec<i64>> {
        let digits = |it: &str| it.len() <= 4 && it.bytes().all(|it| it.is_ascii_digit());
        text.split(by).map(|it| digits(it).then(|| it.parse().ok())?).collect()
    };
    let [year, month, day] = numbers(date, '-')?[..] else { return None };
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = numbers(time, ':')?[..] else { return None };
    let millis = numbers(&format!("{fraction:0<3.3}"), '.')?.first().copied()?;
    let ahead = match zone.as_bytes().first()? {
        b'Z' => 0,
        sign => {
            let [hours, minutes] = numbers(&zone[1..], ':')?[..] else { return None };
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1 {
        return None;
    }
    // Years begin in March, so that the day of a leap year is the last one.
    let years = year - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = years * 365 + years / 4 - years / 100 + years / 400 + day_of_year - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second - ahead) * 1000 + millis)
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
    fn dates_of_http() {
        let text = |seconds| http(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(1_735_689_599), "Tue, 31 Dec 2024 23:59:59 GMT");
    }

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000+00:00"),
            (951_782_400, "2000-02-29T00:00:00.000000+00:00"),
            (1_768_551_332, "2026-01-16T08:15:32.000000+00:00"),
            (4_102_444_799, "2099-12-31T23:59:59.000000+00:00"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
            assert_eq!(unix_millis(text), i64::try_from(seconds * 1000).ok(), "{text}");
        }
        assert_eq!(unix_millis("1970-01-01T02:00:00.25+01:30"), Some(1_800_250));
        assert_eq!(unix_millis("1969-12-31T23:59:59.123456789Z"), Some(-877));
        for odd in
            ["", "T", "1970-01-01", "1970-13-01T00:00:00Z", "x-1-1T0:0:0Z", "1970-01-01T00:00Zä"]
        {
            assert_eq!(unix_millis(odd), None, "{odd}");
        }
    }
}
