//! Owns the tests of data migrations: by command, beside an application, cut off, stopped, refused.
//! Promises: every row is compared with what SQLite alone makes of the same text, run until it
//! changes nothing.
//! Never measures time.

use crate::commands::transcript;
use crate::device::TestDevice;
use crate::dump::tidy;
use crate::mount::Mount;
use crate::oracle::{self, Content};
use expect_test::expect;
use serde_json::Value;
use std::fs;

/// Not idempotent: a row that is met twice shows.
pub const QUALITY: (&str, &str) = (
    "V1__quality.sql",
    "-- bootmigrate: batch\nUPDATE parent SET reading = reading + 1000000, raw = x'51'\nWHERE id \
     IN (SELECT id FROM parent WHERE raw IS NOT x'51' ORDER BY id LIMIT 300);\n",
);
/// One transaction, and must never run twice.
pub const TENFOLD: (&str, &str) = ("V2__tenfold.sql", "UPDATE child SET amount = amount || '0';\n");

/// The firmware carries these data migrations of `settings`, and no others.
pub fn with(device: &TestDevice, files: &[(&str, &str)]) {
    let folder = device.firmware_folder().join("settings/data");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    files.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
}

pub fn booted(files: &[(&str, &str)]) -> TestDevice {
    let device = TestDevice::booted_at(41);
    with(&device, files);
    device
}

/// What SQLite alone makes of these texts: each as often as it is said, or until it changes
/// nothing.
pub fn wanted(device: &TestDevice, texts: &[((&str, &str), Option<usize>)]) -> Content {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    for ((_, sql), times) in texts {
        for _ in 0..times.unwrap_or(usize::MAX) {
            let before = connection.total_changes();
            connection.execute_batch(sql).unwrap();
            if connection.total_changes() == before {
                break;
            }
        }
    }
    oracle::read(&connection).unwrap()
}

