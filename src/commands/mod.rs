//! One module a command.

pub mod baseline;
mod bind;
mod causes;
pub mod check;
mod complete;
pub mod diff;
pub mod explain;
pub mod gather;
pub mod init;
pub mod make_root;
pub mod merge;
pub mod platforms;
pub mod runs_on;
pub mod show;
pub mod since;
pub mod test;
#[cfg(target_os = "linux")]
mod trials;
pub mod why;
