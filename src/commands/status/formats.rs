//! Owns `status` for machines that have a format of their own: Prometheus' text format, Mender's
//! inventory.
//! Promises: the same facts as the JSON; names are frozen; a value that is not known has no line.
//! Never writes a file: a collector's timer or an inventory script does.

use super::{DatabaseStatus, Status};
use crate::commands::Lines;
use crate::error::printable::printable;

type Metric = (&'static str, &'static str, fn(&DatabaseStatus) -> Option<u64>);

/// Name, help, value; all gauges.
const METRICS: &[Metric] = &[
    ("schema_version", "Schema version of the database.", |one| {
        one.version.and_then(|version| u64::try_from(version).ok())
    }),
    ("schema_target", "Schema version that this firmware expects.", |one| {
        u64::try_from(one.target).ok()
    }),
    ("pending_migrations", "Migrations that the next run would apply.", |one| {
        Some(one.pending.len() as u64)
    }),
    ("ready", "1 where an application may open the database.", |one| Some(u64::from(one.ready))),
    ("exit_code", "What status --exit-code says of this database.", |one| {
        Some(u64::from(one.exit))
    }),
    ("failed_tries", "Failed tries of this firmware's migrations.", |one| {
        Some(u64::from(one.failed_tries))
    }),
    ("interrupted_tries", "Interrupted tries of this firmware's migrations.", |one| {
        Some(u64::from(one.interrupted_tries))
    }),
    ("snapshots", "Snapshots kept.", |one| Some(one.snapshots.len() as u64)),
    ("quarantined", "Files set aside.", |one| Some(one.quarantine.len() as u64)),
    ("database_bytes", "Size of the main file.", |one| one.bytes),
    ("free_bytes", "Free bytes on the file system of the database.", |one| one.free_bytes),
];

/// Prometheus' text exposition format, version 0.0.4.
pub fn prometheus(status: &Status) -> Lines {
    let mut text = Lines::default();
    text.line("# HELP bootmigrate_info Versions; always 1.");
    text.line("# TYPE bootmigrate_info gauge");
    let (version, firmware) = (escaped(status.version), escaped(&status.identity.firmware));
    text.line(&format!("bootmigrate_info{{version=\"{version}\",firmware=\"{firmware}\"}} 1"));
    for (name, help, value) in METRICS {
        text.line(&format!("# HELP bootmigrate_{name} {help}"));
        text.line(&format!("# TYPE bootmigrate_{name} gauge"));
        for database in &status.databases {
            if let Some(value) = value(database) {
                text.line(&format!(
                    "bootmigrate_{name}{{database=\"{}\"}} {value}",
                    escaped(&database.name)
                ));
            }
        }
    }
    last_failures(status, &mut text);
    text
}

/// A metric that is there only while a failure is the last that happened.
fn last_failures(status: &Status, text: &mut Lines) {
    text.line(
        "# HELP bootmigrate_last_failure_info Why the last try failed; always 1, gone after a \
         success.",
    );
    text.line("# TYPE bootmigrate_last_failure_info gauge");
    for (one, failure) in
        status.databases.iter().filter_map(|one| Some((one, one.last_failure.as_ref()?)))
    {
        let place = failure.place.as_ref().map_or_else(String::new, |place| {
            format!("{}:{}:{}", place.file, place.line, place.column)
        });
        let labels = [
            ("database", one.name.as_str()),
            ("code", &failure.code),
            ("cause", &failure.cause),
            ("place", &place),
            ("firmware", &failure.firmware),
            ("sentence", &failure.sentence),
        ];
        let labels =
            labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).join(",");
        text.line(&format!("bootmigrate_last_failure_info{{{labels}}} 1"));
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    printable(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// One `key=value` a line, as an inventory script prints them.
pub fn mender(status: &Status) -> Lines {
    let mut text = Lines::of(&format!("bootmigrate_version={}", status.version));
    text.line(&format!("bootmigrate_exit={}", status.exit));
    for one in &status.databases {
        let version =
            one.version.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
        let name = &one.name;
        text.line(&format!("bootmigrate_{name}_version={version}"));
        text.line(&format!("bootmigrate_{name}_target={}", one.target));
        text.line(&format!("bootmigrate_{name}_ready={}", one.ready));
        text.line(&format!("bootmigrate_{name}_plan={}", one.plan));
        if let Some(failure) = &one.last_failure {
            text.line(&format!("bootmigrate_{name}_last_failure={}", failure.line()));
        }
    }
    text
}
