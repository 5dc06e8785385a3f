//! Owns one function a parser of ours, each of which takes any bytes: for the fuzzer, and for the
//! seeded test beside it.
//! Promises: each calls the product's own code; what it answers is dropped, for only a panic or a
//! hang is looked for.
//! Never touches a file of the machine.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use bootmigrate::boot::look;
use bootmigrate::catalog::{Checksums, Directives, Migration};
use bootmigrate::commands::run::asked_by;
use bootmigrate::config::{self, Source, UnknownKey};
use bootmigrate::decide::facts::Request;
use bootmigrate::decide::record::{read_slots, write_slot, RecordSlots, SLOT_BYTES};
use bootmigrate::device::disk::{Disk, Op, Open};
use bootmigrate::device::mounts::mounted;
use bootmigrate::device::pages::bits::Bits;
use bootmigrate::device::pages::keys::Ordered;
use bootmigrate::device::pages::node::Node;
use bootmigrate::device::pages::record;
use bootmigrate::device::pages::tree::Tree;
use bootmigrate::device::pages::unreached::Records;
use bootmigrate::device::pages::{PageSource, Pages};
use bootmigrate::device::sqlite::script::{self, Mode};
use bootmigrate::device::sqlite::session::FileOptions;
use bootmigrate::device::sqlite::Sqlite;
use bootmigrate::device::{Device, Environment};
use bootmigrate::error::Class;
use rusqlite::{Connection, OpenFlags};

use crate::device::SimClock;
use crate::firmware::{Firmware, MAIN, STATE};
use crate::scenarios::catalogues::{firmware, Version};
use crate::scenarios::situations::{empty, managed};
use crate::sim::{Options, Sim, State};

/// A parser: any bytes go in.
pub type Parser = fn(&[u8]);

/// Every parser, by the name of its fuzz target and of its folder of seeds.
pub const ALL: &[(&str, Parser)] = &[
    ("configuration", configuration),
    ("record", record),
    ("file_name", file_name),
    ("migration", migration),
    ("lock_file", lock_file),
    ("script", script),
    ("command_line", command_line),
    ("kernel_words", kernel_words),
    ("state_names", state_names),
    ("mount_table", mount_table),
    ("database_header", database_header),
    ("history_row", history_row),
    ("pages", pages),
];

/// bootmigrate.toml, embedded and overridden by itself.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let source = Source { file: "bootmigrate.toml", text: &text };
    for unknown in [UnknownKey::Refuse, UnknownKey::Warn] {
        match config::read(source, &[source], unknown) {
            Ok(settings) => drop(format!("{settings:?}")),
            Err(error) => drop(error.to_string()),
        }
    }
}

/// The two slots of the record; what is read is written and read again.
pub fn record(bytes: &[u8]) {
    if let RecordSlots::Valid { record, sequence, .. } = read_slots(bytes) {
        let slot = write_slot(&record, sequence);
        assert_eq!(slot.len(), SLOT_BYTES, "a slot has its size");
        let again = read_slots(&slot);
        assert!(
            matches!(again, RecordSlots::Valid { record: other, .. } if other == record),
            "what is written is read back"
        );
    }
}

/// A name in a folder of migrations.
pub fn file_name(bytes: &[u8]) {
    bootmigrate_build::parsers::file_name(&String::from_utf8_lossy(bytes)).ok();
}

const PRODUCT: &str = "[databases.settings]\npath = \"/data/settings.db\"\n";

/// The text of a migration and of its way back: tokens, statements, directives, rules.
pub fn migration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    bootmigrate_build::parsers::product(PRODUCT, "", &text, &text);
}

/// migrations.lock.
pub fn lock_file(bytes: &[u8]) {
    bootmigrate_build::parsers::product(
        PRODUCT,
        &String::from_utf8_lossy(bytes),
        "SELECT 1;",
        "SELECT 1;",
    );
}

/// A migration's text as the device runs it, statement by statement.
pub fn script(bytes: &[u8]) {
    // The catalogue is constant; this text lives as long as the process.
    let sql: &'static str = Box::leak(String::from_utf8_lossy(bytes).into_owned().into_boxed_str());
    for (adopted, mode) in [(false, Mode::Transaction), (true, Mode::NoTransaction)] {
        let migration = Migration {
            version: 1,
            name: "first",
            checksums: Checksums::default(),
            file: "settings/V1__first.sql",
            sql,
            statements: 1,
            down: None,
            directives: Directives::NONE,
            adopted,
        };
        let Ok(mut database) = Sqlite::default().scratch(Op("fuzz")) else { return };
        // A query may be endless, as `WITH RECURSIVE` allows: only its parsing is looked at.
        let endless = sql.to_ascii_lowercase().contains("recursive");
        if !endless && (mode == Mode::NoTransaction || database.begin_exclusive(Op("fuzz")).is_ok())
        {
            let ran = database.file(
                Op("fuzz"),
                mode,
                FileOptions::from(&migration),
                |database, session| script::run(database, session, &migration, &mut |_| {}),
            );
            // Whatever it did to its connection has been taken back.
            assert!(
                ran.as_ref().err().is_none_or(|failure| failure.class != Class::Defect),
                "{ran:?}"
            );
        }
    }
}

/// argv, its words between zeros.
pub fn command_line(bytes: &[u8]) {
    let words = bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    bootmigrate::cli::parse(words).ok();
    bootmigrate::cli::skips(std::str::from_utf8(bytes).ok());
}

/// The kernel's command line and the marker file.
pub fn kernel_words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let asked = asked_by(&text, &text);
    assert!(
        asked.token.len() <= bootmigrate::decide::record::TOKEN_BYTES_MAX,
        "a token has a bound"
    );
}

