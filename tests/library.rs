//! Owns the tests of bootmigrate as a library: the example product in a program of its own.
//! Promises: rows are read by SQLite; each test has a root folder of its own.
//! Never looks into the library: it calls what a product may call.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use bootmigrate::catalog::{Catalog, Checksums, Embedded, Migration};
use bootmigrate::rusqlite::functions::FunctionFlags;
use bootmigrate::{testing, Error, Migrator};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use tempfile::tempdir;

fn product() -> Embedded {
    bootmigrate::embedded!()
}

#[test]
fn a_supervisor_boots_and_an_application_opens() {
    let root = tempdir().unwrap();
    let migrator = Migrator::new(product()).root(root.path());
    assert!(migrator.open("settings").is_err_and(|error| {
        error.to_string()
        == "settings is not ready: no run has made its ready file; `bootmigrate status` says more"
    }));
    assert!(!root.path().join("var").exists(), "opening made something");
    let report = migrator.boot().unwrap();
    assert_eq!((report.exit, report.usable, report.databases.len()), (0, true, 2));
    let database = migrator.open("settings").unwrap();
    database.execute("INSERT INTO site (name) VALUES ('attic')", []).unwrap();
    let orphan = database
        .execute("INSERT INTO sensor (site_id, address, kind) VALUES (99, 'a', 'unknown')", []);
    assert!(orphan.is_err(), "foreign keys are on");
    drop(database);
    let again = Migrator::new(product()).root(root.path()).database("settings").boot().unwrap();
    assert_eq!((again.exit, again.databases.len()), (0, 1));
    let sites: i64 = migrator
        .open("settings")
        .unwrap()
        .query_row("SELECT count(*) FROM site", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sites, 1);
    assert!(matches!(migrator.open("nothing"), Err(Error::Configuration { .. })));
}

#[test]
fn a_callback_that_panics_changes_nothing() {
    let root = tempdir().unwrap();
    assert_eq!(Migrator::new(product()).root(root.path()).boot().unwrap().exit, 0);
    std::fs::write(root.path().join("var/lib/gateway/telemetry.db"), [0x5A; 8192]).unwrap();
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let migrator = Migrator::new(product()).root(root.path()).on_data_loss(move |database| {
        assert_eq!(database.name, "telemetry");
        count.fetch_add(1, Ordering::SeqCst);
        panic!("a guest may");
    });
    let report = migrator.boot().unwrap();
    assert_eq!((report.exit, report.data_loss, told.load(Ordering::SeqCst)), (11, true, 1));
    assert!(migrator.open("telemetry").is_ok());
    // Said once: the next run has nothing to say.
    assert_eq!((migrator.boot().unwrap().exit, told.load(Ordering::SeqCst)), (0, 1));
}

/// The example product with one more migration of `settings`, in Rust.
fn with_code() -> Embedded {
    let product = product();
    let settings = product.databases.first().unwrap();
    let newest = settings.migrations.last().unwrap();
    let directives = bootmigrate::catalog::Directives {
        code_revision: Some(1),
        ..bootmigrate::catalog::Directives::NONE
    };
    let sql = "-- bootmigrate: code revision=1\n";
    let file = "settings/V15__code.sql";
    let code = Migration {
        version: 15,
        name: "code",
        checksums: Checksums { int4: [15, 51], int8: [16, 61] },
        file,
        sql,
        statements: 0,
        down: None,
        directives,
        ..*newest
    };
    let migrations: Vec<Migration> = settings.migrations.iter().copied().chain([code]).collect();
    let databases: Vec<Catalog> =
        [Catalog { migrations: migrations.leak(), fingerprint: [15; 16], ..*settings }].into();
    let rest = product.databases.iter().skip(1).copied();
    Embedded { databases: databases.into_iter().chain(rest).collect::<Vec<_>>().leak(), ..product }
}

