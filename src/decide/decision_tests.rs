//! Owns the golden plans: an environment in one line, and the words that an operator reads before it is done.
//! Promises: each row of the table is one reason of `decide` or of the fallbacks; the whole text is compared.
//! Never inspects anything: facts are written down, not found.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::config::{OnFailure, OnNewer, Repair};
use crate::decide::facts::{Attempt, OwnCopies, Room, WayBack};
use crate::decide::fallback::{after_failure, NextPlan, Stop};
use crate::decide::record::{Counts, LastFailure};

fn migration(version: i64) -> PendingMigration {
    PendingMigration { version, name: format!("m{version}"), no_transaction: version == 9 }
}

fn copy(version: i64, operation: u64) -> Snapshot {
    Snapshot { version, operation, ..Snapshot::default() }
}

/// A healthy precious database on a roomy disk.
fn facts(database: DatabaseState) -> Facts {
    Facts {
        database,
        target: 3,
        catalog: (1..=3).map(migration).collect(),
        request: Request::Boot,
        tries: Counts { fingerprint: [1; 16], failed: 0, interrupted: 0, purges: 0 },
        open_operation: OpenOperation::None,
        snapshots: Vec::new(),
        good_operation: 0,
        room: Room {
            available: 1 << 30,
            total: 1 << 32,
            size: 1 << 20,
            reclaimable: 0,
            asked: 0,
            needed: None,
        },
        kept: Vec::new(),
        writable: true,
        read_only: "the file system is read-only".into(),
        own_mount: false,
        loose_rows: false,
        loss: None,
        last_failure: None,
        tried: Vec::new(),
    }
}

fn precious() -> Policy {
    Policy {
        on_failure: OnFailure::Restore,
        on_damage: vec![Repair::Reindex, Repair::Salvage, Repair::Snapshot],
        on_newer: vec![OnNewer::Compatible, OnNewer::Downgrade],
        changed_text: ChangedText::Refuse,
        carry_over: vec!["*".into()],
        copy: CopyPolicy::Auto,
        name: "settings".into(),
    }
}

fn rebuildable() -> Policy {
    Policy {
        on_failure: OnFailure::Purge,
        on_damage: vec![Repair::Purge],
        on_newer: vec![OnNewer::Compatible, OnNewer::Purge],
        carry_over: Vec::new(),
        copy: CopyPolicy::Never,
        ..precious()
    }
}

fn behind() -> Facts {
    facts(DatabaseState::Behind {
        version: 1,
        pending: vec![migration(2), migration(3)],
        half_done: None,
    })
}

fn damaged() -> Facts {
    facts(DatabaseState::Damaged {
        what: "page 7 is torn".into(),
        tables_whole: false,
        version: None,
    })
}

fn room(available: u64) -> Room {
    Room { available, ..behind().room }
}

#[track_caller]
fn check(facts: &Facts, policy: &Policy, expected: &str) {
    let plan = decide(facts, policy);
    let exit = match &plan {
        Plan::Refuse(refusal) => format!(" [{:?}]", refusal.class),
        _ => String::new(),
    };
    assert_eq!(format!("{plan}{exit}"), expected);
    assert_eq!(decide(facts, policy), plan, "the same facts give the same plan");
}