#[test]
fn all_of_them_beside_an_application() {
    let wal = TestDevice::wal_at(41).after(|device| drop(device.run(&["run"])));
    for device in [TestDevice::booted_at(41), wal] {
        with(&device, &[QUALITY, TENFOLD]);
        let device = device.application(&["sql UPDATE parent SET badge = 'mine' WHERE id = 7"]);
        let new = wanted(&device, &[(QUALITY, None), (TENFOLD, Some(1))]);
        transcript(
            &device,
            "data run --all",
            expect![[r#"
                settings: V1 quality: 2000 rows in 7 rounds; V2 tenfold: 1000 rows in 1 round. [BM-0 settings data]
                exit 0, touched database
            "#]],
        );
        assert_eq!(oracle::content(&device.main()), Ok(new.clone()));
        // What is done is done.
        let again = device.run(&["data", "run", "--all"]);
        assert_eq!(
            (again.exit.as_str(), again.stderr.as_str()),
            ("0", "settings: no data migration is pending. [BM-0 settings data]\n")
        );
        assert_eq!(oracle::content(&device.main()), Ok(new.clone()));
        // Its boots know nothing of it.
        let device = device.killed();
        transcript(
            &device,
            "run",
            expect![[r#"
                settings: at version 41, nothing to do. [BM-0 settings 41]
                exit 0, touched nothing
            "#]],
        );
        assert_eq!(oracle::content(&device.main()), Ok(new));
    }
}

#[test]
fn one_after_the_other_as_told() {
    let device = booted(&[QUALITY, TENFOLD]);
    let old = oracle::content(&device.main());
    transcript(
        &device,
        "data status --exit-code",
        expect![[r#"
            settings: 2 pending; `bootmigrate data run --all` applies them. [BM-3 settings data]
              pending   V1 quality
              pending   V2 tenfold
            exit 3, touched nothing
        "#]],
    );
    transcript(
        &device,
        "data run --to 9",
        expect![[r#"
            bootmigrate: version 9 is not one of this firmware's data migrations of settings; there is 1, 2. [BM-2]
            exit 2, touched nothing
        "#]],
    );
    assert_eq!(oracle::content(&device.main()), old);
    let new = wanted(&device, &[(QUALITY, None)]);
    transcript(
        &device,
        "data run --step 1",
        expect![[r#"
            settings: V1 quality: 2000 rows in 7 rounds. [BM-0 settings data]
            exit 0, touched database
        "#]],
    );
    assert_eq!(oracle::content(&device.main()), Ok(new));
    transcript(
        &device,
        "data status",
        expect![[r#"
            settings: 1 pending; `bootmigrate data run --all` applies them. [BM-3 settings data]
              done      V1 quality: 2000 rows in 7 rounds
              pending   V2 tenfold
            exit 0, touched nothing
        "#]],
    );
    let new = wanted(&device, &[(TENFOLD, Some(1))]);
    let ran = device.run(&["data", "run", "--to", "2", "--json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let second = &report["databases"][0]["migrations"][1];
    assert_eq!(
        (ran.exit.as_str(), &report["exit"], &second["state"], &second["rows"]),
        ("0", &0.into(), &"done".into(), &1000.into())
    );
    assert_eq!(oracle::content(&device.main()), Ok(new));
}

/// What was done stays done; that its text is another one now is this firmware's mistake.
#[test]
fn a_done_one_with_another_text_is_done_and_an_error() {
    let device = booted(&[QUALITY]);
    assert_eq!(device.run(&["data", "run", "--all"]).exit, "0");
    let other = format!("{}-- edited\n", QUALITY.1);
    with(&device, &[(QUALITY.0, &other)]);
    for arguments in [&["data", "status"][..], &["data", "status", "--exit-code"]] {
        let ran = device.run(arguments);
        assert_eq!(ran.exit, "21", "{}", ran.stdout);
        assert!(
            ran.stdout.contains("[BM-21 settings data]\n  done      V1 quality"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn a_round_that_fails_costs_that_round() {
    // The eleventh hundred breaks a rule of the table.
    let bad = (
        "V1__bad.sql",
        "-- bootmigrate: batch\nUPDATE parent SET badge = 'seen',\n  name = CASE WHEN id > 1000 \
         THEN 'the same' ELSE name END\nWHERE id IN (SELECT id FROM parent WHERE badge IS NOT \
         'seen' ORDER BY id LIMIT 100);\n",
    );
    let device = booted(&[bad]);
    let ten_rounds = wanted(&device, &[(bad, Some(10))]);
    transcript(
        &device,
        "data run --all",
        expect![[r#"
            settings: V1 bad: 1000 rows in 10 rounds stay. settings/data/V1__bad.sql:2:1: UNIQUE constraint failed: parent.name (SQLite 2067), in statement 1 of 1; no other row was changed. Next: correct the data migration and install that firmware. [BM-10 settings data V1:2]
                  2 | UPDATE parent SET badge = 'seen',
                    | ^
            exit 10, touched database
        "#]],
    );
    assert_eq!(oracle::content(&device.main()), Ok(ten_rounds.clone()));
    // Corrected, it goes on with its rows as they are.
    let good = (
        "V1__bad.sql",
        "-- bootmigrate: batch\nUPDATE parent SET badge = 'seen'\nWHERE id IN (SELECT id FROM \
         parent WHERE badge IS NOT 'seen' ORDER BY id LIMIT 100);\n",
    );
    with(&device, &[good]);
    let new = wanted(&device, &[(good, None)]);
    assert_eq!(device.run(&["data", "run", "--all"]).exit, "0");
    assert_eq!(oracle::content(&device.main()), Ok(new));
}

#[test]
fn a_batch_without_progress_is_refused() {
    let endless = (
        "V1__endless.sql",
        "-- bootmigrate: batch\nUPDATE parent SET badge = 'seen' WHERE id IN (SELECT id FROM \
         parent ORDER BY id LIMIT 100);\n",
    );
    let device = booted(&[endless]);
    let two_rounds = wanted(&device, &[(endless, Some(2))]);
    transcript(
        &device,
        "data run --all",
        expect![[r#"
            settings: V1 endless: 200 rows in 2 rounds stay. settings/data/V1__endless.sql:1:1: `batch` makes no progress: 3 rounds in a row changed the very same 100 rows; let its WHERE leave out what is done; no other row was changed. Next: correct the data migration and install that firmware. [BM-10 settings data V1:1]
                  1 | -- bootmigrate: batch
                    | ^
            exit 10, touched database
        "#]],
    );
    assert_eq!(oracle::content(&device.main()), Ok(two_rounds));
    // Other rows each time, and no end either: the row moves.
    let wandering = (
        "V1__wandering.sql",
        "-- bootmigrate: batch\nUPDATE child SET id = id + 2000 WHERE id IN (SELECT id FROM child \
         ORDER BY id LIMIT 1000);\n",
    );
    let device = booted(&[wandering]);
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    assert!(ran.stderr.contains("`batch` comes to no end: it has changed "), "{}", ran.stderr);
    let rows = oracle::content(&device.main()).unwrap().rows;
    assert_eq!((rows["parent"], rows["child"]), (2000, 1000));
}

#[test]
fn an_expectation_that_does_not_hold_stops_the_last_round() {
    let text =
        "-- bootmigrate: expect = SELECT id FROM child WHERE label = 'unknown'\nUPDATE child SET \
         label = 'unknown' WHERE label IS NULL;\n";
    let device = booted(&[("V1__labels.sql", text)]);
    let old = oracle::content(&device.main());
    transcript(
        &device,
        "data run --all",
        expect![[r#"
            settings: settings/data/V1__labels.sql:1:1: `expect` must return no row and returned one (content of a row, left out; see show_rows); no row was changed. Next: correct the data migration and install that firmware. [BM-10 settings data V1:1]
                  1 | -- bootmigrate: expect = SELECT id FROM child WHERE label = 'unknown'
                    | ^
            exit 10, touched folder
        "#]],
    );
    assert_eq!(oracle::content(&device.main()), old);
}

#[test]
fn rows_alone_may_change() {
    let device = booted(&[(
        "V1__schema.sql",
        "UPDATE parent SET badge = 1;\nCREATE INDEX badges ON parent (badge);\n",
    )]);
    let old = oracle::content(&device.main());
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(ran.exit, "2", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "settings/data/V1__schema.sql:2:1: `CREATE` is not allowed: a data migration changes \
             rows alone"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()), old);
    // A child without its parent is refused as the application's would be.
    let orphan = ("V1__orphan.sql", "UPDATE child SET parent_id = 99999 WHERE id = 1003;\n");
    let device = booted(&[orphan]);
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    assert!(ran.stderr.contains("FOREIGN KEY constraint failed"), "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()), old);
}

#[test]
fn the_schema_comes_first() {
    let pending = TestDevice::booted_at(40).firmware(41);
    let newer = TestDevice::booted_at(42).firmware(41);
    for (device, exit, why) in
        [(pending, "3", "migrate 40 to 41"), (newer, "12", "refuse: the database is at version 42")]
    {
        with(&device, &[TENFOLD]);
        let old = oracle::content(&device.main());
        let before = oracle::folder(&device.root());
        let ran = device.run(&["data", "run", "--all"]);
        assert_eq!(ran.exit, exit, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("its data migrations wait: the plan of its next run is: ")
                && ran.stderr.contains(why),
            "{}",
            ran.stderr
        );
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
        assert_eq!(oracle::content(&device.main()), old);
    }
}

#[test]
fn an_application_in_the_middle_of_its_work_is_waited_for() {
    let device = booted(&[TENFOLD])
        .application(&["sql BEGIN IMMEDIATE", "sql UPDATE parent SET reading = 4 WHERE id = 4"]);
    let old = oracle::content(&device.main());
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(ran.exit, "13", "{}", tidy(&device, &ran.stderr));
    assert!(
        ran.stderr.contains(
            "; no row was changed. Next: run `bootmigrate data run --all --db settings` again."
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()), old);
    // It is gone; what it had not committed is rolled back, and the data migration has its turn.
    let device = device.killed();
    let new = wanted(&device, &[(TENFOLD, Some(1))]);
    assert_eq!(device.run(&["data", "run", "--all"]).exit, "0");
    assert_eq!(oracle::content(&device.main()), Ok(new));
}

#[test]
fn room_is_asked_for_before_the_first_round() {
    let text = format!("-- bootmigrate: needs-space = 5.0\n{}", TENFOLD.1);
    let device = TestDevice::at(41).on(|at, _| Mount::tmpfs(at, 8192));
    assert_eq!(device.run(&["run"]).exit, "0");
    with(&device, &[("V1__tenfold.sql", &text)]);
    let (old, new) = (oracle::content(&device.main()), wanted(&device, &[(TENFOLD, Some(1))]));
    let mount = device.mount.as_ref().unwrap();
    mount.fill_but(400);
    transcript(
        &device,
        "data run --all",
        expect![[r#"
        settings: `needs-space` of settings/data/V1__tenfold.sql asks for 921600 bytes beside the database's 184320, 409600 are free: 512000 are missing (ROOT/var/lib/gateway/settings.db, while: migrate the data); no row was changed. Next: free space until 921600 bytes are free, then run `bootmigrate data run --all --db settings` again. [BM-14 settings data]
        exit 14, touched nothing
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), old);
    mount.empty();
    assert_eq!(device.run(&["data", "run", "--all"]).exit, "0");
    assert_eq!(oracle::content(&device.main()), Ok(new));
}

#[test]
fn progress_and_rate_are_said() {
    let device = booted(&[QUALITY]);
    let path = device.folder().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let device = device.environment("NOTIFY_SOCKET", &path.to_string_lossy());
    let new = wanted(&device, &[(QUALITY, None)]);
    let ran = device.run(&["data", "run", "--all", "-v"]);
    assert_eq!(
        (ran.exit.as_str(), oracle::content(&device.main())),
        ("0", Ok(new)),
        "{}",
        ran.stderr
    );
    let lines = ran
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("settings: settings/data/V1__quality.sql: "));
    let rounds: Vec<(String, String, String)> = lines
        .map(|line| {
            let numbers: Vec<&str> =
                line.split(' ').filter(|word| word.parse::<u64>().is_ok()).collect();
            assert!(line.ends_with(" rows/s.") && numbers.len() == 3, "{line}");
            (numbers[0].to_owned(), numbers[1].to_owned(), numbers[2].to_owned())
        })
        .collect();
    let counts: Vec<(&str, &str)> =
        rounds.iter().map(|(rows, round, _)| (rows.as_str(), round.as_str())).collect();
    let all = [
        ("300", "1"),
        ("600", "2"),
        ("900", "3"),
        ("1200", "4"),
        ("1500", "5"),
        ("1800", "6"),
        ("2000", "7"),
    ];
    assert_eq!(counts, all, "{}", ran.stderr);
    assert!(rounds.iter().all(|(_, _, rate)| rate != "0"), "{rounds:?}");
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length) = socket.recv(&mut buffer) {
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert!(
        heard.iter().any(|line| line.starts_with("STATUS=settings: settings/data/V1__quality.sql")),
        "{heard:?}"
    );
}
