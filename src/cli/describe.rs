//! Owns the one description of the command line: `--help`, the parser, the shell completions and
//! the man page come from it.
//! Promises: what is not here is not known; each text is what a technician needs without the
//! manual, in 80 columns.
//! Never decides what a command does.

/// One command.
#[derive(Debug, Clone, Copy)]
pub struct CommandText {
    /// Its words, for example `snapshot list`; empty for no word at all.
    pub name: &'static str,
    /// What follows it, for example `--db NAME --yes`.
    pub usage: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What it does, what it leaves alone, what to do next.
    pub text: &'static str,
    /// Options that it takes beside those of every command.
    pub options: &'static [&'static str],
    /// A word after it, for example FILE, and whether it must be there.
    pub argument: Option<(&'static str, bool)>,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionText {
    /// With its dashes.
    pub name: &'static str,
    /// What its value is called; `None` where it takes none.
    pub value: Option<&'static str>,
    /// One line.
    pub help: &'static str,
}

const fn option(name: &'static str, value: Option<&'static str>, help: &'static str) -> OptionText {
    OptionText { name, value, help }
}

/// Options of every command.
pub const EVERYWHERE: &[&str] =
    &["--db", "--config", "--root", "-v", "-vv", "--verbose", "-q", "--quiet", "--help", "-h"];

/// All options.
pub const OPTIONS: &[OptionText] = &[
    option("--db", Some("NAME"), "only this database; without it all of them"),
    option("--config", Some("FILE"), "instead of /etc/bootmigrate.toml"),
    option("--root", Some("DIR"), "put before every path; mounts are not checked under it"),
    option("-v", None, "say each migration"),
    option("-vv", None, "say each statement, with time and rows"),
    option("--verbose", None, "as -v"),
    option("-q", None, "print only errors"),
    option("--quiet", None, "as -q"),
    option("--help", None, "this text; after a command, that command's"),
    option("-h", None, "as --help"),
    option("--version", None, "print the version"),
    option("-V", None, "as --version"),
    option("--json", None, "print facts as JSON"),
    option("--format", Some("FORMAT"), "text, json, prometheus or mender"),
    option("--exit-code", None, "answer with the exit code that a run would have"),
    option("--sql", None, "print the SQL too"),
    option("--retry", None, "forget the counted tries; purges nothing"),
    option("--purge-and-retry", None, "also: what fails or is damaged is set aside and rebuilt"),
    option("--yes", None, "yes, rows may be lost"),
    option("--all", None, "everything that is pending; for `wipe` every database"),
    option("--step", Some("N"), "so many migrations"),
    option("--to", Some("V"), "up (or down) to version V, V included"),
    option("--to-exclusive", Some("V"), "up to the version before V"),
    option("--from", Some("TOOL"), "the tool that made the database"),
    option("--at", Some("V"), "the version that it is at"),
    option("--into", Some("FILE"), "the new file"),
    option("--full", None, "check every page, whatever the size"),
];

const EXTENT: &[&str] = &["--all", "--step", "--to", "--to-exclusive", "--json"];

