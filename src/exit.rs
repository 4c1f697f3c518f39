//! Exit codes. More than one can be due; the report states all that happened,
//! and the code is the first of 2, 1, 101, 0.

/// Everything was judged and kept.
pub const KEPT: u8 = 0;
/// The policy is broken at deny level.
pub const BROKEN: u8 = 1;
/// Wrong usage, a wrong policy, or none.
pub const USAGE: u8 = 2;
/// Something was not judged, or could not be decided. Cargo's own code for
/// "failed".
pub const NOT_JUDGED: u8 = 101;

/// What happened, as far as the exit code goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Happened {
    pub usage: bool,
    pub broken: bool,
    pub not_judged: bool,
}

impl Happened {
    pub fn code(self) -> u8 {
        match self {
            Self { usage: true, .. } => USAGE,
            Self { broken: true, .. } => BROKEN,
            Self { not_judged: true, .. } => NOT_JUDGED,
            Self { .. } => KEPT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row() {
        let rows = [
            ((false, false, false), KEPT),
            ((false, false, true), NOT_JUDGED),
            ((false, true, false), BROKEN),
            ((false, true, true), BROKEN),
            ((true, false, false), USAGE),
            ((true, false, true), USAGE),
            ((true, true, false), USAGE),
            ((true, true, true), USAGE),
        ];
        for ((usage, broken, not_judged), code) in rows {
            assert_eq!(Happened { usage, broken, not_judged }.code(), code);
        }
    }
}
