//! Owns the judgement of a device after two boots: by plain SQLite, on a copy.
//! Promises: schema and every row of the product's own tables; the tools' own tables are not looked
//! at.
//! Never listens to what a tool says, but for its exit code.

use crate::tool::Tool;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What SQLite reads in the product's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    schema: Vec<(String, String)>,
    rows: BTreeMap<String, Vec<String>>,
}

/// What is wrong with a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    /// Both boots failed.
    pub stuck: bool,
    /// Neither the old database nor the new one; or old, and the tool says that it is done.
    pub torn: bool,
    /// Rows of the application are gone.
    pub lost: bool,
}

/// The content of `app.db`; `None` where there is none or it cannot be read.
pub fn content(device: &Path) -> Option<Content> {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(device.join("app.db"), copy.path().join("app.db")).ok()?;
    for side in ["app.db-wal", "app.db-journal"] {
        let _ = fs::copy(device.join(side), copy.path().join(side));
    }
    read(&Connection::open(copy.path().join("app.db")).ok()?).ok()
}

fn read(connection: &Connection) -> rusqlite::Result<Content> {
    let sql = "SELECT type || ' ' || name, coalesce(sql, ''), tbl_name, type = 'table', name FROM \
               sqlite_schema ORDER BY 1";
    let mut statement = connection.prepare(sql)?;
    let mut found = statement.query([])?;
    let (mut schema, mut rows) = (Vec::new(), BTreeMap::new());
    while let Some(row) = found.next()? {
        let table: String = row.get(2)?;
        if Tool::owns(&table) {
            continue;
        }
        schema.push((
            row.get(0)?,
            row.get::<_, String>(1)?.split_whitespace().collect::<Vec<_>>().join(" "),
        ));
        if row.get(3)? {
            let name: String = row.get(4)?;
            rows.insert(name.clone(), rows_of(connection, &name)?);
        }
    }
    Ok(Content { schema, rows })
}

fn rows_of(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
    let columns = statement.column_count();
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let cells: Vec<String> = (0..columns)
            .map(|at| row.get_ref(at).map(|cell| format!("{cell:?}")))
            .collect::<Result<_, _>>()?;
        rows.push(cells.join("|"));
    }
    rows.sort();
    Ok(rows)
}

impl Content {
    fn readings(&self) -> usize {
        self.rows
            .get("reading")
            .map_or(0, Vec::len)
            .max(self.rows.get("reading_new").map_or(0, Vec::len))
    }
}

/// Judges what two boots made of a cut.
pub fn judge(now: Option<&Content>, old: Option<&Content>, new: &Content, good: bool) -> Verdict {
    let is_new = now == Some(new);
    // A first boot that has not begun: no file, or a file without a table of the product.
    let is_old = match (now, old) {
        (Some(now), None) => now.schema.is_empty(),
        (now, old) => now == old,
    };
    let had = old.map_or(0, Content::readings);
    Verdict {
        stuck: !good,
        torn: !is_new && (good || !is_old),
        lost: now.map_or(0, Content::readings) < had,
    }
}
