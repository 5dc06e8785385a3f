//! Owns the tests of what machines read: status.json against its schema, Prometheus, Mender,
//! systemd, a terminal.
//! Promises: each format is read by somebody else's reader of it; values are compared with the
//! database's own.
//! Never accepts a line that the reader passed over.

use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle;
use crate::product::{BROKEN, UNIQUE_BADGE};
use crate::program::finish;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixDatagram;

/// What the published schema says of a document; empty where it is valid.
fn complaint(document: &Value) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/status.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("status.schema.json", schema).unwrap();
    let index = compiler.compile("status.schema.json", &mut schemas).unwrap();
    schemas.validate(document, index).map_or_else(|error| format!("{error:#}"), |()| String::new())
}

fn report(device: &TestDevice) -> Value {
    let text =
        fs::read_to_string(device.root().join("run/bootmigrate/status.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

#[test]
fn status_json_is_what_its_schema_says() {
    let damaged = |device: &TestDevice| fs::write(device.main(), vec![0x5A; 8192]).unwrap();
    let situations = [
        (TestDevice::empty(41), "0"),
        (TestDevice::booted_at(41), "0"),
        (TestDevice::at(40).firmware(41), "0"),
        (TestDevice::at(40).file(BROKEN), "10"),
        (TestDevice::at(40).file(UNIQUE_BADGE).key("kind = \"rebuildable\""), "11"),
        (TestDevice::at(42).firmware(41), "12"),
        (TestDevice::booted_at(41).after(damaged), "17"),
        (TestDevice::at(40).firmware(41).environment("RUN_MIGRATIONS", "off"), "3"),
        (TestDevice::at(40).firmware(41).with_telemetry(0), "0"),
    ];
    for (device, exit) in situations {
        let ran = device.run(&["run", "--json"]);
        assert_eq!(ran.exit, exit, "{}", ran.stderr);
        let report = report(&device);
        assert_eq!(complaint(&report), "", "{report:#}");
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).ok(), Some(report));
    }
    // The schema itself can say no.
    assert_ne!(complaint(&Value::Null), "");
}

#[test]
fn status_json_says_which_device_firmware_and_boot() {
    let device = TestDevice::at(40).firmware(41).after(|device| {
        fs::create_dir_all(device.root().join("etc")).unwrap();
        fs::write(
            device.root().join("etc/os-release"),
            "NAME=gateway\nVERSION_ID=\"7\"\nIMAGE_VERSION=\"7.1.3\"\n",
        )
        .unwrap();
        fs::write(device.root().join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n")
            .unwrap();
    });
    assert_eq!(device.run(&["run"]).exit, "0");
    let report = report(&device);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(report["device_id"], "0123456789abcdef0123456789abcdef");
    assert_eq!(
        (report["firmware"].as_str(), report["boot_id"].as_str()),
        (Some("7.1.3"), Some(boot.trim()))
    );
}

#[test]
fn status_json_says_why_in_one_word() {
    let foreign = |device: &TestDevice| {
        rusqlite::Connection::open(device.main())
            .unwrap()
            .execute_batch("DROP TABLE refinery_schema_history")
            .unwrap()
    };
    let without_room = TestDevice::at(40)
        .firmware(41)
        .key("snapshot = \"always\"")
        .on(|at, _| Mount::tmpfs(at, 4096));
    without_room.mount.as_ref().unwrap().fill_but(64);
    let fixed = TestDevice::booted_at(40).firmware(41).on(|at, _| Mount::tmpfs(at, 4096));
    fixed.mount.as_ref().unwrap().read_only();
    let situations = [
        (TestDevice::at(40).file(BROKEN), "10", "migration-failed", "failed"),
        (TestDevice::at(42).firmware(41), "12", "newer", "refused"),
        (
            TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 0").application(&[]),
            "13",
            "in-use",
            "refused",
        ),
        (without_room, "14", "no-space", "refused"),
        (fixed, "15", "storage", "refused"),
        (TestDevice::booted_at(40).firmware(41).after(foreign), "16", "not-ours", "refused"),
        (
            TestDevice::booted_at(41)
                .after(|device| fs::write(device.main(), vec![0x5A; 8192]).unwrap()),
            "17",
            "damaged",
            "refused",
        ),
        (TestDevice::empty(41).without_root(), "18", "missing", "refused"),
        (TestDevice::at(40).file(("V25__late.sql", "SELECT 1;\n")), "21", "catalogue", "refused"),
    ];
    for (device, exit, cause, outcome) in situations {
        let rows = oracle::content(&device.main());
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, exit, "{}", ran.stderr);
        let report = report(&device);
        assert_eq!(complaint(&report), "", "{report:#}");
        let one = &report["databases"][0];
        assert_eq!(
            (one["cause"].as_str(), one["outcome"].as_str(), report["usable"].as_bool()),
            (Some(cause), Some(outcome), Some(false)),
            "{one:#}"
        );
        for field in ["what", "state", "next"] {
            assert!(
                one[field].as_str().is_some_and(|clause| ran.stderr.contains(clause)),
                "{field} of {cause}: {one:#} {}",
                ran.stderr
            );
        }
        assert_eq!(oracle::content(&device.main()), rows);
    }
    // The tries are used up.
    let device = TestDevice::at(40).file(BROKEN);
    let rows = oracle::content(&device.main());
    for exit in ["10", "10", "10", "19"] {
        assert_eq!(device.run(&["run"]).exit, exit);
    }
    assert_eq!(report(&device)["databases"][0]["cause"], "tries-used-up");
    assert_eq!(oracle::content(&device.main()), rows);
}

#[test]
fn status_json_says_how_much_was_written() {
    // On a real file system: the kernel does not count what goes to a tmpfs.
    let device = TestDevice::at(40).firmware(41).on(|at, folder| Mount::ext4(at, folder, 8192));
    let size = fs::metadata(device.main()).unwrap().len();
    assert_eq!(device.run(&["run"]).exit, "0");
    let first = report(&device);
    assert_eq!(device.run(&["run"]).exit, "0");
    let quiet = report(&device);
    let written =
        |report: &Value| report["bytes_written"].as_u64().unwrap_or_else(|| panic!("{report:#}"));
    // The snapshot alone has the database's size; a quiet boot writes no more than its report, on
    // another file system.
    assert!(written(&first) >= size, "{} of {size}", written(&first));
    assert!(written(&quiet) < 16384 && written(&quiet) < written(&first), "{}", written(&quiet));
    assert_eq!(
        (first["databases"][0]["outcome"].as_str(), quiet["databases"][0]["outcome"].as_str()),
        (Some("migrated"), Some("quiet"))
    );
    let content = oracle::content(&device.main()).unwrap();
    assert_eq!((content.rows["parent"], content.rows["child"]), (2000, 2000));
}

#[test]
fn an_error_in_sql_is_told_in_words_and_in_fields() {
    let device = TestDevice::booted_at(40).file(BROKEN);
    let rows = oracle::content(&device.main());
    let ran = device.run(&["run"]);
    let report = report(&device);
    let database = &report["databases"][0];
    let place = &database["place"];
    let fields =
        ["line", "column", "caret", "statement", "statements"].map(|field| place[field].as_u64());
    assert_eq!(fields, [12, 5, 5, 4, 5].map(Some), "{database:#}");
    assert_eq!(
        (place["file"].as_str(), place["text"].as_str()),
        (Some("settings/V41__x.sql"), Some("    nowhere = 1;"))
    );
    assert_eq!(
        (database["cause"].as_str(), database["sqlite_code"].as_i64()),
        (Some("migration-failed"), Some(1))
    );
    assert_eq!(
        database["what"],
        "settings/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5"
    );
    assert_eq!(database["state"], "the database is whole at version 40");
    for field in ["what", "state", "next"] {
        let clause = database[field].as_str().unwrap();
        assert!(ran.stderr.contains(clause), "{field}: {clause}: {}", ran.stderr);
    }
    assert_eq!(oracle::content(&device.main()), rows);
}

#[test]
fn a_caret_stands_below_its_column_in_a_long_line() {
    let line = format!(
        "INSERT INTO parent (id, name) SELECT {}, nowhere FROM parent;\n",
        "1 + ".repeat(80) + "1"
    );
    let device = TestDevice::booted_at(40).file(("V41__x.sql", &line));
    let ran = device.run(&["run"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let caret = lines
        .iter()
        .position(|line| line.trim_end().ends_with('^'))
        .unwrap_or_else(|| panic!("no caret: {}", ran.stderr));
    let column = lines[caret].chars().count() - 1;
    let below: String = lines[caret - 1].chars().skip(column).take(7).collect();
    assert_eq!(below, "nowhere", "{}", ran.stderr);
    assert!(lines[caret - 1].chars().count() < 140);
}

#[test]
fn prometheus_reads_the_metrics() {
    let device = TestDevice::booted_at(40).firmware(42).with_telemetry(10);
    let ran = device.run(&["status", "--format", "prometheus", "--exit-code"]);
    assert_eq!(ran.exit, "3", "{}", ran.stderr);
    let lines: Vec<Result<String, std::io::Error>> =
        ran.stdout.lines().map(|line| Ok(line.to_owned())).collect();
    let scrape = prometheus_parse::Scrape::parse(lines.into_iter()).unwrap();
    let samples = ran.stdout.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(scrape.samples.len(), samples, "the reader passed over a line: {}", ran.stdout);
    assert!(samples > 20, "{}", ran.stdout);
    let values: BTreeMap<(String, String), f64> = scrape
        .samples
        .iter()
        .map(|sample| match sample.value {
            prometheus_parse::Value::Gauge(value) => (
                (sample.metric.clone(), sample.labels.get("database").unwrap_or("").to_owned()),
                value,
            ),
            ref other => panic!("{} is {other:?}", sample.metric),
        })
        .collect();
    let value = |metric: &str, database: &str| {
        values[&(format!("bootmigrate_{metric}"), database.to_owned())]
    };
    assert_eq!(
        (value("schema_version", "settings"), value("schema_target", "settings")),
        (40.0, 42.0)
    );
    assert_eq!(
        (value("pending_migrations", "settings"), value("exit_code", "settings")),
        (2.0, 3.0)
    );
    assert_eq!(
        value("database_bytes", "settings"),
        fs::metadata(device.main()).unwrap().len() as f64
    );
    assert_eq!(value("schema_version", "telemetry"), 10.0);
    assert_eq!(value("info", ""), 1.0);
}

#[test]
fn mender_reads_the_inventory() {
    let device = TestDevice::booted_at(40).firmware(42);
    let ran = device.run(&["status", "--format", "mender"]);
    let inventory: BTreeMap<&str, &str> =
        ran.stdout.lines().map(|line| line.split_once('=').unwrap()).collect();
    assert_eq!(inventory.get("bootmigrate_settings_version"), Some(&"40"), "{}", ran.stdout);
    assert_eq!(inventory["bootmigrate_settings_target"], "42");
    assert_eq!(inventory["bootmigrate_exit"], "3");
    assert!(
        inventory.keys().all(|key| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')),
        "{}",
        ran.stdout
    );
}

#[test]
fn systemd_is_told_each_step() {
    let device = TestDevice::at(20).firmware(42);
    let path = device.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let device = device.environment("NOTIFY_SOCKET", &path.to_string_lossy());
    assert_eq!(device.run(&["run"]).exit, "0");
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length) = socket.recv(&mut buffer) {
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    let steps = [
        "checking the database",
        "copying the snapshot (1 of 7)",
        "settings/V30__look.sql (2 of 7)",
        "settings/V42__preferences.sql (5 of 7)",
        "checking what was migrated (6 of 7)",
        "committing (7 of 7)",
    ];
    for step in steps {
        assert!(
            heard.iter().any(|line| line.starts_with("STATUS=settings: ") && line.ends_with(step)),
            "{step}: {heard:?}"
        );
    }
    assert!(heard.last().is_some_and(|line| line.contains("migrated from 20 to 42")), "{heard:?}");
}

#[test]
fn a_terminal_shows_a_bar_and_a_file_does_not() {
    let device = TestDevice::at(20).firmware(42).environment("TERM", "vt100");
    assert!(!device.run(&["plan"]).stderr.contains('\x1b'));
    let words = device.words(&["run", "-v"]);
    let line: Vec<String> =
        words.iter().map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let ran =
        finish(device.command(&["script", "-qec", &line.join(" "), "/dev/null"].map(Into::into)));
    assert_eq!(ran.exit, "0", "{}", ran.stdout);
    assert!(
        ran.stdout.contains("[#####...............] 3/7 settings: settings/V40__stamp.sql 0 s"),
        "{:?}",
        ran.stdout
    );
    // Whatever is drawn is wiped before a sentence is said.
    let sentence = ran.stdout.lines().find(|line| line.contains("migrated from 20 to 42")).unwrap();
    assert!(sentence.contains("\x1b[Ksettings: migrated"), "{sentence:?}");
    let device = TestDevice::at(20).firmware(42).environment("TERM", "vt100");
    assert!(!device.run(&["run"]).stderr.contains('\x1b'));
}

#[test]
fn each_statement_is_said_with_its_rows() {
    let device = TestDevice::booted_at(40).firmware(42);
    let new = device.expectations(&device.databases[0]).new;
    let ran = device.run(&["run", "-vv"]);
    assert_eq!(
        (ran.exit.as_str(), oracle::content(&device.main()).ok()),
        ("0", new),
        "{}",
        ran.stderr
    );
    let lines: Vec<&str> = ran.stderr.lines().collect();
    for (line, statement, rows, sql) in [
        (2, "1 of 6", 0, "DROP VIEW family;"),
        (
            10,
            "3 of 6",
            2000,
            "INSERT INTO parent_new SELECT id, name, reading, raw, badge FROM parent;",
        ),
    ] {
        let begin = format!(
            "settings/V41__rebuild_parents.sql:{line} statement {statement}: {rows} rows in "
        );
        assert!(
            lines.iter().any(|said| said.contains(&begin) && said.ends_with(sql)),
            "{begin}: {}",
            ran.stderr
        );
    }
    assert!(
        lines
            .iter()
            .any(|said| said.contains("V42__preferences.sql:2 statement 2 of 2: 1 rows in ")),
        "{}",
        ran.stderr
    );
}

#[test]
fn each_line_of_the_journal_has_its_priority() {
    let device = TestDevice::booted_at(40).file(BROKEN).environment("JOURNAL_STREAM", "9:9");
    let rows = oracle::content(&device.main());
    let ran = device.run(&["run", "-v"]);
    assert_eq!(ran.exit, "10");
    assert!(
        ran.stderr.lines().all(|line| line.starts_with('<') && line.chars().nth(2) == Some('>')),
        "{}",
        ran.stderr
    );
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines.contains(&"<6>settings: applying settings/V41__x.sql."), "{}", ran.stderr);
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("<3>settings: settings/V41__x.sql:12:5: no such column")),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()), rows);
    let mended = device.without("V41__x.sql").firmware(41);
    let new = mended.expectations(&mended.databases[0]).new;
    let ran = mended.run(&["run"]);
    assert!(
        ran.exit == "0"
            && ran.stderr.lines().all(|line| line.starts_with("<6>") || line.starts_with("<5>")),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&mended.main()).ok(), new);
    // A mistake on the command line is an error too.
    assert!(mended.run(&["rnu"]).stderr.starts_with("<3>bootmigrate: `rnu` is not known"));
}
