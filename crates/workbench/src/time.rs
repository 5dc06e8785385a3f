//! Owns the clock as numbers: seconds since 1970, and the calendar's digits in UTC.
//! Promises: what a run itself has written as the time can be told from every other value.
//! Never reads a time zone.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or_default())
}

/// As `20260131120000`, in UTC.
///
/// The calendar's date of so many seconds since 1970, by counting from the March of a year that 400
/// divides.
pub fn written(seconds: i64) -> i64 {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (((year * 100 + month) * 100 + day) * 100 + rest / 3600) * 10_000
        + rest / 60 % 60 * 100
        + rest % 60
}

/// A text with every time since `began` (a date with a clock, or seconds since 1970) replaced by
/// `now`.
pub fn without_now(text: &str, began: i64) -> String {
    let ended = now();
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_digit = out.ends_with(|letter: char| letter.is_ascii_digit());
        let date = rest
            .get(..19)
            .filter(|date| looks_like_a_date(date))
            .and_then(|date| digits(date).parse().ok());
        let seconds = rest
            .get(..10)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        let more =
            rest.get(10..11).is_some_and(|next| next.bytes().all(|byte| byte.is_ascii_digit()));
        let taken = match (date, seconds) {
            (Some(date), _)
                if !after_digit && (written(began)..=written(ended)).contains(&date) =>
            {
                19
            }
            (_, Some(seconds)) if !after_digit && !more && (began..=ended).contains(&seconds) => 10,
            _ => 0,
        };
        if taken > 0 {
            out.push_str("now");
            rest = rest.get(taken..).unwrap_or_default();
        } else {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// `2026-01-31T12:00:00`, or with a blank.
fn looks_like_a_date(text: &str) -> bool {
    text.chars().enumerate().all(|(place, letter)| match place {
        4 | 7 => letter == '-',
        10 => letter == 'T' || letter == ' ',
        13 | 16 => letter == ':',
        _ => letter.is_ascii_digit(),
    })
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_a_version() {
        assert_eq!(written(0), 19_700_101_000_000);
        assert_eq!(written(951_782_399), 20_000_228_235_959);
        assert_eq!(written(951_782_400), 20_000_229_000_000);
        assert_eq!(written(1_798_761_599), 20_261_231_235_959);
    }

    #[test]
    fn only_what_this_run_wrote_is_now() {
        let began = now();
        let date = written(began).to_string();
        let (year, rest) = date.split_at(4);
        let (month, rest) = rest.split_at(2);
        let (day, rest) = rest.split_at(2);
        let (hour, rest) = rest.split_at(2);
        let (minute, second) = rest.split_at(2);
        let shown = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        assert_eq!(without_now(&format!("a='{shown}', b={began}"), began), "a='nowZ', b=now");
        let old = "a='1999-12-31 23:59:59', b=946684799, c=ä";
        assert_eq!(without_now(old, began), old);
        let longer = format!("{began}7");
        assert_eq!(without_now(&longer, began), longer);
    }
}
