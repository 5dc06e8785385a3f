//! Owns the shell completions and the manual page: generated from the device's one description of
//! its commands.
//! Promises: what is committed is what would be generated; `UPDATE_EXPECT=1 cargo test -p
//! bootmigrate-lab --test shell` rewrites it.
//! Never runs on a device, and never knows a command by itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use bootmigrate::cli::describe::{
    command, option_text, CommandText, OptionText, COMMANDS, EVERYWHERE,
};
use bootmigrate::cli::{describe, parse};
use bootmigrate::error::exit::{self, Exit};
use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::{generate, Shell};
use expect_test::{expect_file, ExpectFile};
use roff::{bold, italic, roman, Roff};

/// Options that an operator types; the others are other names for them.
fn shown(options: &[&str]) -> Vec<&'static OptionText> {
    let aliases = ["-vv", "--verbose", "-h", "--help", "--quiet", "--version", "-V"];
    options
        .iter()
        .filter(|name| !aliases.contains(name))
        .map(|name| option_text(name).unwrap())
        .collect()
}

fn argument(option: &'static OptionText) -> Arg {
    let arg = match option.name.strip_prefix("--") {
        Some(long) => Arg::new(long).long(long),
        None => Arg::new(option.name).short(option.name.chars().nth(1).unwrap()),
    };
    let arg = arg.help(option.help);
    match option.value {
        None if option.name == "-v" => arg.action(ArgAction::Count),
        None => arg.action(ArgAction::SetTrue),
        Some("FILE") => arg.value_name("FILE").value_hint(ValueHint::FilePath),
        Some("DIR") => arg.value_name("DIR").value_hint(ValueHint::DirPath),
        Some("FORMAT") => {
            arg.value_name("FORMAT").value_parser(["text", "json", "prometheus", "mender"])
        }
        Some(value) => arg.value_name(value),
    }
}

fn clap_command(text: &'static CommandText, name: &'static str) -> Command {
    let mut made =
        Command::new(name).about(text.summary).args(shown(text.options).into_iter().map(argument));
    made = made.args(shown(EVERYWHERE).into_iter().map(argument));
    for (value, required) in text
        .argument
        .iter()
        .flat_map(|(values, required)| values.split(' ').map(move |value| (value, *required)))
    {
        made = made.arg(Arg::new(value).value_hint(ValueHint::AnyPath).required(required));
    }
    made
}

/// What the words that only begin a command are about.
fn about(group: &str) -> &'static str {
    match group {
        "lost" => "rows that have no place in the schema",
        "quarantine" => "database files that were replaced",
        "data" => "migrations of rows, beside running applications",
        "snapshot" => "copies of each database",
        other => panic!("say what `{other}` is about"),
    }
}

/// The whole command line, as the library that writes completions wants it.
fn whole() -> Command {
    let mut whole =
        clap_command(command("").unwrap(), "bootmigrate").version(env!("CARGO_PKG_VERSION"));
    for text in COMMANDS.iter().filter(|text| !text.name.is_empty()) {
        match text.name.split_once(' ') {
            None => whole = whole.subcommand(clap_command(text, text.name)),
            Some((group, verb)) => {
                if whole.find_subcommand(group).is_none() {
                    whole = whole.subcommand(
                        Command::new(group).about(about(group)).disable_help_subcommand(true),
                    );
                }
                whole = whole
                    .mut_subcommand(group, |parent| parent.subcommand(clap_command(text, verb)));
            }
        }
    }
    whole
}

fn completion(shell: Shell, file: ExpectFile) {
    let mut text = Vec::new();
    generate(shell, &mut whole(), "bootmigrate", &mut text);
    file.assert_eq(&String::from_utf8(text).unwrap());
}

#[test]
fn completions_are_what_the_description_says() {
    completion(Shell::Bash, expect_file!["../../../packaging/completions/bootmigrate.bash"]);
    completion(Shell::Zsh, expect_file!["../../../packaging/completions/_bootmigrate"]);
    completion(Shell::Fish, expect_file!["../../../packaging/completions/bootmigrate.fish"]);
}