#[test]
fn a_healthy_database() {
    check(
        &facts(DatabaseState::Current { version: 3, recover: false }),
        &precious(),
        "nothing to do: at version 3",
    );
    check(
        &facts(DatabaseState::Absent),
        &precious(),
        "first boot: build version 3 beside, then put it in place",
    );
    check(
        &behind(),
        &precious(),
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot",
    );
    check(
        &behind(),
        &rebuildable(),
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, without a snapshot (copy = \"never\")",
    );
    let outside = facts(DatabaseState::Behind {
        version: 1,
        pending: vec![migration(2), migration(9)],
        half_done: None,
    });
    check(&outside, &precious(), "migrate a copy 1 to 9: V2 m2, V9 m9, then put it in place");
}

#[test]
fn what_a_power_cut_or_another_tool_left() {
    let needs_recovery =
        "recover, then look again: a hot journal was left by a power cut; unknown until recovered";
    check(&facts(DatabaseState::NeedsRecovery), &precious(), needs_recovery);
    let full = "recover, then look again: a WAL was left and the disk is nearly full; unknown until recovered";
    check(&facts(DatabaseState::Current { version: 3, recover: true }), &precious(), full);
    let half = facts(DatabaseState::Behind {
        version: 1,
        pending: vec![migration(2), migration(3)],
        half_done: Some(2),
    });
    let words = "record V2, whose schema is there already; migrate 1 to 3: V3 m3, in one transaction, after a snapshot";
    check(&half, &precious(), words);
}

#[test]
fn code_that_this_binary_does_not_have() {
    let without = facts(DatabaseState::WithoutCode {
        version: 1,
        what: "V2__x.sql asks for Rust code".into(),
    });
    check(&without, &precious(), "refuse: V2__x.sql asks for Rust code [As(Catalogue)]");
    check(&without, &rebuildable(), "refuse: V2__x.sql asks for Rust code [As(Catalogue)]");
}

#[test]
fn room_that_a_migration_asks_for() {
    const MIB: u64 = 1 << 20;
    let asking = |available| Facts {
        room: Room { asked: 2 * MIB, total: MIB, ..room(available) },
        ..behind()
    };
    check(
        &asking(3 * MIB),
        &precious(),
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot",
    );
    let without = "migrate 1 to 3: V2 m2, V3 m3, in one transaction, without a snapshot (no room)";
    check(&asking(3 * MIB - 1), &precious(), without);
    check(&asking(2 * MIB), &precious(), without);
    let missing =
        "refuse: `needs-space` asks for 2097152 bytes beside the database's 1048576, 2097151 are free: 1 are missing [As(NoSpace)]";
    check(&asking(2 * MIB - 1), &precious(), missing);
    // Our own old snapshots go first.
    let mut pruned = asking(MIB);
    pruned.room.reclaimable = 2 * MIB;
    check(&pruned, &precious(), "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot for which older ones go");
}

#[test]
fn little_room() {
    let tight = |available| Facts { room: room(available), ..behind() };
    // 1 MiB and 5 % of 4 GiB.
    let needed = (1 << 20) + (1u64 << 32) / 100 * 5;
    assert_eq!(tight(0).room.for_a_copy(), needed);
    let take = "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot";
    check(&tight(needed), &precious(), take);
    check(
        &tight(needed - 1),
        &precious(),
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, without a snapshot (no room)",
    );
    let always = Policy { copy: CopyPolicy::Always, ..precious() };
    let refused = "refuse: a copy needs 215796936 bytes free and 5 are [As(NoSpace)]";
    check(&tight(5), &always, refused);
    let pruned = Facts { room: Room { reclaimable: 1, ..room(needed - 1) }, ..behind() };
    check(&pruned, &always, "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot for which older ones go");
    let met_before = Facts { room: Room { needed: Some(100), ..room(99) }, ..behind() };
    check(&met_before, &precious(), "refuse: 100 bytes must be free and 99 are [As(NoSpace)]");
    let Plan::Refuse(refusal) = decide(&met_before, &precious()) else { panic!() };
    assert_eq!(
        refusal.next,
        "free space, then run again; `bootmigrate run --retry --db settings` tries at once"
    );
    // What is ours and may go is named with its size and the command, three at most.
    let kept = |path: &str, quarantined| OwnCopies {
        path: format!("/d/.bootmigrate/a.db/{path}"),
        bytes: 4096,
        quarantined,
        remove: format!("remove {path}"),
    };
    let kept = vec![
        kept("quarantine/2", true),
        kept("snapshots/v1-1.db", false),
        kept("quarantine/5", true),
        kept("quarantine/6", true),
    ];
    let Plan::Refuse(refusal) = decide(&Facts { kept, room: room(5), ..behind() }, &always) else {
        panic!()
    };
    let named = "free space, then run again; bootmigrate itself keeps a replaced database of 4096 bytes in quarantine/2 (remove it with \
                 `remove quarantine/2`), a snapshot of 4096 bytes in snapshots/v1-1.db (remove it with \
                 `remove snapshots/v1-1.db`), a replaced database of 4096 bytes in quarantine/5 (remove it with \
                 `remove quarantine/5`)";
    assert_eq!(refusal.next, named);
}

#[test]
fn tries_end_and_a_person_can_begin_again() {
    let tried = |failed, interrupted| Facts {
        tries: Counts { failed, interrupted, ..behind().tries },
        ..behind()
    };
    let go = "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot";
    check(&tried(2, 4), &precious(), go);
    check(
        &tried(3, 0),
        &precious(),
        "refuse: this firmware's migrations failed 3 times [TriesUsedUp]",
    );
    check(
        &tried(0, 5),
        &precious(),
        "refuse: this firmware's migrations were interrupted 5 times [TriesUsedUp]",
    );
    for request in [Request::Retry, Request::PurgeAndRetry] {
        check(&Facts { request, ..tried(3, 5) }, &precious(), go);
    }
}

#[test]
fn damage_is_repaired_in_the_owners_order() {
    check(&damaged(), &precious(), "refuse: page 7 is torn [As(Damaged)]");
    let fresh = "replace by a fresh database, the old files go to quarantine: page 7 is torn";
    check(&damaged(), &rebuildable(), fresh);
    check(&Facts { request: Request::PurgeAndRetry, ..damaged() }, &precious(), fresh);
    check(
        &Facts { request: Request::Retry, ..damaged() },
        &precious(),
        "refuse: page 7 is torn [As(Damaged)]",
    );
    let copies = vec![copy(2, 8), copy(1, 4)];
    let newest = "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: page 7 is torn";
    let with_copies = Facts { snapshots: copies, ..damaged() };
    check(&with_copies, &precious(), newest);
    let older = "replace by the snapshot v1-4 migrated forward, the old files go to quarantine: page 7 is torn";
    check(&Facts { tried: vec![Attempt::Snapshot(8)], ..with_copies }, &precious(), older);
    let index = facts(DatabaseState::Damaged {
        what: "an index is torn".into(),
        tables_whole: true,
        version: None,
    });
    check(
        &index,
        &precious(),
        "rebuild the indexes on a copy, then put it in place: an index is torn",
    );
    check(
        &Facts { tried: vec![Attempt::Reindex], ..index.clone() },
        &precious(),
        "refuse: an index is torn [As(Damaged)]",
    );
    // In vain that often: a boot that would copy the file once more learns nothing.
    let in_vain = Facts { tries: Counts { failed: 3, ..index.tries.clone() }, ..index };
    check(&in_vain, &precious(), "refuse: an index is torn [As(Damaged)]");
}

#[test]
fn a_copy_that_gives_up_fewer_rows_is_the_better_repair() {
    let rows = |holds, lacks| Snapshot { holds, lacks, ..copy(2, 8) };
    let index = facts(DatabaseState::Damaged {
        what: "20 rows are in an index alone".into(),
        tables_whole: true,
        version: Some(2),
    });
    let with = |snapshots: Vec<Snapshot>| Facts { snapshots, ..index.clone() };
    let restored = "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: 20 rows are in an index alone";
    let reindexed =
        "rebuild the indexes on a copy, then put it in place: 20 rows are in an index alone";
    check(&with(vec![copy(3, 9), rows(20, 0)]), &precious(), restored);
    check(&with(vec![rows(20, 19)]), &precious(), restored);
    check(&with(vec![rows(20, 20)]), &precious(), reindexed);
    check(&with(vec![rows(0, 0)]), &precious(), reindexed);
    check(
        &Facts { tried: vec![Attempt::Snapshot(8)], ..with(vec![rows(20, 0)]) },
        &precious(),
        reindexed,
    );
    check(
        &with(vec![rows(20, 0)]),
        &Policy { on_damage: vec![Repair::Reindex, Repair::Purge], ..precious() },
        reindexed,
    );
    let torn = |snapshots| Facts { snapshots, ..readable() };
    check(
        &torn(vec![rows(20, 3)]),
        &precious(),
        "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: page 7 is torn",
    );
}

/// Damaged, with a history that says version 2.
fn readable() -> Facts {
    facts(DatabaseState::Damaged {
        what: "page 7 is torn".into(),
        tables_whole: false,
        version: Some(2),
    })
}

#[test]
fn rows_of_a_version_that_nothing_tells_go_aside() {
    let unknown = || {
        facts(DatabaseState::Damaged {
            what: "page 1 is torn".into(),
            tables_whole: false,
            version: None,
        })
    };
    let purge = Policy { on_damage: vec![Repair::Salvage, Repair::Purge], ..precious() };
    check(
        &unknown(),
        &purge,
        "replace by a fresh database, the old files go to quarantine: page 1 is torn",
    );
    let aside = "replace by a fresh database with the rows of every table put aside in it, the old files go to quarantine: page 1 is torn";
    check(&Facts { loose_rows: true, ..unknown() }, &purge, aside);
    check(
        &Facts { loose_rows: true, ..unknown() },
        &precious(),
        "refuse: page 1 is torn [As(Damaged)]",
    );
}

#[test]
fn what_can_be_read_of_a_damaged_file_is_saved() {
    let salvage = "rebuild version 2 with what can be read of the old one, then put it in place: page 7 is torn";
    check(&readable(), &precious(), salvage);
    let with_copy = Facts { snapshots: vec![copy(2, 8)], ..readable() };
    check(&with_copy, &precious(), salvage);
    // A table without a row is too little where a copy has them, and only there.
    let each =
        |facts: &Facts| matches!(decide(facts, &precious()), Plan::Salvage { each: true, .. });
    assert!(each(&with_copy) && !each(&readable()));
    assert!(!each(&Facts { tried: vec![Attempt::Snapshot(8)], ..with_copy.clone() }));
    let newest = "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: page 7 is torn";
    check(&Facts { tried: vec![Attempt::Salvage], ..with_copy.clone() }, &precious(), newest);
    check(
        &Facts { tried: vec![Attempt::Salvage], ..readable() },
        &precious(),
        "refuse: page 7 is torn [As(Damaged)]",
    );
    let unwanted = Policy { on_damage: vec![Repair::Snapshot], ..precious() };
    check(&with_copy, &unwanted, newest);
    let cut = |starts| OpenOperation::Interrupted {
        kind: OperationKind::Salvage,
        ours: true,
        starts,
        reason: "page 7 is torn".into(),
    };
    check(&Facts { open_operation: cut(2), ..readable() }, &precious(), salvage);
    let left = "refuse: replacing it was interrupted 3 times (page 7 is torn) [TriesUsedUp]";
    check(&Facts { open_operation: cut(3), ..readable() }, &precious(), left);
    let in_vain = Facts { tries: Counts { failed: 3, ..readable().tries }, ..readable() };
    check(&in_vain, &precious(), "refuse: page 7 is torn [As(Damaged)]");
}

#[test]
fn a_purge_keeps_the_rows_that_the_owner_names() {
    let keeps = |tables: &[&str]| Policy {
        carry_over: tables.iter().map(|table| (*table).to_owned()).collect(),
        ..rebuildable()
    };
    let two = "replace by a fresh database with the rows of a, b, the old files go to quarantine: page 7 is torn";
    check(&readable(), &keeps(&["a", "b"]), two);
    let all = "replace by a fresh database with the rows of every table, the old files go to quarantine: page 7 is torn";
    check(&readable(), &keeps(&["*"]), all);
    // Rows of a version that nobody knows fit nowhere.
    let none = "replace by a fresh database, the old files go to quarantine: page 7 is torn";
    check(&damaged(), &keeps(&["*"]), none);
    let cut = OpenOperation::Interrupted {
        kind: OperationKind::ReplaceCarried,
        ours: true,
        starts: 1,
        reason: "its migration failed".into(),
    };
    let again = "replace by a fresh database with the rows of a, the old files go to quarantine: its migration failed";
    check(&Facts { open_operation: cut, ..behind() }, &keeps(&["a"]), again);
    let way_back = WayBack::Missing("no down SQL is stored for V5 m5".into());
    let newer = facts(DatabaseState::Newer { version: 5, compatible_from: None, way_back });
    let aside = "replace by a fresh database with the rows of a put aside in it, the old files go to quarantine: \
                 it is at version 5 and this firmware knows 3";
    check(&newer, &keeps(&["a"]), aside);
    // An operator said that the rows go.
    let named =
        "replace by a fresh database, the old files go to quarantine: `purge` was asked for";
    check(&Facts { request: Request::Purge, ..behind() }, &keeps(&["*"]), named);
}

#[test]
fn data_that_is_gone_is_no_first_boot() {
    let lost =
        |remains| facts(DatabaseState::Lost { what: "the main file is empty".into(), remains });
    // Nothing is left that could be lost once more.
    let fresh =
        "replace by a fresh database, the old files go to quarantine: the main file is empty";
    check(&lost(false), &precious(), fresh);
    // Unless the firmware's migrations fail on it, each time: that would be a write at every boot, for ever.
    let failed = |from, failed| {
        let (class, fingerprint) = ("migration-failed".into(), lost(false).tries.fingerprint);
        let failure = LastFailure {
            from,
            class,
            fingerprint,
            what: "no such table: b".into(),
            ..LastFailure::default()
        };
        Facts {
            last_failure: Some(failure),
            tries: Counts { failed, ..lost(false).tries },
            ..lost(false)
        }
    };
    let ended =
        "refuse: the main file is empty, and a fresh database cannot be built either, the last time with: no such table: b [TriesUsedUp]";
    check(&failed(None, 3), &precious(), ended);
    check(&Facts { request: Request::Retry, ..failed(None, 3) }, &precious(), fresh);
    for (from, tries) in [(None, 2), (Some(4), 3), (Some(4), 9)] {
        check(&failed(from, tries), &precious(), fresh);
    }
    // However often the file was taken away.
    let purged =
        |remains| Facts { tries: Counts { purges: 2, ..lost(remains).tries }, ..lost(remains) };
    check(&purged(false), &precious(), fresh);
    let often = "refuse: the main file is empty, and this firmware has built a fresh database 2 times already [TriesUsedUp]";
    check(&purged(true), &rebuildable(), often);
    // A WAL may hold everything: an operator decides.
    check(&lost(true), &precious(), "refuse: the main file is empty [As(Damaged)]");
}

#[test]
fn newer_firmware_was_here() {
    let way_back = WayBack::Missing("no down SQL is stored for V5 m5".into());
    let newer = |compatible_from| {
        facts(DatabaseState::Newer { version: 5, compatible_from, way_back: way_back.clone() })
    };
    let refused = "refuse: the database is at version 5, this firmware knows 3; no down SQL is stored for V5 m5 [As(Newer)]";
    check(&newer(None), &precious(), refused);
    check(&newer(Some(4)), &precious(), refused);
    check(
        &newer(Some(3)),
        &precious(),
        "use it as it is: at version 5, which firmware of version 3 can use",
    );
    let aside = "replace by a fresh database, the old files go to quarantine: it is at version 5 and this firmware knows 3";
    check(&newer(None), &rebuildable(), aside);
    // A technician's consent is for what failed or is damaged, never for what is newer.
    let asked = Facts { request: Request::PurgeAndRetry, ..newer(None) };
    check(&asked, &precious(), refused);
}

/// Schema 5, with a way back over 5 and 4.
fn newer_with_down() -> Facts {
    let way_back = WayBack::Stored(vec![migration(5), migration(4)]);
    facts(DatabaseState::Newer { version: 5, compatible_from: None, way_back })
}

const BACK: &str =
    "go back from 5 to 3 on a copy, by the down SQL stored for V5 m5, V4 m4, then put it in place";

#[test]
fn newer_firmware_left_the_way_back() {
    check(&newer_with_down(), &precious(), BACK);
    // Nothing is changed that can be used as it is.
    let way_back = WayBack::Stored(vec![migration(5), migration(4)]);
    let usable = facts(DatabaseState::Newer { version: 5, compatible_from: Some(2), way_back });
    check(
        &usable,
        &precious(),
        "use it as it is: at version 5, which firmware of version 3 can use",
    );
    let unwanted = Policy { on_newer: vec![OnNewer::Compatible], ..precious() };
    check(
        &newer_with_down(),
        &unwanted,
        "refuse: the database is at version 5, this firmware knows 3 [As(Newer)]",
    );
    let failed = "refuse: the database is at version 5, this firmware knows 3; its stored down SQL failed [As(Newer)]";
    check(&Facts { tried: vec![Attempt::Downgrade], ..newer_with_down() }, &precious(), failed);
    let worn =
        |failed| Facts { tries: Counts { failed, ..newer_with_down().tries }, ..newer_with_down() };
    check(&worn(2), &precious(), BACK);
    check(&worn(3), &precious(), failed);
    check(&Facts { request: Request::Retry, ..worn(3) }, &precious(), BACK);
}

#[test]
fn what_stands_in_the_way_of_going_back() {
    let read_only = "refuse: it is at version 5 and must go back to 3, and the file system is read-only [As(Storage)]";
    check(&Facts { writable: false, ..newer_with_down() }, &precious(), read_only);
    let full = "refuse: a copy needs 215796936 bytes free and 5 are [As(NoSpace)]";
    check(&Facts { room: room(5), ..newer_with_down() }, &precious(), full);
    let met = Facts { room: Room { needed: Some(100), ..room(99) }, ..newer_with_down() };
    check(&met, &precious(), "refuse: it is at version 5 and must go back to 3; for that 100 bytes must be free and 99 are [As(NoSpace)]");
    let mounted = "refuse: the database is at version 5, this firmware knows 3; \
                   going back needs a copy that is swapped in, and the database file is a mount of its own [As(Newer)]";
    check(&Facts { own_mount: true, ..newer_with_down() }, &precious(), mounted);
    let cut = |starts| OpenOperation::Interrupted {
        kind: OperationKind::Downgrade,
        ours: true,
        starts,
        reason: "the slots flipped".into(),
    };
    check(&Facts { open_operation: cut(2), ..newer_with_down() }, &precious(), BACK);
    let left = "refuse: replacing it was interrupted 3 times (the slots flipped) [TriesUsedUp]";
    check(&Facts { open_operation: cut(3), ..newer_with_down() }, &precious(), left);
}

#[test]
fn a_slot_on_trial_may_have_its_own_snapshot_again() {
    let on_trial = Policy {
        on_newer: vec![OnNewer::Compatible, OnNewer::Downgrade, OnNewer::TrialSnapshot],
        ..precious()
    };
    let snapshots = vec![copy(4, 9), copy(3, 8), copy(3, 2)];
    let with_copies = Facts { snapshots, ..newer_with_down() };
    check(&with_copies, &on_trial, BACK);
    let no_way_back = Facts { tried: vec![Attempt::Downgrade], ..with_copies };
    let own = "replace by the snapshot v3-8 migrated forward, the old files go to quarantine: \
               it is at version 5 and this firmware knows 3";
    check(&no_way_back, &on_trial, own);
    let refused = "refuse: the database is at version 5, this firmware knows 3; its stored down SQL failed [As(Newer)]";
    check(&no_way_back, &precious(), refused);
    // `mark-good` said that nobody comes back.
    check(&Facts { good_operation: 8, ..no_way_back }, &on_trial, refused);
}

#[test]
fn what_another_tool_made_is_taken_over() {
    let of = |adoption| facts(DatabaseState::NoHistory { tables: 3, application_id: 7, adoption });
    let other = "refuse: this is another application's database (application_id 7, 3 tables, no migration history) [As(NotOurs)]";
    check(&of(Adoption::NotAsked), &precious(), other);
    let differs = of(Adoption::Refused("table wifi is missing".into()));
    check(
        &differs,
        &precious(),
        "refuse: it cannot be adopted: table wifi is missing [As(NotOurs)]",
    );
    let at = |pending| of(Adoption::At { version: 2, by: "sqlx".into(), pending });
    check(&at(vec![]), &precious(), "adopt what sqlx left at version 2, whose schema it has");
    check(
        &at(vec![migration(3)]),
        &precious(),
        "adopt what sqlx left at version 2, whose schema it has, then migrate 2 to 3: V3 m3",
    );
    let read_only = Facts { writable: false, ..at(vec![]) };
    check(
        &read_only,
        &precious(),
        "refuse: work is pending and the file system is read-only [As(Storage)]",
    );
}

#[test]
fn a_fresh_database_is_built_twice_by_a_firmware_and_no_more() {
    let purged = |purges| Facts { tries: Counts { purges, ..damaged().tries }, ..damaged() };
    let fresh = "replace by a fresh database, the old files go to quarantine: page 7 is torn";
    check(&purged(1), &rebuildable(), fresh);
    let bound = "refuse: page 7 is torn, and this firmware has built a fresh database 2 times already [TriesUsedUp]";
    check(&purged(2), &rebuildable(), bound);
    check(&Facts { request: Request::PurgeAndRetry, ..purged(2) }, &rebuildable(), bound);
    let named =
        "replace by a fresh database, the old files go to quarantine: `purge` was asked for";
    check(&Facts { request: Request::Purge, ..purged(2) }, &rebuildable(), named);
}

#[test]
fn a_replacement_that_was_interrupted_goes_on_twice() {
    let open = |starts, ours| OpenOperation::Interrupted {
        kind: OperationKind::ReplaceFresh,
        ours,
        starts,
        reason: "its migration failed".into(),
    };
    let again = "replace by a fresh database, the old files go to quarantine: its migration failed";
    check(&Facts { open_operation: open(2, true), ..behind() }, &rebuildable(), again);
    let ended = "refuse: replacing it was interrupted 3 times (its migration failed) [TriesUsedUp]";
    check(&Facts { open_operation: open(3, true), ..behind() }, &rebuildable(), ended);
    // The other slot's intent is its own.
    let own =
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, without a snapshot (copy = \"never\")";
    check(&Facts { open_operation: open(1, false), ..behind() }, &rebuildable(), own);
}

#[test]
fn a_repair_that_was_cut_off_is_begun_again_twice_and_never_gives_way_to_a_worse_one() {
    let open = |kind, starts| OpenOperation::Interrupted {
        kind,
        ours: true,
        starts,
        reason: "page 7 is torn".into(),
    };
    let copies = Facts { snapshots: vec![copy(2, 8)], ..damaged() };
    let by_copy = "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: page 7 is torn";
    check(
        &Facts { open_operation: open(OperationKind::ReplaceSnapshot, 2), ..copies.clone() },
        &precious(),
        by_copy,
    );
    let worn_out = Facts { open_operation: open(OperationKind::ReplaceSnapshot, 3), ..copies };
    let left = "refuse: replacing it was interrupted 3 times (page 7 is torn) [TriesUsedUp]";
    check(&worn_out, &precious(), left);
    check(&Facts { request: Request::Retry, ..worn_out }, &precious(), by_copy);
    check(
        &Facts { open_operation: open(OperationKind::ReplaceFresh, 3), ..damaged() },
        &rebuildable(),
        left,
    );
    let gone =
        facts(DatabaseState::Lost { what: "the main file is absent".into(), remains: false });
    check(
        &Facts { open_operation: open(OperationKind::ReplaceSnapshot, 3), ..gone },
        &precious(),
        left,
    );
}

#[test]
fn nothing_is_done_on_a_file_system_that_takes_no_writes() {
    let read_only = |facts: Facts| Facts { writable: false, ..facts };
    check(
        &read_only(facts(DatabaseState::Current { version: 3, recover: false })),
        &precious(),
        "nothing to do: at version 3",
    );
    check(
        &read_only(behind()),
        &precious(),
        "refuse: work is pending and the file system is read-only [As(Storage)]",
    );
    check(
        &read_only(damaged()),
        &rebuildable(),
        "refuse: page 7 is torn, and the file system is read-only [As(Storage)]",
    );
    let purge = Facts { request: Request::Purge, ..read_only(behind()) };
    check(&purge, &precious(), "refuse: the file system is read-only [As(Storage)]");
}

#[track_caller]
fn fallback(facts: &Facts, policy: &Policy, class: Class, expected: &NextPlan) {
    let plan = decide(facts, policy);
    assert_eq!(
        after_failure(&plan, class, "V2: no such table", facts, policy),
        *expected,
        "{plan}, {class:?}"
    );
}

#[test]
fn only_a_failed_migration_or_damage_leads_to_a_rung() {
    let stop = NextPlan::Stop(Stop::AsItFailed);
    for class in [
        Class::InUse,
        Class::NoSpace,
        Class::Storage,
        Class::NotOurs,
        Class::Missing,
        Class::Newer,
        Class::Catalogue,
        Class::Interrupted,
        Class::Configuration,
        Class::Defect,
    ] {
        for facts in [behind(), damaged(), newer_with_down(), facts(DatabaseState::Absent)] {
            for request in [Request::Boot, Request::PurgeAndRetry] {
                fallback(&Facts { request, ..facts.clone() }, &rebuildable(), class, &stop);
            }
        }
    }
    fallback(&behind(), &precious(), Class::Failed, &stop);
    fallback(&facts(DatabaseState::Absent), &rebuildable(), Class::Failed, &stop);
    fallback(&behind(), &precious(), Class::Damaged, &NextPlan::LookForDamage);
    fallback(&damaged(), &rebuildable(), Class::Failed, &NextPlan::Stop(Stop::FreshBuildFailed));
    let why = "its migration failed: V2: no such table".to_owned();
    let fresh = |carry: &[&str], loss| {
        let by = Replacement::Fresh {
            carry: carry.iter().map(|table| (*table).to_owned()).collect(),
            from: 1,
            aside: false,
        };
        NextPlan::Plan(Plan::Replace { by, why: why.clone(), loss })
    };
    fallback(&behind(), &rebuildable(), Class::Failed, &fresh(&[], true));
    fallback(
        &Facts { request: Request::PurgeAndRetry, ..behind() },
        &precious(),
        Class::Failed,
        &fresh(&["*"], false),
    );
    for class in [Class::Failed, Class::Damaged] {
        fallback(&readable(), &precious(), class, &NextPlan::Without(Attempt::Salvage));
    }
    let copies = Facts { snapshots: vec![copy(2, 8)], ..damaged() };
    fallback(&copies, &precious(), Class::Failed, &NextPlan::Without(Attempt::Snapshot(8)));
    fallback(
        &newer_with_down(),
        &precious(),
        Class::Failed,
        &NextPlan::Without(Attempt::Downgrade),
    );
    fallback(&newer_with_down(), &precious(), Class::Damaged, &NextPlan::LookForDamage);
}
