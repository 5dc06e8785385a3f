//! Owns how the rules read a Rust file: its lines, its code without comments, strings and tests,
//! its imports.
//! Promises: line numbers are those of the file; grouped and relative imports are resolved.
//! Never parses more than the rules need: the tree is formatted, so that indentation shows where a
//! thing ends.

use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// From the tree's root.
    pub path: PathBuf,
    /// Its lines.
    pub raw: Vec<String>,
    /// The same lines; comments, the content of strings, and test modules are blank.
    pub code: Vec<String>,
    /// Which of them hold text of a string, or lie within one.
    pub with_text: Vec<bool>,
}

/// Is the whole file a test?
pub fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    stem == "tests"
        || stem.ends_with("_tests")
        || path.components().any(|part| part.as_os_str() == "tests")
}

impl Source {
    /// Reads a file's text.
    pub fn new(path: &Path, text: &str) -> Source {
        let raw: Vec<String> = text.lines().map(String::from).collect();
        let (code, with_text) = blank(text);
        Source { path: path.into(), raw, code: without_tests(&code), with_text }
    }

    /// Lies it in this folder of the tree?
    pub fn within(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// The room of `src` it belongs to: `src/decide/plan.rs` and `src/decide.rs` are `decide`.
    pub fn room(&self) -> String {
        self.module().first().cloned().unwrap_or_default()
    }

    /// Its module path.
    fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src").unwrap_or(&self.path).with_extension("");
        let mut parts: Vec<String> =
            path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        parts
    }

    /// Lines of code that name this path or crate; `use std::{fs, io}` names `std::fs`.
    pub fn naming<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let tail = word.strip_prefix("std::");
        self.code.iter().enumerate().filter_map(move |(number, line)| {
            let grouped = line
                .split_once("std::{")
                .map(|(_, rest)| rest.split(|c: char| !c.is_alphanumeric() && c != '_'));
            let named = line
                .match_indices(word)
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            let in_group = tail.is_some_and(|tail| {
                grouped.is_some_and(|mut parts| parts.any(|part| part == tail))
            });
            (named || in_group).then_some(number + 1)
        })
    }
}

/// The text's lines without comments and without what stands in strings; and which of them hold
/// text of a string.
fn blank(text: &str) -> (Vec<String>, Vec<bool>) {
    let (mut lines, mut with_text) = (Vec::new(), Vec::new());
    // How many `#` close the string that we are in; none: an ordinary string, with escapes.
    let mut string: Option<Option<usize>> = None;
    for line in text.lines() {
        let letters: Vec<char> = line.chars().collect();
        let (mut out, mut at, within) = (String::new(), 0, string.is_some());
        while at < letters.len() {
            let rest = |n: usize| letters.get(at + n).copied().unwrap_or(' ');
            if let Some(hashes) = string {
                let closes =
                    letters[at] == '"' && (0..hashes.unwrap_or(0)).all(|n| rest(n + 1) == '#');
                at += if letters[at] == '\\' && hashes.is_none() { 2 } else { 1 };
                if closes {
                    string = None;
                    at += hashes.unwrap_or(0);
                    out.push('"');
                }
            } else if letters[at] == '/' && rest(1) == '/' {
                break;
            } else if letters[at] == '\''
                && (rest(1) == '"' && rest(2) == '\'' || rest(1) == '\\' && rest(3) == '\'')
            {
                at += if rest(1) == '"' { 3 } else { 4 };
            } else if letters[at] == '"' {
                let before: usize =
                    letters[..at].iter().rev().take_while(|letter| **letter == '#').count();
                let raw = at > before && letters[at - before - 1] == 'r';
                string = Some(raw.then_some(before));
                out.push('"');
                at += 1;
            } else {
                out.push(letters[at]);
                at += 1;
            }
        }
        with_text.push(within || out.contains('"'));
        lines.push(out);
    }
    (lines, with_text)
}

