//! Owns what bootmigrate on a device and its build crate have in common, written once.
//! Promises: a version of it fits the same version of those two.
//! Never of use to a product: nothing here is kept from one version to the next.

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
#[cfg(feature = "sqlite")]
pub mod weight;
