//! Owns the way from a life's images to what a binary embeds: the folder is written, read by the
//! build's own rules, and made constant.
//! Promises: the device gets what a product's build would have embedded; what the build refuses is
//! said in its words.
//! Never changes a text on the way.

// A folder on the machine of who builds.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

use bootmigrate::Embedded;
use bootmigrate_build as build;

use super::product::{Firmware, Product};

/// What the image embeds.
///
/// # Errors
/// What the build says.
pub fn embedded(product: &Product, image: &Firmware, executed: bool) -> Result<Embedded, String> {
    let folder = tempfile::Builder::new()
        .prefix("lives")
        .tempdir_in(memory())
        .map_err(|error| error.to_string())?;
    write(product, image, folder.path()).map_err(|error| error.to_string())?;
    let words = |problems: Vec<build::Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let read = build::read(folder.path()).map_err(words)?;
    if executed {
        let (problems, _) = build::execute(&read);
        if !problems.is_empty() {
            return Err(words(problems));
        }
    }
    // A worker process ends before they are many.
    let embedded = Embedded::packed(build::packed(&read).leak(), "")?;
    Ok(Embedded { configuration_file: "migrations/bootmigrate.toml", ..embedded })
}

/// A file system in memory, where there is one.
fn memory() -> std::path::PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() {
        shared.to_path_buf()
    } else {
        std::env::temp_dir()
    }
}

fn write(product: &Product, image: &Firmware, folder: &Path) -> std::io::Result<()> {
    fs::write(folder.join("bootmigrate.toml"), product.configuration())?;
    for (database, part) in product.databases.iter().zip(&image.parts) {
        let folder = folder.join(&database.name);
        fs::create_dir(&folder)?;
        for migration in part.migrations(database) {
            let migration = if image.turned { &migration.turned() } else { migration };
            fs::write(folder.join(format!("{}.sql", migration.stem())), migration.text())?;
            if let Some(down) = migration.down_text() {
                fs::write(folder.join(format!("{}.down.sql", migration.stem())), down)?;
            }
        }
    }
    Ok(())
}
