//! Running programs as another machine would: by QEMU's user mode where it is
//! another architecture, and in a root that holds nothing of this machine.
//!
//! `session` settles what is needed for one target triple; `runner` runs one
//! program; `sandbox` and `mounts` are the processes that make the root around
//! it, `kept` the one around a program without a root; `outcome` says what its end means; `crosscheck` holds that against the
//! static loader's verdict.

pub mod outcome;
pub mod plan;
pub mod trial;

#[cfg(target_os = "linux")]
mod agree;
#[cfg(target_os = "linux")]
mod channel;
#[cfg(target_os = "linux")]
pub mod crosscheck;
#[cfg(target_os = "linux")]
pub mod fault;
#[cfg(target_os = "linux")]
mod kept;
#[cfg(target_os = "linux")]
pub mod make_root;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
pub mod qemu;
#[cfg(target_os = "linux")]
pub mod root;
#[cfg(target_os = "linux")]
pub mod runner;
#[cfg(target_os = "linux")]
pub mod sandbox;
#[cfg(target_os = "linux")]
pub mod session;

#[cfg(target_os = "linux")]
pub use self::channel::{Door, Line};
pub use self::plan::Way;
pub use self::trial::{Surroundings, Trial};
