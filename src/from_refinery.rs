//! Owns the catalogue of a product that embeds its migrations with refinery's own macro.
//! Promises: what refinery would refuse or run out of order is refused before anything is opened;
//! checksums are those of both refineries.
//! Never reads a directive or a way back: refinery has none.

use refinery_core::{Migration as Theirs, Runner, SchemaVersion};

use crate::catalog::{Catalog, Checksums, Directives, Embedded, ForeignKeys, Migration, Versions};
use crate::config::{self, DatabaseSettings, Source, UnknownKey};
use crate::pragma::turns_foreign_keys_off;
use crate::sums;

/// How a message names the text of the configuration.
const CONFIGURATION_FILE: &str = "bootmigrate.toml";

/// The runner's migrations as the catalogue of the first database of this configuration. It is kept
/// until the process ends.
///
/// # Errors
/// One sentence about the migrations; what is wrong with the configuration is found where it is
/// read.
pub fn embedded(runner: &Runner, configuration: &'static str) -> Result<Embedded, String> {
    let source = Source { file: CONFIGURATION_FILE, text: configuration };
    let settings = config::read(source, &[], UnknownKey::Warn).ok();
    let database = settings.and_then(|settings| settings.databases.into_iter().next());
    let databases = match database {
        Some(database) => vec![catalog(runner, &database)?],
        None => Vec::new(),
    };
    Ok(Embedded {
        configuration,
        version: "",
        configuration_file: CONFIGURATION_FILE,
        settings: None,
        databases: databases.leak(),
    })
}

fn catalog(runner: &Runner, settings: &DatabaseSettings) -> Result<Catalog, String> {
    let mut theirs: Vec<&Theirs> = runner.get_migrations().iter().collect();
    theirs.sort();
    let mut migrations: Vec<Migration> = Vec::new();
    for one in theirs {
        let ours = migration(one, settings)?;
        match migrations.last() {
            Some(last) if last.version == ours.version => {
                return Err(format!(
                    "{} and {} have the same version; give one of them the next free number",
                    last.file, ours.file
                ));
            }
            _ => migrations.push(ours),
        }
    }
    let wide_refinery = size_of::<SchemaVersion>() == size_of::<i64>();
    let newest = migrations.last().map_or(0, |newest| newest.version);
    Ok(Catalog {
        database: settings.name.clone().leak(),
        versions: if wide_refinery || config::history_needs_64_bits(newest, Some(settings)) {
            Versions::Int8
        } else {
            Versions::Int4
        },
        fingerprint: sums::fingerprint(
            migrations.iter().map(|migration| (migration.version, migration.name, migration.sql)),
        ),
        migrations: migrations.leak(),
        data: &[],
    })
}

#[allow(clippy::useless_conversion)] // A version has 32 or 64 bits, as the product builds refinery.
fn migration(theirs: &Theirs, settings: &DatabaseSettings) -> Result<Migration, String> {
    let file = format!("{theirs}.sql");
    if theirs.prefix().to_string() != "V" {
        return Err(format!(
            "{file} would be run out of order; name it with `V` and the next free number"
        ));
    }
    let version = i64::from(theirs.version());
    let sql = theirs.sql().ok_or_else(|| format!("{file} has no text"))?;
    let (int4, int8) = sums::of_refinery(version, theirs.name(), sql);
    if ![int4, int8].iter().any(|[as_it_is, _]| *as_it_is == theirs.checksum()) {
        return Err(format!(
            "{file} has another checksum than refinery 0.10 gives it; build bootmigrate with the \
             product's refinery"
        ));
    }
    let adopted = settings.baseline_version.is_some_and(|last| version <= last);
    let enforced =
        adopted && settings.baseline_foreign_keys == Some(true) && !turns_foreign_keys_off(sql);
    Ok(Migration {
        version,
        name: theirs.name().to_owned().leak(),
        checksums: Checksums { int4, int8 },
        file: file.leak(),
        sql: sql.to_owned().leak(),
        statements: 0,
        down: None,
        directives: Directives {
            foreign_keys: if enforced { ForeignKeys::Enforced } else { ForeignKeys::Off },
            ..Directives::NONE
        },
        adopted,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SETTINGS: &str = "slots = \"single\"\n[databases.notes]\nbaseline_version = 1\n";

    fn read(files: &[(&str, &str)]) -> Result<Embedded, String> {
        let files: Vec<Theirs> =
            files.iter().map(|(name, sql)| Theirs::unapplied(name, sql).unwrap()).collect();
        embedded(&Runner::new(&files), SETTINGS)
    }

    #[test]
    fn the_runners_migrations_are_the_catalogue_in_order() {
        let embedded =
            read(&[("V2__second", "SELECT 2;\r\n"), ("V1__first", "SELECT 1;\n")]).unwrap();
        let [notes] = embedded.databases else { unreachable!("one database") };
        let migrations: Vec<_> = notes
            .migrations
            .iter()
            .map(|migration| {
                (
                    migration.version,
                    migration.name,
                    migration.file,
                    migration.sql,
                    migration.adopted,
                )
            })
            .collect();
        assert_eq!(
            migrations,
            [
                (1, "first", "V1__first.sql", "SELECT 1;\n", true),
                (2, "second", "V2__second.sql", "SELECT 2;\r\n", false)
            ]
        );
        let lf = Theirs::unapplied("V2__second", "SELECT 2;\n").unwrap();
        assert!(
            notes.migrations.iter().any(|migration| migration.checksums.contain(lf.checksum())),
            "the other line ends are known"
        );
        assert_eq!((notes.database, notes.versions), ("notes", Versions::Int4));
    }

    #[test]
    fn adopted_files_run_with_foreign_keys_enforced_where_the_key_says_so() {
        let settings = "slots = \"single\"\n[databases.notes]\nbaseline_version = \
                        2\nbaseline_foreign_keys = \"enforced\"\n";
        let rebuild = "PRAGMA foreign_keys = OFF; DROP TABLE a;";
        let files = [
            ("V1__one", "DELETE FROM a;"),
            ("V2__rebuild", rebuild),
            ("V3__new", "DELETE FROM a;"),
        ];
        let files: Vec<Theirs> =
            files.iter().map(|(name, sql)| Theirs::unapplied(name, sql).unwrap()).collect();
        let embedded = embedded(&Runner::new(&files), settings).unwrap();
        let [notes] = embedded.databases else { unreachable!("one database") };
        let said: Vec<_> =
            notes.migrations.iter().map(|migration| migration.directives.foreign_keys).collect();
        assert_eq!(said, [ForeignKeys::Enforced, ForeignKeys::Off, ForeignKeys::Off]);
    }

    #[test]
    fn what_refinery_would_refuse_or_run_out_of_order_is_refused() {
        let twice = read(&[("V1__one", "SELECT 1;"), ("V1__other", "SELECT 1;")]);
        assert!(twice.is_err_and(|sentence| sentence
            .ends_with("have the same version; give one of them the next free number")));
        let out_of_order = read(&[("U1__one", "SELECT 1;")]);
        assert_eq!(
            out_of_order,
            Err("U1__one.sql would be run out of order; name it with `V` and the next free number"
                .to_owned())
        );
    }
}
