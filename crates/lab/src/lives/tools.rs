//! Owns what other migration tools leave in a database: their own tables, as their documentation
//! has them.
//! Promises: one version is said to be the last; a history that is not finished says so in the
//! tool's own way.
//! Never knows which version of ours that is.

/// Tools that `baseline` can name.
pub const TOOLS: [&str; 8] = [
    "user_version",
    "rusqlite_migration",
    "ecto",
    "sqlx",
    "diesel",
    "golang-migrate",
    "goose",
    "dbmate",
];
/// A version that goose has undone again lies this much above the last.
const UNDONE: i64 = 1;

/// Statements that write this tool's history: it has done these versions before the last.
pub fn history(tool: &str, done: &[i64], said: i64, unfinished: bool) -> Vec<String> {
    let table = |create: &str, rows: &[String]| {
        let mut all = vec![format!("CREATE TABLE {create}")];
        all.extend(rows.iter().map(|row| {
            format!("INSERT INTO {} VALUES {row}", create.split('(').next().unwrap_or_default())
        }));
        all
    };
    let all: Vec<i64> = done.iter().copied().chain([said]).filter(|one| *one > 0).collect();
    let each = |row: &dyn Fn(i64) -> String| -> Vec<String> {
        all.iter().map(|version| row(*version)).collect()
    };
    match tool {
        "ecto" => {
            let rows = each(&|version| format!("({version}, '2024-05-01T10:00:00')"));
            table("schema_migrations(version INTEGER PRIMARY KEY, inserted_at TEXT)", &rows)
        }
        "sqlx" => {
            let rows = each(&|version| {
                let good = i32::from(version != said || !unfinished);
                format!("({version}, 'one', '2024-05-01 10:00:00', {good}, X'00', 1)")
            });
            table(
                "_sqlx_migrations(version BIGINT PRIMARY KEY, description TEXT, installed_on \
                 TIMESTAMP, success BOOLEAN, checksum BLOB, execution_time BIGINT)",
                &rows,
            )
        }
        "diesel" => {
            let rows = each(&|version| format!("('{version:014}', '2024-05-01 10:00:00')"));
            table(
                "__diesel_schema_migrations(version VARCHAR(50) PRIMARY KEY NOT NULL, run_on \
                 TIMESTAMP)",
                &rows,
            )
        }
        "golang-migrate" => {
            let mut rows = vec![format!("({said}, {})", i32::from(unfinished))];
            rows.retain(|_| said > 0 || unfinished);
            table("schema_migrations(version uint64, dirty bool)", &rows)
        }
        "goose" => {
            let row = |id: i64, version: i64, applied: i32| {
                format!("({id}, {version}, {applied}, '2024-05-01 10:00:00')")
            };
            let mut rows = vec![row(1, 0, 1)];
            let mut next =
                |version, applied| rows.push(row(rows.len() as i64 + 1, version, applied));
            all.iter().for_each(|one| next(*one, 1));
            next(said + UNDONE, 1);
            next(said + UNDONE, 0);
            table(
                "goose_db_version(id INTEGER PRIMARY KEY, version_id INTEGER, is_applied INTEGER, \
                 tstamp TIMESTAMP)",
                &rows,
            )
        }
        "dbmate" => {
            let rows = each(&|version| format!("('{version:014}')"));
            table("schema_migrations(version varchar(128) PRIMARY KEY)", &rows)
        }
        _ => vec![format!("PRAGMA user_version = {said}")],
    }
}

/// Whether a history of this tool can say that it is not finished.
pub fn may_be_unfinished(tool: &str) -> bool {
    matches!(tool, "sqlx" | "golang-migrate")
}
