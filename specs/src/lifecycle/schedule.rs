//! When a periodic hook runs.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

/// Longest interval of `@every`.
const MAX_INTERVAL: Duration = Duration::from_secs(366 * 86_400);

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Days of each month, in the longest year.
const MONTH_DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A schedule as hooks have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// At this distance, at least one second, in whole seconds.
    Every(Duration),
    /// At the minutes of the clock that match.
    Cron(Cron),
}

/// Five cron fields, each a set of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// 0 is Sunday.
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

/// What is wrong with the text of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSchedule(String);

impl fmt::Display for BadSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSchedule {}

impl Cron {
    /// Whether it runs at some minute of this day: month 1 to 12, day 1 to 31, weekday 0 (Sunday) to 6.
    #[must_use]
    pub fn has_day(&self, month: u32, day: u32, weekday: u32) -> bool {
        let (by_day, by_weekday) = (holds(self.days, day), holds(self.weekdays, weekday));
        // As in every cron: with both restricted, one of them is enough.
        let fits = if self.any_day || self.any_weekday { by_day && by_weekday } else { by_day || by_weekday };
        fits && holds(self.months, month)
    }

    /// Whether it runs at some minute of this hour, 0 to 23.
    #[must_use]
    pub fn has_hour(&self, hour: u32) -> bool {
        holds(self.hours, hour)
    }

    /// Whether it runs at this minute, 0 to 59.
    #[must_use]
    pub fn has_minute(&self, minute: u32) -> bool {
        holds(self.minutes, minute)
    }

    /// Whether there is a day it runs at, at least in some years.
    fn ever(&self) -> bool {
        let dates = MONTH_DAYS.iter().zip(1..).filter(|(_, month)| holds(self.months, *month));
        let has_date = dates.into_iter().any(|(&last, _)| (1..=last).any(|day| holds(self.days, day)));
        has_date || (!self.any_day && !self.any_weekday)
    }
}

fn holds(set: u64, number: u32) -> bool {
    set >> number & 1 == 1
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        match fields[..] {
            ["@every", interval] => every(interval).map(Self::Every),
            [name] if name.starts_with('@') => named(name).and_then(cron).map(Self::Cron),
            [minutes, hours, days, months, weekdays] => {
                cron([minutes, hours, days, months, weekdays]).map(Self::Cron)
            }
            _ => Err(BadSchedule(format!(
                "{text:?} is neither five cron fields, a name such as @hourly, nor @every N"
            ))),
        }
    }
}

fn named(name: &str) -> Result<[&'static str; 5], BadSchedule> {
    Ok(match name {
        "@yearly" | "@annually" => ["0", "0", "1", "1", "*"],
        "@monthly" => ["0", "0", "1", "*", "*"],
        "@weekly" => ["0", "0", "*", "*", "0"],
        "@daily" | "@midnight" => ["0", "0", "*", "*", "*"],
        "@hourly" => ["0", "*", "*", "*", "*"],
        _ => {
            let known = "@yearly, @monthly, @weekly, @daily, @hourly or @every N";
            return Err(BadSchedule(format!("{name:?} is not {known}")));
        }
    })
}

/// Whole seconds, such as `90`, `90s` or `1h30m`.
fn every(text: &str) -> Result<Duration, BadSchedule> {
    let refuse = || BadSchedule(format!("@every {text:?}: expected whole seconds, such as 30s or 1h30m"));
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        let after = &rest[digits..];
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let factor = match &after[..unit] {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            "" if rest.len() == text.len() => 1,
            _ => return Err(refuse()),
        };
        let part = number.checked_mul(factor).ok_or_else(refuse)?;
        seconds = seconds.checked_add(part).ok_or_else(refuse)?;
        rest = &after[unit..];
    }
    let interval = Duration::from_secs(seconds);
    if interval.is_zero() || interval > MAX_INTERVAL {
        let days = MAX_INTERVAL.as_secs() / 86_400;
        return Err(BadSchedule(format!("@every {text:?}: must be from 1 second to {days} days")));
    }
    Ok(interval)
}

fn cron([minutes, hours, days, months, weekdays]: [&str; 5]) -> Result<Cron, BadSchedule> {
    let weekday = field("weekday", weekdays, 0..=7, &WEEKDAYS)?;
    let cron = Cron {
        minutes: field("minute", minutes, 0..=59, &[])?,
        hours: field("hour", hours, 0..=23, &[])?,
        days: field("day of the month", days, 1..=31, &[])?,
        months: field("month", months, 1..=12, &MONTHS)?,
        // 7 is Sunday too.
        weekdays: (weekday | weekday >> 7) & 0x7f,
        any_day: is_any(days),
        any_weekday: is_any(weekdays),
    };
    if cron.ever() {
        return Ok(cron);
    }
    Err(BadSchedule(format!("day of the month {days:?} does not exist in month {months:?}")))
}

fn is_any(text: &str) -> bool {
    matches!(text, "*" | "?")
}

