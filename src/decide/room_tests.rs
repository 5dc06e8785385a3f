//! Owns the golden plans of little room, beside older snapshots that may go.
//! Promises: each number on both sides of its bound; the whole text is compared.
//! Never inspects anything: facts are written down, not found.

use super::*;

#[test]
fn older_snapshots_go_for_what_is_asked() {
    const MIB: u64 = 1 << 20;
    let asking = |available, reclaimable| Facts {
        room: Room { asked: 2 * MIB, total: MIB, reclaimable, ..room(available) },
        ..behind()
    };
    let never = Policy { snapshot: SnapshotPolicy::Never, ..precious() };
    let gone = "migrate 1 to 3: V2 m2, V3 m3, in one transaction, without a snapshot, and older \
                ones go (no room)";
    check(&asking(MIB, MIB), &never, gone);
    check(&asking(MIB, MIB + 1), &never, gone);
    let missing = "refuse: `needs-space` asks for 2097152 bytes beside the database's 1048576, \
                   1048576 are free: 1048576 are missing [As(NoSpace)]";
    check(&asking(MIB, MIB - 1), &never, missing);
    // For a snapshot, where all of it fits then.
    check(&asking(MIB, MIB), &precious(), gone);
}

#[test]
fn a_copy_that_is_migrated() {
    let outside =
        DatabaseState::Behind { version: 3, pending: vec![migration(9)], half_done: None };
    let copied = |available, reclaimable| Facts {
        room: Room { reclaimable, ..room(available) },
        target: 9,
        ..facts(outside.clone())
    };
    let needed = copied(0, 0).room.for_a_copy();
    let never = Policy { snapshot: SnapshotPolicy::Never, ..precious() };
    let plan = "migrate a copy 3 to 9: V9 m9, then put it in place";
    check(&copied(needed, 0), &precious(), plan);
    let plain = format!("{plan}, without a snapshot (snapshot = \"never\")");
    check(&copied(needed, 0), &never, &plain);
    let pruned = format!("{plan}, after a snapshot for which older ones go");
    check(&copied(needed - 5, 5), &precious(), &pruned);
    let pruned = format!("{plan}, without a snapshot, and older ones go (no room)");
    check(&copied(needed - 5, 5), &never, &pruned);
    let refused = format!("refuse: a copy needs {needed} bytes free and 7 are [As(NoSpace)]");
    check(&copied(7, needed - 8), &precious(), &refused);
    check(&copied(7, needed - 8), &never, &refused);
}

#[test]
fn an_empty_file_needs_no_snapshot() {
    let made = |version, size| Facts {
        room: Room { size, ..room(1 << 30) },
        ..facts(DatabaseState::Behind { version, pending: vec![migration(3)], half_done: None })
    };
    let plan =
        |from: i64, words: &str| format!("migrate {from} to 3: V3 m3, in one transaction, {words}");
    check(&made(0, 0), &precious(), &plan(0, "without a snapshot (nothing in it)"));
    check(&made(0, 4096), &precious(), &plan(0, "after a snapshot"));
    check(&made(2, 0), &precious(), &plan(2, "after a snapshot"));
}
