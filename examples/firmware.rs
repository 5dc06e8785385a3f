//! Owns a firmware for the integration tests: its catalogue is read from the folder
//! `BOOTMIGRATE_TEST_FOLDER` when it starts.
//! Promises: the same rules as the build, and then the same command line as every product's binary.
//! Never goes into an image: a product embeds its folder when it is built.

#![allow(clippy::panic)] // The code of one version does, for its test.

use bootmigrate::rusqlite::functions::FunctionFlags;
use bootmigrate::{CodeError, Connection, Embedded, Migrator};
use std::ffi::OsString;
use std::process::ExitCode;

#[allow(dead_code)] // Another program may have this one's parts.
fn main() -> ExitCode {
    run(std::env::args_os().skip(1))
}

/// The command line, with these arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    if std::env::var_os("BOOTMIGRATE_TEST_STOCK").is_some() {
        return bootmigrate::stock(Embedded::NOTHING);
    }
    match firmware() {
        Ok(migrator) => migrator.main_from(arguments),
        Err(sentences) => {
            eprintln!("{sentences}");
            ExitCode::from(2)
        }
    }
}

/// What the folder says, or what is wrong with it.
pub fn firmware() -> Result<Migrator, String> {
    let folder = std::env::var_os("BOOTMIGRATE_TEST_FOLDER");
    let folder =
        folder.ok_or("BOOTMIGRATE_TEST_FOLDER names no folder: set it to a migrations folder")?;
    let product = bootmigrate_build::read(std::path::Path::new(&folder));
    let all = |problems: Vec<bootmigrate_build::Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let mut product = product.map_err(all)?;
    if let Some(folder) = std::env::var_os("BOOTMIGRATE_TEST_UNCHECKED") {
        product
            .databases
            .iter_mut()
            .for_each(|database| unchecked(database, std::path::Path::new(&folder)));
    }
    if std::env::var_os("BOOTMIGRATE_TEST_BUILD").is_some() {
        let (problems, _) = bootmigrate_build::execute(&product);
        return Err(if problems.is_empty() {
            "the build accepts it".to_owned()
        } else {
            all(problems)
        });
    }
    // As the image calls it, wherever the test's program lies; a test of names gives another.
    let name = std::env::var("BOOTMIGRATE_TEST_NAME").unwrap_or_else(|_| "bootmigrate".to_owned());
    // Kept until the process ends, as constants are.
    let embedded =
        Embedded::packed(bootmigrate_build::packed(&product).leak(), env!("CARGO_PKG_VERSION"))?;
    Ok(with_code(Migrator::new(embedded).program(name)).on_connection(register))
}

/// Texts from this folder, which the rules have not seen.
fn unchecked(database: &mut bootmigrate_build::Database, folder: &std::path::Path) {
    for migration in database.migrations.iter_mut().chain(&mut database.data) {
        if let Ok(text) = std::fs::read_to_string(folder.join(&migration.file)) {
            migration.sql = text;
        }
    }
}

/// What an application registers, where `BOOTMIGRATE_TEST_REGISTERS` asks for it; or what no
/// product should do, by its value.
fn register(connection: &Connection) -> Result<(), CodeError> {
    match std::env::var("BOOTMIGRATE_TEST_REGISTERS").as_deref() {
        Err(_) => return Ok(()),
        Ok("fails") => return Err("the extension is not there".into()),
        Ok("panics") => panic!("a guest may"),
        Ok("writes") => connection.execute_batch("CREATE TABLE made_by_the_hook(x)")?,
        Ok(_) => {}
    }
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("slug", 1, flags, |context| {
        Ok(context.get::<String>(0)?.to_lowercase())
    })?;
    connection.create_collation("backwards", |one, other| other.cmp(one))?;
    Ok(())
}

/// The Rust code of a few versions, good and bad; it counts where a file says `code`.
fn with_code(firmware: Migrator) -> Migrator {
    let touch = "UPDATE parent SET reading = id * 2, badge = 'by code'";
    firmware
        .code_migration("settings", 90, move |database| {
            database.execute(touch, [])?;
            // Left open, it ends with the transaction that it is in.
            Ok(database.execute_batch("SAVEPOINT mine; DELETE FROM child WHERE id % 2 = 0")?)
        })
        .code_migration("settings", 91, move |database| {
            database.execute(touch, [])?;
            panic!("a guest may")
        })
        .code_migration("settings", 92, move |database| {
            database.execute(touch, [])?;
            Err("no such sensor".into())
        })
        .code_migration("settings", 93, move |database| {
            database.execute(touch, [])?;
            // What it is refused, it does not say.
            let _ = database.execute_batch("COMMIT");
            Ok(())
        })
        .code_migration("settings", 94, move |database| {
            database.execute(touch, [])?;
            // SQLite rolls everything back; each statement after it would be a transaction of its
            // own.
            let _ = database.execute(
                "INSERT OR ROLLBACK INTO parent (id, name) VALUES (1, 'there is one')",
                [],
            );
            let _ = database.execute("DELETE FROM child", []);
            Ok(())
        })
        .code_migration("settings", 96, move |database| {
            database.execute(touch, [])?;
            std::process::abort()
        })
}