#[test]
fn a_migration_in_rust() {
    let root = tempdir().unwrap();
    let old = Migrator::new(product()).root(root.path());
    assert_eq!(old.boot().unwrap().exit, 0);
    let sites = |name: &str, migrator: &Migrator| -> i64 {
        let settings = migrator.open("settings").unwrap();
        settings
            .query_row("SELECT count(*) FROM site WHERE name = ?1", [name], |row| row.get(0))
            .unwrap()
    };
    old.open("settings").unwrap().execute("INSERT INTO site (name) VALUES ('attic')", []).unwrap();
    let new = || Migrator::new(with_code()).root(root.path()).database("settings");
    // Nobody has registered it: nothing is begun.
    let without = new().boot().unwrap();
    assert_eq!(
        (without.exit, without.databases[0].version),
        (21, Some(14)),
        "{}",
        without.databases[0].sentence
    );
    assert!(new().validate().unwrap_err().to_string().contains("asks for Rust code"));
    // It panics when it has changed a row.
    let panics = new().code_migration("settings", 15, |database| {
        database.execute("UPDATE site SET name = 'cellar'", [])?;
        panic!("a guest may");
    });
    let failed = panics.boot().unwrap();
    assert_eq!((failed.exit, failed.databases[0].version), (10, Some(14)));
    assert!(
        failed.databases[0].sentence.contains("the code panicked: a guest may"),
        "{}",
        failed.databases[0].sentence
    );
    assert_eq!((sites("attic", &old_boot(&root)), sites("cellar", &old_boot(&root))), (1, 0));
    let good = new().code_migration("settings", 15, |database| {
        database.execute("UPDATE site SET name = 'cellar'", [])?;
        Ok(())
    });
    good.validate().unwrap();
    assert_eq!(good.boot().unwrap().exit, 0);
    assert_eq!((sites("attic", &good), sites("cellar", &good)), (0, 1));
    assert_eq!(good.boot().unwrap().exit, 0);
}

/// The example product with one more migration of `settings`, whose SQL uses what is registered.
fn with_uses() -> Embedded {
    let product = product();
    let settings = product.databases.first().unwrap();
    let sql = "CREATE TABLE tag (name TEXT COLLATE backwards CHECK (slug(name) <> ''));\nCREATE \
               INDEX tag_slug ON tag (slug(name));\n\
               INSERT INTO tag VALUES ('A'), ('b');\n";
    let newest = *settings.migrations.last().unwrap();
    let uses = Migration {
        version: 15,
        name: "uses",
        file: "settings/V15__uses.sql",
        sql,
        statements: 3,
        down: None,
        ..newest
    };
    let migrations: Vec<Migration> = settings.migrations.iter().copied().chain([uses]).collect();
    let catalog = Catalog { migrations: migrations.leak(), fingerprint: [16; 16], ..*settings };
    let rest = product.databases.iter().skip(1).copied();
    Embedded { databases: [catalog].into_iter().chain(rest).collect::<Vec<_>>().leak(), ..product }
}

#[test]
fn what_a_product_registers_is_on_every_connection() {
    let registering = |migrator: Migrator| {
        migrator.on_connection(|connection| {
            let flags = FunctionFlags::SQLITE_UTF8
                | FunctionFlags::SQLITE_DETERMINISTIC
                | FunctionFlags::SQLITE_INNOCUOUS;
            connection.create_scalar_function("slug", 1, flags, |context| {
                Ok(context.get::<String>(0)?.to_lowercase())
            })?;
            Ok(connection.create_collation("backwards", |one, other| other.cmp(one))?)
        })
    };
    let root = tempdir().unwrap();
    let migrator = || Migrator::new(with_uses()).root(root.path()).database("settings");
    let without = migrator();
    assert!(
        without
            .validate()
            .unwrap_err()
            .to_string()
            .contains("the collation backwards is not in this firmware"),
        "{:?}",
        without.validate()
    );
    let failed = without.boot().unwrap();
    assert_eq!(failed.exit, 10);
    assert!(
        failed.databases[0].sentence.contains("register it with Migrator::on_connection"),
        "{}",
        failed.databases[0].sentence
    );
    let with = registering(migrator());
    with.validate().unwrap();
    let report = with.boot().unwrap();
    assert_eq!(
        (report.exit, report.databases[0].notes.len()),
        (0, 0),
        "{:?}",
        report.databases[0].notes
    );
    let names = |connection: bootmigrate::Connection| -> String {
        connection
            .query_row(
                "SELECT group_concat(slug(name)) FROM (SELECT name FROM tag ORDER BY name)",
                [],
                |row| row.get(0),
            )
            .unwrap()
    };
    assert_eq!(names(with.open("settings").unwrap()), "b,a");
    assert_eq!(names(with.at("settings", 15).unwrap()), "b,a");
    assert!(testing::at(&with_uses(), "settings", 15).is_err());
}

