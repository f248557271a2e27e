//! When the clock next shows a time that a schedule names.

use chrono::{DateTime, Datelike, Days, TimeDelta, TimeZone, Timelike};
use sandkeep_specs::lifecycle::Cron;

/// The longest wait for a date: the 29th of February around a year that has none where it was due.
const DAYS_AHEAD: u64 = 8 * 366 + 1;

/// The first minute after `now` that matches. A time the clock skips does not come; one it shows twice comes once,
/// unless only the second is still ahead.
pub(super) fn next<Z: TimeZone>(cron: &Cron, now: &DateTime<Z>) -> Option<DateTime<Z>> {
    let zone = now.timezone();
    let first =
        now.naive_local().with_second(0)?.with_nanosecond(0)?.checked_add_signed(TimeDelta::minutes(1))?;
    let ahead = |time: DateTime<Z>| Some(time).filter(|time| time > now);
    let days = (0..DAYS_AHEAD).map_while(|count| first.date().checked_add_days(Days::new(count)));
    let days = days.filter(|day| cron.has_day(day.month(), day.day(), day.weekday().num_days_from_sunday()));
    days.flat_map(|day| {
        let hours = (0..24).filter(|hour| cron.has_hour(*hour));
        let minutes = hours.flat_map(|hour| (0..60).map(move |minute| (hour, minute)));
        minutes
            .filter(|(_, minute)| cron.has_minute(*minute))
            .filter_map(move |(hour, minute)| day.and_hms_opt(hour, minute, 0))
    })
    .filter(|time| *time >= first)
    .find_map(|time| {
        let found = zone.from_local_datetime(&time);
        found.clone().earliest().and_then(ahead).or_else(|| found.latest().and_then(ahead))
    })
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, Utc};
    use sandkeep_specs::lifecycle::Schedule;

    use super::*;

    fn cron(text: &str) -> Cron {
        match text.parse() {
            Ok(Schedule::Cron(cron)) => cron,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn after(text: &str, now: &str) -> Option<String> {
        let now: DateTime<Utc> = now.parse().unwrap();
        next(&cron(text), &now).map(|time| time.format("%F %R").to_string())
    }

    #[test]
    fn the_next_match_is_found_however_far() {
        for (text, now, expected) in [
            ("* * * * *", "2026-11-22T04:35:59.9Z", "2026-11-22 04:36"),
            ("* * * * *", "2026-11-22T04:35:00Z", "2026-11-22 04:36"),
            ("*/15 * * * *", "2026-11-22T04:46:00Z", "2026-11-22 05:00"),
            ("0 4 * * *", "2026-11-22T04:00:00Z", "2026-11-23 04:00"),
            ("59 23 31 12 *", "2026-12-31T23:58:30Z", "2026-12-31 23:59"),
            ("0 0 1 1 *", "2026-12-31T23:59:30Z", "2027-01-01 00:00"),
            ("30 9 * * mon", "2026-11-22T00:00:00Z", "2026-11-23 09:30"),
            ("0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29 00:00"),
        ] {
            assert_eq!(after(text, now).as_deref(), Some(expected), "{text} after {now}");
        }
    }

    /// An hour is skipped on the second of January, and one comes twice on the third.
    #[derive(Debug, Clone, Copy)]
    struct Odd;

    impl Odd {
        const WINTER: i32 = 0;
        const SUMMER: i32 = 3600;

        fn at(day: u32, hour: u32) -> NaiveDateTime {
            NaiveDate::from_ymd_opt(2026, 1, day).unwrap().and_hms_opt(hour, 0, 0).unwrap()
        }
    }

    impl TimeZone for Odd {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Self {
            Self
        }

        fn offset_from_local_date(&self, date: &NaiveDate) -> MappedLocalTime<FixedOffset> {
            self.offset_from_local_datetime(&date.and_hms_opt(0, 0, 0).unwrap())
        }

        fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
            let of = |seconds| FixedOffset::east_opt(seconds).unwrap();
            if *local < Self::at(2, 2) || *local >= Self::at(3, 3) {
                MappedLocalTime::Single(of(Self::WINTER))
            } else if *local < Self::at(2, 3) {
                MappedLocalTime::None
            } else if *local >= Self::at(3, 2) {
                MappedLocalTime::Ambiguous(of(Self::SUMMER), of(Self::WINTER))
            } else {
                MappedLocalTime::Single(of(Self::SUMMER))
            }
        }

        fn offset_from_utc_date(&self, date: &NaiveDate) -> FixedOffset {
            self.offset_from_utc_datetime(&date.and_hms_opt(0, 0, 0).unwrap())
        }

        fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
            let summer = *utc >= Self::at(2, 2) && *utc < Self::at(3, 2);
            FixedOffset::east_opt(if summer { Self::SUMMER } else { Self::WINTER }).unwrap()
        }
    }

    #[test]
    fn skipped_and_repeated_hours() {
        let next_of = |text: &str, utc: NaiveDateTime| {
            let found = next(&cron(text), &Odd.from_utc_datetime(&utc)).unwrap();
            (found.naive_local(), found.offset().fix().local_minus_utc())
        };
        // 02:00 does not come on the second.
        assert_eq!(next_of("0 2 * * *", Odd::at(2, 0)), (Odd::at(3, 2), Odd::SUMMER));
        // On the third it comes once: a day passes before the next.
        assert_eq!(next_of("0 2 4 * *", Odd::at(3, 1)), (Odd::at(4, 2), Odd::WINTER));
        // In the hour's second pass its minutes go on.
        let second_pass = Odd::at(3, 2) + TimeDelta::minutes(10);
        let (time, offset) = next_of("* * * * *", second_pass);
        assert_eq!((time, offset), (second_pass + TimeDelta::minutes(1), Odd::WINTER));
    }
}