/// A list of numbers, ranges and steps as a set of bits.
fn field(what: &str, text: &str, range: RangeInclusive<u32>, names: &[&str]) -> Result<u64, BadSchedule> {
    let (first, last) = (*range.start(), *range.end());
    let mut set = 0;
    for part in text.split(',') {
        let refuse = || {
            BadSchedule(format!(
                "{what} {part:?}: expected numbers from {first} to {last}, such as 1, 2-4 or */5"
            ))
        };
        let number = |text: &str| {
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
            let number = match named {
                Some(position) => u32::try_from(position).ok().map(|position| position + first),
                None => text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())),
            };
            number.filter(|number| range.contains(number)).ok_or_else(refuse)
        };
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => {
                (span, Some(step.parse().ok().filter(|step| *step > 0).ok_or_else(refuse)?))
            }
            None => (part, None),
        };
        let (from, to) = match span.split_once('-') {
            _ if is_any(span) => (first, last),
            Some((from, to)) => (number(from)?, number(to)?),
            // With a step, a single number is where it begins.
            None => (number(span)?, if step.is_some() { last } else { number(span)? }),
        };
        if from > to {
            return Err(refuse());
        }
        for bit in (from..=to).step_by(step.unwrap_or(1)) {
            set |= 1 << bit;
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(text: &str) -> Cron {
        match text.parse() {
            Ok(Schedule::Cron(cron)) => cron,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn numbers(range: RangeInclusive<u32>, has: impl Fn(u32) -> bool) -> Vec<u32> {
        range.filter(|number| has(*number)).collect()
    }

    #[test]
    fn fields_are_lists_of_numbers_ranges_and_steps() {
        let every_way = cron("0,30-32,*/20,57/2 9-17/4 * jan,Mar-4 *");
        assert_eq!(numbers(0..=59, |minute| every_way.has_minute(minute)), [0, 20, 30, 31, 32, 40, 57, 59]);
        assert_eq!(numbers(0..=23, |hour| every_way.has_hour(hour)), [9, 13, 17]);
        assert_eq!(numbers(1..=12, |month| every_way.has_day(month, 1, 0)), [1, 3, 4]);
    }

    #[test]
    fn a_day_is_one_of_the_month_or_of_the_week() {
        let both = cron("0 0 13 * fri");
        assert!(both.has_day(1, 13, 1) && both.has_day(1, 2, 5) && !both.has_day(1, 2, 1));
        let date = cron("0 0 13 * ?");
        assert!(date.has_day(1, 13, 1) && !date.has_day(1, 2, 5));
        let weekday = cron("0 0 * * 5-7");
        assert_eq!(numbers(0..=6, |day| weekday.has_day(1, 2, day)), [0, 5, 6]);
        assert_eq!(cron("0 0 * * 0"), cron("0 0 * * 7"));
        assert!((0..7).all(|day| cron("0 0 * * *").has_day(1, 2, day)));
    }

    #[test]
    fn names_stand_for_fields() {
        for (name, fields) in [
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"),
            ("@monthly", "0 0 1 * *"),
            ("@weekly", "0 0 * * 0"),
            ("@daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            (" @hourly ", "0 * * * *"),
        ] {
            assert_eq!(cron(name), cron(fields));
        }
    }

    #[test]
    fn intervals() {
        for (text, seconds) in
            [("@every 1s", 1), ("@every 90", 90), ("@every  1h30m5s", 5405), ("@every 366m", 21_960)]
        {
            assert_eq!(text.parse(), Ok(Schedule::Every(Duration::from_secs(seconds))), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, named) in [
            ("", "neither"),
            ("* * * *", "neither"),
            ("* * * * * *", "neither"),
            ("60 * * * *", "minute \"60\""),
            ("* 24 * * *", "hour \"24\""),
            ("* * 0 * *", "day of the month \"0\""),
            ("* * * 13 *", "month \"13\""),
            ("* * * * 8", "weekday \"8\""),
            ("* * * * mun", "weekday \"mun\""),
            ("5-1 * * * *", "minute \"5-1\""),
            ("*/0 * * * *", "minute \"*/0\""),
            ("1,,2 * * * *", "minute \"\""),
            ("+1 * * * *", "minute \"+1\""),
            ("-1 * * * *", "minute \"-1\""),
            ("* * 31 4,6 *", "does not exist"),
            ("* * 30 feb *", "does not exist"),
            ("@reboot", "@reboot"),
            ("@every", "not @yearly"),
            ("@every 0s", "from 1 second"),
            ("@every 367h9999999h", "from 1 second"),
            ("@every 1.5s", "whole seconds"),
            ("@every 500ms", "whole seconds"),
            ("@every -5s", "whole seconds"),
            ("@every 1m30", "whole seconds"),
            ("@every 99999999999999999999s", "whole seconds"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
        assert!("0 0 29 2 *".parse::<Schedule>().is_ok() && "0 0 31 2 1".parse::<Schedule>().is_ok());
    }
}
