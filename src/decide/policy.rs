//! Owns what the owner allows, and the limits that nobody can lift by configuration.
//! Promises: a plain copy of the settings that decisions look at; each limit has a name and a why.
//! Never has a default of its own: `config` has them.

use crate::config::{DatabaseSettings, OnFailure, OnNewer, Repair, SnapshotPolicy};

/// A migration that failed this often is not tried again by itself: the third time proved that it
/// was no accident.
pub const FAILED_MAX: u8 = 3;
/// A power cut is nobody's fault; but a migration that browns the device out would otherwise loop
/// for ever.
pub const INTERRUPTED_MAX: u8 = 5;
/// Fresh databases built by one catalogue in place of an old one: a firmware that needs a third one
/// is broken, not unlucky.
pub const PURGES_MAX: u8 = 2;
/// Starts of the same replacement: begun again twice, because nothing is lost by it, and then left
/// to an operator.
pub const REPLACE_STARTS_MAX: u8 = 3;
/// Plans that one run carries out for one database: a recovery, new indexes, a salvage with a copy
/// to fall back on and without, as many copies as `snapshots_max` can be, a purge, and looks
/// between them.
pub const ROUNDS_MAX: usize = 32;

/// What the owner allows for one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// A migration failed.
    pub on_failure: OnFailure,
    /// The file is damaged: in this order.
    pub on_damage: Vec<Repair>,
    /// The file is newer: in this order.
    pub on_newer: Vec<OnNewer>,
    /// Tables whose rows a purge keeps; `*` for all.
    pub carry_over: Vec<String>,
    /// The snapshot before migrating.
    pub snapshot: SnapshotPolicy,
    /// The name for `--db`, in sentences.
    pub name: String,
}

impl Policy {
    /// The part of the settings that decisions look at.
    pub fn of(settings: &DatabaseSettings) -> Policy {
        Policy {
            on_failure: settings.on_failure,
            on_damage: settings.on_damage.clone(),
            on_newer: settings.on_newer.clone(),
            carry_over: settings.carry_over.clone(),
            snapshot: settings.snapshot,
            name: settings.name.clone(),
        }
    }
}
