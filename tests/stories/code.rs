//! Owns the stories of migrations in Rust: what the product's own code may do to its transaction, and what it may not.
//! Promises: the code is that of `examples/firmware`; every row is compared with what SQLite alone makes of the same change.
//! Never expects a half: what fails leaves the database as it was.

use crate::bench::Bench;
use crate::oracle;
use crate::picture::check;
use crate::program;
use expect_test::expect;

const FILE: &str = "-- bootmigrate: code revision=1\nUPDATE child SET label = 'first the SQL';\n";

#[test]
fn code_runs_with_everything_else_in_one_transaction() {
    for bench in [Bench::at(40), Bench::wal_at(40)] {
        let bench = bench.firmware(42).file(("V90__code.sql", FILE));
        let copy = oracle::Copy::of(&bench.main()).unwrap();
        let at_42 = tempfile::tempdir().unwrap();
        crate::product::write(at_42.path(), "settings", 42);
        oracle::migrated(&copy, at_42.path(), "settings", 40).unwrap();
        let wanted = copy.open();
        wanted.execute_batch("UPDATE child SET label = 'first the SQL'; UPDATE parent SET reading = id * 2, badge = 'by code'").unwrap();
        wanted.execute_batch("DELETE FROM child WHERE id % 2 = 0").unwrap();
        let wanted = oracle::read(&wanted).unwrap();
        let ran = bench.run(&["run"]);
        assert_eq!(ran.exit, "0", "{}", ran.stderr);
        assert!(ran.stderr.contains("settings: migrated from 40 to 90 (3 applied, "), "{}", ran.stderr);
        assert_eq!(oracle::content(&bench.main()), Ok(wanted.clone()));
        assert_eq!(oracle::complaints(&bench.main(), &bench.firmware_folder(), "settings"), Vec::<String>::new());
        let before = oracle::folder(&bench.root());
        assert_eq!(bench.run(&["run"]).exit, "0");
        assert_eq!(oracle::touched(&before, &oracle::folder(&bench.root())), "nothing");
        assert_eq!(oracle::content(&bench.main()), Ok(wanted));
    }
}

/// Code that ends the program: each boot ends with it, with the old rows, until it is not begun any more.
#[track_caller]
fn ends_every_boot_until_nobody_begins(version: &str) {
    for bench in [Bench::at(40), Bench::wal_at(40), Bench::booted_at(40)] {
        let bench = bench.file((&format!("V{version}__code.sql"), FILE));
        let old = oracle::content(&bench.main());
        for interrupted in 1..=5 {
            let ran = bench.run(&["run"]);
            assert_eq!(ran.exit, "signal 6", "{interrupted}: {}", ran.stderr);
            assert_eq!(oracle::content(&bench.main()), old, "{interrupted}");
        }
        let before = oracle::folder(&bench.root());
        for _ in 0..2 {
            let ran = bench.run(&["run"]);
            assert_eq!(ran.exit, "19", "{}", ran.stderr);
            assert!(ran.stderr.contains("this firmware's migrations were interrupted 5 times; nothing was changed"), "{}", ran.stderr);
        }
        assert_eq!(oracle::touched(&before, &oracle::folder(&bench.root())), "nothing");
        assert_eq!(oracle::content(&bench.main()), old);
    }
}

#[test]
fn code_that_ends_the_program() {
    ends_every_boot_until_nobody_begins("96");
}

#[test]
fn code_that_panics() {
    if program::a_panic_ends_it() {
        let ran = Bench::at(40).file(("V91__code.sql", FILE)).run(&["run"]);
        assert!(ran.stderr.contains("a migration's code panicked (") && ran.stderr.contains("a guest may"), "{}", ran.stderr);
        assert!(ran.stderr.contains("built with panic = \"abort\"; the next boot goes on from what is on disk"), "{}", ran.stderr);
        return ends_every_boot_until_nobody_begins("91");
    }
    check(
        Bench::at(40).file(("V91__code.sql", FILE)),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 91: V91 code, in one transaction, after a snapshot
        exit:     10
        settings: failed 40>40 of 91, applied [], not usable, exit 10
        code:     BM-10 settings 40>91 V91:1
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, failed, touched state
    "#]],
    );
}

#[test]
fn code_that_fails() {
    check(
        Bench::at(40).file(("V92__code.sql", FILE)),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 92: V92 code, in one transaction, after a snapshot
        exit:     10
        settings: failed 40>40 of 92, applied [], not usable, exit 10
        code:     BM-10 settings 40>92 V92:1
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, failed, touched state
    "#]],
    );
}

#[test]
fn code_that_commits() {
    check(
        Bench::at(40).file(("V93__code.sql", FILE)),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 93: V93 code, in one transaction, after a snapshot
        exit:     10
        settings: failed 40>40 of 93, applied [], not usable, exit 10
        code:     BM-10 settings 40>93 V93:1
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, failed, touched state
    "#]],
    );
}

#[test]
fn code_that_goes_on_after_sqlite_has_rolled_back() {
    for bench in [Bench::at(40), Bench::wal_at(40)] {
        let bench = bench.file(("V94__code.sql", FILE));
        let old = oracle::content(&bench.main());
        let ran = bench.run(&["run"]);
        assert_eq!(ran.exit, "10", "{}", ran.stderr);
        assert!(ran.stderr.contains("SQLite ended the transaction by itself, and the code went on"), "{}", ran.stderr);
        assert_eq!(oracle::content(&bench.main()), old);
    }
}

#[test]
fn code_that_nobody_has_registered() {
    check(
        Bench::at(40).file(("V95__code.sql", FILE)),
        "run",
        expect![[r#"
            plan:     settings: refuse: settings/V95__code.sql asks for Rust code (revision 1), and this binary registers none
            exit:     21
            settings: refused 40>40 of 95, applied [], not usable, exit 21
            code:     BM-21 settings 40>95
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 21, refused, touched nothing
        "#]],
    );
    let bench = Bench::empty(40).file(("V95__code.sql", FILE));
    let before = oracle::folder(&bench.root());
    let ran = bench.run(&["run"]);
    assert_eq!(ran.exit, "21", "{}", ran.stderr);
    assert!(
        ran.stderr.contains("settings/V95__code.sql asks for Rust code (revision 1), and this binary registers none"),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(&bench.root())), "nothing");
}
