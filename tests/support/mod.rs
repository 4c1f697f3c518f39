//! What `cases.rs` is made of. The other tests name what they use of it.

pub mod case;
pub mod elf;
pub mod hex;
pub mod needs;
pub mod transcript;
pub mod world;
