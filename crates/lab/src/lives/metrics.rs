//! Owns the reading of `status --format prometheus`, by the grammar of the text exposition format
//! 0.0.4.
//! Promises: every line is a comment or a sample; what a label says is what `status --json` says.
//! Never calls the device's code.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reference::bad;
use crate::finding::Bad;
use crate::lives::promise;

/// A line that is no comment.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
}

/// The metrics after a run agree with the JSON document of the same time.
///
/// # Errors
/// The first line that cannot be read, or the first sentence that is another one.
pub fn metrics(text: &str, document: &Value) -> Result<(), Bad> {
    let mut failures = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let Some(sample) = sample(line) else {
            return bad(promise::SAYS, format!("no collector reads this metric: {line}"));
        };
        if sample.name == "bootmigrate_last_failure_info" {
            let of = |label: &str| sample.labels.get(label).cloned().unwrap_or_default();
            failures.insert(of("database"), of("sentence"));
        }
    }
    for one in document.get("databases").and_then(Value::as_array).into_iter().flatten() {
        let name = one.get("name").and_then(Value::as_str).unwrap_or_default();
        let wanted = one
            .pointer("/last_failure/sentence")
            .and_then(Value::as_str)
            .filter(|text| !text.chars().any(char::is_control));
        let said = failures.get(name);
        if wanted.is_some() && wanted != said.map(String::as_str) {
            return bad(
                promise::SAYS,
                format!("{name}: the last failure is {wanted:?}, and its metric says {said:?}"),
            );
        }
    }
    Ok(())
}

/// `name{label="value",…} number`; `None` for anything else.
fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = line.split_once('{')?;
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    loop {
        let (label, after) = rest.split_once("=\"")?;
        let (value, after) = value(after)?;
        labels.insert(label.to_owned(), value);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                after.strip_prefix("} ")?.parse::<f64>().ok()?;
                return Some(Sample { name: name.to_owned(), labels });
            }
        }
    }
}

/// Up to the quote that ends it, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                plain @ ('\\' | '"') => value.push(plain),
                _ => return None,
            },
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_at_its_own_quote() {
        let read =
            |line: &str| sample(line).map(|sample| sample.labels.into_values().collect::<Vec<_>>());
        assert_eq!(read(r#"m{a="x\"y",b="\\"} 1"#), Some(vec!["x\"y".to_owned(), "\\".to_owned()]));
        for wrong in [r#"m{a="x\\"y"} 1"#, r#"m{a="x\y"} 1"#, r#"m{a="x"} "#, "m 1", r#"m{a="x} 1"#]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
