//! Owns the command line of `rehearse`.
//! Promises: every option has a line of help.
//! Never decides what a rehearsal does.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
        /// The folder that was rehearsed: a database in it without a line is a finding.
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
        /// The same, with the names in a file instead of a folder.
        #[arg(long, value_name = "FILE", conflicts_with = "folder")]
        listing: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
}

/// Of the rehearsal itself.
#[derive(Debug, Default, Args)]
pub struct RehearseRun {
    /// The folder of field databases; they are only read.
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Names of field databases, one a line, instead of a folder: as an object store lists them.
    #[arg(long, value_name = "FILE", conflicts_with = "folder", requires = "fetch")]
    pub listing: Option<PathBuf>,
    /// What brings one of them, for a shell: `$1` is its name, `$2` the file to write.
    #[arg(long, value_name = "COMMAND", requires = "listing")]
    pub fetch: Option<String>,
    /// All of them are this database; without it, each file's name or folder says which.
    #[arg(long, value_name = "DB")]
    pub db: Option<String>,
    /// A product's own binary for this machine; without it, this program with the migrations of the
    /// folder.
    #[arg(long, value_name = "PROGRAM")]
    pub device: Option<PathBuf>,
    /// The binary of the release before: it must be able to start on the result.
    #[arg(long, value_name = "PROGRAM")]
    pub previous: Option<PathBuf>,
    /// What `calibrate` has measured on a device: the times there are predicted, each as a range.
    #[arg(long, value_name = "FILE")]
    pub factors: Option<PathBuf>,
    /// Where the copies are made; without it, the folder for temporary files.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// How many at a time; without it, one a core.
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Only the I-th of N parts, I from 1; `job` for I is the index of this job of an array
    /// (Kubernetes, Slurm, AWS Batch, GNU parallel).
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
