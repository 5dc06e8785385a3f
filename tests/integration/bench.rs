//! Owns the tests of what a bench does with a damaged database: `salvage` into a new file, and a
//! gateway's last resort.
//! Promises: every row that comes back is compared with what an application wrote; the database is
//! compared byte by byte.
//! Never takes a row for salvaged because the program counts it.

use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle::{self, Copy};
use crate::program::{finish, RunResult};
use crate::quarantine::runs;
use rusqlite::types::Value as Cell;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

type Rows = BTreeMap<i64, Vec<String>>;

/// Rows of a table by their number.
fn rows(connection: &Connection, table: &str) -> Rows {
    let mut statement = connection.prepare(&format!("SELECT rowid, * FROM {table}")).unwrap();
    let width = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| {
        let values: rusqlite::Result<Vec<String>> =
            (1..width).map(|at| row.get::<_, Cell>(at).map(|value| format!("{value:?}"))).collect();
        Ok((row.get(0)?, values?))
    };
    statement.query_map([], read).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn all(main: &Path) -> [Rows; 2] {
    let copy = Copy::of(main).unwrap();
    ["parent", "child"].map(|table| rows(&copy.open(), table))
}

#[track_caller]
fn salvaged(device: &TestDevice, exit: &str) -> (PathBuf, Value) {
    let into = device.folder().join("salvaged.db");
    let before = oracle::folder(&device.root());
    let said =
        runs(device, &format!("salvage --db settings --into {} --json", into.display()), exit);
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing", "{said}");
    let left: Vec<_> =
        fs::read_dir(device.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
    (into, serde_json::from_str(&said).unwrap())
}

fn table<'v>(said: &'v Value, name: &str) -> &'v Value {
    said["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|table| table["name"] == name)
        .unwrap_or_else(|| panic!("{name}: {said}"))
}

/// Without its WAL, or with a hot journal, it would be another database.
#[test]
fn a_whole_database_is_written_whole() {
    let wal = TestDevice::wal_at(40)
        .application(&[
            "sql PRAGMA wal_autocheckpoint = 0",
            "sql UPDATE parent SET reading = reading + 7",
        ])
        .killed();
    let journal = TestDevice::at(40)
        .application(&[
            "sql PRAGMA cache_size = 2",
            "sql BEGIN",
            "sql UPDATE parent SET reading = reading + 1",
        ])
        .killed();
    for device in [TestDevice::at(40), wal, journal] {
        let truth = all(&device.main());
        let (into, said) = salvaged(&device, "0");
        assert_eq!(all(&into), truth);
        assert_eq!(
            oracle::complaints(&into, &device.firmware_folder(), "settings"),
            Vec::<String>::new()
        );
        assert_eq!(
            (&said["lost"], &said["version"], &table(&said, "child")["rows"]),
            (&Value::Null, &40.into(), &2000.into()),
            "{said}"
        );
        let said = runs(&device, &format!("salvage --db settings --into {}", into.display()), "2");
        assert!(said.contains("is there already; name another file. [BM-2]"), "{said}");
    }
}

/// Runs `salvage` on a medium that gives EIO for what `lost` says; the log of its reads.
fn on_a_failing_medium(device: &TestDevice, into: &Path, lost: &[String]) -> (RunResult, String) {
    let log = device.folder().join("reads.log");
    let mut words: Vec<OsString> = ["strace", "-f", "-qq", "-y", "-o"].map(OsString::from).into();
    words.push(log.clone().into());
    words.extend(["-e", "trace=pread64,copy_file_range"].map(OsString::from));
    // A copy within the kernel meets the place first.
    for inject in ["copy_file_range:error=EIO".to_owned()].iter().chain(lost) {
        words.extend([OsString::from("-e"), format!("inject={inject}").into()]);
    }
    words.push("--".into());
    let into = into.display().to_string();
    words.extend(device.words(&["salvage", "--db", "settings", "--into", &into, "--json"]));
    let ran = finish(device.command(&words));
    (ran, fs::read_to_string(&log).unwrap())
}

/// Sectors that the medium does not give any more are a page that is damaged, and no reason to
/// leave the others.
#[test]
fn a_page_that_the_medium_has_lost_costs_its_own_rows() {
    let device = TestDevice::booted_at(40);
    let truth = all(&device.main());
    // A leaf of `parent`, which the second cell of its first page leads to.
    let (_, root) = device.root_page("parent");
    let cell = usize::from(u16::from_be_bytes([root[14], root[15]]));
    let leaf = u64::from(u32::from_be_bytes(root[cell..cell + 4].try_into().unwrap()));
    let (ran, log) = on_a_failing_medium(&device, &device.folder().join("whole.db"), &[]);
    assert_eq!(ran.exit, "0", "{}{}", ran.stdout, ran.stderr);
    let reads = || log.lines().filter(|line| line.contains("pread64("));
    let copies = |line: &str| line.contains("/settings.db>") && line.contains(", 4096, ");
    let nth_of = |page: u64| {
        let at = format!(", {}) = 4096", (page - 1) * 4096);
        let found = reads().position(|line| copies(line) && line.contains(&at));
        found.unwrap_or_else(|| panic!("page {page} is not read: {log}")) + 1
    };
    let into = device.folder().join("salvaged.db");
    let lost = format!("pread64:error=EIO:when={}", nth_of(leaf));
    let (ran, _) = on_a_failing_medium(&device, &into, &[lost]);
    assert_eq!(ran.exit, "11", "{}{}", ran.stdout, ran.stderr);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["unread_pages"], 1, "{said}");
    let note = said["notes"][0].as_str().unwrap();
    assert!(
        note.contains("cannot be read from the medium, the first at byte")
            && note.contains("(errno 5)"),
        "{said}"
    );
    let found = all(&into);
    for (truth, found) in truth.iter().zip(&found) {
        assert!(found.iter().all(|(number, row)| truth.get(number) == Some(row)), "{said}");
    }
    let missing = truth[0].len() + truth[1].len() - found[0].len() - found[1].len();
    assert!(missing > 0 && missing < 2000, "{missing} rows are missing: {said}");
}

