//! Owns the ways back of `check`: up, down, and up again with rows in every table.
//! Promises: the second up ends with the schema and the rows of the first; down loses no row that
//! was there before.
//! Never runs a way back over Rust code.

use anyhow::Result;
use bootmigrate_build::workbench::Chain;
use bootmigrate_build::{ForeignKeys, Migration};
use rusqlite::Connection;

use super::{Subject, Trouble, WAY_BACK};
use crate::import::without_frame;
use crate::model::Model;
use crate::{compare, fixtures, product, rows, schema};

/// Goes every way back. Returns how many were gone.
///
/// # Errors
/// As SQLite, but for files that do not run.
pub fn back(
    subject: &Subject<'_>,
    chain: &Chain<'_>,
    troubles: &mut Vec<Trouble>,
) -> Result<usize> {
    let mut count = 0;
    for (place, migration) in subject.database.migrations.iter().enumerate() {
        let Some(down) = migration.down.as_deref() else { continue };
        let Some(connection) = chain.open(place) else { continue };
        let before = place.checked_sub(1).and_then(|place| subject.database.migrations.get(place));
        let version = before.map_or(0, |migration| migration.version);
        let Some(found) = one(subject, (&connection, version), migration, down)? else { continue };
        count += 1;
        let file = product::shown_down(subject.product, migration);
        troubles.extend(found.into_iter().map(|what| Trouble::new(WAY_BACK, &file, what)));
    }
    Ok(count)
}

/// What one way back does otherwise, a sentence each; `None` where the migration does not run with
/// rows, which the boots find. `version`: before it.
fn one(
    subject: &Subject<'_>,
    (connection, version): (&Connection, i64),
    migration: &Migration,
    down: &str,
) -> Result<Option<Vec<String>>> {
    let read = || -> Result<(Model, compare::Rows)> {
        let model = Model::read(connection, subject.history)?;
        let rows = compare::rows(connection, &model, subject.began)?;
        Ok((model, rows))
    };
    let fixtures = subject.request.fixtures.as_deref();
    fixtures::run(fixtures, &subject.database.name, version, connection)?;
    let before = Model::read(connection, subject.history)?;
    rows::fill(connection, &before, subject.request.rows)?;
    let (_, rows_before) = read()?;
    let enforced = migration.directives.foreign_keys == ForeignKeys::Enforced;
    // A transaction is around it here, as on a device.
    let sql = without_frame(&migration.sql);
    if run(connection, &sql, enforced).is_err() {
        return Ok(None);
    }
    let (_, up) = read()?;
    let schema_up = schema::dump(connection, subject.history)?;
    if let Err(error) = run(connection, down, false) {
        return Ok(Some(vec![format!("it fails with rows in the tables: {error}")]));
    }
    // What the migration itself takes away, the way back cannot bring.
    let kept = rows_before
        .into_iter()
        .filter(|(table, rows)| up.get(table).is_some_and(|now| now.len() >= rows.len()))
        .collect();
    let mut sentences = compare::lost(&kept, &read()?.1);
    if let Err(error) = run(connection, &sql, enforced) {
        sentences.push(format!("after it the migration fails with rows in the tables: {error}"));
        return Ok(Some(sentences));
    }
    if schema::dump(connection, subject.history)? != schema_up {
        sentences.push("after it the migration leads to another schema".to_owned());
    }
    sentences.extend(compare::differences(&up, &read()?.1, ["after up", "after up, down and up"]));
    Ok(Some(sentences))
}

fn run(connection: &Connection, sql: &str, enforced: bool) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", enforced)?;
    let ran = connection
        .execute_batch("BEGIN")
        .and_then(|()| connection.execute_batch(sql))
        .and_then(|()| connection.execute_batch("COMMIT"));
    if ran.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    connection.pragma_update(None, "foreign_keys", false)?;
    ran
}