/// The product as it was, booted again: its database is ready.
fn old_boot(root: &tempfile::TempDir) -> Migrator {
    let migrator = Migrator::new(product()).root(root.path());
    assert_eq!(migrator.boot().unwrap().exit, 0);
    migrator
}

#[test]
fn a_products_tests_have_its_databases() {
    product().validate().unwrap();
    let columns = |version: i64| {
        let database = testing::at(&product(), "settings", version).unwrap();
        database
            .query_row(
                "SELECT count(*) FROM pragma_table_info('site') WHERE name = 'time_zone'",
                [],
                |row| row.get::<_, i64>(0),
            )
            .unwrap()
    };
    assert_eq!((columns(12), columns(13)), (0, 1));
    let fresh = testing::fresh(&product(), "telemetry").unwrap();
    assert!(
        fresh.execute("INSERT INTO refinery_schema_history VALUES (1, 'x', 'y', 'z')", []).is_err(),
        "no history: only the schema"
    );
    assert_eq!(
        testing::at(&product(), "settings", 99).map(drop).unwrap_err().to_string(),
        "settings has no version 99"
    );
    assert_eq!(
        testing::fresh(&product(), "nothing").map(drop).unwrap_err().to_string(),
        "this firmware has no database nothing"
    );
}

#[test]
fn a_bad_migration_does_not_validate() {
    let product = product();
    let settings = product.databases.first().unwrap();
    let bad = Migration {
        version: 15,
        name: "bad",
        file: "settings/V15__bad.sql",
        sql: "SELECT 1;\nDROP TABLE nowhere;\n",
        statements: 2,
        ..settings.migrations[0]
    };
    let migrations: Vec<Migration> = settings.migrations.iter().copied().chain([bad]).collect();
    let catalog = Catalog { migrations: migrations.leak(), ..*settings };
    let embedded = Embedded { databases: vec![catalog].leak(), ..product };
    let error = embedded.validate().unwrap_err();
    assert_eq!((error.exit_code(), error.place().map(|place| place.line)), (10, Some(2)));
    let sentence = error.to_string();
    assert!(
        sentence.starts_with("settings/V15__bad.sql:2:") && sentence.contains("nowhere"),
        "{sentence}"
    );
}

/// A device one migration behind, with 1,000 sites of its application.
fn behind() -> tempfile::TempDir {
    let root = tempdir().unwrap();
    let migrator = Migrator::new(product()).root(root.path());
    assert_eq!(migrator.boot().unwrap().exit, 0);
    let many = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                INSERT INTO site (name) SELECT 'site ' || i FROM n";
    assert_eq!(migrator.open("settings").unwrap().execute(many, []).unwrap(), 1000);
    root
}

/// Sites, and those that the code has renamed, as SQLite reads them.
fn sites(root: &tempfile::TempDir) -> (i64, i64) {
    let database =
        rusqlite::Connection::open(root.path().join("var/lib/gateway/settings.db")).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get(0)).unwrap();
    (
        count("SELECT count(*) FROM site WHERE name LIKE 'site %'"),
        count("SELECT count(*) FROM site WHERE name LIKE 'by code %'"),
    )
}

fn renaming(root: &tempfile::TempDir) -> Migrator {
    Migrator::new(with_code()).root(root.path()).database("settings").code_migration(
        "settings",
        15,
        |database| {
            database.execute("UPDATE site SET name = 'by code ' || id", [])?;
            Ok(())
        },
    )
}

#[test]
fn a_supervisor_that_stops_the_run_has_the_old_rows_and_the_next_boot_goes_on() {
    let root = behind();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let stopped = renaming(&root).stop(std::sync::Arc::clone(&stop)).boot().unwrap();
    assert_eq!((stopped.exit, stopped.usable), (20, false), "{}", stopped.databases[0].sentence);
    assert_eq!(sites(&root), (1000, 0));
    assert!(renaming(&root).open("settings").is_err());
    stop.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(renaming(&root).boot().unwrap().exit, 0);
    assert_eq!(sites(&root), (0, 1000));
}

