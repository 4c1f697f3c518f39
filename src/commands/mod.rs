//! One module a command.

pub mod check;
pub mod show;
