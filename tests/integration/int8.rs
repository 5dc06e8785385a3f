//! Owns the tests of 64-bit versions: refinery's feature `int8-versions`, its databases and ours,
//! and the histories in between.
//! Promises: refinery itself, built with that feature, writes what is taken over and judges what is
//! left.
//! Never computes a checksum.

use crate::device::{populate, TestDevice};
use crate::oracle::{self, Content};
use crate::product;
use expect_test::expect;
use refinery_int8::traits::sync::{Query, Transaction};
use refinery_int8::{Migration, Runner, Target};
use rusqlite::{Connection, OptionalExtension};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

const WIFI: (&str, &str) = (
    "V20240101120000__wifi.sql",
    "CREATE TABLE wifi (ssid TEXT);\nINSERT INTO wifi VALUES ('attic');\n",
);
const WIFI_DOWN: (&str, &str) = ("V20240101120000__wifi.down.sql", "DROP TABLE wifi;\n");
const PRIORITY: (&str, &str) =
    ("V20240301093000__priority.sql", "ALTER TABLE wifi ADD COLUMN priority INTEGER;\n");
const LATER: (&str, &str) = ("V31__later.sql", "CREATE TABLE later (a);\n");

/// The connection of that refinery, whose own driver knows older releases of rusqlite alone.
struct Int8(Connection);

impl Transaction for Int8 {
    type Error = rusqlite::Error;
    fn execute<'a, T: Iterator<Item = &'a str>>(
        &mut self,
        queries: T,
    ) -> Result<usize, rusqlite::Error> {
        let transaction = self.0.transaction()?;
        let mut count = 0;
        for query in queries {
            transaction.execute_batch(query)?;
            count += 1;
        }
        transaction.commit().map(|()| count)
    }
}

impl Query<Vec<Migration>> for Int8 {
    fn query(&mut self, query: &str) -> Result<Vec<Migration>, rusqlite::Error> {
        let mut statement = self.0.prepare(query)?;
        let rows = statement.query_map([], |row| {
            let checksum: String = row.get(3)?;
            let applied_on: String = row.get(2)?;
            let applied_on = OffsetDateTime::parse(&applied_on, &Rfc3339)
                .unwrap_or_else(|error| panic!("{applied_on}: {error}"));
            Ok(Migration::applied(row.get(0)?, row.get(1)?, applied_on, checksum.parse().unwrap()))
        })?;
        rows.collect()
    }
}

impl refinery_int8::Migrate for Int8 {}

/// As that refinery reads the firmware's files.
fn files(device: &TestDevice) -> Vec<Migration> {
    let read = product::read(&device.firmware_folder(), "settings");
    read.iter()
        .map(|(file, sql)| Migration::unapplied(file.trim_end_matches(".sql"), sql).unwrap())
        .collect()
}

/// A device that this refinery migrated up to a version, and whose application has written rows.
fn left_by_refinery(device: TestDevice, version: i64) -> TestDevice {
    device.after(|device| {
        let mut connection = Int8(Connection::open(device.main()).unwrap());
        Runner::new(&files(device))
            .set_target(Target::Version(version))
            .run(&mut connection)
            .unwrap();
        populate(&connection.0);
    })
}

/// The product's own tables as SQLite makes them of what is there and the files after a version.
fn wanted(device: &TestDevice, from: i64) -> Content {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    for (file, sql) in product::read(&device.firmware_folder(), "settings") {
        if product::version(&file) > from {
            connection.execute_batch(&sql).unwrap();
        }
    }
    oracle::read(&connection).unwrap()
}

/// The versions that this refinery reads, all of its rules kept and nothing left to do; else its
/// complaint.
fn judged(device: &TestDevice) -> Result<Vec<i64>, String> {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let mut connection = Int8(copy.open());
    let runner = Runner::new(&files(device));
    let report = runner.run(&mut connection).map_err(|error| error.to_string())?;
    assert!(report.applied_migrations().is_empty(), "refinery would apply more");
    Ok(runner
        .get_applied_migrations(&mut connection)
        .unwrap()
        .iter()
        .map(Migration::version)
        .collect())
}

/// One boot: the exit code; the type of the history's column.
fn boot(device: &TestDevice) -> (String, Option<String>) {
    let ran = device.run(&["run"]);
    println!("{}", ran.stderr);
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let sql =
        "SELECT type FROM pragma_table_info('refinery_schema_history') WHERE name = 'version'";
    let declared = copy.open().query_row(sql, [], |row| row.get(0)).optional().unwrap();
    (ran.exit, declared)
}

/// The next boot has nothing to do.
#[track_caller]
fn quiet(device: &TestDevice) {
    let before = oracle::folder(&device.root());
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}

const INT8: Option<&str> = Some("int8");
const INT4: Option<&str> = Some("int4");

