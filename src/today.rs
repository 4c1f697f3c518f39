//! The date.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Today, in the user's time zone.
pub fn today() -> Date {
    match system_zone() {
        Some(zone) => Timestamp::now().to_zoned(zone).date(),
        None => Zoned::now().date(),
    }
}

/// The zone that the machine is set to (`man 5 localtime`), where `TZ` names no
/// other one. jiff would look for its name first, in a list of all zones: more
/// work than all the rest of a small check.
fn system_zone() -> Option<TimeZone> {
    if !cfg!(target_os = "linux") || std::env::var_os("TZ").is_some() {
        return None;
    }
    TimeZone::tzif("Local", &std::fs::read("/etc/localtime").ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_the_one_that_jiff_finds() {
        let Some(zone) = system_zone() else { return };
        for second in (0..2_000_000_000).step_by(10_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            let expected = at.to_zoned(TimeZone::system()).datetime();
            assert_eq!(at.to_zoned(zone.clone()).datetime(), expected, "{at}");
        }
    }
}
