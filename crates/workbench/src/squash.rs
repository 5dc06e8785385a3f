//! Owns `squash`: one file of SQL that makes a new device's database at a released version, with
//! the history of every file before it.
//! Promises: written only after it was run: schema, rows and history are those of the chain, and
//! the newest firmware goes on from it.
//! Never takes a file away: the history of every device names each, and a firmware without one of
//! them would refuse that device.

use std::fs;
use std::path::Path;

use anyhow::{bail, Context as _, Result};
use bootmigrate::testing::Device;
use bootmigrate::Migrator;
use bootmigrate_build::config::DatabaseSettings;
use bootmigrate_build::{Database, Product};
use bootmigrate_model::lex::{lex, quote, TokenKind};
use rusqlite::Connection;

use crate::cli::Squash;
use crate::embed::embedded;
use crate::model::Model;
use crate::power_cuts::settings_of;
use crate::rebuilt::Old;
use crate::{compare, product, schema, time};

/// The date in the history: a device cannot say when, and the same folder gives the same bytes.
const APPLIED_ON: &str = "2000-01-01T00:00:00Z";

/// Writes the file.
///
/// # Errors
/// What cannot be squashed, with the reason.
pub fn squash(folder: &Path, request: &Squash) -> Result<bool> {
    let product = product::read(folder)?;
    let found = product::databases(&product, Some(&request.db))?;
    let database = found.first().context("no such database")?;
    may(&product, database, request.up_to)?;
    let settings = settings_of(&product, &database.name)?;
    let began = time::now();
    let chain = at(&product, settings, request.up_to)?;
    let text = text(&chain, settings, request.up_to)?;
    proven(&product, settings, (&chain, began), (&text, request.up_to))?;
    fs::write(&request.output, &text)
        .with_context(|| format!("{} cannot be written", request.output.display()))?;
    let files = product::count_to(database, request.up_to).unwrap_or_default();
    println!(
        "{}: {} at version {}, as {} made it",
        request.output.display(),
        database.name,
        request.up_to,
        product::counted(files, "file")
    );
    println!("keep those files in the folder: the history of every device names them");
    Ok(true)
}

/// What a baseline may be of.
fn may(product: &Product, database: &Database, up_to: i64) -> Result<()> {
    let count = product::count_to(database, up_to).filter(|count| *count > 0);
    let Some(count) = count else { bail!("{} has no version {up_to}", database.name) };
    for migration in database.migrations.iter().take(count) {
        let file = product::shown(product, migration);
        if !migration.released && !migration.adopted {
            bail!(
                "{file} is not released and may still change, and a device made from the baseline \
                 would have its checksum for ever; run `lock` with the release, or name an earlier \
                 version"
            );
        }
        if migration.directives.code_revision.is_some() {
            bail!("{file} runs Rust code, and what that does is no SQL; name an earlier version");
        }
    }
    Ok(())
}

/// A device's database that its own boot has made at this version.
fn at(product: &Product, settings: &DatabaseSettings, version: i64) -> Result<Place> {
    let place = Place::new(settings)?;
    let mut device = place.device(product, settings)?;
    let report = device.boot_at(&settings.name, version)?;
    let one = report
        .databases
        .iter()
        .find(|one| one.name == settings.name)
        .context("the report has no such database")?;
    if one.version != Some(version) {
        bail!("{}", one.sentence);
    }
    Ok(place)
}

/// A folder with one database.
struct Place {
    folder: tempfile::TempDir,
    main: std::path::PathBuf,
}

impl Place {
    fn new(settings: &DatabaseSettings) -> Result<Place> {
        let folder = tempfile::tempdir()?;
        let main = folder.path().join(settings.path.strip_prefix("/").unwrap_or(&settings.path));
        fs::create_dir_all(main.parent().unwrap_or(folder.path()))?;
        Ok(Place { folder, main })
    }

    fn device(&self, product: &Product, settings: &DatabaseSettings) -> Result<Device> {
        Ok(Device::new(
            Migrator::new(embedded(product)?).database(&settings.name),
            self.folder.path(),
        ))
    }

    fn open(&self) -> Result<Connection> {
        Connection::open(&self.main)
            .with_context(|| format!("{} cannot be opened", self.main.display()))
    }
}