#[track_caller]
fn ends(device: &TestDevice, declared: Option<&str>, content: &Content, versions: &[i64]) {
    let (exit, found) = boot(device);
    assert_eq!((exit.as_str(), found.as_deref()), ("0", declared));
    assert_eq!(oracle::content(&device.main()).as_ref(), Ok(content));
    assert_eq!(judged(device), Ok(versions.to_vec()));
    quiet(device);
}

#[test]
fn a_database_of_refinery_with_64_bit_versions_is_taken_over() {
    let new = || TestDevice::empty(30).file(WIFI).file(PRIORITY);
    for left_at in [30, 20_240_101_120_000, 20_240_301_093_000] {
        let device = left_by_refinery(new(), left_at);
        let content = wanted(&device, left_at);
        assert_eq!(content.rows["parent"], 2000);
        ends(&device, INT8, &content, &[10, 20, 30, 20_240_101_120_000, 20_240_301_093_000]);
    }
}

#[test]
fn a_first_boot_writes_what_that_refinery_reads() {
    let device = TestDevice::empty(30).file(WIFI).file(PRIORITY);
    let content = oracle::fresh(&device.firmware_folder(), "settings").unwrap();
    ends(&device, INT8, &content, &[10, 20, 30, 20_240_101_120_000, 20_240_301_093_000]);
    // Where no version needs 64 bits, the key asks for them.
    let device = TestDevice::empty(30).key("versions = 64");
    let content = oracle::fresh(&device.firmware_folder(), "settings").unwrap();
    ends(&device, INT8, &content, &[10, 20, 30]);
}

#[test]
fn a_history_goes_on_in_its_own_form_where_32_bits_do() {
    // Of refinery with the feature: it reads on, and the other one would not.
    let device = left_by_refinery(TestDevice::empty(30).file(LATER), 30);
    let content = wanted(&device, 30);
    ends(&device, INT8, &content, &[10, 20, 30, 31]);
    assert!(oracle::complaints(&device.main(), &device.firmware_folder(), "settings")
        .join("")
        .contains("refinery complains"));
    // Of refinery without it, as it always was.
    let device = TestDevice::at(30).file(LATER);
    let content = wanted(&device, 30);
    assert_eq!(boot(&device), ("0".into(), INT4.map(str::to_owned)));
    assert_eq!(oracle::content(&device.main()), Ok(content));
    assert_eq!(
        oracle::complaints(&device.main(), &device.firmware_folder(), "settings"),
        Vec::<String>::new()
    );
    assert!(judged(&device).is_err());
}

#[test]
fn the_first_long_version_brings_a_32_bit_history_to_64_bits() {
    for (device, version) in [
        (TestDevice::at(30).file(WIFI), 20_240_101_120_000),
        (TestDevice::wal_at(30).file(LATER).key("versions = 64"), 31),
    ] {
        let content = wanted(&device, 30);
        ends(&device, INT4, &content, &[10, 20, 30, version]);
    }
    // A row whose text differs stays as it is: what was applied nobody knows.
    let device =
        TestDevice::at(30).file(WIFI).key("on_checksum_mismatch = \"warn\"").after(|device| {
            let sql = "UPDATE refinery_schema_history SET checksum = '7' WHERE version = 20";
            Connection::open(device.main()).unwrap().execute(sql, []).unwrap();
        });
    let content = wanted(&device, 30);
    assert_eq!(boot(&device).0, "0");
    assert_eq!(oracle::content(&device.main()), Ok(content));
    assert!(
        judged(&device).unwrap_err().contains("applied migration V20"),
        "{:?}",
        judged(&device)
    );
    let sql = "UPDATE refinery_schema_history SET checksum = ?1 WHERE version = 20";
    let v20 =
        files(&device).iter().find(|file| file.version() == 20).unwrap().checksum().to_string();
    Connection::open(device.main()).unwrap().execute(sql, [v20]).unwrap();
    assert_eq!(judged(&device), Ok(vec![10, 20, 30, 20_240_101_120_000]));
}

#[test]
fn a_history_that_went_back_below_the_first_long_version_keeps_64_bits() {
    let mut device = TestDevice::at(30).slots("ab").file(WIFI).file(WIFI_DOWN);
    let content = oracle::content(&device.main()).unwrap();
    assert_eq!(boot(&device).0, "0");
    device = device.without(WIFI.0).without(WIFI_DOWN.0);
    // The one row of `wifi` is in the quarantine.
    assert_eq!(boot(&device), ("11".into(), INT4.map(str::to_owned)));
    ends(&device, INT4, &content, &[10, 20, 30]);
    let device = device.file(LATER);
    let content = wanted(&device, 30);
    ends(&device, INT4, &content, &[10, 20, 30, 31]);
}

