//! Owns the way from a folder to the catalogue that a device's code takes, in this process.
//! Promises: the same constants as a build would embed; they are kept until the process ends.
//! Never runs without `--root`: no file of this machine is a device's.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use bootmigrate::{Embedded, Migrator};
use bootmigrate_build::Product;

/// bootmigrate's own command line, with the migrations of this folder.
pub fn device(folder: &Path, arguments: Vec<OsString>) -> ExitCode {
    let rooted = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .any(|text| text == "--root" || text.starts_with("--root="));
    let asks = |words: &[&str]| {
        arguments
            .first()
            .and_then(|first| first.to_str())
            .is_some_and(|first| words.contains(&first))
    };
    if !rooted && !asks(&["--help", "-h", "--version", "-V"]) {
        eprintln!("bootmigrate-workbench: `device` runs below a folder alone; write `--root DIR`");
        return ExitCode::from(crate::EXIT_MISTAKE);
    }
    match crate::product::read(folder).and_then(|product| embedded(&product)) {
        Ok(embedded) => Migrator::new(embedded).program("bootmigrate").main_from(arguments),
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::from(crate::EXIT_MISTAKE)
        }
    }
}

/// Constants, as a build would have made them.
///
/// # Errors
/// None for a product that the build accepts.
pub fn embedded(product: &Product) -> anyhow::Result<Embedded> {
    Embedded::packed(bootmigrate_build::packed(product).leak(), env!("CARGO_PKG_VERSION"))
        .map_err(anyhow::Error::msg)
}
