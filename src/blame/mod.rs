//! Who brought it in: from a need of the linked file to the function that has
//! it, its crate, and the package of the user that depends on that.

pub mod advice;
pub mod asked;
pub mod code;
pub mod explain;
mod inlined;
pub mod least;
mod libraries;
mod nameless;
pub mod names;
pub mod owners;
pub mod packages;
mod relocatable;
pub mod system;
pub mod uses;
