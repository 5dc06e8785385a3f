//! Owns the stories of the command line.
//! Promises: each line is what a person types, beside what it means or what is said.
//! Never runs anything.
#![allow(clippy::unwrap_used)]

use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

#[track_caller]
fn refuses(line: &str, sentence: &str) {
    assert_eq!(parse(words(line)).map(|command| command.action), Err(sentence.to_owned()), "{line}");
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
    means("", Action::Status { exit_code: false, with_plan: true });
    means("status --exit-code", Action::Status { exit_code: true, with_plan: false });
    means("plan --sql", Action::Plan { sql: true });
    means("mark-good --db settings", Action::MarkGood);
    means("adopt --db settings --from sqlx", Action::Adopt { from: Some("sqlx".into()), at: None });
    means("adopt --db settings --at 12", Action::Adopt { from: None, at: Some(12) });
    means("run --help", Action::Help);
    means("--version", Action::Version);
}

#[test]
fn values_come_after_a_blank_or_an_equals_sign() {
    let command = parse(words("run --root /r --config=/c.toml --db=settings -vv --json")).unwrap();
    assert_eq!((command.root, command.config), (PathBuf::from("/r"), Some(PathBuf::from("/c.toml"))));
    assert_eq!((command.database.as_deref(), command.verbosity, command.json), (Some("settings"), Verbosity::Statements, true));
}

#[test]
fn a_program_keeps_its_own_options() {
    let action = parse(words("run -- app --retry -x")).unwrap().action;
    assert_eq!(action, Action::Run { request: Request::Boot, program: words("app --retry -x") });
}

#[test]
fn every_mistake_has_one_sentence_that_names_the_word() {
    refuses("rnu", "`rnu` is not known; see `bootmigrate --help`");
    refuses("--purge", "`--purge` is not known; see `bootmigrate --help`");
    refuses("run now", "`now` is one word too many; see `bootmigrate --help`");
    refuses("run --root", "--root needs a value");
    refuses("run --root=", "--root needs a value");
    refuses("run --retry=yes", "--retry takes no value");
    refuses("run --retry --purge-and-retry", "--retry and --purge-and-retry exclude each other");
    refuses("status --retry", "--retry does not go with `status`; see `bootmigrate --help`");
    refuses("status -- app", "`-- PROGRAM` goes with `run`, not with `status`");
    refuses("run --", "`--` must be followed by a program");
    refuses("purge --db x", "`purge` gives up all rows of the database; say --yes");
    refuses("purge --yes", "`purge` needs --db NAME: the database must be named");
    refuses("adopt --from sqlx", "`adopt` needs --db NAME: the database must be named");
    refuses("adopt --db x --at twelve", "--at twelve is no version; write a whole number");
    refuses("run --at 3", "--from and --at go with `adopt` alone");
    refuses("ready", "`ready` needs --db NAME");
    refuses("run -q -v", "-q and -v exclude each other");
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
