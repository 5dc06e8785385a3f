//! Owns the refusals for want of space, and the sentence of what can be removed.
//! Promises: numbers are bytes; what bootmigrate itself keeps is named with its size and the
//! command that removes it.
//! Never removes anything: an operator does.

use crate::decide::facts::{Facts, OwnCopies, Room};
use crate::decide::plan::{refuse, Plan};
use crate::decide::policy::Policy;
use crate::error::Class;

/// What comes after there is room, but for a command that names itself.
pub const RUN_AGAIN: &str = "run again";
/// Of quarantine and snapshots together this many are named.
const NAMED_MAX: usize = 3;

/// What an operator can do, until this many bytes are free where that is known, and then.
pub fn free_space(kept: &[OwnCopies], needed: Option<u64>, then: &str) -> String {
    let until = needed.map_or_else(String::new, |bytes| format!(" until {bytes} bytes are free"));
    let mut words = format!("free space{until}, then {then}");
    for (place, one) in kept.iter().take(NAMED_MAX).enumerate() {
        words.push_str(if place == 0 { "; bootmigrate itself keeps " } else { ", " });
        let what = if one.quarantined { "a replaced database" } else { "a snapshot" };
        words.push_str(&format!(
            "{what} of {} bytes in {} (remove it with `{}`)",
            one.bytes,
            short(&one.path),
            one.remove
        ));
    }
    words
}

/// The last two names of a path.
fn short(path: &str) -> &str {
    let mut slashes = path.rmatch_indices('/').map(|(at, _)| at + 1);
    slashes.nth(1).and_then(|at| path.get(at..)).unwrap_or(path)
}

/// An earlier run was short of bytes, and nothing has changed since: one look tells.
pub fn still_missing(facts: &Facts) -> Option<String> {
    let Room { needed, available, .. } = facts.room;
    let needed = needed.filter(|needed| available < *needed)?;
    Some(format!("{needed} bytes must be free and {available} are"))
}

/// [`still_missing`], as a refusal that begins with these words.
pub fn refuse_until_free(facts: &Facts, policy: &Policy, before: &str) -> Option<Plan> {
    let what = format!("{before}{}", still_missing(facts)?);
    let next = format!(
        "{}; `bootmigrate run --retry --db {}` tries at once",
        free_space(&facts.kept, None, RUN_AGAIN),
        policy.name
    );
    Some(refuse(Class::NoSpace, &what, next))
}

/// A copy does not fit.
pub fn no_room(facts: &Facts) -> Plan {
    let what = format!(
        "a copy needs {} bytes free and {} are",
        facts.room.for_a_copy(),
        facts.room.available
    );
    refuse(Class::NoSpace, &what, free_space(&facts.kept, None, RUN_AGAIN))
}

/// `needs-space` of a migration asks for more than is free.
pub fn less_than_asked(facts: &Facts) -> Plan {
    let Room { asked, available, size, .. } = facts.room;
    let what = format!(
        "`needs-space` asks for {asked} bytes beside the database's {size}, {available} are free: \
         {} are missing",
        asked.saturating_sub(available)
    );
    refuse(Class::NoSpace, &what, free_space(&facts.kept, None, RUN_AGAIN))
}