/// Blanks every `#[cfg(test)] mod … { … }`, by indentation.
fn without_tests(code: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let (mut armed, mut until) = (false, None::<String>);
    for line in code {
        let trimmed = line.trim();
        if let Some(end) = &until {
            if line.trim_end() == end {
                until = None;
            }
            out.push(String::new());
        } else if armed && trimmed.ends_with('{') {
            until = Some(format!("{}}}", indentation(line)));
            armed = false;
            out.push(String::new());
        } else {
            armed = trimmed == "#[cfg(test)]"
                || (armed && (trimmed.starts_with("#[") || trimmed.is_empty()));
            out.push(line.clone());
        }
    }
    out
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// Every function: its line, its name, how many lines it has.
pub fn functions(source: &Source) -> Vec<(usize, String, usize)> {
    // Tests count too, so that this looks at the raw lines.
    let mut found = Vec::new();
    for (number, line) in source.raw.iter().enumerate() {
        let Some((before, after)) = line.split_once("fn ") else { continue };
        let words = before.split_whitespace().all(|word| {
            ["pub", "const", "async", "unsafe", "extern", "\"C\""].contains(&word)
                || word.starts_with("pub(")
        });
        if !words || line.trim_end().ends_with([';', '}']) {
            continue;
        }
        let close = format!("{}}}", indentation(line));
        let rest = source.raw.iter().skip(number + 1);
        let length = rest.take_while(|line| line.trim_end() != close).count() + 2;
        let name = after.split(['(', '<']).next().unwrap_or_default();
        found.push((number + 1, name.to_string(), length));
    }
    found
}

/// Every function: its line, its name, how many parameters it has beside `self`.
pub fn parameters(source: &Source) -> Vec<(usize, String, usize)> {
    let text = blank(&source.raw.join("\n")).0.join("\n");
    let mut found = Vec::new();
    for (at, _) in text.match_indices("fn ") {
        let rest = &text[at + "fn ".len()..];
        let begins = at == 0 || text[..at].ends_with([' ', '\n']);
        let name: String =
            rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        let after = rest.get(name.len()..).unwrap_or_default();
        let list = if after.starts_with('<') {
            after.get(closing(after)..).unwrap_or_default()
        } else {
            after
        };
        if !begins || name.is_empty() || !list.starts_with('(') {
            continue;
        }
        let inside = list.get(1..closing(list).saturating_sub(1)).unwrap_or_default();
        let (mut depth, mut parts, mut before) = (0, vec![String::new()], ' ');
        for letter in inside.chars() {
            match letter {
                '(' | '[' | '{' | '<' => depth += 1,
                '>' if before == '-' => {}
                ')' | ']' | '}' | '>' => depth -= 1,
                _ => {}
            }
            if letter == ',' && depth == 0 {
                parts.push(String::new());
            } else {
                parts.last_mut().unwrap().push(letter);
            }
            before = letter;
        }
        let is_self = |part: &str| part == "self" || part.ends_with(" self") || part == "&self";
        let count = parts
            .iter()
            .map(|part| part.trim())
            .filter(|part| !part.is_empty() && !is_self(part))
            .count();
        found.push((text[..at].matches('\n').count() + 1, name, count));
    }
    found
}

/// Behind the bracket that closes the first one.
fn closing(text: &str) -> usize {
    let (mut depth, mut before) = (0, ' ');
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
        before = letter;
    }
    text.len()
}

/// Every room of our own that a line names: `crate::room`, `crate::{a, b::c}`, and `super::…` that
/// leaves its room.
pub fn imports(source: &Source) -> Vec<(usize, String)> {
    let text = source.code.join("\n");
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        found.extend(targets(&text, at + "crate::".len()));
    }
    let depth = source.module().len();
    for (at, _) in text.match_indices("super::") {
        let before = text[..at].matches("super::").count();
        let chained = (0..before)
            .rev()
            .take_while(|n| text[..at].ends_with(&"super::".repeat(before - n)))
            .count();
        let more = text[at + "super::".len()..].starts_with("super::");
        if !more && chained + 1 >= depth {
            found.extend(targets(&text, at + "super::".len()));
        }
    }
    found.sort();
    found.dedup();
    found.into_iter().map(|(at, target)| (text[..at].matches('\n').count() + 1, target)).collect()
}

/// The first names of the path, or of each path of the group, that begins here.
fn targets(text: &str, at: usize) -> Vec<(usize, String)> {
    let name = |from: usize| -> (usize, String) {
        let start = from + text[from..].len() - text[from..].trim_start().len();
        (start, text[start..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    };
    if !text[at..].starts_with('{') {
        return vec![name(at)];
    }
    let (mut depth, mut found) = (0, vec![name(at + 1)]);
    for (offset, letter) in text[at..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => found.push(name(at + offset + 1)),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}