/// Every row of the new file was in the old one, and every one that is not is counted.
#[test]
fn what_is_missing_is_counted_and_nothing_is_invented() {
    let device = TestDevice::booted_at(40);
    let truth = all(&device.main());
    let mut bytes = fs::read(device.main()).unwrap();
    // Every third page but the first.
    bytes.chunks_mut(4096).skip(4).step_by(3).for_each(|page| page.fill(0x5a));
    fs::write(device.main(), bytes).unwrap();
    let (into, said) = salvaged(&device, "11");
    let found = all(&into);
    for (name, (truth, found)) in ["parent", "child"].iter().zip(truth.iter().zip(&found)) {
        let of = table(&said, name);
        assert!(
            found.iter().all(|(number, row)| truth.get(number) == Some(row)),
            "{name}: a row was invented"
        );
        assert_eq!(of["rows"], found.len(), "{said}");
        let counted = ["rows", "aside", "from_indexes", "missing"]
            .map(|key| of[key].as_u64().unwrap_or(0))
            .iter()
            .sum::<u64>();
        assert!(
            of["missing"].is_null() || counted >= truth.len() as u64,
            "{name}: {counted} of {}: {of}",
            truth.len()
        );
        assert!(!found.is_empty());
    }
    assert!(found[0].len() + found[1].len() < 4000 && said["lost"].is_string(), "{said}");
    let text = runs(
        &device,
        &format!("salvage --db settings --into {}/again.db", device.folder().display()),
        "11",
    );
    assert!(
        text.starts_with("settings: ")
            && text.contains("; missing: ")
            && text.contains("\n  child  "),
        "{text}"
    );
    assert_eq!(all(&device.folder().join("again.db")), found);
}

#[test]
fn what_cannot_be_salvaged_leaves_no_file() {
    let device = TestDevice::booted_at(40);
    fs::write(device.main(), vec![0x55; 40960]).unwrap();
    let before = oracle::folder(device.folder());
    let into = device.folder().join("salvaged.db");
    let typed = format!("salvage --db settings --into {}", into.display());
    let said = runs(&device, &typed, "17");
    assert!(
        said.contains("nothing was left there, and the database is untouched. [BM-17 settings]"),
        "{said}"
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(device.folder())), "nothing");
    for place in [device.home(), device.state("settings")] {
        let said = runs(
            &device,
            &format!("salvage --db settings --into {}/settings.db", place.display()),
            "2",
        );
        assert!(said.contains("name another file"), "{said}");
    }
    assert_eq!(oracle::touched(&before, &oracle::folder(device.folder())), "nothing");
    let device = TestDevice::booted_at(40);
    let stick = device.folder().join("stick");
    fs::create_dir(&stick).unwrap();
    let mount = Mount::tmpfs(&stick, 256);
    let said =
        runs(&device, &format!("salvage --db settings --into {}/x.db", stick.display()), "14");
    assert!(said.contains("nothing was left there. Next: "), "{said}");
    assert_eq!(fs::read_dir(&stick).unwrap().count(), 0);
    drop(mount);
}

/// What a row is known by, wherever its bytes lie.
const GATEWAY: [(&str, &str); 4] = [
    ("identity", "CAST(serial AS BLOB)"),
    ("calibration", "certificate"),
    ("wifi", "passphrase"),
    ("note", "CAST(text AS BLOB)"),
];
/// Of those this many are enough: they are random.
const KNOWN_BYTES: usize = 10;
const GATEWAY_SQL: &str =
    "CREATE TABLE identity (serial TEXT PRIMARY KEY NOT NULL, model TEXT NOT NULL, made_on TEXT \
     NOT NULL) WITHOUT ROWID;
CREATE TABLE calibration (id INTEGER PRIMARY KEY, channel TEXT NOT NULL, gain REAL NOT NULL, zero \
     REAL NOT NULL, certificate BLOB NOT NULL);
