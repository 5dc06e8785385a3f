//! Owns the rule that no files of one crate use each other in a circle.
//! Promises: a file uses what stands in it and in the files that it names; a folder's own file may
//! name what lies in the folder.
//! Never counts a test.

use crate::text::{is_test, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Where files are looked at, each folder by itself.
const FOLDERS: [&str; 5] =
    ["src", "crates/model/src", "crates/build/src", "crates/lab/src", "crates/workbench/src"];
/// The simulated disk: its files are one model, split by what is called.
const ONE_MODEL: &str = "crates/lab/src/sim";

/// Every circle of files in these folders, a sentence each.
pub fn circles(root: &Path, files: &[std::path::PathBuf]) -> Vec<String> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let inside = files.iter().filter(|path| {
            path.starts_with(folder) && !path.starts_with(ONE_MODEL) && !is_test(path)
        });
        let sources: BTreeMap<String, Source> = inside
            .map(|path| {
                (
                    name(path.strip_prefix(folder).unwrap()),
                    Source::new(path, &fs::read_to_string(root.join(path)).unwrap()),
                )
            })
            .collect();
        let uses: BTreeMap<&str, BTreeSet<String>> = sources
            .iter()
            .map(|(name, source)| (name.as_str(), used(name, source, &sources)))
            .collect();
        for (name, _) in sources.iter().filter(|(name, _)| !matches!(name.as_str(), "lib" | "main"))
        {
            let way = way_back(name, &uses);
            if way.iter().min() == Some(name) {
                found.push(format!(
                    "{}:1: files use each other in a circle: {}",
                    sources[name].path.display(),
                    way.join(" → ")
                ));
            }
        }
    }
    found
}

/// `device/disk.rs` and `device/disk/mod.rs` are `device::disk`.
fn name(path: &Path) -> String {
    let parts: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.iter().filter(|part| *part != "mod").cloned().collect::<Vec<_>>().join("::")
}

/// The files that one names.
fn used(own: &str, source: &Source, all: &BTreeMap<String, Source>) -> BTreeSet<String> {
    let text = source.code.join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        found.extend(
            paths(&text[at + "crate::".len()..]).iter().filter_map(|path| file_of(path, all)),
        );
    }
    for (at, _) in text.match_indices("use super::") {
        let mut rest = &text[at + "use ".len()..];
        let mut base: Vec<&str> = own.split("::").collect();
        while let Some(after) = rest.strip_prefix("super::") {
            (rest, _) = (after, base.pop());
        }
        for path in paths(rest) {
            let whole: Vec<&str> =
                base.iter().copied().chain(path.iter().map(String::as_str)).collect();
            found.extend(file_of(&whole.iter().map(ToString::to_string).collect::<Vec<_>>(), all));
        }
    }
    found.remove(own);
    found
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let word: String = text.chars().take_while(|letter| is_word(*letter)).collect();
    let rest = &text[word.len()..];
    if let Some(next) = rest.strip_prefix("::").filter(|_| !word.is_empty()) {
        return paths(next).into_iter().map(|path| [vec![word.clone()], path].concat()).collect();
    }
    let Some(group) = rest.strip_prefix('{').filter(|_| word.is_empty()) else {
        return vec![vec![word]];
    };
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                found.extend(paths(group[begin..at].trim_start()));
                begin = at + 1;
                if letter == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

/// The file in which the end of this path stands.
fn file_of(path: &[String], all: &BTreeMap<String, Source>) -> Option<String> {
    (1..=path.len())
        .rev()
        .map(|length| path[..length].join("::"))
        .find(|name| all.contains_key(name))
}

/// From a file through others to itself; empty where there is no way.
fn way_back(name: &str, uses: &BTreeMap<&str, BTreeSet<String>>) -> Vec<String> {
    let mut ways: Vec<Vec<String>> = vec![vec![name.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last().map_or("", String::as_str);
        for next in uses.get(last).into_iter().flatten() {
            if next == name {
                return way;
            }
            if seen.insert(next.clone()) {
                ways.push([way.clone(), vec![next.clone()]].concat());
            }
        }
    }
    Vec::new()
}
