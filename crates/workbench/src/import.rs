//! Owns `import`: the migrations of another tool, copied under the names that the build takes.
//! Promises: versions stay; up and down become files of their own; no file is ever overwritten, and
//! none of the tool's is changed.
//! Never changes a statement: what the build does not take, it says. Of a way back, which no device
//! has run yet, the statements go that bootmigrate makes needless.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};
use bootmigrate_build::workbench::{lex, statements};
use bootmigrate_model::pragma::is_left_out;

use crate::cli::{Import, Tool};
use crate::new::{configure, database_name, file_name, write_new};

/// One migration of the other tool.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    version: i64,
    name: String,
    up: String,
    down: String,
}

/// Copies, and prints each new path.
///
/// # Errors
/// A file that cannot be read or written, or a folder without a migration of this tool.
pub fn import(folder: &Path, request: &Import) -> Result<bool> {
    database_name(&request.db)?;
    let mut all = Vec::new();
    for path in files(&request.folder)? {
        all.extend(read(request.from, &path)?);
    }
    all.sort_by_key(|one: &Found| one.version);
    let from = request.folder.display();
    let Some(newest) = all.last().map(|one| one.version) else {
        bail!("{from} has no migration as {} names them", request.from.word());
    };
    let mut next = all.iter().skip(1).map(|one| one.version);
    if let Some(one) = all.iter().find(|one| next.next() == Some(one.version)) {
        bail!("{from} has version {} twice", one.version);
    }
    let place = folder.join(&request.db);
    fs::create_dir_all(&place).with_context(|| format!("{} cannot be made", place.display()))?;
    // A device that has run it is at a version that nothing here would have.
    if let Some(one) = all.last().filter(|one| !has_statement(&one.up)) {
        bail!(
            "{from} has no statement in version {}, its newest; write one into it, such as \
             `SELECT 1;`, and import again",
            one.version
        );
    }
    let word = request.from.word();
    configure(
        folder,
        &request.db,
        &format!("baseline = \"{word}\"\nbaseline_version = {newest}\n"),
    )?;
    for one in all {
        let stem = place.join(format!("V{}__{}", one.version, one.name));
        let file = |end: &str| PathBuf::from(format!("{}{end}", stem.display()));
        if !has_statement(&one.up) {
            println!("{}: left out, since it has no statement", stem.display());
            continue;
        }
        write_new(&file(".sql"), &one.up)?;
        let down = without_frame(&one.down);
        if has_statement(&down) {
            write_new(&file(".down.sql"), &down)?;
        }
    }
    Ok(true)
}

/// Files of the folder, and of the folders in it: Diesel has one for each migration.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.join("up.sql").is_file() {
            found.push(path.join("up.sql"));
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

/// A file that is no migration of this tool, or is a way back, gives none.
fn read(tool: Tool, path: &Path) -> Result<Option<Found>> {
    let text = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let last = |path: &Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let file = last(path);
    let beside = |name: String| -> Result<String> {
        let path = path.with_file_name(name);
        if path.is_file() {
            text(&path)
        } else {
            Ok(String::new())
        }
    };
    let (stem, up, down) = match tool {
        Tool::Diesel if file == "up.sql" => {
            let stem = path.parent().map(last).unwrap_or_default();
            (stem, text(path)?, beside("down.sql".to_owned())?)
        }
        Tool::Diesel => return Ok(None),
        Tool::GolangMigrate | Tool::Sqlx if file.ends_with(".up.sql") => {
            let stem = file.trim_end_matches(".up.sql").to_owned();
            let down = beside(format!("{stem}.down.sql"))?;
            (stem, text(path)?, down)
        }
        Tool::Sqlx if file.ends_with(".sql") && !file.ends_with(".down.sql") => {
            (file.trim_end_matches(".sql").to_owned(), text(path)?, String::new())
        }
        Tool::Dbmate | Tool::Goose if file.ends_with(".sql") => {
            let (up, down) =
                halves(tool, &text(path)?).with_context(|| path.display().to_string())?;
            (file.trim_end_matches(".sql").to_owned(), up, down)
        }
        Tool::Goose
            if file.ends_with(".go")
                && !file.ends_with("_test.go")
                && file.starts_with(|letter: char| letter.is_ascii_digit()) =>
        {
            bail!("{}: a migration in Go; write what it does in SQL, in its place", path.display())
        }
        _ => return Ok(None),
    };
    let Some((number, name)) = stem.split_once('_') else { return Ok(None) };
    let number: String = number.chars().filter(|letter| *letter != '-').collect();
    let Ok(version) = number.parse() else { return Ok(None) };
    let plain: String =
        name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect();
    let name = file_name(&plain).with_context(|| path.display().to_string())?;
    Ok(Some(Found { version, name, up, down }))
}

