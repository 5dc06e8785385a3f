//! Owns the proof that a good folder becomes exactly what refinery would record, and the same bytes
//! everywhere.
//! Promises: checksums are compared with refinery's own, computed and recorded by it.
//! Never compares the reader with itself.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use bootmigrate_build::{lock, read, source, Directives, Expect, ForeignKeys, Migration, Versions};
use common::Product;

/// A product that uses all there is.
fn golden() -> Product {
    Product::with(&[
        (
            "bootmigrate.toml",
            "slots = \"ab\"\n[databases.telemetry]\npath = \"/data/t.db\"\nkind \
             = \"rebuildable\"\n[databases.settings]\npath = \"/data/s.db\"\n",
        ),
        (
            "settings/V0010__tenth.sql",
            "-- bootmigrate: foreign-keys = deferred\r\nINSERT INTO a VALUES ('ä \"quoted\"');\r\n",
        ),
        (
            "settings/V9__ninth.sql",
            "-- bootmigrate: expect = SELECT 1 WHERE 0\n-- bootmigrate: needs-space = 1.5\n-- \
             bootmigrate: compatible-from = 1\nSELECT 1;\n",
        ),
        ("settings/V9__ninth.down.sql", "SELECT 2;\r\n"),
        ("settings/V11__code.sql", "-- bootmigrate: code revision=3\n"),
        (
            "settings/V12__smaller.sql",
            "-- bootmigrate: no-transaction\n-- bootmigrate: irreversible\nVACUUM;\n",
        ),
        (
            "settings/data/V1__fill.sql",
            "-- bootmigrate: batch\nUPDATE a SET b = 1 WHERE b IS NULL;\n",
        ),
        ("telemetry/V1__sample.sql", "CREATE TABLE sample (id INTEGER PRIMARY KEY);\n"),
    ])
}

#[test]
fn a_good_product_is_read_whole() {
    let product = read(&golden().folder).unwrap();
    assert_eq!(product.configuration_file, "migrations/bootmigrate.toml");
    let names: Vec<&str> =
        product.databases.iter().map(|database| database.name.as_str()).collect();
    assert_eq!(names, ["telemetry", "settings"], "the order of the configuration");
    let settings = &product.databases[1];
    let listed: Vec<String> = settings
        .migrations
        .iter()
        .map(|m| format!("{} {} {}", m.version, m.name, m.file))
        .collect();
    let expected = [
        "1 first settings/V1__first.sql",
        "9 ninth settings/V9__ninth.sql",
        "10 tenth settings/V0010__tenth.sql",
        "11 code settings/V11__code.sql",
        "12 smaller settings/V12__smaller.sql",
    ];
    assert_eq!(listed, expected);
    let directives: Vec<Directives> =
        settings.migrations.iter().map(|m| m.directives.clone()).collect();
    let none = Directives::default;
    let ninth = Directives {
        expect: vec![Expect { query: "SELECT 1 WHERE 0".to_owned(), line: 1 }],
        needs_space_percent: Some(150),
        compatible_from: Some(1),
        ..none()
    };
    let tenth = Directives { foreign_keys: ForeignKeys::Deferred, ..none() };
    let code = Directives { code_revision: Some(3), ..none() };
    let smaller = Directives { no_transaction: true, irreversible: true, ..none() };
    assert_eq!(directives, [none(), ninth, tenth, code, smaller]);
    assert_eq!(settings.migrations[1].down.as_deref(), Some("SELECT 2;\r\n"));
    assert!(settings.data[0].directives.batch);
    assert!(settings.migrations.iter().all(|m| !m.adopted && !m.released));
}

/// Checksums of all `.sql` files, as refinery loads them from a folder of their own.
fn refinery_loads(files: &[(String, String)]) -> Vec<(i64, String, u64)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let loaded = refinery::load_sql_migrations(folder.path()).unwrap();
    loaded.iter().map(|m| (i64::from(m.version()), m.name().to_owned(), m.checksum())).collect()
}

