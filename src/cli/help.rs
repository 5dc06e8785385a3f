//! Owns the texts of `--help`, from the one description.
//! Promises: 80 columns; a technician finds the command, its options and the exit codes without the
//! manual.
//! Never knows a command that the parser does not.

use crate::cli::describe::{
    command, is_group, option_text, CommandText, OptionText, COMMANDS, OPTIONS,
};
use crate::error::called::{called, program};
use crate::error::exit::{self, Exit};

/// The text for these words: a command's, a group's, or the whole.
pub fn help(words: &str) -> String {
    let text = match command(words).filter(|command| !command.name.is_empty()) {
        Some(command) => one(command),
        None if is_group(words) => {
            let group = format!("{words} ");
            COMMANDS
                .iter()
                .filter(|command| command.name.starts_with(&group))
                .map(one)
                .collect::<Vec<_>>()
                .join("\n")
        }
        None => all(),
    };
    called(&text).into_owned()
}

fn all() -> String {
    let name = program();
    let mut text = format!(
        "{name}: brings this device's SQLite databases to the schema its firmware \
         expects\n\nCommands (`{name} help COMMAND` says more)\n"
    );
    for command in COMMANDS {
        let name = if command.name.is_empty() { "(none)" } else { command.name };
        text.push_str(&format!("  {name:<19} {}\n", command.summary));
    }
    text.push_str("\nWhere a device does not start its application\n");
    let advice = [
        ("doctor", "what is wrong, and which command mends it"),
        ("run --retry", "try once more; loses nothing"),
        ("bundle FILE", "for support, before anything is lost"),
        ("--purge-and-retry", "what fails or is damaged is rebuilt"),
    ];
    for (number, (words, why)) in (1..).zip(advice) {
        text.push_str(&format!("  {number}. {name} {words:<20}{why}\n"));
    }
    text.push_str("\nOptions of every command\n");
    let common = OPTIONS.iter().filter(|option| {
        ["--db", "--config", "--root", "-v", "-vv", "-q", "--help"].contains(&option.name)
    });
    common.for_each(|option| text.push_str(&line(option)));
    text.push_str("\nExit codes: may the application start?\n");
    for Exit { code, meaning, .. } in exit::all() {
        text.push_str(&format!("  {code:>2}  {meaning}\n"));
    }
    text
}

fn one(command: &CommandText) -> String {
    let mut text = format!("{} {}", program(), command.name);
    if !command.usage.is_empty() {
        text.push_str(&format!(" {}", command.usage));
    }
    text.push_str(&format!("\n  {}\n\n{}\n", command.summary, command.text));
    let options: Vec<&OptionText> =
        command.options.iter().filter_map(|name| option_text(name)).collect();
    if !options.is_empty() {
        text.push('\n');
        options.iter().for_each(|option| text.push_str(&line(option)));
    }
    text
}

fn line(option: &OptionText) -> String {
    let name = option
        .value
        .map_or_else(|| option.name.to_owned(), |value| format!("{} {value}", option.name));
    format!("  {name:<19} {}\n", option.help)
}
