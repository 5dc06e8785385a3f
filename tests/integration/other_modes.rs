//! Owns the tests of several files in one run where they are not an upgrade: back, with rows
//! carried over, beside applications.
//! Promises: each ends as with a run a file, and as by plain SQLite with a connection for every
//! file; so do the products of this repository.
//! Never judges a single file.

use crate::boundaries::{
    apply, carry, compare, judge, make, new_device, see, upgrade, wanted, Catalogue, Observation,
    Pace, PACES,
};
use crate::device::TestDevice;
use rusqlite::Connection;
use std::fs;
use std::path::Path;

const FIRST: &str = "\
                     CREATE TABLE sensor(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, \
                     place TEXT);
CREATE TABLE log(id INTEGER PRIMARY KEY, word, number);
CREATE TRIGGER sensor_gone AFTER DELETE ON sensor BEGIN INSERT INTO log(word, number) VALUES \
                     ('gone', old.id); END;
INSERT INTO sensor(name, place) VALUES ('Attic', 'a'), ('apple', 'b'), ('Barn', 'c'), ('Alley', \
                     'd');";

const ROWS: &str = "INSERT INTO sensor(name, place) VALUES ('Deck', 'd'), ('ash', 'e'); INSERT \
                    INTO log(word, number) VALUES ('own', 7);";

/// What stays in a connection, were it not taken back.
const LEAVES: [&str; 8] = [
    "CREATE TEMP TABLE log(id INTEGER PRIMARY KEY, word, number); INSERT INTO temp.log(word) \
     VALUES ('temporary');",
    "CREATE TEMP TRIGGER t BEFORE INSERT ON main.log BEGIN SELECT raise(IGNORE); END;",
    "CREATE TEMP VIEW sensor AS SELECT 1 AS id, 'x' AS name, 'y' AS place;",
    "PRAGMA case_sensitive_like = ON;",
    "PRAGMA recursive_triggers = ON;",
    "PRAGMA legacy_alter_table = ON;",
    "PRAGMA max_page_count = 1; PRAGMA reverse_unordered_selects = ON;",
    "INSERT INTO log(id, word) SELECT max(id) + 700, 'far' FROM log; UPDATE sensor SET place = \
     'moved';",
];

/// Shows what it meets of the above.
const SHOWS: &str = "\
                     INSERT INTO log(word, number) VALUES ('rowid', last_insert_rowid());
INSERT INTO log(word, number) SELECT 'user_version', user_version FROM pragma_user_version;
INSERT INTO log(word) SELECT name FROM sensor LIMIT 1;
UPDATE sensor SET place = 'big' WHERE name LIKE 'a%';
INSERT INTO log(word, number) VALUES ('changes', changes());
REPLACE INTO sensor(id, name, place) VALUES (3, 'replaced', 'r');";

const RENAMES: &str =
    "CREATE VIEW names AS SELECT name FROM sensor; ALTER TABLE sensor RENAME TO probe;";

