//! Owns the tests of foreign keys that were violated, or broken, before a migration: they hide
//! nothing that it adds.
//! Promises: what is new is refused and named alone, every row as it was.
//! Never asks the program under test which rows those are.

use crate::device::{Grouped, Mode, TestDevice};
use crate::schema::{do_sql, refused};
use expect_test::expect;

/// Neither a row that is mended nor a table that goes makes room for a new violation.
#[test]
fn what_was_violated_before_hides_nothing_that_is_new() {
    let other = "CREATE TABLE other (id INTEGER PRIMARY KEY, parent_id REFERENCES parent (id)); \
                 INSERT INTO other VALUES (1, 9998), (2, 9999);";
    for (before, file) in [
        (
            "UPDATE child SET parent_id = 9999 WHERE id IN (1, 3)",
            "DELETE FROM child WHERE id = 3;\nDELETE FROM parent WHERE id = 4;\n",
        ),
        (other, "DROP TABLE IF EXISTS other;\nDELETE FROM parent WHERE id = 4;\n"),
    ] {
        for (mode, head) in
            [(Mode::Delete, ""), (Mode::Wal, "-- bootmigrate: no-transaction\nVACUUM;\n")]
        {
            let device = TestDevice::written(40, mode, Grouped::No)
                .after(|device| do_sql(device, before))
                .file(("V43__tidy.sql", &format!("{head}{file}")));
            refused(
                &device,
                expect![[r#"
                    settings: foreign keys are violated after migrating: child rowid 4 names no row of parent (while: verify); the database is whole at version 40
                      child rowid 4 names no row of parent
                "#]],
            );
        }
    }
    // A foreign key, where one that never fitted goes.
    let device = TestDevice::at(40)
        .after(|device| do_sql(device, "CREATE TABLE other (a REFERENCES parent (absent))"))
        .file((
            "V43__unfit.sql",
            "DROP TABLE IF EXISTS other;\nDROP VIEW family;\nCREATE TABLE n (id INTEGER, name TEXT \
             NOT NULL UNIQUE, reading REAL, raw BLOB, badge ANY);\nINSERT INTO n SELECT * FROM \
             parent;\nDROP TABLE parent;\nALTER TABLE n RENAME TO parent;\n",
        ));
    refused(
        &device,
        expect![[r#"
            settings: after settings/V43__unfit.sql, the foreign key child(parent_id) refers to parent(id), which is neither the primary key nor unique there (while: verify); the database is whole at version 40
        "#]],
    );
}
