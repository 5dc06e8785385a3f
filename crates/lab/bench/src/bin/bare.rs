//! Bare SQLite: what is pending in one transaction, and `user_version`. No history, no check; with
//! the word `checked` after a synced copy of the file, and with an integrity check before the
//! migrations and one before the commit, as bootmigrate's policy asks by default.

use rusqlite::Connection;

fn main() {
    let (migrations, database) = bootmigrate_bench::asked();
    let mut connection = Connection::open(&database).unwrap();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let Some(pending) =
        migrations.get(usize::try_from(version).unwrap()..).filter(|pending| !pending.is_empty())
    else {
        return;
    };
    let checked = std::env::args().nth(3).is_some_and(|word| word == "checked");
    if checked {
        let copy = format!("{database}.copy");
        std::fs::copy(&database, &copy).unwrap();
        std::fs::File::open(copy).unwrap().sync_all().unwrap();
        // As bootmigrate has by default for a file of this size.
        connection.pragma_update(None, "cache_size", -196_608).unwrap();
    }
    let transaction = connection.transaction().unwrap();
    let whole = || {
        let said: String =
            transaction.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(said, "ok");
    };
    if checked {
        whole();
    }
    for (_, sql) in pending {
        transaction.execute_batch(sql).unwrap();
    }
    if checked {
        whole();
    }
    transaction
        .pragma_update(None, "user_version", i64::try_from(migrations.len()).unwrap())
        .unwrap();
    transaction.commit().unwrap();
}
