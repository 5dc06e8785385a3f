//! Owns the command line of the workbench.
//! Promises: every command and option has a line of help; nothing is read here but the arguments
//! and one variable.
//! Never decides what a command does.

mod rehearse;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use rehearse::{Output, Rehearse, RehearseCommand, RehearseRun};

/// Instants of one upgrade.
const STATES: u64 = 8000;
/// Rows a table while the power is cut.
const CUT_ROWS: u32 = 6;

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
    /// Copy the migrations of another tool into the folder, with their versions and ways back.
    Import(Import),
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
    /// Measure how fast a device computes and syncs, for `rehearse --factors`: run it there, once.
    Calibrate(Calibrate),
    /// Cut the power at every instant of an upgrade on a simulated disk: the old or the new
    /// database must stand there, whole.
    PowerCuts(PowerCuts),
    /// Damage the files of a device in every way, and boot it: nothing may be lost silently.
    CorruptFiles(CorruptFiles),
    /// One Markdown comment for a pull request: what the change does, and whether it is safe.
    Certificate(Certificate),
    /// Count the reports of many devices by outcome, cause, firmware and version.
    Fleet(Fleet),
    /// Write one file of SQL that makes a new device's database at a released version.
    Squash(Squash),
    /// Make a copy of a field database that says nothing of people, for rehearsals.
    Sanitize(Sanitize),
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

/// Of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The tool's folder of migrations; it is only read.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The tool.
    #[arg(long, value_enum, value_name = "TOOL")]
    pub from: Tool,
    /// The database.
    #[arg(long, value_name = "DB")]
    pub db: String,
}

/// Whose migrations can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    Dbmate,
    Diesel,
    GolangMigrate,
    Goose,
    Sqlx,
}

impl Tool {
    /// As `baseline` in bootmigrate.toml names it.
    pub fn word(self) -> &'static str {
        match self {
            Tool::Dbmate => "dbmate",
            Tool::Diesel => "diesel",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Goose => "goose",
            Tool::Sqlx => "sqlx",
        }
    }
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
    /// The schema of a database file, instead of the migrations'.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["at", "since", "write", "db"])]
    pub file: Option<PathBuf>,
    /// How the schema of this other file differs from it.
    #[arg(long, value_name = "FILE", requires = "file")]
    pub since_file: Option<PathBuf>,
    /// The form of the schema.
    #[arg(long, value_enum, default_value_t = SchemaFormat::Sql)]
    pub format: SchemaFormat,
    /// Write the schema of every version to DIR/DB/V.sql, for a review to compare.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["at", "since"])]
    pub write: Option<PathBuf>,
}

/// Forms of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaFormat {
    /// The statements.
    Sql,
    /// Documentation: each table with its columns, keys and indexes.
    Markdown,
    /// A diagram of the tables and their references.
    Svg,
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
    /// JUnit XML.
    Junit,
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
    /// Statements of the team that run before rows are generated: DIR/DB/V9.sql for a database at
    /// version 9.
    #[arg(long, value_name = "DIR")]
    pub fixtures: Option<PathBuf>,
}

