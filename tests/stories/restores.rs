//! Owns the stories of files that a person brings to `snapshot restore` and that are refused.
//! Promises: one sentence that names the file; not a byte, time or name of the device is another, and its application goes on.
//! Never a file that is taken: those are in `commands.rs`.

use crate::bench::Bench;
use crate::oracle;
use crate::picture::tidy;
use crate::transcripts::unchanged;
use expect_test::expect;
use rusqlite::Connection;
use std::fs;

/// What is said of a file that may not be restored; not a byte, time or name of the device is another afterwards.
#[track_caller]
fn refused(bench: &Bench, file: &std::path::Path, expect: expect_test::Expect) {
    let (folder, rows) = (oracle::folder(&bench.root()), oracle::content(&bench.main()));
    let ran = bench.run(&["snapshot", "restore", &file.to_string_lossy(), "--db", "settings", "--yes"]);
    let said = tidy(bench, &ran.stderr).replace(&*bench.folder().to_string_lossy(), "FOLDER");
    expect.assert_eq(&format!("{}{said}exit {}\n", ran.stdout, ran.exit));
    assert_eq!(oracle::touched(&folder, &oracle::folder(&bench.root())), "nothing");
    unchanged(bench, &rows);
    assert!(bench.root().join("run/bootmigrate/ready/settings").exists(), "its application may go on");
}

#[test]
fn files_that_are_not_restored() {
    let bench = Bench::booted_at(40);
    let file = |name: &str| bench.folder().join(name);
    fs::write(file("text"), "some text, longer than the header of a database would be: ".repeat(4)).unwrap();
    refused(
        &bench,
        &file("text"),
        expect![[r#"
        settings: it is no good copy: its header is not that of an SQLite database (FOLDER/text, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    fs::write(file("nothing"), "").unwrap();
    refused(
        &bench,
        &file("nothing"),
        expect![[r#"
        settings: it is no good copy: its header is not that of an SQLite database (FOLDER/nothing, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    refused(
        &bench,
        bench.folder(),
        expect![[r#"
        bootmigrate: FOLDER is not a plain file. [BM-2]
        exit 2
    "#]],
    );
    refused(
        &bench,
        &bench.main(),
        expect![[r#"
        bootmigrate: ROOT/var/lib/gateway/settings.db is the database itself. [BM-2]
        exit 2
    "#]],
    );
    std::os::unix::fs::symlink(bench.main(), file("link")).unwrap();
    refused(
        &bench,
        &file("link"),
        expect![[r#"
        bootmigrate: FOLDER/link is the database itself. [BM-2]
        exit 2
    "#]],
    );
    Connection::open(file("stranger")).unwrap().execute_batch("CREATE TABLE playlist (id)").unwrap();
    refused(
        &bench,
        &file("stranger"),
        expect![[r#"
        settings: it is no good copy: it has tables and no migration history (FOLDER/stranger, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    fs::copy(bench.main(), file("newer")).unwrap();
    let later = "INSERT INTO refinery_schema_history SELECT 99, 'later', applied_on, checksum FROM refinery_schema_history LIMIT 1";
    Connection::open(file("newer")).unwrap().execute_batch(later).unwrap();
    refused(
        &bench,
        &file("newer"),
        expect![[r#"
            settings: it is no good copy: its history is not the beginning of this firmware's (FOLDER/newer, while: take the file in); nothing was changed. [BM-17 settings]
            exit 17
        "#]],
    );
}

#[test]
fn files_of_which_a_part_lies_beside_are_not_restored() {
    let bench = Bench::booted_at(40);
    let home = bench.folder().join("from-support");
    fs::create_dir(&home).unwrap();
    for (mode, name) in [("delete", "journal"), ("wal", "wal")] {
        let file = home.join(format!("{name}.db"));
        fs::copy(bench.main(), &file).unwrap();
        let mut application = crate::application::Application::start(bench.folder(), None);
        application.expect_ok(&format!("open {}", file.display()));
        application.expect_ok(&format!("sql PRAGMA journal_mode = {mode}"));
        application.expect_ok("sql PRAGMA cache_size = 2");
        application.expect_ok("sql BEGIN");
        application.expect_ok("sql UPDATE child SET label = 'half', amount = zeroblob(300)");
        drop(application);
        assert!(fs::metadata(oracle::beside(&file, &format!("-{name}"))).unwrap().len() > 0);
    }
    refused(
        &bench,
        &home.join("journal.db"),
        expect![[r#"
        settings: FOLDER/from-support/journal.db-journal has content that a copy of the file alone would leave out; open it with sqlite3 first (FOLDER/from-support/journal.db, while: take the file in); nothing was changed. [BM-16 settings]
        exit 16
    "#]],
    );
    refused(
        &bench,
        &home.join("wal.db"),
        expect![[r#"
        settings: FOLDER/from-support/wal.db-wal has content that a copy of the file alone would leave out; open it with sqlite3 first (FOLDER/from-support/wal.db, while: take the file in); nothing was changed. [BM-16 settings]
        exit 16
    "#]],
    );
}

#[test]
fn a_file_for_a_device_that_never_booted_is_refused_before_anything_is_made() {
    let bench = Bench::at(40);
    let rows = oracle::content(&bench.main());
    fs::write(bench.folder().join("text"), "no database").unwrap();
    let told = format!("snapshot restore {} --db settings --yes", bench.folder().join("text").display());
    let before = oracle::folder(&bench.root());
    assert_eq!(bench.run(&told.split(' ').collect::<Vec<_>>()).exit, "17");
    assert_eq!(oracle::touched(&before, &oracle::folder(&bench.root())), "nothing");
    unchanged(&bench, &rows);
}
