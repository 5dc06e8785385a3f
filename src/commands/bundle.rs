//! Owns `bundle`: all that support needs, in one file.
//! Promises: no row of any table of the product; the file is new, whole and readable by its owner
//! alone.
//! Never changes a database, and never sends anything anywhere.

use std::path::Path;

use serde_json::{json, Value};

use crate::boot::look;
use crate::catalog::Embedded;
use crate::commands::doctor::diagnose;
use crate::commands::status::look_at;
use crate::commands::{free_for_a_file, CommandContext, Lines, Printed};
use crate::config::names::{DEVICE_FILE, RUN_FOLDER};
use crate::decide::facts::Request;
use crate::decide::record::SLOT_BYTES;
use crate::device::disk::read_own_start;
use crate::device::supervisor::place;
use crate::device::{Device, LOOK};
use crate::error::without_row;
use crate::ops::examine::{inside, outside};
use crate::ops::export::export;
use crate::report::{Identity, SCHEMA};

/// Bytes of each file of the system that go in at most.
const FILE_BYTES_MAX: usize = 256 << 10;

/// Writes the bundle; `-` is standard output.
///
/// # Errors
/// One sentence where the file cannot be written.
pub fn bundle(
    context: &CommandContext<'_>,
    embedded: &Embedded,
    file: &Path,
) -> Result<Printed, String> {
    let text = Lines::json(&without_rows(collect(context, embedded)));
    if file == Path::new("-") {
        return Ok(Printed::answer(text, 0));
    }
    let text = text.as_str();
    // A name alone has no folder that could be synced.
    let place = std::path::absolute(file)
        .map_err(|error| format!("{} is no path: {error}", file.display()))?;
    free_for_a_file(context, &place)?;
    export(context.environment.disk, &place, text.as_bytes())
        .map_err(|failure| failure.to_string())?;
    let line =
        format!("{} written, {} bytes; no row of any table is in it.", file.display(), text.len());
    Ok(Printed::outcome(Lines::of(&line), Lines::default(), 0))
}

fn collect(context: &CommandContext<'_>, embedded: &Embedded) -> Value {
    let root = &context.environment.root;
    let text = |path: &Path| {
        let bytes = context.environment.disk.read_start(path, FILE_BYTES_MAX + 1).ok()?;
        let kept = bytes.get(..FILE_BYTES_MAX).unwrap_or(&bytes);
        let cut = if kept.len() < bytes.len() {
            format!("\n(cut after {FILE_BYTES_MAX} bytes)")
        } else {
            String::new()
        };
        Some(String::from_utf8_lossy(kept).into_owned() + &cut)
    };
    let below = |path: &str| text(&place(root, Path::new(path)));
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "sqlite": crate::device::sqlite::version_number(),
        "made": context.environment.clock.unix_seconds(),
        "identity": Identity::of(context.environment),
        "status": look_at(context),
        "doctor": diagnose(context, false),
        "last_report": below(&format!("{RUN_FOLDER}/status.json")).map(|text| report_of(&text)),
        "configuration": {
            "embedded": embedded.configuration,
            "device": context.command.config.as_deref().map_or_else(|| below(DEVICE_FILE), text),
            "warnings": context.settings.warnings,
        },
        "system": {
            "os-release": below("/etc/os-release"),
            "kernel": text(Path::new("/proc/version")),
            "mounts": text(Path::new("/proc/self/mountinfo")),
        },
        "databases": context.devices.iter().map(one).collect::<Vec<Value>>(),
    })
}

fn report_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| Value::from(format!("no report: {error}")))
}

/// What `show_rows` shows on the device is left out, wherever it is told.
fn without_rows(value: Value) -> Value {
    match value {
        Value::String(text) => Value::from(without_row(&text)),
        Value::Array(values) => values.into_iter().map(without_rows).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, without_rows(value))).collect()
        }
        other => other,
    }
}

/// Schema, history, names in the state folder, the record's bytes.
fn one(device: &Device<'_>) -> Value {
    let disk = device.disk();
    let plan = look(device, Request::Boot)
        .map_or_else(|failure| failure.to_string(), |(_, plan)| plan.to_string());
    let read = outside(device).and_then(|seen| inside(device, &seen, 0));
    let (schema, history, error) = match read {
        Ok(inside) => (inside.schema, inside.history, None),
        Err(failure) => (Vec::new(), Vec::new(), Some(failure.to_string())),
    };
    let record =
        read_own_start(disk, LOOK, &device.state.record(), 2 * SLOT_BYTES).unwrap_or_default();
    let slots: Vec<String> = record.chunks(SLOT_BYTES).map(hexadecimal).collect();
    let migrations = device.catalog.migrations.iter().map(|migration| {
        format!("{} checksum {}", migration.file, migration.checksum(device.catalog.versions))
    });
    json!({
        "name": device.settings.name,
        "path": device.files.main,
        "plan": plan,
        "schema": schema,
        "history": history,
        "error": error,
        "catalogue": migrations.collect::<Vec<String>>(),
        "state_folder": disk.list(&device.state.root).unwrap_or_default(),
        "record": slots,
    })
}

/// Without the zeros at the end.
fn hexadecimal(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.trim_end_matches("00").to_owned()
}
