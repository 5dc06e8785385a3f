//! Owns the rules themselves: from a tree to sentences, one for each rule that a line breaks.
//! Promises: the arrows between the rooms of `src`, what each may use, and the sizes, as tables;
//! the same for every file.
//! Never skips a file by its name, but tests where a rule says "outside tests".

use crate::circles::circles;
use crate::text::{functions, imports, is_test, parameters, Source};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A function fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// Beside `self`: what belongs together is one value with a name.
const PARAMETERS_MAX: usize = 5;
/// A file stays under this.
const FILE_LINES_LIMIT: usize = 500;
/// What rustfmt keeps to, in code that it can break.
const COLUMNS_MAX: usize = 100;

/// What each room of `src` may use; a room that is not here is at the top (`main`, `lib`) and may
/// use every other.
const ARROWS: &[(&str, &[&str])] = &[
    ("catalog", &[]),
    ("hooks", &["error"]),
    ("from_refinery", &["catalog", "config", "pragma", "sums"]),
    ("sums", &[]),
    ("pragma", &["lex"]),
    ("lex", &[]),
    ("sqlite_min", &["lex"]),
    ("config", &[]),
    ("error", &["config", "catalog", "device"]),
    ("decide", &["hooks", "error", "config", "catalog"]),
    ("device", &["hooks", "error", "config", "catalog", "pragma", "lex", "sqlite_min"]),
    ("ops", &["hooks", "device", "decide", "error", "config", "catalog", "pragma"]),
    ("report", &["hooks", "ops", "device", "decide", "error", "config", "catalog"]),
    ("boot", &["hooks", "report", "ops", "device", "decide", "error", "config", "catalog"]),
    (
        "commands",
        &[
            "hooks", "boot", "report", "ops", "device", "decide", "error", "config", "catalog",
            "cli",
        ],
    ),
    ("cli", &["decide", "error", "config", "catalog"]),
];

/// Words that only these rooms of `src` may have in their code: (word, the files or folders, the
/// sentence).
const ROOMS: &[(&str, &[&str], &str)] = &[
    (
        "rusqlite",
        &["device/sqlite", "device/history", "lib.rs"],
        "rusqlite is known to device/sqlite and device/history alone; lib.rs offers it",
    ),
    (
        "refinery_core",
        &["from_refinery", "lib.rs", "migrator"],
        "refinery is known to from_refinery alone, and to what it is offered by",
    ),
    (
        "std::fs",
        &["device/disk"],
        "std::fs is used by device/disk alone: its verbs say what survives a power cut",
    ),
];

/// What a pure room must not name.
const PURE: &[(&str, &[&str])] = &[
    (
        "decide",
        &[
            "std::fs",
            "std::time",
            "std::env",
            "std::process",
            "std::net",
            "std::thread",
            "log::",
            "rustix",
            "rusqlite",
        ],
    ),
    (
        "cli",
        &["std::fs", "std::time", "std::env", "std::process", "std::net", "rustix", "rusqlite"],
    ),
];

/// What may not stand in code that runs on a device, in a build or in CI, outside tests.
const PANICS: &[&str] =
    &[".unwrap()", ".expect(\"", ".expect(&", "panic!", "unreachable!", "unimplemented!", "todo!"];

/// What writes to standard output or standard error, past `commands/printed.rs`, which makes every
/// line printable.
const OUTPUT: &[&str] = &["print!(", "println!(", "stdout()", "stderr()"];
/// Where the two are written.
const OUTPUT_ROOMS: &[&str] = &["src/device/output.rs", "src/device/progress.rs"];

