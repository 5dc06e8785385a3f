//! Owns the tools: how each is run at a boot, and how it wants its migration files.
//! Promises: the way that its documentation recommends; what a tool cannot do is said, not tried.
//! Never changes the text of a migration but for the tool's own word for "no transaction".

use crate::scenario::Migration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tool under the sweep.
pub struct Tool {
    /// As the table names it.
    pub name: &'static str,
    /// How it was set up, in words.
    pub how: &'static str,
    /// It has a way to run a migration outside a transaction.
    pub no_transaction: bool,
    kind: Kind,
    program: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Library,
    Sqlx,
    Diesel,
    Bootmigrate,
}

/// All of them.
pub fn all(firmware: &Path, sqlx: &Path, diesel: &Path) -> Vec<Tool> {
    let this = std::env::current_exe().unwrap();
    let tool = |name, how, no_transaction, kind, program: &Path| Tool {
        name,
        how,
        no_transaction,
        kind,
        program: program.into(),
    };
    vec![
        tool("refinery", "`Runner::run`, its defaults", false, Kind::Library, &this),
        tool("refinery-grouped", "`Runner::set_grouped(true)`", false, Kind::Library, &this),
        tool(
            "rusqlite_migration",
            "`Migrations::to_latest`, its defaults",
            false,
            Kind::Library,
            &this,
        ),
        tool("sqlx-cli", "`sqlx database setup`", true, Kind::Sqlx, sqlx),
        tool("diesel_cli", "`diesel migration run`", true, Kind::Diesel, diesel),
        tool(
            "bootmigrate",
            "`bootmigrate run`, `slots = \"single\"`, else its defaults",
            true,
            Kind::Bootmigrate,
            firmware,
        ),
    ]
}

impl Tool {
    /// Writes the migrations into an empty folder.
    pub fn lay_out(&self, folder: &Path, migrations: &[Migration]) {
        if self.kind == Kind::Bootmigrate {
            let text = "slots = \"single\"\n\n[databases.app]\npath = \"/app.db\"\n";
            fs::write(folder.join("bootmigrate.toml"), text).unwrap();
            fs::create_dir(folder.join("app")).unwrap();
        }
        for Migration { version, name, sql, no_transaction } in migrations {
            let mark = |word: &str| {
                if *no_transaction {
                    format!("{word}\n{sql}")
                } else {
                    (*sql).to_string()
                }
            };
            match self.kind {
                Kind::Library => {
                    fs::write(folder.join(format!("V{version}__{name}.sql")), sql).unwrap()
                }
                Kind::Sqlx => fs::write(
                    folder.join(format!("{version:04}_{name}.sql")),
                    mark("-- no-transaction"),
                )
                .unwrap(),
                Kind::Diesel => {
                    let own = folder.join(format!("{version:04}_{name}"));
                    fs::create_dir(&own).unwrap();
                    fs::write(own.join("up.sql"), sql).unwrap();
                    fs::write(own.join("down.sql"), "").unwrap();
                    if *no_transaction {
                        fs::write(own.join("metadata.toml"), "run_in_transaction = false\n")
                            .unwrap();
                    }
                }
                Kind::Bootmigrate => {
                    let text = mark("-- bootmigrate: no-transaction");
                    fs::write(folder.join(format!("app/V{version}__{name}.sql")), text).unwrap();
                }
            }
        }
    }

    /// One boot: `device` holds `app.db`.
    pub fn command(&self, device: &Path, folder: &Path) -> Vec<String> {
        let database = device.join("app.db").to_string_lossy().into_owned();
        let folder = folder.to_string_lossy().into_owned();
        let mut words = vec![self.program.to_string_lossy().into_owned()];
        words.extend(match self.kind {
            Kind::Library => vec!["drive".into(), self.name.into(), database, folder],
            Kind::Sqlx => {
                vec![
                    "database".into(),
                    "setup".into(),
                    "--database-url".into(),
                    format!("sqlite://{database}"),
                    "--source".into(),
                    folder,
                ]
            }
            Kind::Diesel => {
                ["migration", "run", "--database-url", &database, "--migration-dir", &folder]
                    .map(String::from)
                    .to_vec()
            }
            Kind::Bootmigrate => {
                vec!["run".into(), "--root".into(), device.to_string_lossy().into_owned()]
            }
        });
        words
    }

    /// Runs one boot to its end.
    pub fn boot(&self, device: &Path, folder: &Path) -> Boot {
        let words = self.command(device, folder);
        let output = self
            .prepared(Command::new(&words[0]).args(&words[1..]), device, folder)
            .output()
            .unwrap();
        Boot {
            good: [Some(0), Some(11)].contains(&output.status.code()),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The environment of a run.
    pub fn prepared<'a>(
        &self,
        command: &'a mut Command,
        device: &Path,
        folder: &Path,
    ) -> &'a mut Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", device)
            .current_dir(folder);
        command.env("BOOTMIGRATE_TEST_FOLDER", folder).env("TMPDIR", folder)
    }

    /// A table of the tool's own, not of the product.
    pub fn owns(table: &str) -> bool {
        ["refinery_schema_history", "_sqlx_migrations", "__diesel_schema_migrations"]
            .contains(&table)
            || table.starts_with("sqlite_")
            || table.starts_with("bootmigrate")
    }
}

/// How a boot ended.
pub struct Boot {
    /// The application may start.
    pub good: bool,
    /// Standard error.
    pub said: String,
}