#[test]
fn checksums_are_those_of_refinery_for_both_line_ends() {
    let product = golden();
    let settings = &read(&product.folder).unwrap().databases[1];
    let file_name = |file: &str| file.rsplit('/').next().unwrap().to_owned();
    let texts = |change: fn(&str) -> String| -> Vec<(String, String)> {
        settings.migrations.iter().map(|m| (file_name(&m.file), change(&m.sql))).collect()
    };
    let as_is: Vec<_> = settings
        .migrations
        .iter()
        .map(|m| (file_name(&m.file), fs::read_to_string(product.folder.join(&m.file)).unwrap()))
        .collect();
    assert_eq!(as_is, texts(str::to_owned), "every byte of a file is kept");
    let other = texts(|sql| {
        if sql.contains("\r\n") {
            sql.replace("\r\n", "\n")
        } else {
            sql.replace('\n', "\r\n")
        }
    });
    assert!(
        as_is.iter().any(|(_, sql)| sql.contains("\r\n"))
            && other.iter().any(|(_, sql)| sql.contains("\r\n"))
    );
    let ours = |which: fn(&Migration) -> u64| -> Vec<_> {
        settings.migrations.iter().map(|m| (m.version, m.name.clone(), which(m))).collect()
    };
    assert_eq!(ours(|m| m.checksums.int4[0]), refinery_loads(&as_is));
    assert_eq!(ours(|m| m.checksums.int4[1]), refinery_loads(&other));
}

#[test]
fn an_adopted_file_with_mixed_line_ends_keeps_the_checksum_that_devices_have() {
    let mixed = "CREATE TABLE b (c);\nSELECT 1;\r\n";
    let configuration =
        "slots = \"single\"\n[databases.settings]\npath = \"/data/s.db\"\nbaseline_version = 2\n";
    let product =
        Product::with(&[("bootmigrate.toml", configuration), ("settings/V2__mixed.sql", mixed)]);
    let migration = read(&product.folder).unwrap().databases[0].migrations[1].clone();
    let loaded = refinery_loads(&[("V2__mixed.sql".to_owned(), mixed.to_owned())]);
    assert!(migration.adopted);
    assert_eq!((migration.checksums.int4[0], migration.sql.as_str()), (loaded[0].2, mixed));
}

#[test]
fn a_history_has_64_bit_versions_where_one_needs_them_or_the_team_wants_them() {
    let versions =
        |files: &[(&str, &str)]| read(&Product::with(files).folder).unwrap().databases[0].versions;
    let configuration =
        "slots = \"single\"\n[databases.settings]\npath = \"/data/s.db\"\nversions = 64\n";
    assert_eq!(versions(&[("settings/V2147483647__x.sql", "SELECT 1;")]), Versions::Int4);
    assert_eq!(versions(&[("settings/V2147483648__x.sql", "SELECT 1;")]), Versions::Int8);
    assert_eq!(versions(&[("bootmigrate.toml", configuration)]), Versions::Int8);
    // Data migrations have a history of their own, which no refinery reads.
    assert_eq!(
        versions(&[("settings/data/V20240101120000__x.sql", "DELETE FROM a;")]),
        Versions::Int4
    );
}

/// The example product's own folder.
fn example() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations")
}

#[test]
fn the_example_is_good_and_refinery_records_what_we_embed() {
    let product = read(&example()).unwrap();
    assert!(product.warnings.is_empty(), "{:?}", product.warnings);
    for database in &product.databases {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        // Its default is on in the bundled SQLite, and a table rebuild would cascade.
        connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
        let files: Vec<_> = database
            .migrations
            .iter()
            .map(|m| {
                refinery::Migration::unapplied(&format!("V{}__{}", m.version, m.name), &m.sql)
                    .unwrap()
            })
            .collect();
        refinery::Runner::new(&files).set_grouped(true).run(&mut connection).unwrap();
        let mut statement = connection
            .prepare("SELECT version, name, checksum FROM refinery_schema_history ORDER BY version")
            .unwrap();
        let recorded: Vec<(i64, String, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let ours: Vec<_> = database
            .migrations
            .iter()
            .map(|m| (m.version, m.name.clone(), m.checksums.int4[0].to_string()))
            .collect();
        assert_eq!(recorded, ours);
        for migration in &database.migrations {
            for expect in &migration.directives.expect {
                // A later migration may have gone on; what must hold here is that SQLite can read
                // the query.
                connection.prepare(&expect.query).unwrap();
            }
        }
    }
}

#[test]
fn the_example_goes_all_the_way_back() {
    let product = read(&example()).unwrap();
    for database in &product.databases {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
        for migration in &database.migrations {
            connection.execute_batch(&migration.sql).unwrap();
        }
        for migration in database.migrations.iter().rev() {
            assert_eq!(
                migration.down.is_none(),
                migration.directives.irreversible,
                "{}",
                migration.file
            );
            connection.execute_batch(migration.down.as_deref().unwrap_or_default()).unwrap();
        }
        let left: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0, "{}", database.name);
    }
}

