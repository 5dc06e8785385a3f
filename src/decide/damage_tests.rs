//! Owns the golden plans of a damaged or lost database.
//! Promises: each repair in the owner's order, and what stands in its way; the whole text is
//! compared.
//! Never inspects anything: facts are written down, not found.

use super::*;

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
    let newest = "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: \
                  page 7 is torn";
    let with_copies = Facts { snapshots: copies, ..damaged() };
    check(&with_copies, &precious(), newest);
    let older = "replace by the snapshot v1-4 migrated forward, the old files go to quarantine: \
                 page 7 is torn";
    let tried = Facts { tried: vec![copy(2, 8).replacement()], ..with_copies.clone() };
    check(&tried, &precious(), older);
    // Those that were in vain in this very run are no reason to leave the others untried.
    let four = vec![copy(2, 10), copy(2, 9), copy(2, 8), copy(1, 4)];
    let tried = four.iter().take(3).map(Snapshot::replacement).collect();
    let last = Facts { snapshots: four, tried, failed_repairs: 3, ..damaged() };
    check(&last, &precious(), older);
    // Nor is a migration that failed on another file.
    let migrated = Facts { tries: Counts { failed: 3, ..damaged().tries }, ..with_copies.clone() };
    check(&migrated, &precious(), newest);
    // No copy came forward that often: none does now, unless an operator asks once more.
    let in_vain = Facts { failed_repairs: 3, ..with_copies };
    check(&in_vain, &precious(), "refuse: page 7 is torn [As(Damaged)]");
    check(&Facts { request: Request::Retry, ..in_vain }, &precious(), newest);
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
        &Facts { tried: vec![Replacement::Reindexed], ..index.clone() },
        &precious(),
        "refuse: an index is torn [As(Damaged)]",
    );
    // In vain that often: a boot that would copy the file once more learns nothing.
    let in_vain = Facts { failed_repairs: 3, ..index };
    check(&in_vain, &precious(), "refuse: an index is torn [As(Damaged)]");
    let failure = RecordedFailure {
        fingerprint: in_vain.tries.fingerprint,
        what: "disk I/O error".into(),
        ..RecordedFailure::default()
    };
    let told = "refuse: an index is torn; what was tried for it failed 3 times, the last time \
                with: disk I/O error [As(Damaged)]";
    check(&Facts { last_failure: Some(failure.clone()), ..in_vain.clone() }, &precious(), told);
    // That of other firmware says nothing of this one's tries.
    let other = RecordedFailure { fingerprint: [9; 16], ..failure };
    let untold = "refuse: an index is torn [As(Damaged)]";
    check(&Facts { last_failure: Some(other), ..in_vain }, &precious(), untold);
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
    let restored =
        "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: 20 rows \
         are in an index alone";
    let reindexed =
        "rebuild the indexes on a copy, then put it in place: 20 rows are in an index alone";
    check(&with(vec![copy(3, 9), rows(20, 0)]), &precious(), restored);
    check(&with(vec![rows(20, 19)]), &precious(), restored);
    check(&with(vec![rows(20, 20)]), &precious(), reindexed);
    check(&with(vec![rows(0, 0)]), &precious(), reindexed);
    check(
        &Facts { tried: vec![copy(2, 8).replacement()], ..with(vec![rows(20, 0)]) },
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
        "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: page 7 is \
         torn",
    );
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
    let aside =
        "replace by a fresh database with the rows of every table put aside in it, the old files \
         go to quarantine: page 1 is torn";
    check(&Facts { loose_rows: true, ..unknown() }, &purge, aside);
    check(
        &Facts { loose_rows: true, ..unknown() },
        &precious(),
        "refuse: page 1 is torn [As(Damaged)]",
    );
}

