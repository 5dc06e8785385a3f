//! Owns the golden plans: an environment in one line, and the words that an operator reads before
//! it is done.
//! Promises: each row of the table is one reason of `decide` or of the fallbacks; the whole text is
//! compared.
//! Never inspects anything: facts are written down, not found.
#![allow(clippy::unwrap_used, clippy::panic)]

mod damage_tests;
mod limits_tests;
mod newer_tests;
mod operator_tests;
mod room_tests;

use super::*;
use crate::config::{OnFailure, OnNewer, Repair};
use crate::decide::facts::{OwnCopies, Room, WayBack};
use crate::decide::fallback::{after_failure, NextPlan, Stop};
use crate::decide::record::{Counts, RecordedFailure};
use crate::decide::replacement::{Carry, Least};

fn migration(version: i64) -> PendingMigration {
    PendingMigration { version, name: format!("m{version}").into(), no_transaction: version == 9 }
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
        open_operation: EarlierOperation::None,
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
        recover: false,
        held_data: false,
        loose_rows: false,
        losses: Vec::new(),
        failed_repairs: 0,
        last_failure: None,
        tried: Vec::new(),
    }
}

fn precious() -> Policy {
    Policy {
        on_failure: OnFailure::Restore,
        on_damage: vec![Repair::Reindex, Repair::Salvage, Repair::Snapshot],
        on_newer: vec![OnNewer::Compatible, OnNewer::Downgrade],
        carry_over: vec!["*".into()],
        snapshot: SnapshotPolicy::Auto,
        name: "settings".into(),
    }
}

