//! One module a command.

pub mod check;
pub mod explain;
pub mod gather;
pub mod init;
pub mod show;