/// The file.
fn text(chain: &Place, settings: &DatabaseSettings, version: i64) -> Result<String> {
    let connection = chain.open()?;
    let ours = |name: &str| name.to_ascii_lowercase().starts_with("bootmigrate_");
    let old = Old::read(&connection, &ours)?;
    let mut text = format!(
        "-- {} at version {version}, for new devices: sqlite3 {}.db < this file. Made by \
         `bootmigrate-workbench squash`.\n",
        settings.name, settings.name
    );
    old.settings.iter().for_each(|setting| text.push_str(&format!("{setting};\n")));
    text.push_str("PRAGMA foreign_keys = OFF;\nBEGIN;\n");
    for table in &old.tables {
        text.push_str(&ended(&table.sql));
    }
    for table in &old.tables {
        let is_date = |column: &str| {
            table.name.eq_ignore_ascii_case(&settings.history_table) && column == "applied_on"
        };
        let value = |column: &String| {
            if is_date(column) {
                format!("'''{APPLIED_ON}'''")
            } else {
                compare::literal(column)
            }
        };
        let values = table.columns.iter().map(value).collect::<Vec<_>>().join(" || ', ' || ");
        let mut statement = connection
            .prepare(&format!("SELECT {values} FROM {} NOT INDEXED", quote(&table.name)))?;
        for row in statement.query_map([], |row| row.get::<_, String>(0))? {
            text.push_str(&format!(
                "INSERT INTO {} ({}) VALUES ({});\n",
                quote(&table.name),
                table.list(),
                row?
            ));
        }
    }
    if old.counts_on {
        text.push_str("DELETE FROM sqlite_sequence;\n");
        let mut statement = connection
            .prepare("SELECT quote(name) || ', ' || seq FROM sqlite_sequence ORDER BY name")?;
        for row in statement.query_map([], |row| row.get::<_, String>(0))? {
            text.push_str(&format!("INSERT INTO sqlite_sequence (name, seq) VALUES ({});\n", row?));
        }
    }
    old.rest.iter().for_each(|sql| text.push_str(&ended(sql)));
    text.push_str("COMMIT;\n");
    Ok(text)
}

/// A statement with its end, which a comment at the end of a stored text would hide.
fn ended(sql: &str) -> String {
    let comment = lex(sql).tokens.last().is_some_and(|token| token.kind == TokenKind::LineComment);
    format!("{sql}{};\n", if comment { "\n" } else { "" })
}

/// Made from the file, it is what the chain makes, and the newest firmware boots it, adds what is
/// new, and is quiet then.
fn proven(
    product: &Product,
    settings: &DatabaseSettings,
    (chain, began): (&Place, i64),
    (text, version): (&str, i64),
) -> Result<()> {
    let made = Place::new(settings)?;
    made.open()?.execute_batch(text).context("the baseline does not run")?;
    same(settings, (chain, &made), began, &format!("at version {version}"))?;
    for (place, what) in [(chain, "the chain"), (&made, "the baseline")] {
        let mut device = place.device(product, settings)?;
        let report = device.boot()?;
        if !report.usable || report.data_loss {
            let sentence = report.databases.first().map_or("", |one| one.sentence.as_str());
            bail!("the newest firmware does not go on from {what}: {sentence}");
        }
    }
    same(settings, (chain, &made), began, "at the newest version")
}

fn same(
    settings: &DatabaseSettings,
    (chain, made): (&Place, &Place),
    began: i64,
    when: &str,
) -> Result<()> {
    let read = |place: &Place| -> Result<(String, compare::Rows)> {
        let connection = place.open()?;
        let model = Model::read(&connection, &settings.history_table)?;
        Ok((
            schema::dump(&connection, &settings.history_table)?,
            compare::rows(&connection, &model, began)?,
        ))
    };
    let ((one, rows), (other, others)) = (read(chain)?, read(made)?);
    if one != other {
        bail!(
            "{when} the baseline has another schema than the chain; is a table's text of a time \
             when SQLite wrote it otherwise?"
        );
    }
    if let Some(what) =
        compare::differences(&rows, &others, ["by the chain", "by the baseline"]).first()
    {
        bail!("{when} the baseline has other rows than the chain: {what}");
    }
    Ok(())
}
