//! Owns `status` for machines that have a format of their own: Prometheus' text format, Mender's inventory.
//! Promises: the same facts as the JSON; names are frozen; a value that is not known has no line.
//! Never writes a file: a collector's timer or an inventory script does.

use super::{DatabaseStatus, Status};

type Metric = (&'static str, &'static str, fn(&DatabaseStatus) -> Option<u64>);

/// Name, help, value; all gauges.
const METRICS: &[Metric] = &[
    ("schema_version", "Schema version of the database.", |one| one.version.and_then(|version| u64::try_from(version).ok())),
    ("schema_target", "Schema version that this firmware expects.", |one| u64::try_from(one.target).ok()),
    ("pending_migrations", "Migrations that the next run would apply.", |one| Some(one.pending.len() as u64)),
    ("ready", "1 where an application may open the database.", |one| Some(u64::from(one.ready))),
    ("exit_code", "What status --exit-code says of this database.", |one| Some(u64::from(one.exit))),
    ("failed_tries", "Failed tries of this firmware's migrations.", |one| Some(u64::from(one.failed_tries))),
    ("interrupted_tries", "Interrupted tries of this firmware's migrations.", |one| Some(u64::from(one.interrupted_tries))),
    ("snapshots", "Snapshots kept.", |one| Some(one.snapshots.len() as u64)),
    ("quarantined", "Families set aside.", |one| Some(one.quarantine.len() as u64)),
    ("database_bytes", "Size of the main file.", |one| one.bytes),
    ("free_bytes", "Free bytes on the file system of the database.", |one| one.free_bytes),
];

/// Prometheus' text exposition format, version 0.0.4.
pub fn prometheus(status: &Status) -> String {
    let mut text = String::from("# HELP bootmigrate_info Versions; always 1.\n# TYPE bootmigrate_info gauge\n");
    let (version, firmware) = (escaped(status.version), escaped(&status.identity.firmware));
    text.push_str(&format!("bootmigrate_info{{version=\"{version}\",firmware=\"{firmware}\"}} 1\n"));
    for (name, help, value) in METRICS {
        text.push_str(&format!("# HELP bootmigrate_{name} {help}\n# TYPE bootmigrate_{name} gauge\n"));
        for database in &status.databases {
            if let Some(value) = value(database) {
                text.push_str(&format!("bootmigrate_{name}{{database=\"{}\"}} {value}\n", escaped(&database.name)));
            }
        }
    }
    last_failures(status, &mut text);
    text
}

/// A metric that is there only while a failure is the last that happened.
fn last_failures(status: &Status, text: &mut String) {
    text.push_str("# HELP bootmigrate_last_failure_info Why the last try failed; always 1, gone after a success.\n");
    text.push_str("# TYPE bootmigrate_last_failure_info gauge\n");
    for (one, failure) in status.databases.iter().filter_map(|one| Some((one, one.last_failure.as_ref()?))) {
        let place = failure.place.as_ref().map_or_else(String::new, |place| format!("{}:{}:{}", place.file, place.line, place.column));
        let labels = [
            ("database", one.name.as_str()),
            ("code", &failure.code),
            ("cause", &failure.cause),
            ("place", &place),
            ("firmware", &failure.firmware),
            ("sentence", &failure.sentence),
        ];
        let labels = labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).join(",");
        text.push_str(&format!("bootmigrate_last_failure_info{{{labels}}} 1\n"));
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// One `key=value` a line, as an inventory script prints them.
pub fn mender(status: &Status) -> String {
    let mut text = format!("bootmigrate_version={}\nbootmigrate_exit={}\n", status.version, status.exit);
    for one in &status.databases {
        let version = one.version.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
        let name = &one.name;
        text.push_str(&format!("bootmigrate_{name}_version={version}\nbootmigrate_{name}_target={}\n", one.target));
        text.push_str(&format!("bootmigrate_{name}_ready={}\nbootmigrate_{name}_plan={}\n", one.ready, one.plan.replace('\n', " ")));
        if let Some(failure) = &one.last_failure {
            text.push_str(&format!("bootmigrate_{name}_last_failure={}\n", failure.line().replace('\n', " ")));
        }
    }
    text
}
