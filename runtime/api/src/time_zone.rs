//! Time zones by their names (<https://www.iana.org/time-zones>).

use jiff::tz::TimeZone;

/// The zone of this name, as the IANA writes it; `""` is UTC.
pub(crate) fn named(name: &str) -> Option<TimeZone> {
    if matches!(name, "" | "UTC") {
        return Some(TimeZone::UTC);
    }
    // Upstream tells names by their case, too.
    TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name))
}
