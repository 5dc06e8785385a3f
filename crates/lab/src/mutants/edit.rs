//! Owns the form of a mutant: in which function of which file, which text is replaced by which.
//! Promises: white space, comments and the comma before a closing bracket do not count; the text
//! must be there exactly once.
//! Never guesses: what does not fit is an error that names the place.

use std::fmt::Write as _;

/// One change of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// From the tree's root.
    pub file: String,
    /// Where the text is to be found; without it, in the whole file.
    pub function: Option<String>,
    old: String,
    new: String,
}

/// The edits of a mutant. Each begins with `in FILE` or `in FILE fn NAME`; the lines below are
/// those of a diff: `-` is taken away, `+` put in, and what begins with a space is in both.
pub fn edits(text: &str) -> Vec<Edit> {
    let mut found: Vec<Edit> = Vec::new();
    for line in text.lines() {
        if let Some(place) = line.strip_prefix("in ") {
            let (file, function) =
                place.split_once(" fn ").map_or((place, None), |(file, name)| (file, Some(name)));
            let (file, function) =
                (file.trim().to_owned(), function.map(|name| name.trim().to_owned()));
            found.push(Edit { file, function, old: String::new(), new: String::new() });
        } else if let Some(edit) = found.last_mut() {
            let (kind, rest) = line.split_at(line.len().min(1));
            for (wanted, side) in [("-", &mut edit.old), ("+", &mut edit.new)] {
                if kind == wanted || kind == " " {
                    let _ = writeln!(side, "{rest}");
                }
            }
        }
    }
    found
}

impl Edit {
    /// The file's text with this edit.
    ///
    /// # Errors
    /// There is no such function, or the text is not there exactly once.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let place = || {
            format!(
                "{}{}",
                self.file,
                self.function.as_ref().map_or(String::new(), |name| format!(" fn {name}"))
            )
        };
        let regions = match &self.function {
            Some(name) => functions(text, name),
            None => vec![(0, text.len())],
        };
        let wanted: String = significant(&self.old).into_iter().map(|(_, letter)| letter).collect();
        if wanted.is_empty() {
            return Err(format!("{}: no text is named", place()));
        }
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (begin, end) in &regions {
            let letters = significant(&text[*begin..*end]);
            let region: String = letters.iter().map(|(_, letter)| letter).collect();
            for (at, _) in region.match_indices(&wanted) {
                let first = region[..at].chars().count();
                let last = first + wanted.chars().count() - 1;
                found.push((
                    begin + letters[first].0,
                    begin + letters[last].0 + letters[last].1.len_utf8(),
                ));
            }
        }
        match found.as_slice() {
            _ if regions.is_empty() => Err(format!("{}: there is no such function", place())),
            [(begin, end)] => {
                // A comma that the formatter put before a closing bracket is not part of the text,
                // nor left alone behind it.
                let rest = text[*end..]
                    .strip_prefix(',')
                    .filter(|_| self.old.trim_end().ends_with(','))
                    .unwrap_or(&text[*end..]);
                Ok(format!("{}{}{rest}", &text[..*begin], self.new.trim()))
            }
            [] => Err(format!("{}: the text is not there", place())),
            more => Err(format!("{}: the text is there {} times", place(), more.len())),
        }
    }
}

/// The bytes of each function of this name, from its first line to the bracket that ends it. The
/// tree is formatted.
fn functions(text: &str, name: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut begin = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let indent = &line[..line.len() - line.trim_start().len()];
        let named =
            |rest: &str| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with(['(', '<']));
        if begin.is_none() && !line.trim_start().starts_with("//") {
            begin = line
                .match_indices("fn ")
                .any(|(fun, _)| named(&line[fun + 3..]))
                .then_some((at, indent));
        }
        at += line.len();
        if let Some((from, _)) = begin.filter(|(_, outer)| {
            line.starts_with(&format!("{outer}}}"))
                || line.trim_end().ends_with(" }") && indent == *outer
        }) {
            found.push((from, at));
            begin = None;
        }
    }
    found
}

/// The letters that count, each with where it stands.
fn significant(text: &str) -> Vec<(usize, char)> {
    let mut letters: Vec<(usize, char)> = Vec::new();
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        if !whole.trim_start().starts_with("//") {
            // A string goes on in the next line.
            let line = whole.trim_end().strip_suffix('\\').unwrap_or(whole);
            for (offset, letter) in
                line.char_indices().filter(|(_, letter)| !letter.is_whitespace())
            {
                if matches!(letter, ')' | ']' | '}')
                    && letters.last().is_some_and(|(_, last)| *last == ',')
                {
                    letters.pop();
                }
                letters.push((at + offset, letter));
            }
        }
        at += whole.len();
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "fn a() {\n    f(one, two);\n}\n\nimpl B {\n    fn c(&self) -> u8 \
                        {\n        f(one, two);\n        // Why.\n        g(1);\n    }\n}\n";

    fn only(mutant: &str) -> Edit {
        let found = edits(mutant);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    #[test]
    fn the_text_of_one_function_is_replaced() {
        let edit = only("test: x\n\nin src/b.rs fn c\n-f(one, two);\n+f(two);\n g(1);\n");
        assert_eq!((edit.file.as_str(), edit.function.as_deref()), ("src/b.rs", Some("c")));
        let made = edit.apply(FILE).unwrap();
        assert!(
            made.contains("f(two);\ng(1);\n    }")
                && made.starts_with("fn a() {\n    f(one, two);"),
            "{made}"
        );
    }

    #[test]
    fn how_the_text_is_broken_into_lines_does_not_count() {
        let broken = FILE.replace(
            "    fn c(&self) -> u8 {\n        f(one, two);",
            "    fn c(&self) -> u8 {\n        f(\n            one,\n            two,\n        );",
        );
        let edit = only("in src/b.rs fn c\n-f(one, two);\n+h();\n");
        assert!(edit.apply(&broken).unwrap().contains("h();\n        // Why."));
        let edit = only("in src/b.rs fn c\n-f(\n-    one,\n-    two,\n-);\n+h();\n");
        assert!(edit.apply(FILE).unwrap().contains("h();\n        // Why."));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let error = |mutant: &str| only(mutant).apply(FILE).unwrap_err();
        assert!(error("in src/b.rs fn d\n-g(1);\n").contains("no such function"));
        assert!(error("in src/b.rs fn a\n-g(1);\n").contains("not there"));
        assert!(error("in src/b.rs\n-f(one, two);\n").contains("2 times"));
        assert!(error("in src/b.rs fn a\n+f(one, two);\n").contains("no text"));
    }

    /// A bug that no longer fits is one that nobody looks for any more.
    #[test]
    fn mutants_fit_the_sources() {
        let lab = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = lab.ancestors().nth(2).unwrap();
        let (mut fitted, mut wrong) = (0, Vec::new());
        for entry in std::fs::read_dir(lab.join("mutants")).unwrap() {
            let path = entry.unwrap().path();
            let found = edits(&std::fs::read_to_string(&path).unwrap());
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let fits = |edit: &Edit| {
                let text = std::fs::read_to_string(root.join(&edit.file)).unwrap();
                edit.apply(&text).and_then(|made| match made == text {
                    true => Err("changes nothing".into()),
                    false => Ok(()),
                })
            };
            fitted += usize::from(!found.is_empty());
            let errors = found.iter().filter_map(|edit| fits(edit).err());
            wrong.extend(errors.map(|error| format!("{name}: {error}")));
        }
        assert_eq!(wrong, Vec::<String>::new());
        assert!(fitted > 70, "{fitted} mutants");
    }
}
