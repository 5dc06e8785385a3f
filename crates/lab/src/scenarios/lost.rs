//! Owns the scenarios of rows that were put aside: given back to their tables, and dropped.
//! Promises: what must come out is computed by plain SQLite, by the same texts without the
//! product's code.
//! Never allows a state between the two: each is one transaction.

use super::catalogues::{firmware, Version};
use super::replaced::stays;
use super::situations::{applied, expected, managed, ROWS};
use super::upgraded::{new, scenario};
use crate::scenario::Run;
use crate::scenario::{End, Old, Scenario};

/// Rows of `reading` that have no place: two fit, one has the number of another row, one a sensor
/// that is not there.
const ASIDE: &str = "CREATE TABLE \"lost_reading\"(/* rows of version 1, put aside by \
                     bootmigrate */ \"id\", \"sensor\", \"value\", \"note\"); INSERT INTO \
                     lost_reading VALUES (101, 1, 7, 'fits'), (1, 1, 8, 'collides'), (102, 999, 9, \
                     'no sensor'), (103, 2, 10, 'fits too');";
/// What plain SQLite makes of them.
const GIVEN_BACK: &str =
    "INSERT INTO reading(id, sensor, value, note) SELECT id, sensor, value, note FROM lost_reading \
     WHERE id IN (101, 103); DELETE FROM lost_reading WHERE id IN (101, 103);";

fn changing(run: Run, journal: &'static str, change: &str) -> Scenario {
    let state = applied(&managed(firmware(Version::One, ""), journal), journal, &[ASIDE]);
    let old = expected(Version::One, 1, &[ROWS, ASIDE]);
    let ends = vec![
        new(expected(Version::One, 1, &[ROWS, ASIDE, change]), journal),
        End { journal, ..stays(&old, &[0]) },
    ];
    Scenario { run, ..scenario(firmware(Version::One, ""), state, Old::Whole(old), ends) }
}

pub(super) fn retry() -> Scenario {
    changing(Run::LostRetry, "delete", GIVEN_BACK)
}

pub(super) fn retry_wal() -> Scenario {
    changing(Run::LostRetry, "wal", GIVEN_BACK)
}

/// Of what was put aside nothing changes.
pub(super) fn export() -> Scenario {
    let exporting = changing(Run::LostExport("lost_reading"), "delete", "");
    Scenario { ends: exporting.ends.into_iter().rev().take(1).collect(), ..exporting }
}

pub(super) fn drop_table() -> Scenario {
    changing(Run::LostDrop("lost_reading"), "delete", "DROP TABLE lost_reading;")
}