fn folder(path: &str) -> Catalogue {
    Catalogue::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

#[test]
fn the_products_of_this_repository_end_alike_at_every_pace() {
    let sensors = "INSERT INTO site(name) VALUES ('roof'), ('yard'); INSERT INTO sensor(site_id, \
                   address, label, kind) VALUES (1, '7', NULL, 'wind'), (2, '8', 'x', 'humidity'); \
                   INSERT INTO calibration_point(sensor_id, raw, reference) VALUES (1, 1.5, 2), \
                   (2, 3, 4); INSERT INTO wifi_network(ssid) VALUES ('net'); UPDATE preference SET \
                   value = 'de_DE' WHERE name = 'language';";
    let samples = "INSERT INTO sample(sensor_id, taken_at, value) VALUES (1, 10, 1.5), (1, 20, \
                   2e9), (2, 5, 0);";
    for (path, after, rows, files, back) in [
        // Version 1 has no place for the rows that a later file writes.
        (
            "migrations/settings",
            1,
            "INSERT INTO device VALUES (1, 'serial', 'model', 'today');",
            14,
            "11",
        ),
        ("migrations/settings", 6, sensors, 14, "0"),
        ("migrations/telemetry", 1, samples, 4, "0"),
        (
            "examples/product/migrations/notes",
            1,
            "INSERT INTO note(text) VALUES ('milk'), ('bread');",
            2,
            "0",
        ),
    ] {
        let mut catalogue = Catalogue { rows: rows.into(), rows_after: after, ..folder(path) };
        assert_eq!(catalogue.files.len(), files, "{path}");
        // The time is not the same twice.
        catalogue
            .files
            .iter_mut()
            .for_each(|(_, text)| *text = text.replace("'now'", "'2024-05-06'"));
        let found = judge(&catalogue, &PACES);
        assert!(found.is_empty(), "{path}, rows after {after}:\n{}", found.join("\n"));
        ways_back_end_alike(&catalogue, catalogue.files.len().min(10), back);
    }
}

/// Files in between leave something, and the migration of the live file fails on an index that
/// somebody has made by hand.
#[test]
fn rows_that_are_carried_over_meet_each_file_alone() {
    for (adopted, leaves) in LEAVES
        .into_iter()
        .map(|leaves| (false, leaves))
        .chain([(true, "SAVEPOINT s; CREATE TEMP TABLE log(a);")])
    {
        let files = [FIRST, leaves, SHOWS, RENAMES, "CREATE INDEX by_hand ON probe(place);"];
        let catalogue = Catalogue {
            adopted,
            rows: ROWS.into(),
            keys: vec!["on_failure = \"purge\"".into()],
            ..Catalogue::of(&files)
        };
        let wanted = wanted(&catalogue, true).unwrap();
        for (done, pace) in
            [(1, Pace::OneBoot), (1, Pace::BootAVersion), (2, Pace::OneBoot), (4, Pace::OneBoot)]
        {
            let device = new_device(&catalogue, 1);
            let ran = device.run(&["run"]);
            assert_eq!(ran.exit, "0", "{}", ran.stderr);
            apply(&device.main(), ROWS, None).unwrap();
            if done > 1 {
                upgrade(
                    &device,
                    &Catalogue { files: catalogue.files[..done].to_vec(), ..catalogue.clone() },
                    1,
                    Pace::OneBoot,
                )
                .unwrap();
            }
            let table = if done < 4 { "sensor" } else { "probe" };
            apply(&device.main(), &format!("CREATE INDEX by_hand ON {table}(place)"), None)
                .unwrap();
            upgrade(&device, &catalogue, done, pace)
                .and_then(|()| compare(&device, &wanted, files.len()))
                .unwrap_or_else(|what| {
                    panic!("{leaves} from {done} by {pace:?}: {what}");
                });
            assert!(
                device.state("settings").join("quarantine").exists(),
                "{leaves} from {done} by {pace:?}: nothing was carried over"
            );
        }
    }
}

/// How a device comes back to an older firmware's version.
#[derive(Debug, Clone, Copy)]
enum Back {
    /// That firmware boots.
    OneBoot,
    /// Every firmware in between boots.
    BootAVersion,
    /// The newer firmware, by hand.
    Rollback,
}

/// Plain SQLite: up to the newest with the application's rows, then every way back down to this
/// version.
fn wanted_after(catalogue: &Catalogue, version: usize) -> Observation {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.db");
    make(&path, catalogue, true).unwrap();
    for (index, (name, _)) in catalogue.files.iter().enumerate().skip(version).rev() {
        let (_, sql) = catalogue.downs.iter().find(|(of, _)| of == name).unwrap();
        apply(&path, sql, catalogue.counts().then_some(index)).unwrap();
    }
    see(&Connection::open(&path).unwrap()).unwrap()
}

/// Back from the newest version that has a way back, counted from this one, to the one where its
/// rows were written, which the last step of the way ends with this code.
#[track_caller]
fn ways_back_end_alike(catalogue: &Catalogue, newest: usize, last: &str) {
    let catalogue = Catalogue { files: catalogue.files[..newest].to_vec(), ..catalogue.clone() };
    let oldest = catalogue.rows_after.max(1);
    let wanted = wanted_after(&catalogue, oldest);
    for back in [Back::OneBoot, Back::BootAVersion, Back::Rollback] {
        let mut catalogue = catalogue.clone();
        catalogue.keys.push("on_newer = [\"downgrade\"]".into());
        let device = new_device(&catalogue, oldest);
        let boot = |words: &[&str], exit: &str| {
            let ran = device.run(words);
            assert_eq!(ran.exit, exit, "{back:?}, {words:?}: {}", ran.stderr);
        };
        boot(&["run"], "0");
        apply(&device.main(), &catalogue.rows, None).unwrap();
        upgrade(&device, &catalogue, oldest, Pace::OneBoot).unwrap();
        match back {
            Back::OneBoot => {
                carry(&device, &catalogue, oldest);
                boot(&["run"], last);
            }
            Back::BootAVersion => (oldest..newest).rev().for_each(|version| {
                carry(&device, &catalogue, version);
                boot(&["run"], if version == oldest { last } else { "0" });
            }),
            Back::Rollback => {
                boot(&["rollback", "--db", "settings", "--to", &oldest.to_string()], last)
            }
        }
        compare(&device, &wanted, oldest)
            .unwrap_or_else(|what| panic!("{back:?}, {:?}: {what}", catalogue.downs));
    }
}

/// Each leaves something, and each shows what it meets.
#[test]
fn ways_back_meet_each_other_alone() {
    for leaves in LEAVES {
        for keys in [Vec::new(), vec!["user_version = \"ours\"".to_owned()]] {
            let ups = [
                FIRST,
                "CREATE TABLE two(a);",
                "ALTER TABLE sensor ADD COLUMN more;",
                "CREATE VIEW four AS SELECT name FROM sensor;",
            ];
            let mut catalogue = Catalogue { rows: ROWS.into(), keys, ..Catalogue::of(&ups) };
            catalogue.downs = vec![
                ("V2__file.sql".into(), format!("{SHOWS}\nDROP TABLE two;")),
                (
                    "V3__file.sql".into(),
                    format!("{SHOWS}\nALTER TABLE main.sensor DROP COLUMN more;\n{leaves}"),
                ),
                ("V4__file.sql".into(), format!("DROP VIEW four;\n{leaves}")),
            ];
            ways_back_end_alike(&catalogue, 4, "0");
        }
    }
}

/// The firmware carries these data migrations.
fn carry_data(device: &TestDevice, texts: &[String]) {
    let folder = device.firmware_folder().join("settings/data");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (version, text) in (1..).zip(texts) {
        fs::write(folder.join(format!("V{version}__data.sql")), text).unwrap();
    }
}

/// Plain SQLite with a connection for each round; a batch until it changes nothing.
fn wanted_of_data(catalogue: &Catalogue, texts: &[String]) -> Observation {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.db");
    make(&path, catalogue, true).unwrap();
    for text in texts {
        loop {
            let connection = Connection::open(&path).unwrap();
            connection
                .execute_batch(&format!(
                    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; BEGIN;\n{text}\n;COMMIT"
                ))
                .unwrap();
            if !text.contains("batch") || connection.total_changes() == 0 {
                break;
            }
        }
    }
    see(&Connection::open(&path).unwrap()).unwrap()
}

#[test]
fn data_migrations_and_their_rounds_meet_each_other_alone() {
    let round = "-- bootmigrate: batch\nUPDATE sensor SET place = 'seen' WHERE id IN (SELECT id \
                 FROM sensor WHERE name LIKE 'a%' AND place IS NOT 'seen' ORDER BY name DESC LIMIT \
                 1);";
    let mut leaves: Vec<&str> =
        LEAVES.into_iter().filter(|leaves| !leaves.contains("CREATE")).collect();
    leaves.push(
        "PRAGMA short_column_names = OFF; PRAGMA defer_foreign_keys = ON; PRAGMA secure_delete = \
         FAST;",
    );
    leaves.push("SAVEPOINT s; UPDATE sensor SET place = 'kept'; ROLLBACK TO s; RELEASE s;");
    for leaves in leaves {
        // In a batch, what changes rows would never end.
        let round_leaves = if leaves.contains("INSERT") || leaves.contains("UPDATE") {
            "PRAGMA case_sensitive_like = ON;"
        } else {
            leaves
        };
        let texts = [
            leaves.to_owned(),
            SHOWS.to_owned(),
            format!("{round}\n{round_leaves}"),
            SHOWS.to_owned(),
            leaves.to_owned(),
        ];
        let catalogue = Catalogue { rows: ROWS.into(), ..Catalogue::of(&[FIRST]) };
        let wanted = wanted_of_data(&catalogue, &texts);
        for pace in PACES {
            let device = new_device(&catalogue, 1);
            assert_eq!(device.run(&["run"]).exit, "0");
            apply(&device.main(), ROWS, None).unwrap();
            let run = |words: &[&str]| {
                let ran = device.run(words);
                assert_eq!(ran.exit, "0", "{leaves}, {pace:?}, {words:?}: {}", ran.stderr);
            };
            match pace {
                Pace::OneBoot => {
                    carry_data(&device, &texts);
                    run(&["data", "run", "--all"]);
                }
                Pace::BootAVersion => (1..=texts.len()).for_each(|version| {
                    carry_data(&device, &texts[..version]);
                    run(&["data", "run", "--all"]);
                }),
                Pace::Steps => {
                    carry_data(&device, &texts);
                    (1..=texts.len())
                        .for_each(|version| run(&["data", "run", "--to", &version.to_string()]));
                }
            }
            compare(&device, &wanted, 1)
                .unwrap_or_else(|what| panic!("{leaves}, {pace:?}: {what}"));
        }
    }
}