#[test]
fn a_swap_and_a_restored_snapshot_keep_long_versions() {
    let device = TestDevice::at(30)
        .file(WIFI)
        .file(("V20240401080000__vacuum.sql", "-- bootmigrate: no-transaction\nVACUUM;\n"));
    let content = wanted(&device, 30);
    ends(&device, INT4, &content, &[10, 20, 30, 20_240_101_120_000, 20_240_401_080_000]);
    let device = device.file(("V20240501080000__more.sql", "CREATE TABLE more (a);\n"));
    assert_eq!(boot(&device).0, "0");
    // Its firmware takes the snapshot of its own version.
    let snapshot = device.state("settings").join("snapshots/v20240401080000-2.db");
    let device = device.without("V20240501080000__more.sql");
    let ran = device.run(&[
        "snapshot",
        "restore",
        &snapshot.to_string_lossy(),
        "--db",
        "settings",
        "--yes",
    ]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()), Ok(content));
    assert_eq!(judged(&device), Ok(vec![10, 20, 30, 20_240_101_120_000, 20_240_401_080_000]));
}

#[test]
fn another_text_is_found_in_a_64_bit_history_too() {
    let device = left_by_refinery(TestDevice::empty(30).file(WIFI), 20_240_101_120_000);
    let device = device.file((WIFI.0, "CREATE TABLE wifi (ssid TEXT, note TEXT);\n"));
    let content = oracle::content(&device.main()).unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "21", "{}", ran.stderr);
    expect![
        "settings: the text of settings/V20240101120000__wifi.sql differs from what was applied; \
         nothing was changed. Next: build the firmware with the migrations that this database was \
         made by. [BM-21 settings ?>20240101120000]"
    ]
    .assert_eq(ran.stderr.lines().next().unwrap());
    assert_eq!(oracle::content(&device.main()), Ok(content));
}

#[test]
fn long_versions_are_said_written_and_asked_for_in_full() {
    let device = TestDevice::at(30).file(WIFI).file(PRIORITY);
    let ran = device.run(&["migrate", "--db", "settings", "--to", "20240101120000"]);
    expect![[r#"
        settings: migrated from 30 to 20240101120000 (1 applied, snapshot snapshots/v30-1.db). This firmware expects 20240301093000: not ready, and its next run goes there. [BM-3 settings 30>20240301093000]
    "#]].assert_eq(&ran.stderr);
    let ran = device.run(&["run", "--json"]);
    assert!(
        ran.stdout.contains("\"target\": 20240301093000")
            || ran.stdout.contains("\"target\":20240301093000"),
        "{}",
        ran.stdout
    );
    let ready =
        std::fs::read_to_string(device.root().join("run/bootmigrate/ready/settings")).unwrap();
    assert!(ready.contains("20240301093000"), "{ready}");
    let snapshots: Vec<String> = std::fs::read_dir(device.state("settings").join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(snapshots, ["v20240101120000-2.db"]);
}

#[test]
fn a_ready_file_of_the_longest_version_is_believed() {
    let longest = "V9223372036854775807__wifi.sql";
    let device = TestDevice::at(30).file((longest, WIFI.1));
    assert_eq!(device.run(&["run"]).exit, "0");
    let ready = device.run(&["ready", "--db", "settings"]);
    assert_eq!(ready.exit, "0", "{}", ready.stderr);
    let status = device.run(&["status"]);
    assert!(
        status.stdout.contains("9223372036854775807") && status.stdout.contains("ready       yes"),
        "{}",
        status.stdout
    );
    // Another firmware's ready file, of as many digits, is not.
    let file = device.root().join("run/bootmigrate/ready/settings");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("807", "806")).unwrap();
    assert_ne!(device.run(&["ready", "--db", "settings"]).exit, "0");
}

#[test]
fn a_failure_at_a_long_version_is_remembered_in_full() {
    let device = TestDevice::at(30).file((
        "V20240101120000__wifi.sql",
        "CREATE TABLE wifi (ssid TEXT);\nINSERT INTO nowhere VALUES (1);\n",
    ));
    let content = oracle::content(&device.main()).unwrap();
    assert_eq!(device.run(&["run"]).exit, "10");
    assert_eq!(oracle::content(&device.main()), Ok(content));
    let status = device.run(&["status", "--json"]);
    assert!(status.stdout.contains("20240101120000"), "{}", status.stdout);
}

#[test]
fn sqlites_own_version_cannot_be_ours_where_it_does_not_fit() {
    let device = TestDevice::at(30).file(WIFI);
    let content = oracle::content(&device.main()).unwrap();
    std::fs::create_dir_all(device.root().join("etc")).unwrap();
    std::fs::write(
        device.root().join("etc/bootmigrate.toml"),
        "[databases.settings]\nuser_version = \"ours\"\n",
    )
    .unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "2", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "in [databases.settings], user_version = \"ours\" cannot hold 20240101120000: SQLite's \
             user_version has 32 bits; write user_version = \"product\", and read the version from \
             refinery_schema_history"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()), Ok(content));
}