/// Of `calibrate`.
#[derive(Debug, Args)]
pub struct Calibrate {
    /// Where the device's databases lie; a file is made there, and removed.
    #[arg(long, value_name = "DIR")]
    pub db_folder: PathBuf,
    /// Write the factors to this file.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Of `power-cuts`.
#[derive(Debug, Clone, Args)]
pub struct PowerCuts {
    /// Only this database.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
    /// From every released version, not only the last one.
    #[arg(long, conflicts_with = "from")]
    pub all: bool,
    /// From this version.
    #[arg(long, value_name = "V")]
    pub from: Option<i64>,
    /// Different instants of each upgrade; those that are not random are all visited, even where
    /// they are more.
    #[arg(long, value_name = "N", default_value_t = STATES)]
    pub states: u64,
    /// Of what is drawn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Rows that are generated in each table.
    #[arg(long, value_name = "N", default_value_t = CUT_ROWS, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rows: u32,
    /// Statements of the team that run before rows are generated: DIR/DB/V9.sql for a database at
    /// version 9.
    #[arg(long, value_name = "DIR")]
    pub fixtures: Option<PathBuf>,
    /// How many upgrades at a time; without it, one a core.
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// The storage tells this lie, as bad storage does: lying-main-syncs, lying-wal-syncs and
    /// others.
    #[arg(long, value_name = "LIE")]
    pub flaw: Option<String>,
    /// Write what came of it as JSON, for `certificate`.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Show one instant step by step, by the name that is printed.
    #[arg(long, value_name = "INSTANT")]
    pub replay: Option<String>,
    /// One upgrade alone, as a worker.
    #[arg(long, value_name = "UPGRADE", hide = true)]
    pub one: Option<String>,
}

/// Of `corrupt-files`.
#[derive(Debug, Clone, Args)]
pub struct CorruptFiles {
    /// Only this database.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
    /// The version from which an upgrade is pending; without it, the last released one.
    #[arg(long, value_name = "V")]
    pub from: Option<i64>,
    /// Damaged files of each database.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub count: u64,
    /// Of what is drawn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Rows that are generated in each table.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rows: u32,
    /// Statements of the team that run before rows are generated: DIR/DB/V9.sql for a database at
    /// version 9.
    #[arg(long, value_name = "DIR")]
    pub fixtures: Option<PathBuf>,
    /// How many processes at a time; without it, one a core.
    #[arg(long, value_name = "N")]
    pub jobs: Option<u64>,
    /// Show one damaged file of `--db` step by step, by the name that is printed.
    #[arg(long, value_name = "FILE", requires = "db")]
    pub replay: Option<String>,
    /// A worker's share.
    #[arg(long, value_name = "I", hide = true)]
    pub worker: Option<u64>,
}

/// Of `certificate`.
#[derive(Debug, Args)]
pub struct Certificate {
    /// Only this database.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
    /// What `power-cuts --json` has written; without it, the power is cut now.
    #[arg(long, value_name = "FILE")]
    pub power_cuts: Option<PathBuf>,
    /// Rows that are generated in each table for the upgrade that is measured.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rows: u32,
    /// Statements of the team that run before rows are generated: DIR/DB/V9.sql for a database at
    /// version 9.
    #[arg(long, value_name = "DIR")]
    pub fixtures: Option<PathBuf>,
    /// Write it to this file.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// As `power-cuts` without options.
    #[arg(skip = PowerCuts::usual())]
    pub cuts: PowerCuts,
}

impl PowerCuts {
    /// Without options.
    pub fn usual() -> PowerCuts {
        PowerCuts {
            db: None,
            all: false,
            from: None,
            states: STATES,
            seed: 1,
            rows: CUT_ROWS,
            fixtures: None,
            jobs: None,
            flaw: None,
            json: None,
            replay: None,
            one: None,
        }
    }
}

/// Of `squash`.
#[derive(Debug, Args)]
pub struct Squash {
    /// The database.
    #[arg(long, value_name = "DB")]
    pub db: String,
    /// A released version.
    #[arg(long, value_name = "V")]
    pub up_to: i64,
    /// The file of SQL; not in the folder of migrations.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Of `sanitize`.
#[derive(Debug, Args)]
pub struct Sanitize {
    /// The field database; it is only read, with its `-wal` and `-journal`.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The new file.
    #[arg(long, value_name = "FILE")]
    pub into: PathBuf,
    /// A column whose values stay: TABLE.COLUMN; may be given more than once.
    #[arg(long, value_name = "COLUMN")]
    pub keep: Vec<String>,
    /// The history's table, which stays as it is.
    #[arg(long, value_name = "TABLE", default_value = "refinery_schema_history")]
    pub history: String,
    /// The same values for the same seed; without it, each run draws its own, and nobody can find
    /// the values again.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Of `fleet`.
#[derive(Debug, Args)]
pub struct Fleet {
    /// The folder of reports: every `.json` file in it is a device's status.json, every `.jsonl`
    /// file has one a line.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// A page that needs no other file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