/// What stands behind the mark of the way there, and behind that of the way back. The tool's own
/// lines go; what runs without a transaction says so as bootmigrate reads it.
///
/// # Errors
/// No mark of the way there: the tool would refuse the file.
fn halves(tool: Tool, text: &str) -> Result<(String, String)> {
    let mark = match tool {
        Tool::Dbmate => "migrate:",
        _ => "+goose ",
    };
    let mut marked = false;
    let (mut halves, mut is_back) = ([String::new(), String::new()], false);
    let mut alone = false;
    for line in text.split_inclusive('\n') {
        let words = line.trim().strip_prefix("--").map(str::trim);
        if let Some(words) = words.and_then(|words| words.strip_prefix(mark)) {
            // goose takes its words in any case.
            let words = words.to_ascii_lowercase();
            match words.split(' ').next().unwrap_or_default() {
                "up" => (marked, is_back) = (true, false),
                "down" => is_back = true,
                _ => {}
            }
            alone |= words.contains("transaction:false") || words.starts_with("no transaction");
        } else if let Some(half) = halves.get_mut(usize::from(is_back)) {
            half.push_str(line);
        }
    }
    if !marked {
        bail!("there is no `-- {mark}up` in it");
    }
    let [up, down] = halves.map(|half| half.trim_matches('\n').to_owned() + "\n");
    Ok((if alone { format!("-- bootmigrate: no-transaction\n{up}") } else { up }, down))
}

/// Without the statements that are left out of the way there, too: transaction words, and PRAGMAs
/// such as `foreign_keys`.
pub fn without_frame(sql: &str) -> String {
    let lexed = lex(sql);
    let (mut kept, mut rest) = (String::new(), sql);
    for statement in statements(&lexed.tokens).0 {
        let frame = statement.source(sql).filter(|source| is_left_out(source, true));
        let place = frame.map(|source| (source.as_ptr() as usize, source.len()));
        let cut = place.and_then(|(address, length)| {
            let begin = address.checked_sub(rest.as_ptr() as usize)?;
            Some((rest.get(..begin)?, rest.get(begin + length..)?))
        });
        if let Some((before, after)) = cut {
            kept.push_str(before);
            let after = after.trim_start_matches([' ', '\t']);
            let after = after.strip_prefix(';').unwrap_or(after);
            rest = after.trim_start_matches('\r');
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
    }
    kept.push_str(rest);
    // The build refuses a file in which they differ; nobody has a checksum of a way back yet.
    kept.replace("\r\n", "\n")
}

/// Is there more than comments?
fn has_statement(sql: &str) -> bool {
    let tokens = lex(sql).tokens;
    tokens.iter().any(|token| !token.is_comment() && token.text != ";")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_come_out_of_one_file() {
        for (tool, text) in [
            (
                Tool::Dbmate,
                "-- migrate:up\nCREATE TABLE a (b);\n\n-- migrate:down\nDROP TABLE a;\n",
            ),
            (
                Tool::Goose,
                "-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE a (b);\n-- +goose \
                 StatementEnd\n-- +goose Down\nDROP TABLE a;\n",
            ),
        ] {
            let found = halves(tool, text).unwrap();
            assert_eq!(found, ("CREATE TABLE a (b);\n".into(), "DROP TABLE a;\n".into()));
        }
        let small = "-- +goose up\nCREATE TABLE a (b);\n-- +goose down\nDROP TABLE a;\n";
        let found = halves(Tool::Goose, small).unwrap();
        assert_eq!(found, ("CREATE TABLE a (b);\n".into(), "DROP TABLE a;\n".into()));
        assert!(halves(Tool::Goose, "CREATE TABLE a (b);\n").is_err());
        let alone = halves(Tool::Dbmate, "-- migrate:up transaction:false\nVACUUM;\n");
        let (up, down) = alone.unwrap();
        assert_eq!(up, "-- bootmigrate: no-transaction\nVACUUM;\n");
        assert!(!has_statement(&down) && !has_statement("-- nothing;\n;"));
    }

    #[test]
    fn a_way_back_does_without_its_frame() {
        let back = "PRAGMA foreign_keys=OFF;\nBEGIN ;\n-- Back.\nDROP TABLE a;\nINSERT INTO b \
                    VALUES ('BEGIN;');\nCOMMIT;\nPRAGMA user_version = 3;";
        assert_eq!(
            without_frame(back),
            "-- Back.\nDROP TABLE a;\nINSERT INTO b VALUES ('BEGIN;');\nPRAGMA user_version = 3;"
        );
        assert_eq!(
            without_frame("BEGIN;\r\nDROP TABLE a;\r\nDROP TABLE b;\n"),
            "DROP TABLE a;\nDROP TABLE b;\n"
        );
        let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;\n";
        assert_eq!(without_frame(trigger), trigger);
    }
}
