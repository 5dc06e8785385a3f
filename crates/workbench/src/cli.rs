//! Owns the command line of the workbench.
//! Promises: every command and option has a line of help; nothing is read here but the arguments and one variable.
//! Never decides what a command does.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "bootmigrate-workbench",
    version,
    about = "New migrations, lints, checks, and rehearsals over field databases"
)]
pub struct Arguments {
    /// The folder of migrations; else what BOOTMIGRATE_MIGRATIONS names, else `migrations`.
    #[arg(long, global = true, value_name = "DIR")]
    migrations: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Where the migrations are.
    pub fn folder(&self) -> PathBuf {
        let named = || {
            std::env::var_os(bootmigrate_build::FOLDER_VARIABLE)
                .filter(|named| !named.is_empty())
                .map(PathBuf::from)
        };
        self.migrations.clone().or_else(named).unwrap_or_else(|| "migrations".into())
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write an empty migration with the next version.
    New(New),
    /// Write every new migration into migrations.lock, as released: with each release.
    Lock,
    /// List the migrations of every database.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print one migration: what it asks for, its SQL, its way back.
    Show(Show),
    /// Print the schema at a version, or how two versions differ.
    Schema(Schema),
    /// Look for mistakes that only rows, time or another version bring to light.
    Lint(Lint),
    /// Migrate databases with generated rows from every released version, and back.
    Check(Check),
    /// Migrate copies of field databases, and report what happens to each.
    Rehearse(Box<Rehearse>),
    /// Pack the migrations into one file for the stock binary of an image.
    Pack {
        /// The file, for example `gateway.catalogue`.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// bootmigrate's own command line with the migrations of this folder: `device run --root DIR`.
    #[command(disable_help_flag = true)]
    Device {
        /// What would stand after `bootmigrate`; `--root` must be among it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
}

/// Of `new`.
#[derive(Debug, Args)]
pub struct New {
    /// What it does, in a few words: `wifi_country`.
    pub name: String,
    /// The database.
    #[arg(long, value_name = "DB")]
    pub db: String,
    /// Write the file of the way back too.
    #[arg(long, conflicts_with = "data")]
    pub down: bool,
    /// Write a data migration, which runs beside the applications.
    #[arg(long)]
    pub data: bool,
    /// Use the time (UTC) as the version, as V20260131120000, so that two branches do not collide.
    #[arg(long)]
    pub timestamp: bool,
}

/// Of `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The version.
    pub version: i64,
    /// Only of this database.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
}

/// Of `schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Only this database.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
    /// The schema at this version; without it, at the newest.
    #[arg(long, value_name = "V")]
    pub at: Option<i64>,
    /// How the schema at this earlier version differs from it.
    #[arg(long, value_name = "V")]
    pub since: Option<i64>,
    /// Write the schema of every version to DIR/DB/V.sql, for a review to compare.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["at", "since"])]
    pub write: Option<PathBuf>,
}

/// Of `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Only this database.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
    /// Files that were released too, which nobody can edit any more.
    #[arg(long)]
    pub all: bool,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// List every lint as Markdown, and look at no file.
    #[arg(long)]
    pub list: bool,
}

/// Forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object a finding.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of a GitHub workflow.
    Github,
}

/// Of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Only this database.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
    /// From every version, released or not.
    #[arg(long)]
    pub all: bool,
    /// Rows that are generated in each table.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rows: u32,
    /// Statements of the team that run before rows are generated: DIR/DB/V9.sql for a database at version 9.
    #[arg(long, value_name = "DIR")]
    pub fixtures: Option<PathBuf>,
}

/// Of `rehearse`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Rehearse {
    #[command(subcommand)]
    pub merge: Option<RehearseCommand>,
    #[command(flatten)]
    pub run: RehearseRun,
    #[command(flatten)]
    pub output: Output,
}

/// What stands behind `rehearse`.
#[derive(Debug, Subcommand)]
pub enum RehearseCommand {
    /// Make one report of the JSON lines of several runs.
    Merge {
        /// Files that `--json` has written.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
}

/// Of the rehearsal itself.
#[derive(Debug, Args)]
pub struct RehearseRun {
    /// The folder of field databases; they are only read.
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// All of them are this database; without it, each file's name or folder says which.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
    /// A product's own binary for this machine; without it, this program with the migrations of the folder.
    #[arg(long, value_name = "PROGRAM")]
    pub device: Option<PathBuf>,
    /// The binary of the release before: it must be able to start on the result.
    #[arg(long, value_name = "PROGRAM")]
    pub previous: Option<PathBuf>,
    /// Where the copies are made; without it, the folder for temporary files.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// How many at a time; without it, one a core.
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Only the I-th of N parts, I from 1.
    #[arg(long, value_name = "I/N", value_parser = crate::rehearse::shard)]
    pub shard: Option<(usize, usize)>,
    /// Go on with what `--json` FILE does not have yet.
    #[arg(long, requires = "json")]
    pub resume: bool,
}

/// Where reports go.
#[derive(Debug, Args)]
pub struct Output {
    /// JSON lines, one a database, written as each is done.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// JUnit XML, for CI.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// A page that needs no other file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Limits (TOML); exit code 1 where one is exceeded.
    #[arg(long, value_name = "FILE")]
    pub budget: Option<PathBuf>,
}