/// Every Rust file of the tree, by its path from `root`.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["src", "crates", "tests", "examples"] {
        walk(&root.join(folder), &mut found);
    }
    found.sort();
    found.iter().map(|path| path.strip_prefix(root).unwrap().to_path_buf()).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // A crate with a workspace of its own is a guest: it shows how a product looks, not how
            // this structure does.
            let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
            if !path.ends_with("target") && !manifest.contains("[workspace]") {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Every rule that a line of the tree breaks: `file:line: sentence`.
pub fn violations(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(root) {
        let source = Source::new(&path, &fs::read_to_string(root.join(&path)).unwrap());
        for (line, sentence) in broken(&source) {
            found.push(format!("{}:{line}: {sentence}", path.display()));
        }
    }
    found.extend(circles(root, &files(root)));
    found.extend(names(root));
    found
}

/// Types that other files of the device's code may name have one name each. What a product's tests
/// use (`testing`) is named for them.
fn names(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut known: BTreeMap<String, PathBuf> = BTreeMap::new();
    let of_the_device = |path: &&PathBuf| {
        (path.starts_with("src") || path.starts_with("crates/model/src"))
            && !is_test(path)
            && !path.ends_with("testing.rs")
    };
    for path in files(root).iter().filter(of_the_device) {
        let source = Source::new(path, &fs::read_to_string(root.join(path)).unwrap());
        for (number, line) in source.code.iter().enumerate() {
            let Some(name) = declared(line) else { continue };
            match known.get(name) {
                Some(other) => found.push(format!(
                    "{}:{}: {} declares a type {name}, too",
                    path.display(),
                    number + 1,
                    other.display()
                )),
                None => drop(known.insert(name.to_owned(), path.clone())),
            }
        }
    }
    found
}

/// The type that this line declares for other files.
fn declared(line: &str) -> Option<&str> {
    let (visible, rest) = line.trim_start().split_once(' ')?;
    if !visible.starts_with("pub") {
        return None;
    }
    let name = ["struct ", "enum ", "trait "].iter().find_map(|word| rest.strip_prefix(word))?;
    name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
}

fn broken(source: &Source) -> Vec<(usize, String)> {
    let mut found = opening(source);
    found.extend(sizes(source));
    found.extend(widths(source));
    found.extend(unfinished(source));
    if !is_test(&source.path)
        && ["src", "crates/model/src", "crates/build/src", "crates/workbench/src"]
            .iter()
            .any(|folder| source.within(folder))
    {
        found.extend(words(source, PANICS, "guests may panic, we may not: "));
    }
    if !is_test(&source.path) && source.within("src") {
        found.extend(arrows(source));
        if !OUTPUT_ROOMS.iter().any(|file| source.path.ends_with(file)) {
            found.extend(words(
                source,
                OUTPUT,
                "what is printed is a `Printed`, whose lines are printable: ",
            ));
        }
        found.extend(rooms(source));
    }
    found
}

fn opening(source: &Source) -> Vec<(usize, String)> {
    let opened = source.raw.iter().take_while(|line| line.starts_with("//! ")).count();
    let sentence = "a file opens with three `//!` lines: what it owns, promises, and never does";
    if opened < 3 {
        vec![(1, sentence.into())]
    } else {
        Vec::new()
    }
}

fn sizes(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    if source.raw.len() >= FILE_LINES_LIMIT {
        found.push((source.raw.len(), format!("a file stays under {FILE_LINES_LIMIT} lines")));
    }
    for (line, name, length) in functions(source) {
        if length > FUNCTION_LINES_MAX {
            found.push((
                line,
                format!("{name} is {length} lines long: a function fits in {FUNCTION_LINES_MAX}"),
            ));
        }
    }
    for (line, name, count) in parameters(source) {
        if count > PARAMETERS_MAX {
            found.push((line, format!("{name} has {count} parameters: at most {PARAMETERS_MAX}")));
        }
    }
    found
}

/// Text of a string is as wide as what it is compared with.
fn widths(source: &Source) -> Vec<(usize, String)> {
    let lines = source.raw.iter().zip(&source.with_text).enumerate();
    lines
        .filter(|(_, (line, with_text))| !**with_text && line.chars().count() > COLUMNS_MAX)
        .map(|(number, _)| (number + 1, format!("a line has at most {COLUMNS_MAX} columns")))
        .collect()
}

/// These words are put together here, so that this file may name them.
fn unfinished(source: &Source) -> Vec<(usize, String)> {
    let unfinished = [concat!("FIX", "ME"), concat!("#[ig", "nore")];
    let mut found = Vec::new();
    for (number, line) in source.raw.iter().enumerate() {
        if let Some(word) = unfinished.iter().find(|word| line.contains(*word)) {
            found.push((number + 1, format!("unfinished: {word}")));
        }
    }
    if !["src", "crates/build/src", "crates/workbench/src"]
        .iter()
        .any(|folder| source.within(folder))
    {
        found.extend(words(source, &[concat!("to", "do!(")], "unfinished: "));
    }
    found
}

fn words(source: &Source, words: &[&str], sentence: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in source.code.iter().enumerate() {
        if let Some(word) = words.iter().find(|word| line.contains(*word)) {
            found.push((number + 1, format!("{sentence}{word}")));
        }
    }
    found
}

fn arrows(source: &Source) -> Vec<(usize, String)> {
    let room = source.room();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        return Vec::new();
    };
    let known = |target: &str| target == room || allowed.contains(&target);
    imports(source)
        .into_iter()
        .filter(|(_, target)| ARROWS.iter().any(|(name, _)| name == target) && !known(target))
        .map(|(line, target)| {
            (line, format!("`{room}` must not use `{target}`: arrows only go down"))
        })
        .collect()
}

fn rooms(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let inside = |room: &str| {
        source.within(&format!("src/{room}")) || source.path.ends_with(format!("src/{room}.rs"))
    };
    for (word, rooms, sentence) in ROOMS {
        if !rooms.iter().any(|room| inside(room)) && !pure(source, word) {
            found.extend(source.naming(word).map(|line| (line, sentence.to_string())));
        }
    }
    for (room, denied) in PURE {
        for word in denied.iter().filter(|_| source.room() == *room) {
            found.extend(
                source
                    .naming(word)
                    .map(|line| (line, format!("`{room}` is a pure room: no {word}"))),
            );
        }
    }
    found
}

/// Is this word denied to this file by a pure room's list already?
fn pure(source: &Source, word: &str) -> bool {
    PURE.iter().any(|(room, denied)| source.room() == *room && denied.contains(&word))
}
