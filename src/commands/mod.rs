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
pub mod merge;
pub mod platforms;
pub mod runs_on;
pub mod show;
pub mod why;