#[test]
fn what_can_be_read_of_a_damaged_file_is_saved() {
    let salvage = "rebuild version 2 with what can be read of the old one, then put it in place: \
                   page 7 is torn";
    check(&readable(), &precious(), salvage);
    let with_copy = Facts { snapshots: vec![copy(2, 8)], ..readable() };
    check(&with_copy, &precious(), salvage);
    // A table without a row is too little where a copy has them, and only there.
    let each = |facts: &Facts| {
        matches!(
            decide(facts, &precious()),
            Plan::Replace { by: Replacement::Salvaged(Carry { least: Least::RowOfEach, .. }), .. }
        )
    };
    assert!(each(&with_copy) && !each(&readable()));
    assert!(!each(&Facts { tried: vec![copy(2, 8).replacement()], ..with_copy.clone() }));
    let newest = "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: \
                  page 7 is torn";
    check(
        &Facts {
            tried: vec![Replacement::Salvaged(Carry::all_readable(2, Least::RowOfEach))],
            ..with_copy.clone()
        },
        &precious(),
        newest,
    );
    check(
        &Facts {
            tried: vec![Replacement::Salvaged(Carry::all_readable(2, Least::Row))],
            ..readable()
        },
        &precious(),
        "refuse: page 7 is torn [As(Damaged)]",
    );
    // The copy does not come forward: what can be read is asked for once more, and for less.
    let of = |least| Replacement::Salvaged(Carry::all_readable(2, least));
    let mut tried = vec![of(Least::RowOfEach), copy(2, 8).replacement()];
    let once_more = Facts { tried: tried.clone(), ..with_copy.clone() };
    check(&once_more, &precious(), salvage);
    assert!(!each(&once_more));
    tried.push(of(Least::Row));
    let nothing_left = Facts { tried, ..with_copy.clone() };
    check(&nothing_left, &precious(), "refuse: page 7 is torn [As(Damaged)]");
    // A copy of version 0 has nothing in it: to restore it would be a purge that nobody asked for.
    let of_nothing = Facts { snapshots: vec![copy(0, 1)], ..readable() };
    check(&of_nothing, &precious(), salvage);
    assert!(!each(&of_nothing));
    let of_nothing = Facts { snapshots: vec![copy(0, 1)], ..damaged() };
    check(&of_nothing, &precious(), "refuse: page 7 is torn [As(Damaged)]");
    let unwanted = Policy { on_damage: vec![Repair::Snapshot], ..precious() };
    check(&with_copy, &unwanted, newest);
    let cut = |starts| EarlierOperation::Interrupted {
        kind: OperationKind::Salvage,
        ours: true,
        starts,
        reason: "page 7 is torn".into(),
    };
    check(&Facts { open_operation: cut(2), ..readable() }, &precious(), salvage);
    let left = "refuse: replacing it was interrupted 3 times (page 7 is torn) [TriesUsedUp]";
    check(&Facts { open_operation: cut(3), ..readable() }, &precious(), left);
    let in_vain = Facts { failed_repairs: 3, ..readable() };
    check(&in_vain, &precious(), "refuse: page 7 is torn [As(Damaged)]");
}

#[test]
fn data_that_is_gone_is_no_first_boot() {
    let lost =
        |remains| facts(DatabaseState::Lost { what: "the main file is empty".into(), remains });
    // Nothing is left that could be lost once more.
    let fresh =
        "replace by a fresh database, the old files go to quarantine: the main file is empty";
    check(&lost(false), &precious(), fresh);
    // An operator's `migrate` knows no copies: a fresh one would hide them.
    let migrate = Facts { request: Request::Migrate, ..lost(false) };
    check(&migrate, &precious(), "refuse: the main file is empty [As(Damaged)]");
    // Unless the firmware's migrations fail on it, each time: that would be a write at every boot,
    // for ever.
    let failed = |from, failed| {
        let (class, fingerprint) = ("migration-failed".into(), lost(false).tries.fingerprint);
        let failure = RecordedFailure {
            from,
            class,
            fingerprint,
            what: "no such table: b".into(),
            ..RecordedFailure::default()
        };
        Facts {
            last_failure: Some(failure),
            tries: Counts { failed, ..lost(false).tries },
            ..lost(false)
        }
    };
    let ended =
        "refuse: the main file is empty, and a fresh database cannot be built either, the last \
         time with: no such table: b [TriesUsedUp]";
    check(&failed(None, 3), &precious(), ended);
    check(&Facts { request: Request::Retry, ..failed(None, 3) }, &precious(), fresh);
    for (from, tries) in [(None, 2), (Some(4), 3), (Some(4), 9)] {
        check(&failed(from, tries), &precious(), fresh);
    }
    // However often the file was taken away.
    let purged =
        |remains| Facts { tries: Counts { purges: 2, ..lost(remains).tries }, ..lost(remains) };
    check(&purged(false), &precious(), fresh);
    let often = "refuse: the main file is empty, and this firmware has built a fresh database 2 \
                 times already [TriesUsedUp]";
    check(&purged(true), &rebuildable(), often);
    // A WAL may hold everything: an operator decides.
    check(&lost(true), &precious(), "refuse: the main file is empty [As(Damaged)]");
}

