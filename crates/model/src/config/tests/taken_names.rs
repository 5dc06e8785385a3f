//! Owns the mistakes of a path that is another database's, or a name that goes with one.
//! Promises: every such name in every way to write it: as it is, in other case, above, below.
//! Never holds a text that is right.

use super::check;

/// Every name that goes with a database, in every way to write it.
#[test]
fn names_that_are_taken() {
    let with = |line: &str| format!("[databases.a]\npath = \"/d/a.db\"\n[databases.b]\n{line}");
    for (path, why) in [
        ("/d/.a.db.new", "is the temporary name of a new file of a"),
        (
            "/d/.A.DB.NEW",
            "is the temporary name of a new file of a (/d/.a.db.new) where the case of letters \
             does not count",
        ),
        ("/D/a.db", "is the database a (/d/a.db) where the case of letters does not count"),
        ("/d/a.db/b.db", "lies below the database a (/d/a.db)"),
        ("/d/a.db-wal/b.db", "lies below the WAL of a (/d/a.db-wal)"),
        ("/d/.a.db.new/b.db", "lies below the temporary name of a new file of a (/d/.a.db.new)"),
        ("/d", "is a folder above the database a (/d/a.db)"),
        (
            "/run/bootmigrate/b.db",
            "lies below the folder of ready files and of the report (/run/bootmigrate)",
        ),
        ("/run/bootmigrate", "is the folder of ready files and of the report"),
        ("/etc/bootmigrate.toml", "is the device's configuration file"),
    ] {
        check(
            &with(&format!("path = \"{path}\"")),
            &format!("4:1: in [databases.b], path {path} {why}; write another path"),
        );
    }
    // The first one's is a name of the second.
    check(
        "[databases.a]\npath = \"/d/.b.db.new\"\n[databases.b]\npath = \"/d/b.db\"",
        "2:1: in [databases.a], path /d/.b.db.new is the temporary name of a new file of b; write \
         another path",
    );
    // A folder: the file in it is the database's name.
    check(
        "[databases.a]\npath = \"/d/\"\n[databases.b]\npath = \"/D/A.db\"",
        "4:1: in [databases.b], path /D/A.db is the database a (/d/a.db) where the case of letters \
         does not count; write another path",
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
            &format!(
                "4:1: in [databases.b], require_mount {mount} {why}; write the folder that is the \
                 mount point"
            ),
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
        check(
            &text,
            &format!(
                "1:10: marker = \"{marker}\" lies in a state folder of bootmigrate; write a path \
                 outside .bootmigrate"
            ),
        );
    }
}