fn options(page: &mut Roff, options: &[&str]) {
    for option in shown(options) {
        let value = option.value.map(|value| vec![roman(" "), italic(value)]).unwrap_or_default();
        page.control("TP", []);
        page.text([vec![bold(option.name)], value].concat());
        page.text([roman(option.help)]);
    }
}

fn manual() -> String {
    let mut page = Roff::new();
    page.control(
        "TH",
        [
            "BOOTMIGRATE",
            "8",
            "",
            concat!("bootmigrate ", env!("CARGO_PKG_VERSION")),
            "System Manager's Manual",
        ],
    );
    page.control("SH", ["NAME"]).text([roman(
        "bootmigrate - brings a device's SQLite databases to the schema its firmware expects",
    )]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([
        bold("bootmigrate"),
        roman(" ["),
        italic("COMMAND"),
        roman("] ["),
        italic("OPTIONS"),
        roman("]"),
    ]);
    page.control("SH", ["DESCRIPTION"]);
    let text =
        "A unit runs it at every boot, before the applications. What it did is one sentence with a \
         code on standard error and in /run/bootmigrate/status.json; /run/bootmigrate/ready/NAME \
         is there exactly while an application may open the database.";
    page.text([roman(text)]);
    page.control("PP", []);
    page.text([roman(
        "A power cut at any instant leaves the old database or the new one, whole; running again \
         is always safe.",
    )]);
    page.control("SH", ["COMMANDS"]);
    for one in COMMANDS {
        page.control(
            "SS",
            [format!("bootmigrate {} {}", one.name, one.usage)
                .replace("  ", " ")
                .replace('-', "\\-")
                .trim_end()],
        );
        page.text([roman(one.text.replace('\n', " "))]);
        options(&mut page, one.options);
    }
    page.control("SH", ["OPTIONS OF EVERY COMMAND"]);
    options(&mut page, EVERYWHERE);
    page.control("SH", ["EXIT STATUS"])
        .text([roman("The code answers one question: may the application start? 0 and 11: yes.")]);
    for Exit { code, meaning, .. } in exit::all() {
        page.control("TP", []);
        page.text([bold(code.to_string())]);
        page.text([roman(meaning)]);
    }
    for (heading, entries) in
        [("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT), ("KERNEL COMMAND LINE", KERNEL)]
    {
        page.control("SH", [heading]);
        for (word, what) in entries {
            page.control("TP", []);
            page.text([italic(*word)]);
            page.text([roman(*what)]);
        }
    }
    page.to_roff()
}

const FILES: &[(&str, &str)] = &[
    ("/etc/bootmigrate.toml", "overrides single keys of the configuration in the binary"),
    ("/run/bootmigrate/status.json", "what the last run did"),
    (
        "/run/bootmigrate/unconfirmed/NAME",
        "a COMMIT failed in this boot: nothing is believed before a reboot (15)",
    ),
    ("/run/bootmigrate/ready/NAME", "the application may open this database"),
    (".bootmigrate/FILE/ beside each database", "lock, record, snapshots and quarantine"),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "RUN_MIGRATIONS",
        "0, false, no or off: `run` changes nothing, says so, and exits 3 when work is pending",
    ),
    (
        "NOTIFY_SOCKET, JOURNAL_STREAM",
        "set by systemd: each migration becomes the unit's status, and each line has its priority",
    ),
];

const KERNEL: &[(&str, &str)] = &[
    ("bootmigrate.retry=TOKEN", "as `run --retry`, once for each token"),
    ("bootmigrate.purge-and-retry=TOKEN", "as `run --purge-and-retry`, once for each token"),
];

#[test]
fn the_manual_page_is_what_the_description_says() {
    expect_file!["../../../packaging/bootmigrate.8"].assert_eq(&manual());
}

/// Every command of the description is one that the parser takes, and the other way round: an
/// unknown one is refused.
#[test]
fn the_description_is_the_parsers() {
    for one in COMMANDS {
        let words = one.name.split_whitespace().map(str::to_owned).chain(["--help".to_owned()]);
        assert!(parse(words.map(Into::into)).is_ok(), "{}", one.name);
        for option in one.options.iter().chain(EVERYWHERE) {
            assert!(describe::option_text(option).is_some(), "{}: {option}", one.name);
        }
    }
    assert!(parse(["nothing".into()]).is_err());
    whole().debug_assert();
}
