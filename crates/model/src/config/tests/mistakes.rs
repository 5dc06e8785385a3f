//! Owns the table of mistakes: each text with the place and the whole sentence that it earns.
//! Promises: columns are characters, also behind letters of more than one byte.
//! Never holds a text that is right.

use super::{check, check_keys, check_over};
use crate::config::{Source, UnknownKey};

#[track_caller]
fn check_all(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        check(text, expected);
    }
}

#[test]
fn text_that_is_not_toml() {
    check_all(&[
        (r#"slots = "ab"#, r#"1:12: not TOML: invalid basic string, expected `"`; write key = value, or a table header such as [databases.settings]"#),
        ("slots", "1:6: not TOML: key with no value, expected `=`; write key = value, or a table header such as [databases.settings]"),
        ("slots = ab", r#"1:9: this value has no quotes; write text between " and ""#),
        ("= 3", "1:1: not TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`; write key = value, or a table header such as [databases.settings]"),
        ("x = {", "1:6: not TOML: unclosed inline table, expected `}`; write key = value, or a table header such as [databases.settings]"),
        ("a = [1,,2]", "1:8: not TOML: extra comma in array, expected value; write key = value, or a table header such as [databases.settings]"),
        (r#""größe" = "x" y"#, "1:15: not TOML: unexpected key or value, expected newline, `#`; write key = value, or a table header such as [databases.settings]"),
        ("[databases.settings", "1:20: not TOML: unclosed table, expected `]`; write key = value, or a table header such as [databases.settings]"),
        ("[databases.Grüße]", "1:14: not TOML: invalid unquoted key, expected letters, numbers, `-`, `_`; write key = value, or a table header such as [databases.settings]"),
        ("[databases.a]\n[databases.a]", "2:12: this key is written twice; write it once"),
        ("marker = \"/x\" # größe \0", "1:23: not TOML: invalid comment character, expected printable characters; write key = value, or a table header such as [databases.settings]"),
        ("\u{feff}marker = \"/größe/\t\"\r x", "1:21: not TOML: carriage return must be followed by newline, expected newline; write key = value, or a table header such as [databases.settings]"),
    ]);
}

#[test]
fn keys_at_the_top() {
    check_all(&[
        ("", " no database is named; write a table such as [databases.settings]"),
        (r#"slot = "ab""#, "1:1: slot is not a known key here; write slots"),
        ("zzz = 1", "1:1: zzz is not a known key here; the keys known here are slots, mode, example, marker, memory_max_mib, databases"),
        (
            r#""größe" = 1"#,
            r#"1:1: "größe" is not a known key here; the keys known here are slots, mode, example, marker, memory_max_mib, databases"#,
        ),
        ("\u{feff}slot = 1", "1:1: slot is not a known key here; write slots"),
        (r#"kind = "precious""#, "1:1: kind is not a known key here; write kind below a header [databases.NAME]"),
        ("[database.settings]", "1:2: database is not a known key here; write databases"),
        (r#"slots = "a""#, r#"1:9: slots = "a" is not known; write "ab" or "single""#),
        ("slots = 2", r#"1:9: slots is a whole number, not text in quotes; write slots = "single""#),
        (
            r#"mode = "0640""#,
            r#"1:8: mode = "0640" is the mode of a file; write it below a header [databases.NAME], and here "observe" or "normal""#,
        ),
        (r#"mode = "watch""#, r#"1:8: mode = "watch" is not known; write "observe" or "normal""#),
        (r#"example = "yes""#, "1:11: example is text, not true or false; write example = true"),
        ("example = 2024-01-01", "1:11: example is a date, not true or false; write example = true"),
        (r#"marker = "boot""#, r#"1:10: marker = "boot" is not absolute; begin it with /"#),
        (r#"marker = "/boot/""#, r#"1:10: marker = "/boot/" is a folder; write the file's name after it"#),
        ("marker = \"/var/lib/a/a.db\"\n[databases.a]", "1:1: marker /var/lib/a/a.db is the database a; write another path"),
    ]);
}

#[test]
fn tables_of_databases() {
    check_all(&[
        ("databases = 3", "1:1: databases is a whole number, not a table; write the header [databases.settings]"),
        ("[[databases]]", "1:3: databases is a list, not a table; write the header [databases.settings]"),
        ("[databases]\na = 3", "2:1: a is a whole number, not a table; write the header [databases.a]"),
        (
            "[databases.\"größe\"]\npfad = 1",
            r#"1:12: the database name "größe" has other characters than a-z, 0-9, _ and -; write a name such as settings"#,
        ),
        (r#"[databases."-x"]"#, "1:12: the database name -x would be taken for an option on the command line; begin it with a letter"),
        (r#"[databases.""]"#, r#"1:12: the database name "" is empty; write a name such as settings"#),
        (
            "[databases.Settings]",
            "1:12: the database name Settings has other characters than a-z, 0-9, _ and -; write a name such as settings",
        ),
        (
            "[databases.a]\npath = \"/x.db\"\n[databases.b]\npath = \"/x.db\"",
            "4:1: in [databases.b], path /x.db is the database a; write another path",
        ),
        (
            "[databases.a]\npath = \"/var/lib/b/b.db\"\n[databases.b]",
            "3:12: in [databases.b], path /var/lib/b/b.db is the database a; write another path",
        ),
    ]);
}

#[test]
fn keys_of_a_database() {
    check_keys(&[
        (r#"slots = "ab""#, "2:1: slots is not a known key here; write slots at the top of the file, above the first [databases.NAME]"),
        (r#"on_failur = "purge""#, "2:1: on_failur is not a known key here; write on_failure"),
        (r#"on-failure = "purge""#, "2:1: on-failure is not a known key here; write on_failure"),
        (r#"kidn = "precious""#, "2:1: kidn is not a known key here; write kind"),
        ("kind = \"precious\"\nkind = \"precious\"", "3:1: this key is written twice; write it once"),
        (r#"on_failure = "retry""#, r#"2:14: on_failure = "retry" is not known; write "restore" or "purge""#),
        (r#"kind = "größer""#, r#"2:8: kind = "größer" is not known; write "precious" or "rebuildable""#),
        (r#"copy = "sometimes""#, r#"2:8: copy = "sometimes" is not known; write "auto", "always" or "never""#),
        (r#"journal_mode = "truncate""#, r#"2:16: journal_mode = "truncate" is not known; write "keep", "wal" or "delete""#),
        (r#"changed_text = "ignore""#, r#"2:16: changed_text = "ignore" is not known; write "refuse" or "warn""#),
        ("user_version = 1", r#"2:16: user_version is a whole number, not text in quotes; write user_version = "product""#),
        (r#"together = "Core""#, r#"2:12: together = "Core" has other characters than a-z, 0-9, _ and -; write a name such as settings"#),
        (
            r#"together = "core""#,
            r#"2:1: in [databases.settings], together = "core" is no other database's; write it in the table of each of them, or leave it out"#,
        ),
        ("together = true", r#"2:12: together is true or false, not text in quotes; write together = "core""#),
    ]);
}

/// Each waits inside the run of the one before it.
#[test]
fn a_group_has_at_most_32_databases() {
    let text = |members: u32| -> String {
        let table = |number| {
            format!(
                "[databases.d{number}]\npath = \"/var/lib/d{number}.db\"\ntogether = \"core\"\n"
            )
        };
        (0..members).map(table).collect()
    };
    let read = |text: &str| {
        crate::config::read(Source { file: "bootmigrate.toml", text }, &[], UnknownKey::Refuse)
    };
    assert!(read(&text(32)).is_ok());
    let refused = read(&text(33)).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(
        refused.contains("together = \"core\" is 33 databases'; a group has at most 32"),
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
        (r#"on_damage = "purge""#, r#"2:13: on_damage is text, not a list; write on_damage = ["reindex", "salvage", "snapshot"]"#),
        (r#"on_damage = ["reindex", "reindex"]"#, r#"2:25: on_damage = "reindex" stands in the list twice; write it once"#),
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
        (r#"carry_over = "wifi""#, r#"2:14: carry_over = "wifi" is not a list; write carry_over = ["*"]"#),
        (r#"carry_over = ["größe", "*"]"#, r#"2:24: carry_over = "*" means every table; write it alone, or only the names"#),
        (r#"carry_over = ["wifi", "WIFI"]"#, r#"2:23: carry_over = "WIFI" stands in the list twice; write it once"#),
        (r#"carry_over = [""]"#, r#"2:15: carry_over = "" is not a table name; write the name as it stands in CREATE TABLE"#),
        (
            r#"carry_over = ["sqlite_sequence"]"#,
            r#"2:15: carry_over = "sqlite_sequence" belongs to SQLite, which fills it itself; leave it out"#,
        ),
        (
            r#"carry_over = ["refinery_schema_history"]"#,
            "2:1: in [databases.settings], carry_over names the history table, which the fresh database writes itself; leave it out",
        ),
        (
            "on_failure = \"purge\"\ncarry_over = []",
            r#"3:1: in [databases.settings], carry_over = [] with a purge leaves nothing of precious data; name the tables to keep, or write kind = "rebuildable""#,
        ),
    ]);
}

#[test]
fn limits() {
    check_keys(&[
        ("quarantine_max = 0", r#"2:1: in [databases.settings], quarantine_max = 0 would let precious data go without a trace; write 1 or more, or kind = "rebuildable""#),
        ("quarantine_max = 17", "2:18: quarantine_max = 17 is out of range: each files in quarantine is a whole copy of the database; write a number from 0 to 16"),
        ("quarantine_max = -1", "2:18: quarantine_max = -1 is out of range: each files in quarantine is a whole copy of the database; write a number from 0 to 16"),
        ("quarantine_max = 1.5", "2:18: quarantine_max is a number with a fraction, not a whole number; write quarantine_max = 2"),
        (r#"quarantine_max = "2""#, "2:18: quarantine_max is text, not a whole number; write quarantine_max = 2"),
        ("busy_timeout_s = 301", "2:18: busy_timeout_s = 301 is out of range: a longer wait outlasts a service manager's patience at boot; write a number from 0 to 300"),
        ("busy_timeout_s = 99999999999999999999999", "2:18: busy_timeout_s = 99999999999999999999999 is out of range: a longer wait outlasts a service manager's patience at boot; write a number from 0 to 300"),
        ("snapshots_max = 0x11", "2:17: snapshots_max = 0x11 is out of range: each snapshot may be a whole copy of the database; write a number from 0 to 16"),
        ("quick_check_max_mib = 1_048_577", "2:23: quick_check_max_mib = 1048577 is out of range: a file of more than 1 TiB cannot be checked at boot; write a number from 0 to 1048576"),
        ("statement_timeout_s = 0", "2:23: statement_timeout_s = 0 is out of range: a statement takes some time, and no boot waits for longer than a day; write a number from 1 to 86400"),
        ("adopted_up_to = 9_223_372_036_854_775_808", "2:17: adopted_up_to = 9223372036854775808 is out of range: versions of migrations are 64-bit numbers without a sign; write a number from 0 to 9223372036854775807"),
        ("versions = 32", "2:12: versions = 32 is not known; write 64, or leave it out: versions have 64 bits where one needs them, and else 32"),
        ("versions = -64", "2:12: versions = -64 is not known; write 64, or leave it out: versions have 64 bits where one needs them, and else 32"),
        ("sqlite_min = 3.40", r#"2:14: sqlite_min is a number with a fraction, not text in quotes; write sqlite_min = "3.40""#),
        (r#"sqlite_min = "4.0""#, r#"2:14: sqlite_min = "4.0" is no version of SQLite 3; write what `SELECT sqlite_version()` says there, for example "3.40""#),
        (r#"sqlite_min = "3.x""#, r#"2:14: sqlite_min = "3.x" is no version of SQLite 3; write what `SELECT sqlite_version()` says there, for example "3.40""#),
        (r#"sqlite_min = "3.40.1.2""#, r#"2:14: sqlite_min = "3.40.1.2" is no version of SQLite 3; write what `SELECT sqlite_version()` says there, for example "3.40""#),
        (r#"sqlite_min = "3.8.2""#, r#"2:14: sqlite_min = "3.8.2" is too old to be looked for; write "3.24" or a newer one"#),
        (r#"history_table = "a b""#, r#"2:17: history_table = "a b" is not a plain table name; write letters, digits and _, at most 64 bytes, for example "refinery_schema_history""#),
        (r#"history_table = "sqlite_x""#, r#"2:17: history_table = "sqlite_x" begins like a table of SQLite or of bootmigrate; write for example "refinery_schema_history""#),
    ]);
}

#[test]
fn adoption() {
    check_keys(&[
        (
            r#"adopt = "flyway""#,
            r#"2:9: adopt = "flyway" is not known; write "user_version", "refinery", "ecto", "sqlx", "diesel", "rusqlite_migration", "golang-migrate", "goose" or "dbmate""#,
        ),
        ("adopt = 3", r#"2:9: adopt = 3 is neither a tool's name nor a table; write adopt = "sqlx""#),
        ("adopt = {}", r#"2:9: adopt = {} names no tool; write adopt = "sqlx""#),
        (r#"adopt = { from = "sqlx", version_query = "SELECT 1" }"#, "2:9: adopt = {…} has both from and version_query; write one of them"),
        (r#"adopt = { form = "sqlx" }"#, "2:11: form is not a known key here; write from"),
        (
            r#"adopt = { version_query = "DELETE FROM a" }"#,
            r#"2:27: version_query = "DELETE FROM a" is not one SELECT; write a query with one row and one column, the version"#,
        ),
        (
            r#"adopt = { version_query = "SELECT 1; SELECT 2" }"#,
            r#"2:27: version_query = "SELECT 1; SELECT 2" is not one SELECT; write a query with one row and one column, the version"#,
        ),
        (
            r#"adopt = { from = "goose", versions = { a = 12 } }"#,
            "2:44: a = 12 has no version number on its left; write for example 7 = 12",
        ),
        (r#"adopt = { from = "goose", versions = { 7 = "12" } }"#, "2:44: 7 is text, not a whole number; write 7 = 12"),
        (r#"adopt = { from = "goose", versions = { 7 = 1, 07 = 2 } }"#, "2:47: version 7 is written twice; write it once"),
        (
            r#"adopt = { from = "goose", versions = {} }"#,
            "2:38: versions = {} is empty; write for example { 7 = 12 }, or leave it out where the numbers are the same",
        ),
        (
            r#"adopt = { from = "refinery", versions = { 7 = 3 } }"#,
            "2:9: adopt = {…} maps versions of refinery, whose history is used as it is; leave versions out",
        ),
    ]);
}

/// Every name that goes with a database, in every way to write it.
#[test]
fn names_that_are_taken() {
    let with = |line: &str| format!("[databases.a]\npath = \"/d/a.db\"\n[databases.b]\n{line}");
    for (path, why) in [
        ("/d/.a.db.new", "is the temporary name of a new file of a"),
        ("/d/.A.DB.NEW", "is the temporary name of a new file of a (/d/.a.db.new) where the case of letters does not count"),
        ("/D/a.db", "is the database a (/d/a.db) where the case of letters does not count"),
        ("/d/a.db/b.db", "lies below the database a (/d/a.db)"),
        ("/d/a.db-wal/b.db", "lies below the WAL of a (/d/a.db-wal)"),
        ("/d/.a.db.new/b.db", "lies below the temporary name of a new file of a (/d/.a.db.new)"),
        ("/d", "is a folder above the database a (/d/a.db)"),
        ("/run/bootmigrate/b.db", "lies below the folder of ready files and of the report (/run/bootmigrate)"),
        ("/run/bootmigrate", "is the folder of ready files and of the report"),
        ("/etc/bootmigrate.toml", "is the device's configuration file"),
    ] {
        check(&with(&format!("path = \"{path}\"")), &format!("4:1: in [databases.b], path {path} {why}; write another path"));
    }
    // The first one's is a name of the second.
    check(
        "[databases.a]\npath = \"/d/.b.db.new\"\n[databases.b]\npath = \"/d/b.db\"",
        "2:1: in [databases.a], path /d/.b.db.new is the temporary name of a new file of b; write another path",
    );
    // A folder: the file in it is the database's name.
    check(
        "[databases.a]\npath = \"/d/\"\n[databases.b]\npath = \"/D/A.db\"",
        "4:1: in [databases.b], path /D/A.db is the database a (/d/a.db) where the case of letters does not count; write another path",
    );
    for (mount, why) in [
        ("/d/.a.db.new", "is the temporary name of a new file of a"),
        (
            "/d/.bootmigrate/a.db/quarantine",
            "lies below the state folder of a (/d/.bootmigrate/a.db)",
        ),
        ("/d/a.db-journal", "is the journal of a"),
    ] {
        check(
            &with(&format!("require_mount = \"{mount}\"")),
            &format!("4:1: in [databases.b], require_mount {mount} {why}; write the folder that is the mount point"),
        );
    }
}

#[test]
fn markers_under_names_that_are_taken() {
    for (marker, why) in [
        ("/d/a.db-wal", "is the WAL of a"),
        ("/d/a.db-shm", "is the shared memory of a"),
        ("/d/a.db-journal", "is the journal of a"),
        (
            "/d/A.db-Journal",
            "is the journal of a (/d/a.db-journal) where the case of letters does not count",
        ),
        ("/d/.a.db.new", "is the temporary name of a new file of a"),
        ("/D/A.DB", "is the database a (/d/a.db) where the case of letters does not count"),
        (
            "/run/bootmigrate/status.json",
            "lies below the folder of ready files and of the report (/run/bootmigrate)",
        ),
        ("/etc/bootmigrate.toml", "is the device's configuration file"),
    ] {
        let text = format!("marker = \"{marker}\"\n[databases.a]\npath = \"/d/a.db\"");
        check(&text, &format!("1:1: marker {marker} {why}; write another path"));
    }
    for marker in ["/d/.bootmigrate/a.db/record", "/d/.BootMigrate/request"] {
        let text = format!("marker = \"{marker}\"\n[databases.a]\npath = \"/d/a.db\"");
        check(&text, &format!("1:10: marker = \"{marker}\" lies in a state folder of bootmigrate; write a path outside .bootmigrate"));
    }
}

#[test]
fn what_a_device_cannot_override() {
    check_over(
        "[databases.setings]",
        "1:12: this firmware has no database setings: the image carries no migrations for it; write [databases.settings]",
    );
    check_over(
        "[databases.telemetry]\nkind = \"rebuildable\"",
        "1:12: this firmware has no database telemetry: the image carries no migrations for it; its databases are settings",
    );
    check_over("example = false", "1:1: example is decided when the firmware is built; write it in the image's own bootmigrate.toml");
    check_over(
        "# ü\n[databases.settings]\nadopted_up_to = 3",
        "3:1: adopted_up_to is decided when the firmware is built; write it in the image's own bootmigrate.toml",
    );
    check_over(
        "[databases.settings]\nversions = 64",
        "2:1: versions is decided when the firmware is built; write it in the image's own bootmigrate.toml",
    );
    check_over(r#"slots = "abc""#, r#"1:9: slots = "abc" is not known; write "ab" or "single""#);
    check_over(
        "[databases.settings]\non_newer = [\"trial-snapshot\"]",
        r#"2:1: in [databases.settings], on_newer has "trial-snapshot", which needs a second slot; write slots = "ab" at the top of the file, or leave it out"#,
    );
    check_over(
        "[databases.settings]\nquarantine_max = 0",
        r#"2:1: in [databases.settings], quarantine_max = 0 would let precious data go without a trace; write 1 or more, or kind = "rebuildable""#,
    );
    check_over("slots = ", "1:9: this key has no value; write one after =");
}
