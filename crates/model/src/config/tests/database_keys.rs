//! Owns the table of mistakes in the keys of a database, each with its place and whole sentence.
//! Promises: a key in [databases.NAME] that can be wrong in several ways has a case for each.
//! Never holds a text that is right.

use super::check_keys;
use crate::config::{Source, UnknownKey};

#[test]
fn keys_of_a_database() {
    check_keys(&[
        (
            r#"slots = "ab""#,
            "2:1: slots is not a known key here; write slots at the top of the file, above the \
             first [databases.NAME]",
        ),
        (r#"on_failur = "purge""#, "2:1: on_failur is not a known key here; write on_failure"),
        (r#"on-failure = "purge""#, "2:1: on-failure is not a known key here; write on_failure"),
        (r#"kidn = "precious""#, "2:1: kidn is not a known key here; write kind"),
        (
            "kind = \"precious\"\nkind = \"precious\"",
            "3:1: this key is written twice; write it once",
        ),
        (
            r#"on_failure = "retry""#,
            r#"2:14: on_failure = "retry" is not known; write "restore" or "purge""#,
        ),
        (
            r#"kind = "größer""#,
            r#"2:8: kind = "größer" is not known; write "precious" or "rebuildable""#,
        ),
        (
            r#"snapshot = "sometimes""#,
            r#"2:12: snapshot = "sometimes" is not known; write "auto", "always" or "never""#,
        ),
        (
            r#"journal_mode = "truncate""#,
            r#"2:16: journal_mode = "truncate" is not known; write "keep", "wal" or "delete""#,
        ),
        (
            r#"on_checksum_mismatch = "ignore""#,
            r#"2:24: on_checksum_mismatch = "ignore" is not known; write "refuse" or "warn""#,
        ),
        (
            "user_version = 1",
            r#"2:16: user_version is a whole number, not text in quotes; write user_version = "product""#,
        ),
        (
            r#"group = "Core""#,
            r#"2:9: group = "Core" has other characters than a-z, 0-9, _ and -; write a name such as settings"#,
        ),
        (
            r#"group = "core""#,
            r#"2:1: in [databases.settings], group = "core" is no other database's; write it in the table of each of them, or leave it out"#,
        ),
        (
            "group = true",
            r#"2:9: group is true or false, not text in quotes; write group = "core""#,
        ),
    ]);
}

/// Each waits inside the run of the one before it.
#[test]
fn a_group_has_at_most_32_databases() {
    let text = |members: u32| -> String {
        let table = |number| {
            format!("[databases.d{number}]\npath = \"/var/lib/d{number}.db\"\ngroup = \"core\"\n")
        };
        (0..members).map(table).collect()
    };
    let read = |text: &str| {
        crate::config::read(Source { file: "bootmigrate.toml", text }, &[], UnknownKey::Refuse)
    };
    assert!(read(&text(32)).is_ok());
    let refused = read(&text(33)).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(
        refused.contains("group = \"core\" is 33 databases'; a group has at most 32"),
        "{refused}"
    );
}

#[test]
fn paths() {
    check_keys(&[
        (
            "path = 7",
            r#"2:8: path is a whole number, not text in quotes; write path = "/var/lib/gateway/settings.db""#,
        ),
        (r#"path = """#, r#"2:8: path = "" is not absolute; begin it with /"#),
        (r#"path = "var/x.db""#, r#"2:8: path = "var/x.db" is not absolute; begin it with /"#),
        (
            r#"path = "/var/../x.db""#,
            r#"2:8: path = "/var/../x.db" goes up with ".."; write the path that is meant"#,
        ),
        (
            r#"path = "/var//x.db""#,
            r#"2:8: path = "/var//x.db" has an empty or "." step in it; write each folder once"#,
        ),
        (
            r#"path = "/var/./""#,
            r#"2:8: path = "/var/./" has an empty or "." step in it; write each folder once"#,
        ),
        (
            r#"path = "/var/x.db-wal""#,
            r#"2:8: path = "/var/x.db-wal" ends like a side file of SQLite; write a name that does not end in -wal"#,
        ),
        (
            r#"path = "/var/x.db-WAL""#,
            r#"2:8: path = "/var/x.db-WAL" ends like a side file of SQLite; write a name that does not end in -wal"#,
        ),
        (
            r#"path = "/var/.bootMigrate/x.db""#,
            r#"2:8: path = "/var/.bootMigrate/x.db" lies in a state folder of bootmigrate; write a path outside .bootmigrate"#,
        ),
        (
            r#"path = "/var/.bootmigrate/x.db""#,
            r#"2:8: path = "/var/.bootmigrate/x.db" lies in a state folder of bootmigrate; write a path outside .bootmigrate"#,
        ),
        (
            r#"path = "/var/\tx.db""#,
            r#"2:8: path = "/var/\tx.db" has a control character in it; write it without"#,
        ),
        (
            r#"require_mount = "data""#,
            r#"2:17: require_mount = "data" is not absolute; begin it with /"#,
        ),
        (
            r#"require_mount = "/data/..""#,
            r#"2:17: require_mount = "/data/.." goes up with ".."; write the path that is meant"#,
        ),
    ]);
}

#[test]
fn owners_and_modes() {
    check_keys(&[
        ("mode = 640", r#"2:8: mode is a whole number, not text in quotes; write mode = "0640""#),
        (
            r#"mode = "observe""#,
            r#"2:8: mode = "observe" is for the whole run; write mode = "observe" at the top of the file, and here permissions such as "0640""#,
        ),
        (
            r#"mode = "0888""#,
            r#"2:8: mode = "0888" is not an octal mode; write three or four digits from 0 to 7, for example "0640""#,
        ),
        (
            r#"mode = "64""#,
            r#"2:8: mode = "64" is not an octal mode; write three or four digits from 0 to 7, for example "0640""#,
        ),
        (
            r#"mode = "+640""#,
            r#"2:8: mode = "+640" is not an octal mode; write three or four digits from 0 to 7, for example "0640""#,
        ),
        (
            r#"mode = "0755""#,
            r#"2:8: mode = "0755" has bits for programs in it, and a database is none; write for example "0640""#,
        ),
        (
            r#"mode = "0440""#,
            r#"2:8: mode = "0440" keeps the owner from reading or writing; write for example "0640""#,
        ),
        (
            r#"owner = "a:b:c""#,
            r#"2:9: owner = "a:b:c" is not an owner; write user:group, names or numbers, for example "gateway:gateway""#,
        ),
        (
            r#"owner = ":b""#,
            r#"2:9: owner = ":b" is not an owner; write user:group, names or numbers, for example "gateway:gateway""#,
        ),
        (
            r#"owner = """#,
            r#"2:9: owner = "" is not an owner; write user:group, names or numbers, for example "gateway:gateway""#,
        ),
        (
            r#"owner = "4294967295""#,
            r#"2:9: owner = "4294967295" has a number above 4294967294; write a smaller one"#,
        ),
        (
            r#"owner = "größe""#,
            r#"2:9: owner = "größe" is not an owner; write user:group, names or numbers, for example "gateway:gateway""#,
        ),
    ]);
}

#[test]
fn lists() {
    check_keys(&[
        (
            r#"on_damage = "purge""#,
            r#"2:13: on_damage is text, not a list; write on_damage = ["reindex", "salvage", "snapshot"]"#,
        ),
        (
            r#"on_damage = ["reindex", "reindex"]"#,
            r#"2:25: on_damage = "reindex" stands in the list twice; write it once"#,
        ),
        (
            r#"on_damage = ["reindex", 3]"#,
            r#"2:25: an entry of on_damage is a whole number, not text in quotes; write on_damage = ["reindex", "salvage", "snapshot"]"#,
        ),
        (
            "on_damage = [ # größer\n  \"vacuum\" ]",
            r#"3:3: on_damage = "vacuum" is not known; write "reindex", "salvage", "snapshot" or "purge""#,
        ),
        (
            r#"on_damage = ["purge", "snapshot"]"#,
            r#"2:1: in [databases.settings], on_damage has more after "purge", which always ends the search; write "purge" last"#,
        ),
        (
            r#"on_newer = ["trial-snapshot"]"#,
            r#"2:1: in [databases.settings], on_newer has "trial-snapshot", which needs a second slot; write slots = "ab" at the top of the file, or leave it out"#,
        ),
        (
            r#"on_newer = ["purge"]"#,
            r#"2:1: in [databases.settings], on_newer has "purge", but precious data is never purged for being newer; leave it out, or write kind = "rebuildable""#,
        ),
        (
            "kind = \"rebuildable\"\non_newer = [\"purge\", \"downgrade\"]",
            r#"3:1: in [databases.settings], on_newer discards data before it has tried what keeps it; write "trial-snapshot" and "purge" last"#,
        ),
        (
            r#"carry_over = "wifi""#,
            r#"2:14: carry_over = "wifi" is not a list; write carry_over = ["*"]"#,
        ),
        (
            r#"carry_over = ["größe", "*"]"#,
            r#"2:24: carry_over = "*" means every table; write it alone, or only the names"#,
        ),
        (
            r#"carry_over = ["wifi", "WIFI"]"#,
            r#"2:23: carry_over = "WIFI" stands in the list twice; write it once"#,
        ),
        (
            r#"carry_over = [""]"#,
            r#"2:15: carry_over = "" is not a table name; write the name as it stands in CREATE TABLE"#,
        ),
        (
            r#"carry_over = ["sqlite_sequence"]"#,
            r#"2:15: carry_over = "sqlite_sequence" belongs to SQLite, which fills it itself; leave it out"#,
        ),
        (
            r#"carry_over = ["refinery_schema_history"]"#,
            "2:1: in [databases.settings], carry_over names the history table, which the fresh \
             database writes itself; leave it out",
        ),
        (
            "on_failure = \"purge\"\ncarry_over = []",
            r#"3:1: in [databases.settings], carry_over = [] with a purge leaves nothing of precious data; name the tables to keep, or write kind = "rebuildable""#,
        ),
    ]);
}

const LIMITS: &[(&str, &str)] = &[
    (
        "quarantine_max = 0",
        r#"2:1: in [databases.settings], quarantine_max = 0 would let precious data go without a trace; write 1 or more, or kind = "rebuildable""#,
    ),
    (
        "quarantine_max = 17",
        "2:18: quarantine_max = 17 is out of range: each files in quarantine is a whole copy of \
         the database; write a number from 0 to 16",
    ),
    (
        "quarantine_max = -1",
        "2:18: quarantine_max = -1 is out of range: each files in quarantine is a whole copy of \
         the database; write a number from 0 to 16",
    ),
    (
        "quarantine_max = 1.5",
        "2:18: quarantine_max is a number with a fraction, not a whole number; write \
         quarantine_max = 2",
    ),
    (
        r#"quarantine_max = "2""#,
        "2:18: quarantine_max is text, not a whole number; write quarantine_max = 2",
    ),
    (
        "busy_timeout_s = 301",
        "2:18: busy_timeout_s = 301 is out of range: a longer wait outlasts a service manager's \
         patience at boot; write a number from 0 to 300",
    ),
    (
        "busy_timeout_s = 99999999999999999999999",
        "2:18: busy_timeout_s = 99999999999999999999999 is out of range: a longer wait outlasts a \
         service manager's patience at boot; write a number from 0 to 300",
    ),
    (
        "snapshots_max = 0x11",
        "2:17: snapshots_max = 0x11 is out of range: each snapshot may be a whole copy of the \
         database; write a number from 0 to 16",
    ),
    (
        "quick_check_max_mib = 1_048_577",
        "2:23: quick_check_max_mib = 1048577 is out of range: a file of more than 1 TiB cannot be \
         checked at boot; write a number from 0 to 1048576",
    ),
    (
        "statement_timeout_s = 0",
        "2:23: statement_timeout_s = 0 is out of range: a statement takes some time, and no boot \
         waits for longer than a day; write a number from 1 to 86400",
    ),
    (
        "baseline_version = 9_223_372_036_854_775_808",
        "2:20: baseline_version = 9223372036854775808 is out of range: versions of migrations are \
         64-bit numbers without a sign; write a number from 0 to 9223372036854775807",
    ),
    (
        "versions = 32",
        "2:12: versions = 32 is not known; write 64, or leave it out: versions have 64 bits where \
         one needs them, and else 32",
    ),
    (
        "versions = -64",
        "2:12: versions = -64 is not known; write 64, or leave it out: versions have 64 bits where \
         one needs them, and else 32",
    ),
    (
        "sqlite_min = 3.40",
        r#"2:14: sqlite_min is a number with a fraction, not text in quotes; write sqlite_min = "3.40""#,
    ),
    (
        r#"sqlite_min = "4.0""#,
        r#"2:14: sqlite_min = "4.0" is no version of SQLite 3; write what `SELECT sqlite_version()` says there, for example "3.40""#,
    ),
    (
        r#"sqlite_min = "3.x""#,
        r#"2:14: sqlite_min = "3.x" is no version of SQLite 3; write what `SELECT sqlite_version()` says there, for example "3.40""#,
    ),
    (
        r#"sqlite_min = "3.40.1.2""#,
        r#"2:14: sqlite_min = "3.40.1.2" is no version of SQLite 3; write what `SELECT sqlite_version()` says there, for example "3.40""#,
    ),
    (
        r#"sqlite_min = "3.8.2""#,
        r#"2:14: sqlite_min = "3.8.2" is too old to be looked for; write "3.24" or a newer one"#,
    ),
    (
        r#"history_table = "a b""#,
        r#"2:17: history_table = "a b" is not a plain table name; write letters, digits and _, at most 64 bytes, for example "refinery_schema_history""#,
    ),
    (
        r#"history_table = "sqlite_x""#,
        r#"2:17: history_table = "sqlite_x" begins like a table of SQLite or of bootmigrate; write for example "refinery_schema_history""#,
    ),
];

#[test]
fn limits() {
    check_keys(LIMITS);
}

#[test]
fn adoption() {
    check_keys(&[
        (
            r#"baseline = "flyway""#,
            r#"2:12: baseline = "flyway" is not known; write "user_version", "refinery", "ecto", "sqlx", "diesel", "rusqlite_migration", "golang-migrate", "goose" or "dbmate""#,
        ),
        ("baseline = 3", r#"2:12: baseline = 3 is neither a tool's name nor a table; write baseline = "sqlx""#),
        ("baseline = {}", r#"2:12: baseline = {} names no tool; write baseline = "sqlx""#),
        (r#"baseline = { from = "sqlx", version_query = "SELECT 1" }"#, "2:12: baseline = {…} has \
            both from and version_query; write one of them"),
        (r#"baseline = { form = "sqlx" }"#, "2:14: form is not a known key here; write from"),
        (
            r#"baseline = { version_query = "DELETE FROM a" }"#,
            r#"2:30: version_query = "DELETE FROM a" is not one SELECT; write a query with one row and one column, the version"#,
        ),
        (
            r#"baseline = { version_query = "SELECT 1; SELECT 2" }"#,
            r#"2:30: version_query = "SELECT 1; SELECT 2" is not one SELECT; write a query with one row and one column, the version"#,
        ),
        (
            r#"baseline = { from = "goose", versions = { a = 12 } }"#,
            "2:47: a = 12 has no version number on its left; write for example 7 = 12",
        ),
        (r#"baseline = { from = "goose", versions = { 7 = "12" } }"#, "2:47: 7 is text, not a \
            whole number; write 7 = 12"),
        (r#"baseline = { from = "goose", versions = { 7 = 1, 07 = 2 } }"#, "2:50: version 7 is \
            written twice; write it once"),
        (
            r#"baseline = { from = "goose", versions = {} }"#,
            "2:41: versions = {} is empty; write for example { 7 = 12 }, or leave it out where the \
             numbers are the same",
        ),
        (
            r#"baseline = { from = "refinery", versions = { 7 = 3 } }"#,
            "2:12: baseline = {…} maps versions of refinery, whose history is used as it is; leave \
             versions out",
        ),
    ]);
}
