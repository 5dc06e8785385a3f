//! Owns the tests of the command line.
//! Promises: each line is what an operator types, beside what it means or what is said.
//! Never runs anything.
#![allow(clippy::unwrap_used)]

use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

#[track_caller]
fn refuses(line: &str, sentence: &str) {
    assert_eq!(
        parse(words(line)).map(|command| command.action),
        Err(sentence.to_owned()),
        "{line}"
    );
}

#[track_caller]
fn means(line: &str, action: Action) {
    assert_eq!(parse(words(line)).map(|command| command.action), Ok(action), "{line}");
}

fn run(request: Request) -> Action {
    Action::Run { request, program: Vec::new() }
}

#[test]
fn what_a_unit_and_a_technician_type() {
    means("run", run(Request::Boot));
    means("run --retry", run(Request::Retry));
    means("--purge-and-retry", run(Request::PurgeAndRetry));
    means("run --purge-and-retry --db settings", run(Request::PurgeAndRetry));
    means("purge --db settings --yes", run(Request::Purge));
    means("", Action::Status { exit_code: false, format: StatusFormat::Text });
    means("status --exit-code", Action::Status { exit_code: true, format: StatusFormat::Text });
    means(
        "status --format mender",
        Action::Status { exit_code: false, format: StatusFormat::Mender },
    );
    means("--json", Action::Status { exit_code: false, format: StatusFormat::Json });
    means("migrate --to 41", Action::Migrate(Extent::To(41)));
    means("migrate --to-exclusive=41", Action::Migrate(Extent::ToExclusive(41)));
    means("rollback --db settings --step 2", Action::Rollback(Extent::Step(2)));
    means("data status", Action::Data(DataVerb::Status { exit_code: false }));
    means("data run --db settings --to 3", Action::Data(DataVerb::Run(Extent::To(3))));
    refuses("data run", "`data run` needs one of --all, --step N or --to V");
    means("snapshot create", Action::Snapshot(SnapshotVerb::Create));
    means("snapshot restore v40-1 --db settings --yes", Action::Restore("v40-1".into()));
    means("doctor --full", Action::Doctor { full: true });
    means("scrub", Action::Scrub);
    means("bundle -", Action::Bundle("-".into()));
    means("plan --sql", Action::Plan { sql: true });
    means("mark-good --db settings", Action::MarkGood);
    means(
        "baseline --db settings --from sqlx",
        Action::Adopt { from: Some("sqlx".into()), at: None },
    );
    means("baseline --db settings --at 12", Action::Adopt { from: None, at: Some(12) });
    means("run --help", Action::Help("run".into()));
    means("snapshot --help", Action::Help("snapshot".into()));
    means("bundle -h", Action::Help("bundle".into()));
    means("--version", Action::Version);
    means("-V", Action::Version);
    means("help", Action::Help(String::new()));
    means("help run", Action::Help("run".into()));
    means("help snapshot", Action::Help("snapshot".into()));
    means("help snapshot restore", Action::Help("snapshot restore".into()));
    means("help run --root /r", Action::Help("run".into()));
    assert_eq!(parse(words("run --quiet")).unwrap().verbosity, Verbosity::Quiet);
}

#[test]
fn values_come_after_a_blank_or_an_equals_sign() {
    let command = parse(words("run --root /r --config=/c.toml --db=settings -vv --json")).unwrap();
    assert_eq!(
        (command.root, command.config),
        (PathBuf::from("/r"), Some(PathBuf::from("/c.toml")))
    );
    assert_eq!(
        (command.database.as_deref(), command.verbosity, command.json),
        (Some("settings"), Verbosity::Statements, true)
    );
}

#[test]
fn a_program_keeps_its_own_options() {
    let action = parse(words("run -- app --retry -x")).unwrap().action;
    assert_eq!(action, Action::Run { request: Request::Boot, program: words("app --retry -x") });
}

