//! Owns how many files this process may have open: each database of a run keeps its lock and its
//! record until the report is out.
//! Promises: nothing is raised above what the system allows, and a program that follows gets the
//! limit that was meant for it.
//! Never called in a process of the product's own: there the limit is the product's.

pub use rustix::process::Rlimit;
use rustix::process::{getrlimit, setrlimit, Resource};

/// Descriptors of one database while others are worked on, and those of the process.
const OF_A_DATABASE: u64 = 3;
const OF_THE_PROCESS: u64 = 64;

/// Raises the soft limit for this many databases, where it is too low; what it was before, where it
/// was raised.
pub fn raise_for(databases: usize) -> Option<Rlimit> {
    let before = getrlimit(Resource::Nofile);
    let needed = u64::try_from(databases)
        .unwrap_or(u64::MAX)
        .saturating_mul(OF_A_DATABASE)
        .saturating_add(OF_THE_PROCESS);
    let enough = before.current.is_none_or(|current| current >= needed);
    let most = before.maximum.map_or(needed, |maximum| maximum.min(needed));
    if enough || setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..before }).is_err() {
        return None;
    }
    Some(before)
}

/// The limit is again what it was.
pub fn give_back(before: Rlimit) {
    if let Err(error) = setrlimit(Resource::Nofile, before) {
        log::warn!("The limit of open files stays as it is: {error}.");
    }
}