#[test]
fn code_that_raises_the_stop_itself_is_rolled_back() {
    let root = behind();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let raised = std::sync::Arc::clone(&stop);
    let migrator = Migrator::new(with_code())
        .root(root.path())
        .database("settings")
        .stop(stop)
        .code_migration("settings", 15, move |database| {
            database.execute("UPDATE site SET name = 'by code ' || id", [])?;
            raised.store(true, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        });
    assert_eq!(migrator.boot().unwrap().exit, 20);
    assert_eq!(sites(&root), (1000, 0));
    assert_eq!(renaming(&root).boot().unwrap().exit, 0);
    assert_eq!(sites(&root), (0, 1000));
}

#[test]
fn a_wrong_configuration_is_one_sentence_and_nothing_is_begun() {
    let root = behind();
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    std::fs::write(
        root.path().join("etc/bootmigrate.toml"),
        "[databases.settings]\nbusy_timeout_s = \"ten\"\n",
    )
    .unwrap();
    let error = renaming(&root).boot().map(|report| report.exit).unwrap_err();
    let place = error.place().unwrap();
    assert_eq!((error.exit_code(), place.line, place.column), (2, 2, 18));
    let sentence = error.to_string();
    assert!(
        sentence.ends_with(
            "etc/bootmigrate.toml:2:18: busy_timeout_s is text, not a whole number; write \
             busy_timeout_s = 10"
        ),
        "{sentence}"
    );
    assert!(renaming(&root).open("settings").is_err_and(|error| error.to_string() == sentence));
    assert_eq!(sites(&root), (1000, 0));
    let other = Migrator::new(product())
        .root(root.path())
        .database("nothing")
        .boot()
        .map(|report| report.exit);
    assert!(other.is_err());
}

#[test]
fn a_callback_that_panics_takes_no_other_with_it() {
    let root = behind();
    std::fs::write(root.path().join("var/lib/gateway/telemetry.db"), [0x5A; 8192]).unwrap();
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let migrator = Migrator::new(product())
        .root(root.path())
        .on_data_loss(|_| panic!("a guest may"))
        .on_data_loss(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
    let report = migrator.boot().unwrap();
    assert_eq!((report.exit, told.load(Ordering::SeqCst)), (11, 1));
    assert_eq!(sites(&root), (1000, 0));
}

/// The example product with one more migration of `settings`.
fn with_sql(sql: &'static str, adopted: bool) -> Embedded {
    let product = product();
    let settings = product.databases.first().unwrap();
    let more = Migration {
        version: 90,
        name: "more",
        file: "settings/V90__more.sql",
        sql,
        statements: 1,
        adopted,
        ..settings.migrations[0]
    };
    let migrations: Vec<Migration> = settings.migrations.iter().copied().chain([more]).collect();
    let catalog = Catalog { migrations: migrations.leak(), ..*settings };
    Embedded { databases: vec![catalog].leak(), ..product }
}

#[test]
fn what_an_application_would_meet_does_not_validate() {
    for (sql, sentence) in [
        (
            "CREATE VIEW bad AS SELECT nowhere FROM site;",
            "settings: view bad does not compile: no such column: nowhere",
        ),
        (
            "CREATE TABLE late (x REFERENCES nowhere);",
            "settings: the foreign key late(x) refers to table nowhere, which does not exist",
        ),
        (
            "CREATE TABLE late (x TEXT REFERENCES site (name));\nINSERT INTO late VALUES ('there \
             is none');",
            "settings: rows of late refer to rows that are not there",
        ),
    ] {
        assert_eq!(with_sql(sql, false).validate().unwrap_err().to_string(), sentence, "{sql}");
        // What was released before bootmigrate, nobody can correct.
        assert_eq!(with_sql(sql, true).validate(), Ok(()), "{sql}");
    }
    let newer =
        with_sql("CREATE VIEW names AS SELECT group_concat(name ORDER BY name) FROM site;", false);
    assert_eq!(newer.validate(), Ok(()), "no application's SQLite is named");
    let configured = |version: &str| {
        format!("example = true\n[databases.settings]\nsqlite_min = \"{version}\"\n")
    };
    let old = Embedded { configuration: configured("3.40").leak(), ..newer };
    assert_eq!(
        old.validate().unwrap_err().to_string(),
        "settings: view names needs SQLite 3.44 (ORDER BY inside an aggregate function), and \
         sqlite_min is 3.40"
    );
    assert_eq!(Embedded { configuration: configured("3.44").leak(), ..newer }.validate(), Ok(()));
}