/// What newer firmware keeps is not this one's to lose.
#[test]
fn a_damaged_database_of_newer_firmware() {
    let newer = |request, snapshots: Vec<Snapshot>| {
        let database = DatabaseState::Damaged {
            what: "page 7 is torn".into(),
            tables_whole: true,
            version: Some(5),
        };
        Facts { request, snapshots, good_operation: 6, ..facts(database) }
    };
    let refused = "refuse: page 7 is torn; the database is at version 5, this firmware knows 3 \
                   [As(Newer)]";
    let with_copies = || vec![copy(4, 9), copy(3, 8), copy(3, 2)];
    for request in [Request::Boot, Request::Retry] {
        check(&newer(request.clone(), Vec::new()), &precious(), refused);
        check(&newer(request, with_copies()), &precious(), refused);
    }
    // Of a trial that was not proven its own may come back, and none from before.
    let on_trial = Policy { on_newer: vec![OnNewer::TrialSnapshot], ..precious() };
    let own =
        "replace by the snapshot v3-8 migrated forward, the old files go to quarantine: page 7 \
               is torn";
    check(&newer(Request::Boot, with_copies()), &on_trial, own);
    check(&newer(Request::Boot, vec![copy(3, 2)]), &on_trial, refused);
    // All rows are put aside: their columns may mean something else.
    let aside = Policy { carry_over: vec!["*".into()], ..rebuildable() };
    let plan = |policy: &Policy, request| match decide(&newer(request, Vec::new()), policy) {
        Plan::Replace { by: Replacement::Carried(carry), .. } => carry.all_aside,
        plan => panic!("{plan}"),
    };
    assert!(plan(&aside, Request::Boot) && plan(&precious(), Request::PurgeAndRetry));
}

/// Who could ask once more is told so.
#[test]
fn what_is_left_when_no_repair_is() {
    let copies = vec![copy(2, 8), copy(1, 4)];
    let in_vain = Facts { failed_repairs: 3, snapshots: copies, ..damaged() };
    let next = |facts: &Facts, policy: &Policy| match decide(facts, policy) {
        Plan::Refuse(refusal) => refusal.next,
        plan => panic!("{plan}"),
    };
    let once_more =
        "run `bootmigrate run --retry --db settings`, which tries once more, also with \
                     the snapshot that is left; else keep the file for support, then run \
                     `bootmigrate run --purge-and-retry --db settings` to start with an empty one";
    let empty = "keep the file for support, then run `bootmigrate run --purge-and-retry --db \
                 settings` to start with an empty one";
    assert_eq!(next(&in_vain, &precious()), once_more);
    let without = Policy { on_damage: vec![Repair::Salvage], ..precious() };
    assert_eq!(next(&in_vain, &without), empty);
    assert_eq!(next(&Facts { snapshots: Vec::new(), ..in_vain.clone() }, &precious()), empty);
    assert_eq!(next(&damaged(), &precious()), empty);
}