#[test]
fn every_mistake_has_one_sentence_that_names_the_word() {
    refuses("statsu", "`statsu` is not known; perhaps `status` is meant");
    refuses("statsu --help", "`statsu` is not known; perhaps `status` is meant");
    refuses("help statsu", "`statsu` is not known; perhaps `status` is meant");
    refuses("rnu", "`rnu` is not known; see `bootmigrate --help`");
    refuses("hlep", "`hlep` is not known; perhaps `help` is meant");
    refuses("runn", "`runn` is not known; perhaps `run` is meant");
    refuses("start", "`start` is not known; see `bootmigrate --help`");
    refuses("snapshot lst", "`snapshot lst` is not known; perhaps `snapshot list` is meant");
    refuses(
        "run --purge-and-rerty",
        "`--purge-and-rerty` is not known; perhaps `--purge-and-retry` is meant",
    );
    refuses("run --db a --db b", "--db is given twice");
    refuses("run --root=/a --root=/a", "--root is given twice");
    refuses("help run run", "`run` is one word too many; see `bootmigrate --help`");
    refuses("help --json", "--json does not go with `help`; see `bootmigrate --help`");
    refuses("--purge", "`--purge` is not known; see `bootmigrate --help`");
    refuses("run now", "`now` is one word too many; see `bootmigrate --help`");
    refuses("run --root", "--root needs a value");
    refuses("run --root=", "--root needs a value");
    refuses("run --retry=yes", "--retry takes no value");
    refuses("run --retry --purge-and-retry", "--retry and --purge-and-retry exclude each other");
    refuses("status --retry", "--retry does not go with `status`; see `bootmigrate --help`");
    refuses("status -- app", "`-- PROGRAM` goes with `run`, not with `status`");
    refuses("run --", "`--` must be followed by a program");
    refuses("purge --db x", "`purge` discards all rows of the database; say --yes");
    refuses("purge --yes", "`purge` needs --db NAME: the database must be named");
    refuses("baseline --from sqlx", "`baseline` needs --db NAME: the database must be named");
    refuses("baseline --db x --at twelve", "--at twelve is not a whole number");
    refuses("run --at 3", "--at does not go with `run`; see `bootmigrate --help`");
    refuses("ready", "`ready` needs --db NAME");
    refuses("run -q -v", "-q and -v exclude each other");
    refuses("migrate", "`migrate` needs one of --all, --step N, --to V or --to-exclusive V");
    refuses(
        "migrate --all --step 1",
        "`migrate` takes only one of --all, --step N, --to V or --to-exclusive V",
    );
    refuses("migrate --step 0", "--step 0 does nothing; write 1 or more");
    refuses("migrate --to v41", "--to v41 is not a whole number");
    refuses("rollback --to 40", "`rollback` needs --db NAME: the database must be named");
    refuses("rollback --db settings", "`rollback` needs one of --to V or --step N");
    refuses(
        "rollback --db settings --all",
        "--all does not go with `rollback`; see `bootmigrate --help`",
    );
    refuses("snapshot", "`snapshot` needs another word; see `bootmigrate snapshot --help`");
    refuses("snapshot make", "`snapshot make` is not known; see `bootmigrate snapshot --help`");
    refuses(
        "snapshot restore --db settings --yes",
        "`snapshot restore` needs a SNAPSHOT; see `bootmigrate snapshot restore --help`",
    );
    refuses(
        "snapshot restore v1-1 --db settings",
        "`snapshot restore` discards what was written after the copy; say --yes",
    );
    refuses("bundle", "`bundle` needs a FILE; see `bootmigrate bundle --help`");
    refuses("bundle a b", "`b` is one word too many; see `bootmigrate --help`");
    refuses(
        "status --format xml",
        "--format xml is not known; write text, json, prometheus or mender",
    );
    refuses("status --json --format text", "--json and --format exclude each other");
}

