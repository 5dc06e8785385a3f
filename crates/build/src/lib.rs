//! Owns the way from a folder of SQL migrations to the catalogue that a firmware embeds.
//! Promises: what must not reach a device stops the build, every problem at once, with file, line,
//! column and what to write.
//! Never runs on a device, and opens no database but those in memory that it runs the migrations
//! on.

// This crate runs on the build machine: durable verbs are for devices.
#![allow(clippy::disallowed_methods)]

mod checksum;
mod directive;
#[cfg(feature = "sqlite")]
mod execute;
mod folder;
mod generate;
mod name;
mod oldest;
mod own;
mod pack;
#[doc(hidden)]
pub mod parsers;
mod problem;
mod product;
mod read;
mod release;
mod rule;
mod sql;
#[cfg(feature = "sqlite")]
#[doc(hidden)]
pub mod workbench;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

#[doc(hidden)]
pub use bootmigrate_model::config;
use bootmigrate_model::{lex, packed_format, pragma, reserved, sqlite_min, sums};

pub use checksum::fingerprint;
pub use generate::source;
pub use pack::packed;
pub use problem::Problem;
pub use product::{
    Allow, Checksums, Database, Directives, Expect, ForeignKeys, Migration, Product, Versions,
};

/// The environment variable that names another folder than the build script does.
pub const FOLDER_VARIABLE: &str = "BOOTMIGRATE_MIGRATIONS";

/// The file in `OUT_DIR` that `bootmigrate::embedded!()` includes.
pub const EMBEDDED_FILE: &str = "bootmigrate_embedded.rs";

/// For a build script: checks a folder and writes what `bootmigrate::embedded!()` embeds.
///
/// The folder is relative to the crate's own; `BOOTMIGRATE_MIGRATIONS`, where it is set and not
/// empty, names another one. Cargo runs the script again when any file in it is new, changed or
/// removed. Problems are printed one a line, and the build fails.
pub fn embed(folder: impl AsRef<Path>) {
    let named = env::var_os(FOLDER_VARIABLE).filter(|named| !named.is_empty());
    let base = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let folder =
        Path::new(&base).join(named.map_or_else(|| folder.as_ref().to_path_buf(), PathBuf::from));
    let (result, watched) = read::read(&folder);
    // A script that failed is run again whatever has changed.
    let product = result.unwrap_or_else(|problems| fail(&problems));
    println!("cargo:rerun-if-env-changed={FOLDER_VARIABLE}");
    for path in &watched {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    let (problems, warnings) = execute(&product);
    for warning in product.warnings.iter().chain(&warnings) {
        println!("cargo:warning={warning}");
    }
    if !problems.is_empty() {
        fail(&problems);
    }
    if let Err(problem) = write_source(&generate::source(&product), env::var_os("OUT_DIR")) {
        fail(&[problem]);
    }
}

/// For the stock binary's build script: `bootmigrate::embedded!()` embeds nothing.
#[doc(hidden)]
pub fn embed_nothing() {
    println!("cargo:rerun-if-env-changed={FOLDER_VARIABLE}");
    if let Err(problem) = write_source(generate::NOTHING, env::var_os("OUT_DIR")) {
        fail(&[problem]);
    }
}

/// Runs the catalogue on SQLite in memory, as a device without a database would: problems, then
/// what is worth knowing.
///
/// Every migration runs from nothing, each `expect` is asked, each way back is gone, compared and
/// gone forth again, each data migration runs. What only rows make fail is not found, and what only
/// the product has (functions, collations, modules, Rust code) is said.
#[cfg(feature = "sqlite")]
pub fn execute(product: &Product) -> (Vec<Problem>, Vec<Problem>) {
    let found = execute::execute(product);
    (found.problems, found.warnings)
}

/// Says that the catalogue is not run: this crate was built without its feature `sqlite`.
#[cfg(not(feature = "sqlite"))]
pub fn execute(product: &Product) -> (Vec<Problem>, Vec<Problem>) {
    let label = product.configuration_file.split('/').next().unwrap_or_default();
    let sentence = "the migrations were not run, since bootmigrate-build has been built without \
                    its feature `sqlite`; SQL that cannot run is found by the first device";
    (Vec::new(), vec![Problem::whole(label, sentence)])
}

/// Reads and checks a folder, without running what is in it: that is [`execute`].
///
/// # Errors
/// Every problem of the whole folder, sorted by file and place.
pub fn read(folder: &Path) -> Result<Product, Vec<Problem>> {
    read::read(folder).0
}

/// Writes every migration that is not in `migrations.lock` into it, as released, and returns their
/// files. What stands there stays as it is.
///
/// # Errors
/// The folder has problems, a released file that was edited or removed among them; its catalogue
/// does not run; or the lock cannot be written.
pub fn lock(folder: &Path) -> Result<Vec<String>, Vec<Problem>> {
    let product = read(folder)?;
    let (problems, _) = execute(&product);
    if !problems.is_empty() {
        return Err(problems);
    }
    let all = product
        .databases
        .iter()
        .flat_map(|database| database.migrations.iter().chain(&database.data));
    let new: Vec<&Migration> = all.filter(|migration| !migration.released).collect();
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let path = folder.join(folder::LOCK);
    let failed = |error: std::io::Error| {
        let sentence = format!(
            "the file cannot be written ({error}); look at its permissions and at the space left"
        );
        vec![Problem::whole(&path.display().to_string(), sentence)]
    };
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => release::HEADER.to_owned(),
        Err(error) => return Err(failed(error)),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend(new.iter().map(|migration| release::line_of(migration)));
    fs::write(&path, text).map_err(failed)?;
    Ok(new.iter().map(|migration| migration.file.clone()).collect())
}

fn write_source(source: &str, out_dir: Option<OsString>) -> Result<(), Problem> {
    let out_dir = out_dir.ok_or_else(|| {
        Problem::whole("OUT_DIR", "is not set; call `bootmigrate_build::embed` from a build script")
    })?;
    let path = Path::new(&out_dir).join(EMBEDDED_FILE);
    fs::write(&path, source).map_err(|error| {
        Problem::whole(
            &path.display().to_string(),
            format!("the file cannot be written ({error}); look at the space left"),
        )
    })
}

fn fail(problems: &[Problem]) -> ! {
    for problem in problems {
        eprintln!("{problem}");
    }
    process::exit(1)
}
