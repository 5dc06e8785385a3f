//! Owns `pack`: the catalogue of a folder as one file for the stock binary.
//! Promises: what the build would refuse is not packed; the same folder gives the same bytes.
//! Never packs a migration in Rust, which only a binary of the product's own can run.

use std::fs;
use std::path::Path;

use anyhow::{bail, Context as _, Result};

use crate::product;

/// Writes it, and prints its size.
///
/// # Errors
/// The folder has problems, its migrations do not run, or the file cannot be written.
pub fn pack(folder: &Path, output: &Path) -> Result<bool> {
    let product = product::read(folder)?;
    let (problems, _) = bootmigrate_build::execute(&product);
    if !problems.is_empty() {
        bail!("{}", product::lines(&problems));
    }
    let all = product.databases.iter().flat_map(|database| &database.migrations);
    if let Some(code) =
        all.into_iter().find(|migration| migration.directives.code_revision.is_some())
    {
        bail!(
            "{} runs Rust code, which only a binary of the product's own has; embed the folder \
             there",
            product::shown(&product, code)
        );
    }
    let bytes = bootmigrate_build::packed(&product);
    fs::write(output, &bytes).with_context(|| format!("{} cannot be written", output.display()))?;
    let databases = product::counted(product.databases.len(), "database");
    println!("{}: {databases}, {} bytes", output.display(), bytes.len());
    Ok(true)
}