CREATE TABLE wifi (ssid TEXT NOT NULL, passphrase BLOB NOT NULL, priority INTEGER NOT NULL);
CREATE INDEX wifi_priority ON wifi (priority);
CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
";
const GATEWAY_ROWS: &str = "INSERT INTO identity VALUES ('GW-00471123', 'gateway 4', '2024-05-01');
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 400)
    INSERT INTO calibration SELECT i, 'channel ' || i, 1 + i / 7.0, i / 1000.0 - 0.2, \
                            randomblob(90) FROM n;
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
    INSERT INTO wifi SELECT 'site ' || i, randomblob(32), i % 5 FROM n;
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
    INSERT INTO note SELECT i, hex(randomblob(80)) || ' ' || i FROM n;";

/// Each row of a table: what it is known by, and all of its values.
fn known_by(main: &Path, (table, needle): (&str, &str)) -> BTreeMap<Vec<u8>, String> {
    let copy = Copy::of(main).unwrap();
    let connection = copy.open();
    let mut statement = connection.prepare(&format!("SELECT {needle}, * FROM {table}")).unwrap();
    let width = statement.column_count();
    let values = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
        (1..width).map(|at| Ok(format!("{:?}|", row.get::<_, Cell>(at)?))).collect()
    };
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, values(row)?));
    statement.query_map([], read).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// Every value that rows of pages without a table have.
fn without_a_table(main: &Path) -> Vec<Vec<u8>> {
    let copy = Copy::of(main).unwrap();
    let connection = copy.open();
    let Ok(mut statement) = connection.prepare("SELECT * FROM lost_pages") else {
        return Vec::new();
    };
    let width = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        found.extend((2..width).filter_map(|at| match row.get(at).unwrap() {
            Cell::Text(text) => Some(text.into_bytes()),
            Cell::Blob(bytes) => Some(bytes),
            _ => None,
        }));
    }
    found
}

/// A gateway that was dropped: the header and the schema's page are gone, and three pages of ten,
/// at random; nobody has a snapshot. Every row that lies on a page which is left comes back, in its
/// table, or beside it where two tables could have had it.
#[test]
fn a_gateway_without_header_schema_and_a_third_of_its_pages() {
    let (mut all, mut gone_with_pages, mut in_tables, mut beside) =
        ([0usize; 4], [0usize; 4], [0usize; 4], [0usize; 4]);
    for seed in 1..=6u64 {
        let device = TestDevice::empty(10).file(("V11__gateway.sql", GATEWAY_SQL));
        runs(&device, "run", "0");
        Connection::open(device.main()).unwrap().execute_batch(GATEWAY_ROWS).unwrap();
        let truth = GATEWAY.map(|table| known_by(&device.main(), table));
        let bytes = torn(fs::read(device.main()).unwrap(), seed);
        fs::write(device.main(), &bytes).unwrap();
        let ran = device.run(&["run", "--purge-and-retry"]);
        assert_eq!(ran.exit, "11", "seed {seed}: {}", ran.stderr);
        let (others, left) = (without_a_table(&device.main()), left_on_pages(&bytes));
        for (at, table) in GATEWAY.into_iter().enumerate() {
            let found = known_by(&device.main(), table);
            let invented = found.iter().find(|(needle, row)| truth[at].get(*needle) != Some(row));
            assert_eq!(invented, None, "seed {seed}: {} has a row that it never had", table.0);
            for needle in truth[at].keys() {
                let left = left.contains(&needle[..KNOWN_BYTES]);
                let (there, aside) = (found.contains_key(needle), others.contains(needle));
                assert!(
                    !left || there || aside,
                    "seed {seed}: a row of {} lies on a page that is left, and is gone",
                    table.0
                );
                all[at] += 1;
                gone_with_pages[at] += usize::from(!left);
                in_tables[at] += usize::from(there);
                beside[at] += usize::from(aside && !there);
            }
        }
    }
    println!(
        "rows {all:?}: in their tables {in_tables:?}, in lost_pages {beside:?}, on pages that are \
         gone {gone_with_pages:?}"
    );
    for at in 0..4 {
        assert_eq!(
            in_tables[at] + beside[at] + gone_with_pages[at],
            all[at],
            "{}: a row is not accounted for",
            GATEWAY[at].0
        );
    }
    // Identity, calibration and Wi-Fi.
    assert!((0..3).all(|at| in_tables[at] > 0), "{in_tables:?}");
}

/// Every run of so many bytes on the pages that are left. One that leads to others still has what
/// was on it before it did.
fn left_on_pages(bytes: &[u8]) -> BTreeSet<&[u8]> {
    const LEADS_TO_OTHERS: u8 = 5;
    let leaves = bytes.chunks(4096).filter(|page| page[0] != LEADS_TO_OTHERS);
    leaves.flat_map(|page| page.windows(KNOWN_BYTES)).collect()
}

/// Without the first page, and three of ten of the others.
fn torn(mut bytes: Vec<u8>, seed: u64) -> Vec<u8> {
    let pages = bytes.len() / 4096;
    let mut state = seed;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut gone = BTreeSet::from([0]);
    while gone.len() < 1 + pages * 3 / 10 {
        gone.insert(draw() % pages);
    }
    gone.iter().for_each(|page| bytes[page * 4096..(page + 1) * 4096].fill(0xff));
    bytes
}
