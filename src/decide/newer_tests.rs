//! Owns the golden plans of a database that newer firmware has left.
//! Promises: used as it is, gone back, restored or refused; the whole text is compared.
//! Never inspects anything: facts are written down, not found.

use super::*;

#[test]
fn newer_firmware_was_here() {
    let way_back = WayBack::Missing("no down SQL is stored for V5 m5".into());
    let newer = |compatible_from| {
        facts(DatabaseState::Newer { version: 5, compatible_from, way_back: way_back.clone() })
    };
    let refused = "refuse: the database is at version 5, this firmware knows 3; no down SQL is \
                   stored for V5 m5 [As(Newer)]";
    check(&newer(None), &precious(), refused);
    check(&newer(Some(4)), &precious(), refused);
    check(
        &newer(Some(3)),
        &precious(),
        "use it as it is: at version 5, which firmware of version 3 can use",
    );
    let aside = "replace by a fresh database, the old files go to quarantine: it is at version 5 \
                 and this firmware knows 3";
    check(&newer(None), &rebuildable(), aside);
    // A technician's consent is for what failed or is damaged, never for what is newer.
    let asked = Facts { request: Request::PurgeAndRetry, ..newer(None) };
    check(&asked, &precious(), refused);
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
    let failed =
        "refuse: the database is at version 5, this firmware knows 3; its stored down SQL failed \
         [As(Newer)]";
    check(&Facts { tried: vec![downgraded()], ..newer_with_down() }, &precious(), failed);
    let worn =
        |failed| Facts { tries: Counts { failed, ..newer_with_down().tries }, ..newer_with_down() };
    check(&worn(2), &precious(), BACK);
    check(&worn(3), &precious(), failed);
    check(&Facts { request: Request::Retry, ..worn(3) }, &precious(), BACK);
}

#[test]
fn what_stands_in_the_way_of_going_back() {
    let read_only = "refuse: it is at version 5 and must go back to 3, and the file system is \
                     read-only [As(Storage)]";
    check(&Facts { writable: false, ..newer_with_down() }, &precious(), read_only);
    let full = "refuse: a copy needs 68157440 bytes free and 5 are [As(NoSpace)]";
    check(&Facts { room: room(5), ..newer_with_down() }, &precious(), full);
    let met = Facts { room: Room { needed: Some(100), ..room(99) }, ..newer_with_down() };
    check(
        &met,
        &precious(),
        "refuse: it is at version 5 and must go back to 3; for that 100 bytes must be free and 99 \
         are [As(NoSpace)]",
    );
    let mounted =
        "refuse: the database is at version 5, this firmware knows 3; going back needs a copy that \
         is swapped in, and the database file is a mount of its own [As(Newer)]";
    check(&Facts { own_mount: true, ..newer_with_down() }, &precious(), mounted);
    let cut = |starts| EarlierOperation::Interrupted {
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
    let no_way_back = Facts { tried: vec![downgraded()], ..with_copies };
    let own = "replace by the snapshot v3-8 migrated forward, the old files go to quarantine: it \
               is at version 5 and this firmware knows 3";
    check(&no_way_back, &on_trial, own);
    let refused = "refuse: the database is at version 5, this firmware knows 3; its stored down \
                   SQL failed [As(Newer)]";
    check(&no_way_back, &precious(), refused);
    // `mark-good` said that nobody comes back.
    check(&Facts { good_operation: 8, ..no_way_back }, &on_trial, refused);
}