/// All commands, in the order of the help.
pub const COMMANDS: &[CommandText] = &[
    CommandText {
        name: "",
        usage: "[--purge-and-retry] [--json]",
        summary: "status, and what `run` would do",
        text: "Prints the state of every database and what the next run would do to it. \
               Reads\nonly. With --purge-and-retry it is the same as `run --purge-and-retry`.",
        options: &["--json", "--purge-and-retry", "--version", "-V"],
        argument: None,
    },
    CommandText {
        name: "run",
        usage: "[--retry | --purge-and-retry] [-- PROGRAM ARGS...]",
        summary: "what the unit does at boot",
        text: "Brings every database to this firmware's schema, or says why not. Stop the\n\
               applications first; one that is running is noticed, and nothing is touched (13).\n\
               --retry after exit 19: forgets the counted tries and tries once more.\n\
               --purge-and-retry when a device must work again and its rows may go: what fails\n\
               or is damaged is set aside (it stays in quarantine) and rebuilt; what is\n\
               healthy is left alone. With PROGRAM: becomes it when its databases are usable.\n\
               RUN_MIGRATIONS=0 in the environment skips the run.",
        options: &["--json", "--retry", "--purge-and-retry"],
        argument: None,
    },
    CommandText {
        name: "status",
        usage: "[--json | --format FORMAT] [--exit-code]",
        summary: "versions and state",
        text: "Reads only, also on a full or read-only disk and beside running applications.\n\
               `next boot` is the plan, `do` is what a person can do about a refusal.\n\
               --format prometheus is for a textfile collector, --format mender for an\n\
               inventory script.",
        options: &["--json", "--format", "--exit-code"],
        argument: None,
    },
    CommandText {
        name: "plan",
        usage: "[--sql] [--json]",
        summary: "what the next boot would do, and why",
        text: "One line a database; reads only. The plan printed is the plan done.",
        options: &["--json", "--sql"],
        argument: None,
    },
    CommandText {
        name: "rehearse",
        usage: "[--json]",
        summary: "the real migration on a copy, thrown away",
        text: "Copies each database (beside running applications), migrates the copy as the next\n\
               boot would, and removes it. Says the exit code that the boot would have, the time\n\
               and the room it took. The database itself is not changed.",
        options: &["--json"],
        argument: None,
    },
    CommandText {
        name: "ready",
        usage: "--db NAME",
        summary: "may an application open it?",
        text: "Exit code 0: yes. 3: no, and why: there is no ready file, it is of other\n\
               firmware, or the database cannot be read. For start scripts.",
        options: &[],
        argument: None,
    },
    CommandText {
        name: "migrate",
        usage: "--all | --step N | --to V | --to-exclusive V",
        summary: "apply pending migrations, all or some",
        text: "As `run`, but as far as it is told, and a failure never purges anything. A\n\
               database that is then not yet at this firmware's version is not ready: exit 3,\n\
               and the next boot does the rest.",
        options: EXTENT,
        argument: None,
    },
    CommandText {
        name: "rollback",
        usage: "--db NAME --to V | --step N",
        summary: "go back by the down SQL that was stored when it was applied",
        text: "A snapshot is kept in quarantine first: what the older schema has no room for is\n\
               there. The firmware of this version will migrate up again at its next boot, so\n\
               install the older one before. Exit 0 (11 where rows are in quarantine alone):\n\
               done. The applications of this firmware may not open the database before the\n\
               next run: the code in the sentence is BM-3.",
        options: &["--step", "--to", "--json"],
        argument: None,
    },
    CommandText {
        name: "data status",
        usage: "[--exit-code] [--json]",
        summary: "the data migrations of each database",
        text: "Done, under way or pending, with rows and rounds. Reads only, also beside running\n\
               applications. With --exit-code, 3 where one is pending. 21 in any case where the\n\
               text of one that was done has changed.",
        options: &["--exit-code", "--json"],
        argument: None,
    },
    CommandText {
        name: "data run",
        usage: "--all | --step N | --to V",
        summary: "apply data migrations, beside running applications",
        text:
            "Never at a boot: by a person, a timer or an update agent. Each is one transaction;\n\
             one that says `batch` has many short ones, with a pause between them for the\n\
             applications. What was committed stays, whatever comes: a stop, a power cut or a\n\
             failure loses one round at most, and the next `data run` goes on after it. The\n\
             schema must be this firmware's (else 3: `run` first). -v shows rows and rate.",
        options: &["--all", "--step", "--to", "--json"],
        argument: None,
    },
    CommandText {
        name: "snapshot list",
        usage: "[--json]",
        summary: "the copies of each database",
        text: "Name, version and size, newest first. Reads only.",
        options: &["--json"],
        argument: None,
    },
    CommandText {
        name: "snapshot create",
        usage: "",
        summary: "make a copy now, beside running applications",
        text: "By SQLite's backup, checked before it gets its name. Older ones go as\n\
               snapshots_max says.",
        options: &[],
        argument: None,
    },
    CommandText {
        name: "snapshot verify",
        usage: "[--json]",
        summary: "is each copy good?",
        text: "Whole, with a history that this firmware knows. Exit 17 where one is not.",
        options: &["--json"],
        argument: None,
    },
    CommandText {
        name: "snapshot restore",
        usage: "--db NAME --yes SNAPSHOT|FILE",
        summary: "put a copy in the database's place",
        text: "A name that `snapshot list` shows, or a file. It is checked and migrated to this\n\
               firmware's version beside the old database, which then goes to quarantine. What\n\
               was written after the copy is lost: exit 11. Never copy a file over a\n\
               database by hand: an old -wal beside it corrupts it.",
        options: &["--yes", "--json"],
        argument: Some(("SNAPSHOT", true)),
    },
    CommandText {
        name: "snapshot prune",
        usage: "",
        summary: "remove what the configuration does not keep",
        text: "Snapshots beyond snapshots_max and sets in quarantine beyond quarantine_max,\n\
               as every run that did something does.",
        options: &[],
        argument: None,
    },
    CommandText {
        name: "quarantine list",
        usage: "[--json]",
        summary: "replaced database files that are kept",
        text: "Number, when, why, size, and how many rows can be read; oldest first. Reads only.\n\
               quarantine_max of them are kept: the first and the newest.",
        options: &["--json"],
        argument: None,
    },
    CommandText {
        name: "quarantine show",
        usage: "--db NAME [--json] NUMBER",
        summary: "one of them: its files, its tables, can it be restored?",
        text: "NUMBER as `quarantine list` shows it. Reads only.",
        options: &["--json"],
        argument: Some(("NUMBER", true)),
    },
    CommandText {
        name: "quarantine export",
        usage: "--db NAME NUMBER DIR",
        summary: "copy its files into a folder of yours",
        text: "The main file, -wal, -journal and reason.txt, which is written last: where it\n\
               stands the copy is whole. DIR is made where it is absent; no file in it is\n\
               overwritten. For support: the copies have rows in them.",
        options: &[],
        argument: Some(("NUMBER DIR", true)),
    },
    CommandText {
        name: "quarantine delete",
        usage: "--db NAME --yes NUMBER",
        summary: "remove its files; frees their room",
        text: "For good: export them first where they may be wanted.",
        options: &["--yes"],
        argument: Some(("NUMBER", true)),
    },
    CommandText {
        name: "quarantine restore",
        usage: "--db NAME --yes [--json] NUMBER",
        summary: "put it in the database's place again",
        text: "A copy with its -wal or -journal recovered must be whole, or nothing is changed\n\
               (17). It is migrated to this firmware's version beside the database that stands\n\
               there, which then goes to quarantine: exit 11. Stop the applications first (13).",
        options: &["--yes", "--json"],
        argument: Some(("NUMBER", true)),
    },
    CommandText {
        name: "lost list",
        usage: "[--json]",
        summary: "rows that have no place in the schema",
        text: "Each table of them, lost_TABLE: how many rows, of which table, and why. Reads\n\
               only, beside running applications.",
        options: &["--json"],
        argument: None,
    },
    CommandText {
        name: "lost export",
        usage: "--db NAME TABLE FILE",
        summary: "write such rows to a file of yours",
        text: "A line of JSON each; bytes as {\"hex\": \"...\"}. FILE must not be there yet.",
        options: &[],
        argument: Some(("TABLE FILE", true)),
    },
    CommandText {
        name: "lost drop",
        usage: "--db NAME --yes TABLE",
        summary: "remove such rows",
        text: "For good: export them first where they may be wanted. Stop the applications\n\
               first (13).",
        options: &["--yes"],
        argument: Some(("TABLE", true)),
    },
    CommandText {
        name: "lost retry",
        usage: "--db NAME [TABLE] [--yes]",
        summary: "give such rows back to their tables, where they fit",
        text:
            "In one transaction, columns by name. What violates a constraint stays, and so does\n\
             a row with a value for a column that is gone, or whose parent is missing. A table\n\
             that a migration has changed since it was made needs --yes: the rows may be of\n\
             before, and a parent may be another one of that number; so do rows of newer\n\
             firmware. No trigger runs; those that would have are named. A table that is empty\n\
             then is dropped. Stop the applications first (13).",
        options: &["--yes"],
        argument: Some(("TABLE", false)),
    },
    CommandText {
        name: "doctor",
        usage: "[--full] [--json]",
        summary: "look at everything, and name the repair",
        text: "Header, journals, free pages, integrity, history, schema, space, owner and mount,\n\
               snapshots, tries. Reads only. Each finding has its meaning and the command that\n\
               mends it. Large files are checked only with --full (quick_check_max_mib).",
        options: &["--json", "--full"],
        argument: None,
    },
    CommandText {
        name: "scrub",
        usage: "",
        summary: "read every page, slowly, beside the applications",
        text:
            "For a timer at night. At most 8 MiB a second, from where an earlier one of this boot\n\
               was stopped; the applications are kept from nothing. What is wrong is seen again\n\
               and again before it is noted (17): the next boot then checks the whole database\n\
               and repairs it by on_damage. Pages that the medium does not give are 15.",
        options: &[],
        argument: None,
    },
    CommandText {
        name: "salvage",
        usage: "--db NAME --into FILE [--json]",
        summary: "for a bench: every row that can be read, into a new file",
        text: "Reads the database page by page, as a repair at boot does, and builds a fresh one\n\
               of its version in FILE, which must not be there yet. The database itself is only\n\
               read, and needs no lock: stop the applications first (13), or work on a copy of\n\
               the device's disk with --root. Says the rows of each table, where they came from\n\
               and what was put aside. Exit 0 only where nothing is missing, else 11; 17 where\n\
               nothing can be read. Three times its size must be free beside FILE.",
        options: &["--into", "--json"],
        argument: None,
    },
    CommandText {
        name: "bundle",
        usage: "FILE",
        summary: "all that support needs, in one file; no rows",
        text: "Status, plan, doctor, configuration, schema, history and the last report as\n\
               JSON. FILE must not be there yet; - is standard output. No row of any table of\n\
               the product is in it.",
        options: &[],
        argument: Some(("FILE", true)),
    },
    CommandText {
        name: "mark-good",
        usage: "[--json]",
        summary: "this slot is good: what was kept for the way back may go",
        text: "After an update, once the new firmware has proven itself; RAUC, Mender and\n\
               SWUpdate have a place to call it from. Until then the older firmware can start\n\
               again from the snapshot that was made before the update.",
        options: &["--json"],
        argument: None,
    },
    CommandText {
        name: "baseline",
        usage: "--db NAME [--from TOOL | --at V] [--json]",
        summary: "take over a database that another tool made, then run",
        text: "TOOL is sqlx, diesel, dbmate, ecto, golang-migrate, goose, rusqlite_migration or\n\
               refinery; V is the version of ours that the database is at. Its schema is\n\
               compared with the one that our migrations make; where it differs, the\n\
               differences are said and nothing is touched. The same happens at boot where the\n\
               configuration has `baseline`.",
        options: &["--from", "--at", "--json"],
        argument: None,
    },
    CommandText {
        name: "purge",
        usage: "--db NAME --yes",
        summary: "set this database aside and rebuild it",
        text: "Unconditional: all its rows are lost (the old files stay in quarantine).\n\
               A device that is only stuck is helped by `run --retry` first.",
        options: &["--json", "--yes"],
        argument: None,
    },
    CommandText {
        name: "wipe",
        usage: "--db NAME | --all [--yes]",
        summary: "factory reset: remove all of it for good",
        text: "The database with its side files, snapshots, quarantine, rows put aside, record\n\
               and report; requests that were handled stay handled. Without --yes: lists what\n\
               would go. Stop the applications first (13). The next `run` creates it afresh, and\n\
               finishes a wipe that a power cut ended. Only the named database goes, also where\n\
               others go together with it. On flash the bytes may stay readable until the card\n\
               erases those blocks; `fstrim` on its mount tells the card that it may.",
        options: &["--all", "--yes"],
        argument: None,
    },
];

/// The command with exactly these words.
pub fn command(name: &str) -> Option<&'static CommandText> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The option with this name.
pub fn option_text(name: &str) -> Option<&'static OptionText> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// Words that only begin a command, for example `snapshot`.
pub fn is_group(word: &str) -> bool {
    COMMANDS
        .iter()
        .any(|command| command.name.split_once(' ').is_some_and(|(group, _)| group == word))
}
