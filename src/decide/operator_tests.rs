//! Owns the golden plans of what an operator names or says, and of a file that nobody knows.
//! Promises: each database state that a word meets; the whole text is compared.
//! Never inspects anything: facts are written down, not found.

use super::*;

#[test]
fn a_file_in_the_place_of_one_that_held_data() {
    let made = |application_id, request, snapshots: Vec<Snapshot>| {
        let database =
            DatabaseState::NoHistory { tables: 1, application_id, adoption: Adoption::NotAsked };
        Facts { held_data: true, request, snapshots, ..facts(database) }
    };
    let next = |facts: &Facts| match decide(facts, &precious()) {
        Plan::Refuse(refusal) => refusal.next,
        plan => panic!("{plan}"),
    };
    let purge = "to begin with an empty one, run `bootmigrate purge --db settings --yes`; this \
                 file is then kept in quarantine";
    let back =
        "to have it back, run `bootmigrate snapshot restore v2-7 --db settings --yes`; this \
                file is then kept in quarantine";
    assert_eq!(next(&made(0, Request::Boot, Vec::new())), purge);
    assert_eq!(next(&made(0, Request::Boot, vec![copy(2, 7), copy(1, 3)])), back);
    let fresh = "replace by a fresh database, the old files go to quarantine: it has 1 tables and \
                 no migration history; the migrated database that was here before is gone";
    check(&made(0, Request::PurgeAndRetry, Vec::new()), &precious(), fresh);
    // Another application's is nobody's to purge by a word for all; nor what was to be taken over.
    assert_eq!(next(&made(7, Request::PurgeAndRetry, Vec::new())), purge);
    let refused = Facts {
        database: DatabaseState::NoHistory {
            tables: 1,
            application_id: 0,
            adoption: Adoption::Refused("it is another".into()),
        },
        ..made(0, Request::PurgeAndRetry, Vec::new())
    };
    assert_eq!(next(&refused), purge);
    // Where nothing of ours was, nothing is told of it.
    let foreign = |application_id| Facts {
        held_data: false,
        ..made(application_id, Request::Boot, Vec::new())
    };
    assert!(next(&foreign(0)).starts_with("correct `path`; or"));
    assert_eq!(next(&foreign(7)), "correct `path`, or move that file away");
}

/// An operator named database and copy, or the database alone: what cannot be done is refused, and
/// nothing else.
#[test]
fn what_an_operator_names() {
    let copy = Snapshot { version: 2, operation: 7, ..Snapshot::default() };
    let set = Snapshot { from_quarantine: true, ..copy.clone() };
    let back = "replace by the snapshot v2-7 migrated forward, the old files go to quarantine";
    let fresh =
        "replace by a fresh database, the old files go to quarantine: `purge` was asked for";
    let requests = [
        (Request::Restore(copy), format!("{back}: `snapshot restore` was asked for")),
        (Request::Restore(set), format!("{back}: `quarantine restore` was asked for")),
        (Request::Purge, fresh.to_owned()),
    ];
    for (request, plan) in requests {
        let asked = |database| Facts { request: request.clone(), ..facts(database) };
        for database in [
            DatabaseState::Current { version: 3 },
            behind().database,
            damaged().database,
            DatabaseState::Mismatch { what: "another file".into() },
        ] {
            check(&asked(database), &precious(), &plan);
        }
        let link = DatabaseState::NotOurs { what: "it is a link".into() };
        check(&asked(link), &precious(), "refuse: it is a link [As(NotOurs)]");
        let current = || asked(DatabaseState::Current { version: 3 });
        let read_only = "refuse: the file system is read-only [As(Storage)]";
        check(&Facts { writable: false, ..current() }, &precious(), read_only);
        let mounted = "refuse: the database file is a mount of its own [As(NotOurs)]";
        check(&Facts { own_mount: true, ..current() }, &precious(), mounted);
    }
    // Nothing is there to be purged.
    let absent = Facts { request: Request::Purge, ..facts(DatabaseState::Absent) };
    let first = "first boot: build version 3 beside, then put it in place";
    check(&absent, &precious(), first);
}
