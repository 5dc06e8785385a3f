//! Owns the golden plans of a database that another takes the place of.
//! Promises: which rows come along, and how often it is begun; the whole text is compared.
//! Never inspects anything: facts are written down, not found.

use super::*;

#[test]
fn a_purge_keeps_the_rows_that_the_owner_names() {
    let keeps = |tables: &[&str]| Policy {
        carry_over: tables.iter().map(|table| (*table).to_owned()).collect(),
        ..rebuildable()
    };
    let two = "replace by a fresh database with the rows of a, b, the old files go to quarantine: \
               page 7 is torn";
    check(&readable(), &keeps(&["a", "b"]), two);
    let all = "replace by a fresh database with the rows of every table, the old files go to \
               quarantine: page 7 is torn";
    check(&readable(), &keeps(&["*"]), all);
    // Rows of a version that nobody knows fit nowhere.
    let none = "replace by a fresh database, the old files go to quarantine: page 7 is torn";
    check(&damaged(), &keeps(&["*"]), none);
    let cut = EarlierOperation::Interrupted {
        kind: OperationKind::ReplaceCarried,
        ours: true,
        starts: 1,
        reason: "its migration failed".into(),
    };
    let again = "replace by a fresh database with the rows of a, the old files go to quarantine: \
                 its migration failed";
    check(&Facts { open_operation: cut, ..behind() }, &keeps(&["a"]), again);
    let way_back = WayBack::Missing("no down SQL is stored for V5 m5".into());
    let newer = facts(DatabaseState::Newer { version: 5, compatible_from: None, way_back });
    let aside = "replace by a fresh database with the rows of a put aside in it, the old files go \
                 to quarantine: it is at version 5 and this firmware knows 3";
    check(&newer, &keeps(&["a"]), aside);
    // An operator said that the rows go.
    let named =
        "replace by a fresh database, the old files go to quarantine: `purge` was asked for";
    check(&Facts { request: Request::Purge, ..behind() }, &keeps(&["*"]), named);
}

#[test]
fn a_fresh_database_is_built_twice_by_a_firmware_and_no_more() {
    let purged = |purges| Facts { tries: Counts { purges, ..damaged().tries }, ..damaged() };
    let fresh = "replace by a fresh database, the old files go to quarantine: page 7 is torn";
    check(&purged(1), &rebuildable(), fresh);
    let bound = "refuse: page 7 is torn, and this firmware has built a fresh database 2 times \
                 already [TriesUsedUp]";
    check(&purged(2), &rebuildable(), bound);
    check(&Facts { request: Request::PurgeAndRetry, ..purged(2) }, &rebuildable(), bound);
    let named =
        "replace by a fresh database, the old files go to quarantine: `purge` was asked for";
    check(&Facts { request: Request::Purge, ..purged(2) }, &rebuildable(), named);
}

#[test]
fn a_replacement_that_was_interrupted_goes_on_twice() {
    let open = |starts, ours| EarlierOperation::Interrupted {
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
    let own = "migrate 1 to 3: V2 m2, V3 m3, in one transaction, without a snapshot (snapshot \
               = \"never\")";
    check(&Facts { open_operation: open(1, false), ..behind() }, &rebuildable(), own);
}

#[test]
fn a_repair_that_was_cut_off_is_begun_again_twice_and_never_gives_way_to_a_worse_one() {
    let open = |kind, starts| EarlierOperation::Interrupted {
        kind,
        ours: true,
        starts,
        reason: "page 7 is torn".into(),
    };
    let copies = Facts { snapshots: vec![copy(2, 8)], ..damaged() };
    let by_copy = "replace by the snapshot v2-8 migrated forward, the old files go to quarantine: \
                   page 7 is torn";
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
