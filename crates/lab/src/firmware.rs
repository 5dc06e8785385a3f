//! Owns what a firmware image of a scenario brings, and where its databases lie.
//! Promises: constant while a scenario runs.
//! Never boots.

use bootmigrate::catalog::Catalog;
use bootmigrate::config::{DatabaseSettings, Slots};

/// The database of every scenario.
pub const MAIN: &str = "/data/product/settings.db";
/// Its state folder.
pub const STATE: &str = "/data/product/.bootmigrate/settings.db";

/// The database that goes together with it, where a scenario has one.
pub const OTHER: &str = "/data/product/log.db";
/// Its state folder.
pub const OTHER_STATE: &str = "/data/product/.bootmigrate/log.db";

/// A database that goes together with the scenario's own.
#[derive(Clone, Copy)]
pub struct Companion {
    /// Its policy.
    pub settings: &'static DatabaseSettings,
    /// Its migrations.
    pub catalog: &'static Catalog,
    /// It comes first in the configuration, and commits last.
    pub first: bool,
}

/// What a firmware image brings.
#[derive(Clone, Copy)]
pub struct Firmware {
    /// Its policy.
    pub settings: &'static DatabaseSettings,
    /// Its migrations.
    pub catalog: &'static Catalog,
    /// How many slots share the data.
    pub slots: Slots,
    /// Its `bootmigrate.toml`.
    pub text: &'static str,
    /// What goes together with it.
    pub companion: Option<Companion>,
}