#[test]
fn two_folders_give_the_same_bytes() {
    let (one, other) = (golden(), golden());
    let text = source(&read(&one.folder).unwrap());
    assert_eq!(text, source(&read(&other.folder).unwrap()));
    assert!(!text.contains(one.folder.parent().unwrap().to_str().unwrap()));
}

#[test]
fn line_ends_change_neither_fingerprint_nor_lock_and_every_byte_is_kept() {
    let (lf, crlf) = (golden(), golden());
    lf.write("settings/V1__first.sql", b"CREATE TABLE a (b DEFAULT 'x\ny');\n");
    crlf.write("settings/V1__first.sql", b"CREATE TABLE a (b DEFAULT 'x\r\ny');\r\n");
    let settings = |product: &Product| read(&product.folder).unwrap().databases[1].clone();
    let (lf, crlf) = (settings(&lf), settings(&crlf));
    assert_eq!(lf.fingerprint, crlf.fingerprint);
    let turned = |[one, other]: [u64; 2]| [other, one];
    let (lf_sums, crlf_sums) = (lf.migrations[0].checksums, crlf.migrations[0].checksums);
    assert_eq!((lf_sums.int4, lf_sums.int8), (turned(crlf_sums.int4), turned(crlf_sums.int8)));
    assert_eq!(crlf.migrations[0].sql, "CREATE TABLE a (b DEFAULT 'x\r\ny');\r\n");
}

#[test]
fn down_files_do_not_belong_to_the_fingerprint() {
    let (one, other) = (golden(), golden());
    other.write("settings/V9__ninth.down.sql", b"SELECT 3;\n");
    let fingerprint = |product: &Product| read(&product.folder).unwrap().databases[1].fingerprint;
    assert_eq!(fingerprint(&one), fingerprint(&other));
    other.write("settings/V9__ninth.sql", b"SELECT 3;\n");
    assert_ne!(fingerprint(&one), fingerprint(&other));
}

#[test]
fn the_lock_only_grows() {
    let product = Product::with(&[]);
    let path = product.folder.join("migrations.lock");
    assert_eq!(lock(&product.folder).unwrap(), ["settings/V1__first.sql"]);
    let first = fs::read_to_string(&path).unwrap();
    assert_eq!(first.lines().last().unwrap(), "1 26b4a11f39a289a7 settings/V1__first.sql");
    product.write("settings/V2__x.sql", b"SELECT 1;");
    product.write("migrations.lock", format!("{}# ours\n", first).as_bytes());
    assert_eq!(lock(&product.folder).unwrap(), ["settings/V2__x.sql"]);
    assert_eq!(lock(&product.folder).unwrap(), [""; 0]);
    let second = fs::read_to_string(&path).unwrap();
    assert!(second.starts_with(&format!("{first}# ours\n2 ")), "{second}");
    assert!(read(&product.folder).unwrap().databases[0].migrations.iter().all(|m| m.released));
    product.write("settings/V1__first.sql", b"CREATE TABLE a (c);\n");
    let refused = lock(&product.folder).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), second, "nothing is written");
}

#[test]
fn a_byte_that_is_not_utf8_is_named_with_its_place() {
    let product = Product::with(&[]);
    product.write("settings/V2__x.sql", "SELECT 1;\nSELECT 'ä".as_bytes());
    product.write("settings/V3__y.sql", b"SELECT 1;\nSELECT '\xc3\xa4\xff';\n");
    let said = product.said();
    let expected =
        "migrations/settings/V3__y.sql:2:10: the byte 0xff is not UTF-8; save this file as UTF-8";
    assert_eq!(said.lines().last(), Some(expected), "{said}");
}

#[test]
fn what_is_not_there_is_named() {
    let product = Product::with(&[]);
    let missing = read(&product.folder.join("none")).unwrap_err();
    assert_eq!(missing.len(), 1);
    assert!(
        missing[0].to_string().starts_with("none: the folder cannot be read"),
        "{}",
        missing[0]
    );
    fs::remove_file(product.folder.join("bootmigrate.toml")).unwrap();
    let expected =
        "migrations/bootmigrate.toml: there is no configuration; write it with one table \
         `[databases.NAME]` for each database's folder";
    assert_eq!(product.said(), expected);
}
