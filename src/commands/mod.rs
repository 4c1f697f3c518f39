//! One module a command.

pub mod check;
pub mod gather;
pub mod show;
