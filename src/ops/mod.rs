//! Owns the ops of the protocol, one a file.
//! Promises: each takes the device and proof of what must already be true, and returns proof or a
//! failure.
//! Never decides: no policy is read here but limits.

pub mod apply;
pub mod at_home;
pub mod backup;
pub mod before;
pub mod by_hand;
pub mod carry_over;
pub mod data;
pub mod downgrade;
pub mod examine;
pub mod export;
pub mod history_rows;
pub mod index_rows;
pub mod inspect;
pub mod lock;
pub mod lost;
pub mod migrate;
pub mod probe;
pub mod prune;
pub mod quarantine;
pub mod recover;
pub mod rehearse;
pub mod replace;
pub mod room;
pub mod rows_aside;
pub mod run;
pub mod salvage;
pub mod scratch;
pub mod scrub;

pub mod group;
pub mod snapshot;
pub mod stage;
pub mod state_folder;
pub mod store;
pub mod swap;
pub mod sweep;
pub mod trust;
pub mod verify;
pub mod virtual_tables;
pub mod wal;
pub mod wipe;
