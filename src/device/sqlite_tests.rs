//! Owns the tests of which error of SQLite means what.
//! Promises: a code that is not known to be a migration's own fault is not called one.
//! Never opens a device's database.

use super::*;

#[test]
fn a_name_that_is_not_utf8_is_damage_where_it_is_read_by_us() {
    let connection = Connection::open_in_memory().unwrap();
    let error = connection
        .query_row("SELECT CAST(x'61ff' AS TEXT)", [], |row| row.get::<_, String>(0))
        .unwrap_err();
    assert_eq!(
        (class_of(&error), failure_of(Op("test"), Path::new("/x"), &error).class),
        (Class::Failed, Class::Damaged)
    );
}

#[test]
fn only_the_whitelist_counts_as_failed() {
    let class = |code: i32| {
        class_of(&rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    };
    let failed: Vec<i32> = (1..=100).filter(|code| class(*code) == Class::Failed).collect();
    // ERROR, TOOBIG, CONSTRAINT, MISMATCH, AUTH, RANGE
    assert_eq!(failed, [1, 18, 19, 20, 23, 25]);
    let damaged: Vec<i32> = (1..=100).filter(|code| class(*code) == Class::Damaged).collect();
    assert_eq!(damaged, [11, 26]);
    assert_eq!(
        [class(5), class(6), class(13), class(9)],
        [Class::InUse, Class::InUse, Class::NoSpace, Class::Interrupted]
    );
    assert_eq!([class(10), class(8), class(7), class(14), class(21)], [Class::Storage; 5]);
    // Extended codes keep their class: a trigger's RAISE, a full disk's I/O error, a corrupt
    // index.
    assert_eq!(
        [class(1811), class(3338 & 0xff), class(779)],
        [Class::Failed, Class::Storage, Class::Damaged]
    );
}
