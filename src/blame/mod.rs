//! Who brought it in: from a need of the linked file to the function that has
//! it, its crate, and the package of the user that depends on that.

pub mod code;
