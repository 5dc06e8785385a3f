//! Owns the promise that every relative link and anchor in the Markdown of this repository leads
//! somewhere.
//! Promises: headings give anchors as the sites that show these files make them; a code block holds
//! no link.
//! Never uses the network: a link to another site is not followed.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files for readers, and the folder of all others.
const FILES: &[&str] = &["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
const FOLDER: &str = "docs";

/// The lines outside fenced code.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// A heading's anchor: small letters, digits, `-` and `_` stay, blanks become `-`, everything else
/// goes.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// The anchors of a file. The same heading once more gets `-1`, and so on.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text).into_iter().filter(|(_, line)| line.starts_with('#')) {
        let name = anchor(line.trim_start_matches('#'));
        let numbered = (1..).map(|again| format!("{name}-{again}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|name| !found.contains(name))
            .unwrap();
        found.insert(free);
    }
    found
}

/// What a line links to: `[…](target)`, and `[…]: target`. Code in a line is blanked first.
fn targets(line: &str) -> Vec<String> {
    let plain: Vec<&str> = line.split('`').step_by(2).collect();
    let plain = plain.join("code");
    let mut found: Vec<String> = plain
        .match_indices("](")
        .filter_map(|(at, _)| Some(plain[at + 2..].split_once(')')?.0.to_owned()))
        .collect();
    if let Some((_, target)) = plain.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
        found.push(target.to_owned());
    }
    found
}

/// What is wrong with the links of one file, a line each.
fn broken(root: &Path, file: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join(file)).unwrap();
    let mut found = Vec::new();
    for (number, line) in prose(&text) {
        for target in targets(line).into_iter().filter(|target| !target.contains("://")) {
            let (path, wanted) = target
                .split_once('#')
                .map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let at = if path.is_empty() {
                root.join(file)
            } else {
                root.join(file).parent().unwrap().join(path)
            };
            let known = wanted.is_none_or(|wanted| {
                fs::read_to_string(&at).is_ok_and(|text| anchors(&text).contains(wanted))
            });
            if !at.exists() || !known {
                found.push(format!("{}:{number}: {target} leads nowhere", file.display()));
            }
        }
    }
    found
}

/// Folders of this repository that a path in a document may begin with.
const NAMED: [&str; 7] =
    ["src/", "crates/", "tests/", "scripts/", "packaging/", "docs/", "examples/"];

/// Paths in backticks that name no file, a line each. One with a sign that no path has is a pattern
/// or an example. The changelog names what has moved since.
fn missing(root: &Path, file: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join(file)).unwrap();
    let mut found = Vec::new();
    for (number, line) in prose(&text) {
        let words = line.split('`').skip(1).step_by(2);
        let is_path = |word: &&str| {
            NAMED.iter().any(|folder| word.starts_with(folder))
                && !word.contains("/NN-")
                && word
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter))
        };
        for word in words.filter(is_path).filter(|word| !root.join(word).exists()) {
            found.push(format!("{}:{number}: there is no {word}", file.display()));
        }
    }
    found
}

fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    for entry in fs::read_dir(root.join(FOLDER)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path.strip_prefix(root).unwrap().to_path_buf());
        }
    }
    found.sort();
    found
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let broken: Vec<String> = documents(root).iter().flat_map(|file| broken(root, file)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_path_names_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = documents(root).into_iter().filter(|file| !file.ends_with("CHANGELOG.md"));
    let missing: Vec<String> = files.flat_map(|file| missing(root, &file)).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn a_path_that_names_nothing_is_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    let page = "In `src/` is `src/nothing.rs`, and `src/V….rs`, `src/*.rs` are patterns.\n";
    fs::write(folder.path().join("page.md"), page).unwrap();
    let found = missing(folder.path(), Path::new("page.md"));
    assert_eq!(found, ["page.md:1: there is no src/nothing.rs"]);
}

/// `docs/configuration.md` has a row for each key that `crates/model` knows.
#[test]
fn every_key_has_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let (keys, table) = (read("crates/model/src/config/keys.rs"), read("docs/configuration.md"));
    let begins = ["known(", "of_the_image("];
    let named = |begin: &str| -> Vec<&str> {
        let after = keys.split(begin).skip(1).map(str::trim_start);
        after.filter_map(|rest| rest.strip_prefix('"')?.split('"').next()).collect()
    };
    let mut names: Vec<&str> = begins.into_iter().flat_map(named).collect();
    // What the tables are below.
    names.retain(|name| *name != "databases");
    assert!(names.len() > 30, "{names:?}");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let has_row = |name: &&str| {
        rows.iter()
            .any(|row| row.contains(&format!("`{name}`")) || row.contains(&format!("{name} =")))
    };
    let without: Vec<&&str> = names.iter().filter(|name| !has_row(name)).collect();
    assert!(without.is_empty(), "{without:?}");
}

/// The book has every page of the folder, and each once.
#[test]
fn the_book_has_every_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let summary = fs::read_to_string(root.join(FOLDER).join("SUMMARY.md")).unwrap();
    let mut listed: Vec<String> =
        prose(&summary).into_iter().flat_map(|(_, line)| targets(line)).collect();
    listed.sort();
    let inside =
        |file: &PathBuf| file.strip_prefix(FOLDER).ok().map(|name| name.display().to_string());
    let pages: Vec<String> =
        documents(root).iter().filter_map(inside).filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(listed, pages);
}

#[test]
fn broken_links_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let page = "# A page, of `code`\n\n## Twice\n## Twice\n\n[one](other.md) [two](#nothing), \
                [three](#a-page-of-code)\n[four](page.md#twice-1)\n\
                [five](page.md#twice-2) `[code](nowhere.md)` \
                [out](https://example.com/nowhere)\n```\n[in code](nowhere.md)\n```\n[six]: \
                nowhere.md\n";
    fs::write(folder.path().join("page.md"), page).unwrap();
    let expected = [
        "page.md:6: other.md leads nowhere",
        "page.md:6: #nothing leads nowhere",
        "page.md:8: page.md#twice-2 leads nowhere",
    ];
    let found = broken(folder.path(), Path::new("page.md"));
    assert_eq!(found[..3], expected);
    assert_eq!(found[3..], ["page.md:12: nowhere.md leads nowhere"]);
}

/// The table of failures promises a test for each of its rows.
#[test]
fn every_failure_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/failures.md")).unwrap();
    let rows: Vec<(u32, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
        .filter_map(|(number, rest)| Some((number.parse().ok()?, rest)))
        .collect();
    let tests: String = fs::read_dir(root.join("tests/failures"))
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    for (place, (number, row)) in (1..).zip(&rows) {
        assert_eq!(place, *number, "one number after the other");
        // What this release does not do, it says.
        let has_one =
            tests.contains(&format!("fn row_{number:02}_")) || row.contains("| not yet |");
        assert!(has_one, "row {number} of docs/failures.md has no test");
    }
    assert!(rows.len() > 80, "{} rows", rows.len());
}