fn rebuildable() -> Policy {
    Policy {
        on_failure: OnFailure::Purge,
        on_damage: vec![Repair::Purge],
        on_newer: vec![OnNewer::Compatible, OnNewer::Purge],
        carry_over: Vec::new(),
        snapshot: SnapshotPolicy::Never,
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
        &facts(DatabaseState::Current { version: 3 }),
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
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, without a snapshot (snapshot \
         = \"never\")",
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
    let full = "recover, then look again: a WAL was left and the disk is nearly full; unknown \
                until recovered";
    let left = |database| Facts { recover: true, ..facts(database) };
    check(&left(DatabaseState::Current { version: 3 }), &precious(), full);
    let newer = left(DatabaseState::Newer {
        version: 5,
        compatible_from: Some(2),
        way_back: WayBack::Missing("no down SQL is stored for V5 m5".into()),
    });
    check(&newer, &precious(), full);
    // What is not left to the application stays as it is.
    let changed = left(DatabaseState::Mismatch { what: "V1 differs".into() });
    check(&changed, &precious(), "refuse: V1 differs [As(Catalogue)]");
    let half = facts(DatabaseState::Behind {
        version: 1,
        pending: vec![migration(2), migration(3)],
        half_done: Some(2),
    });
    let words = "record V2, whose schema is there already; migrate 1 to 3: V3 m3, in one \
                 transaction, after a snapshot";
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
fn a_schema_that_no_migration_may_run_beside() {
    let unfit =
        || facts(DatabaseState::Unfit { version: Some(1), what: "view v is too much".into() });
    for policy in [precious(), rebuildable()] {
        check(&unfit(), &policy, "refuse: view v is too much [As(Catalogue)]");
    }
    let purged = Facts { request: Request::Purge, ..unfit() };
    check(
        &purged,
        &rebuildable(),
        "replace by a fresh database, the old files go to quarantine: `purge` was asked for",
    );
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
        "refuse: `needs-space` asks for 2097152 bytes beside the database's 1048576, 2097151 are \
         free: 1 are missing [As(NoSpace)]";
    check(&asking(2 * MIB - 1), &precious(), missing);
    // Our own old snapshots go first.
    let mut pruned = asking(MIB);
    pruned.room.reclaimable = 2 * MIB;
    check(
        &pruned,
        &precious(),
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot for which older ones \
         go",
    );
}

#[test]
fn little_room() {
    let tight = |available| Facts { room: room(available), ..behind() };
    // 1 MiB, and 64 MiB in place of 5 % of 4 GiB.
    let needed = 65 << 20;
    assert_eq!(tight(0).room.for_a_copy(), needed);
    for (total, size, copy) in [
        (0, 1000, 1100),
        (100 << 20, 1000, 1000 + 5 * (1 << 20)),
        (1 << 40, 1000, 1000 + (64 << 20)),
        (1 << 40, 1 << 30, (1 << 30) + (1 << 30) / 100 * 10),
    ] {
        let large = Room { total, size, ..room(0) };
        assert_eq!(large.for_a_copy(), copy, "{total} {size}");
    }
    let take = "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot";
    check(&tight(needed), &precious(), take);
    check(
        &tight(needed - 1),
        &precious(),
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, without a snapshot (no room)",
    );
    let always = Policy { snapshot: SnapshotPolicy::Always, ..precious() };
    let refused = "refuse: a copy needs 68157440 bytes free and 5 are [As(NoSpace)]";
    check(&tight(5), &always, refused);
    let pruned = Facts { room: Room { reclaimable: 1, ..room(needed - 1) }, ..behind() };
    check(
        &pruned,
        &always,
        "migrate 1 to 3: V2 m2, V3 m3, in one transaction, after a snapshot for which older ones \
         go",
    );
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
    let named = "free space, then run again; bootmigrate itself keeps a replaced database of 4096 \
                 bytes in quarantine/2 (remove it with `remove quarantine/2`), a snapshot of 4096 \
                 bytes in snapshots/v1-1.db (remove it with `remove snapshots/v1-1.db`), a \
                 replaced database of 4096 bytes in quarantine/5 (remove it with `remove \
                 quarantine/5`)";
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

/// Damaged, with a history that says version 2.
fn readable() -> Facts {
    facts(DatabaseState::Damaged {
        what: "page 7 is torn".into(),
        tables_whole: false,
        version: Some(2),
    })
}

/// Schema 5, with a way back over 5 and 4.
fn downgraded() -> Replacement {
    Replacement::Downgraded { from: 5, to: 3, migrations: vec![migration(5), migration(4)] }
}

fn newer_with_down() -> Facts {
    let way_back = WayBack::Stored(vec![migration(5), migration(4)]);
    facts(DatabaseState::Newer { version: 5, compatible_from: None, way_back })
}

#[test]
fn what_another_tool_made_is_taken_over() {
    let of = |adoption| facts(DatabaseState::NoHistory { tables: 3, application_id: 7, adoption });
    let other = "refuse: this is another application's database (application_id 7, 3 tables, no \
                 migration history) [As(NotOurs)]";
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
fn nothing_is_done_on_a_file_system_that_takes_no_writes() {
    let read_only = |facts: Facts| Facts { writable: false, ..facts };
    check(
        &read_only(facts(DatabaseState::Current { version: 3 })),
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
        let tables = carry.iter().map(|table| (*table).to_owned()).collect();
        let by = if carry.is_empty() {
            Replacement::Fresh
        } else {
            Replacement::Carried(Carry {
                tables,
                damaged: false,
                ..Carry::all_readable(1, Least::Nothing)
            })
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
        fallback(
            &readable(),
            &precious(),
            class,
            &NextPlan::Without(Replacement::Salvaged(Carry::all_readable(2, Least::Row))),
        );
    }
    let copies = Facts { snapshots: vec![copy(2, 8)], ..damaged() };
    fallback(&copies, &precious(), Class::Failed, &NextPlan::Without(copy(2, 8).replacement()));
    fallback(&newer_with_down(), &precious(), Class::Failed, &NextPlan::Without(downgraded()));
    fallback(&newer_with_down(), &precious(), Class::Damaged, &NextPlan::LookForDamage);
}