/// Names in the state folder, its snapshots and its quarantine.
pub fn state_names(bytes: &[u8]) {
    let mut state = managed_once().clone();
    for name in String::from_utf8_lossy(bytes)
        .split('\n')
        .filter(|name| !name.is_empty() && !name.contains('/') && !name.contains('\0'))
        .take(8)
    {
        for folder in ["", "/snapshots", "/quarantine"] {
            state.put_file(&format!("{STATE}{folder}/{name}"), b"x");
        }
    }
    looked(&state);
}

/// The kernel's mount table.
pub fn mount_table(bytes: &[u8]) {
    let mut state = empty();
    state.put_file("/proc/self/mountinfo", bytes);
    mounted(&Sim::from_state(&state), &PathBuf::from(MAIN));
}

/// The first bytes of a database.
pub fn database_header(bytes: &[u8]) {
    let mut state = managed_once().clone();
    let mut main = state.read_file(MAIN).unwrap_or_default();
    let length = bytes.len().min(main.len());
    main[..length].copy_from_slice(&bytes[..length]);
    state.put_file(MAIN, &main);
    looked(&state);
}

/// A row of the history: version, name, date and checksum between zeros, each as text, a number or
/// bytes.
pub fn history_row(bytes: &[u8]) {
    let sim = Sim::with(managed_once(), Options { log: false, ..Options::default() });
    let Ok(connection) = Connection::open_with_flags_and_vfs(
        MAIN,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        sim.vfs_name(),
    ) else {
        return;
    };
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF").ok();
    let value = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => text.parse().map_or_else(
            |_| rusqlite::types::Value::Text(text.to_owned()),
            rusqlite::types::Value::Integer,
        ),
        Err(_) => rusqlite::types::Value::Blob(bytes.to_vec()),
    };
    let mut values: Vec<rusqlite::types::Value> =
        bytes.split(|byte| *byte == 0).take(4).map(value).collect();
    values.resize(4, rusqlite::types::Value::Null);
    for (table, columns) in [
        ("refinery_schema_history", "version, name, applied_on, checksum"),
        ("bootmigrate_steps", "version, act, down_sql, compatible_from"),
    ] {
        let sql = format!("INSERT OR REPLACE INTO {table}({columns}) VALUES (?1, ?2, ?3, ?4)");
        connection.execute(&sql, rusqlite::params_from_iter(&values)).ok();
    }
    connection
        .execute(
            "INSERT OR REPLACE INTO bootmigrate_state(key, value) VALUES (?1, ?2)",
            rusqlite::params_from_iter(&values[..2]),
        )
        .ok();
    drop(connection);
    looked(&sim.state().swept());
}

/// A database file, or the log beside one, page by page: every tree from its first pages on, and
/// every page that none leads to.
pub fn pages(bytes: &[u8]) {
    let mut state = managed_once().clone();
    let log = format!("{MAIN}-wal");
    let is_log = bytes.starts_with(&[0x37, 0x7f, 0x06]);
    state.put_file(if is_log { &log } else { MAIN }, bytes);
    let sim = Sim::with(&state, Options { log: false, ..Options::default() });
    let (op, path, stop) = (Op("fuzz"), PathBuf::from(MAIN), AtomicBool::new(false));
    let Ok(main) = sim.open(op, &path, Open::Read) else { return };
    let log = if is_log { sim.open(op, &PathBuf::from(log), Open::Read).ok() } else { None };
    let source = PageSource { main: &*main, log: log.as_deref(), path: &path, op, stop: &stop };
    let Ok(Some(pages)) = Pages::open(source) else { return };
    let Ok(free) = pages.free_pages() else { return };
    let (mut used, mut payload) = (pages.bits(), Vec::new());
    let mut read = |node: &Node<'_>, used: &mut Bits| {
        for cell in (0..node.cells).filter_map(|index| node.cell(index)) {
            if pages.payload(&cell.payload, used, &mut payload).is_ok_and(|whole| whole) {
                assert_eq!(payload.len() as u64, cell.payload.bytes, "all of it is there");
                drop(record::values(&payload));
            }
        }
    };
    for root in 1..=pages.count.min(6) {
        for of_index in [false, true] {
            let walked = pages.walk(
                Tree { root, of_index, order: Ordered::UNKNOWN },
                &mut used,
                &mut |met, used| {
                    read(&met.node, used);
                    Ok(Records::of(&met.node).found.len() <= met.node.cells)
                },
            );
            drop(walked);
        }
    }
    let rest = pages.each_unreached(&mut used, &free, &mut |page, used| {
        read(&page.node, used);
        Ok(())
    });
    drop(rest);
}

/// A small database of firmware 1 with rows.
fn managed_once() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| managed(firmware(Version::One, ""), "delete"))
}

/// What `status` and `plan` do.
fn looked(state: &State) {
    static FIRMWARE: OnceLock<Firmware> = OnceLock::new();
    let firmware = FIRMWARE.get_or_init(|| firmware(Version::Two, ""));
    let sim = Sim::with(state, Options { log: false, ..Options::default() });
    let clock = SimClock(&sim);
    let environment = Environment {
        disk: &sim,
        sqlite: Sqlite { vfs: Some(sim.vfs_name()), ..Sqlite::default() },
        clock: &clock,
        stop: Arc::new(AtomicBool::new(false)),
        root: PathBuf::new(),
        firmware: "lab".into(),
        code: None,
    };
    let device = Device::new(
        &environment,
        firmware.settings,
        firmware.catalog,
        firmware.slots,
        PathBuf::from(MAIN),
    );
    match look(&device, Request::Boot) {
        Ok((facts, plan)) => drop(format!("{plan} {facts:?}")),
        Err(failure) => drop(failure.to_string()),
    }
}