/// Each command of the help as it would be right.
const RIGHT: &[&str] = &[
    "run",
    "status",
    "plan",
    "rehearse",
    "ready --db settings",
    "migrate --all",
    "rollback --db settings --step 1",
    "data status",
    "data run --all",
    "snapshot list",
    "snapshot create",
    "snapshot verify",
    "snapshot restore --db settings --yes v1-1",
    "snapshot prune",
    "quarantine list",
    "quarantine show --db settings 2",
    "quarantine export --db settings 2 /nowhere",
    "quarantine delete --db settings --yes 2",
    "quarantine restore --db settings --yes 2",
    "lost list",
    "lost export --db settings lost_child /nowhere",
    "lost drop --db settings --yes lost_child",
    "lost retry --db settings lost_child",
    "doctor",
    "scrub",
    "bundle bundle.json",
    "mark-good",
    "baseline --db settings --at 40",
    "purge --db settings --yes",
    "salvage --db settings --into /nowhere",
    "wipe --db settings",
];

/// The command of the description that a line begins with.
#[track_caller]
fn described(right: &str) -> &'static CommandText {
    let longest = describe::COMMANDS
        .iter()
        .filter(|one| !one.name.is_empty() && right.starts_with(one.name))
        .max_by_key(|one| one.name.len());
    longest.unwrap()
}

#[test]
fn every_option_is_refused_by_every_command_that_has_none_of_it() {
    let (mut refused, mut wanted) = (0, 0);
    let commands =
        describe::COMMANDS.iter().map(|command| command.name).filter(|name| !name.is_empty());
    let mut named: Vec<&str> = RIGHT.iter().map(|right| described(right).name).collect();
    named.sort_unstable();
    assert_eq!(
        named,
        commands.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
    for right in RIGHT {
        assert!(parse(words(right)).is_ok(), "{right}");
        let own = described(right);
        let all = describe::OPTIONS.iter().filter(|option| !EVERYWHERE.contains(&option.name));
        for option in all.filter(|option| !own.options.contains(&option.name)) {
            let line = format!("{right} {} {}", option.name, option.value.map_or("", |_| "1"));
            refuses(
                &line,
                &format!(
                    "{} does not go with `{}`; see `bootmigrate --help`",
                    option.name, own.name
                ),
            );
            refused += 1;
        }
        wanted += describe::OPTIONS.len() - EVERYWHERE.len() - own.options.len();
    }
    assert_eq!(refused, wanted);
}

#[test]
fn every_command_refuses_the_same_mistakes() {
    for right in RIGHT {
        for (wrong, sentence) in [
            ("--nonsense", "`--nonsense` is not known; see `bootmigrate --help`"),
            ("-v=2", "`-v=2` is not known; see `bootmigrate --help`"),
            ("one two", "is one word too many; see `bootmigrate --help`"),
            ("--config", "--config needs a value"),
            ("--root=", "--root needs a value"),
            ("--db=", "--db needs a value"),
            ("-q -v", "-q and -v exclude each other"),
            ("--", "`--` must be followed by a program"),
        ] {
            let said = parse(words(&format!("{right} {wrong}"))).map(|command| command.action);
            assert!(
                said.as_ref().is_err_and(|said| said.ends_with(sentence)),
                "{right} {wrong}: {said:?}"
            );
        }
        let name = described(right).name;
        if name != "run" {
            refuses(
                &format!("{right} -- true"),
                &format!("`-- PROGRAM` goes with `run`, not with `{name}`"),
            );
        }
    }
}

#[test]
fn run_migrations_is_off_by_four_words() {
    for word in ["0", "false", "no", "off", "OFF", " no "] {
        assert!(skips(Some(word)), "{word}");
    }
    for word in [Some("1"), Some("true"), Some(""), Some("offline"), None] {
        assert!(!skips(word), "{word:?}");
    }
}

#[test]
fn help_fits_a_console_and_names_every_command() {
    let whole = help::help("");
    for command in describe::COMMANDS {
        assert!(
            command.name.is_empty() || whole.contains(&format!("  {} ", command.name)),
            "{}",
            command.name
        );
        let own = help::help(command.name);
        for line in whole.lines().chain(own.lines()) {
            assert!(line.chars().count() <= 85, "{}: {line}", command.name);
        }
        for option in command.options {
            assert!(describe::option_text(option).is_some(), "{}: {option}", command.name);
            assert!(command.name.is_empty() || own.contains(option), "{}: {option}", command.name);
        }
    }
}
