//! What bootmigrate on a device and its build crate have in common, written once. No crate for a product: it has no promise of its own, and
//! a version of it fits the same version of the other two alone.

pub mod catalog;
#[cfg(feature = "sqlite")]
pub mod compile;
pub mod config;
pub mod lex;
pub mod packed_format;
pub mod pragma;
#[cfg(feature = "sqlite")]
pub mod references;
#[cfg(feature = "sqlite")]
pub mod refusal;
pub mod reserved;
#[cfg(feature = "sqlite")]
pub mod schema;
pub mod sqlite_min;
#[cfg(feature = "sums")]
pub mod sums;
