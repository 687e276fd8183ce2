//! Times in five fields (minute, hour, day of the month, month, day of the week; UTC), as `crontab(5)` has them.

use std::ops::RangeInclusive;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::{Date, DateTime};
use k8s_openapi::jiff::tz::Offset;

/// Longer than from any 29 February to the next.
const DAYS: usize = 366 * 9;

/// A set of minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: Vec<i8>,
    hours: Vec<i8>,
    days: Vec<i8>,
    months: Vec<i8>,
    weekdays: Vec<i8>,
    /// Whether both kinds of days are told; then either is enough.
    either: bool,
}

impl Cron {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("{text:?} has {} fields; expected five, as \"*/5 * * * *\"", fields.len()));
        };
        // Both 0 and 7 are Sunday.
        let weekdays = values(weekday, 0..=7)?.into_iter().map(|day| day % 7).collect();
        Ok(Self {
            minutes: values(minute, 0..=59)?,
            hours: values(hour, 0..=23)?,
            days: values(day, 1..=31)?,
            months: values(month, 1..=12)?,
            weekdays,
            either: day != "*" && weekday != "*",
        })
    }

    /// The first time after `time`; `None` when there is none.
    pub(crate) fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let start = Offset::UTC.to_datetime(time);
        let days = std::iter::successors(Some(start.date()), |day| day.tomorrow().ok()).take(DAYS);
        let mut times = days.filter(|day| self.has(*day)).flat_map(|day| self.on(day));
        let found = times.find(|at| *at > start)?;
        Offset::UTC.to_timestamp(found).ok()
    }

    /// The last time up to `now` that is after `since`.
    pub(crate) fn due(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let start = Offset::UTC.to_datetime(now);
        let days = std::iter::successors(Some(start.date()), |day| day.yesterday().ok()).take(DAYS);
        let floor = Offset::UTC.to_datetime(since);
        let days = days.take_while(|day| *day >= floor.date());
        let mut times =
            days.filter(|day| self.has(*day)).flat_map(|day| self.on(day).collect::<Vec<_>>().into_iter().rev());
        let found = times.find(|at| *at <= start).filter(|at| *at > floor)?;
        Offset::UTC.to_timestamp(found).ok()
    }

    fn has(&self, day: Date) -> bool {
        let in_month = self.days.contains(&day.day());
        let in_week = self.weekdays.contains(&day.weekday().to_sunday_zero_offset());
        let is_day = if self.either { in_month || in_week } else { in_month && in_week };
        is_day && self.months.contains(&day.month())
    }

    fn on(&self, day: Date) -> impl Iterator<Item = DateTime> + '_ {
        let at = move |hour: i8| self.minutes.iter().map(move |minute| day.at(hour, *minute, 0, 0));
        self.hours.iter().flat_map(move |hour| at(*hour))
    }
}

/// The values of one field, in order.
fn values(field: &str, range: RangeInclusive<i8>) -> Result<Vec<i8>, String> {
    let wrong =
        || format!("{field:?} is none of a number from {} to {}, *, a-b, */n or a list", range.start(), range.end());
    let mut all = Vec::new();
    for part in field.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, step.parse::<usize>().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (part, 1),
        };
        let number = |text: &str| text.parse::<i8>().ok().filter(|number| range.contains(number)).ok_or_else(wrong);
        let (first, last) = match span.split_once('-') {
            _ if span == "*" => (*range.start(), *range.end()),
            Some((first, last)) => (number(first)?, number(last)?),
            None if step > 1 => (number(span)?, *range.end()),
            None => (number(span)?, number(span)?),
        };
        if first > last {
            return Err(wrong());
        }
        all.extend((first..=last).step_by(step));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// What is left until a time.
pub(crate) fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::ToSpan;

    use super::*;

    #[test]
    fn the_next_time_and_the_last() {
        for (cron, from, next) in [
            ("*/15 * * * *", "2026-01-01T00:07:30Z", "2026-01-01T00:15:00Z"),
            ("0 0 * * *", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("30 4 1,15 * *", "2026-01-02T00:00:00Z", "2026-01-15T04:30:00Z"),
            ("0 12 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T12:00:00Z"),
            ("0 9-17/4 * * 1-5", "2026-01-02T17:00:00Z", "2026-01-05T09:00:00Z"),
            ("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("5 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:05:00Z"),
        ] {
            let (times, from, next): (_, Timestamp, Timestamp) =
                (Cron::parse(cron).unwrap(), from.parse().unwrap(), next.parse().unwrap());
            assert_eq!(times.after(from), Some(next), "{cron}");
            assert_eq!(times.due(from, next), Some(next), "{cron}");
            assert_eq!(times.due(from, next - 1.second()), None, "{cron}");
        }
        assert_eq!(Cron::parse("0 0 30 2 *").unwrap().after(Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn what_is_no_time_is_told() {
        for (cron, why) in [
            ("* * * *", "\"* * * *\" has 4 fields; expected five, as \"*/5 * * * *\""),
            ("60 * * * *", "\"60\" is none of a number from 0 to 59, *, a-b, */n or a list"),
            ("* 5-3 * * *", "\"5-3\" is none of a number from 0 to 23, *, a-b, */n or a list"),
            ("* * * */0 *", "\"*/0\" is none of a number from 1 to 12, *, a-b, */n or a list"),
        ] {
            assert_eq!(Cron::parse(cron).unwrap_err(), why);
        }
    }
}
