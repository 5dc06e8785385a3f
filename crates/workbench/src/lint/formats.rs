//! Owns the forms in which findings are printed: text, JSON, SARIF, JUnit, GitHub annotations,
//! and the list of lints.
//! Promises: every form has file, line, column, code, what, why and what to write; the same
//! findings give the same bytes.
//! Never decides what is a finding.

use serde_json::json;

use super::rules::RULES;
use super::Finding;
use crate::xml::{self, Case, Failure};

/// For people: place, line, caret, why, what to write.
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Finding { rule, file, line, column, width, what, text: source } = finding;
        let place = if *line == 0 { file.clone() } else { format!("{file}:{line}:{column}") };
        text.push_str(&format!("{place}: {} {}: {what}\n", rule.code, rule.name));
        if *line > 0 && !source.trim().is_empty() {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let before: String = source
                .chars()
                .take(usize::try_from(*column).unwrap_or(1).saturating_sub(1))
                .map(blank)
                .collect();
            let marks = "^".repeat(
                (*width)
                    .clamp(1, source.chars().count().saturating_sub(before.chars().count()).max(1)),
            );
            text.push_str(&format!(
                "  {number} | {}\n  {margin} | {before}{marks}\n",
                source.trim_end()
            ));
        }
        text.push_str(&format!("  why: {}\n  write: {}\n\n", rule.why, rule.instead));
    }
    match findings.len() {
        0 => text.push_str("No finding.\n"),
        1 => text.push_str("1 finding.\n"),
        count => text.push_str(&format!("{count} findings.\n")),
    }
    text
}

/// A tab stays one, so that the caret stands below its letter.
fn blank(letter: char) -> char {
    if letter == '\t' {
        '\t'
    } else {
        ' '
    }
}

/// One object a line.
pub fn json(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let object = json!({
            "code": finding.rule.code, "name": finding.rule.name, "file": finding.file, "line": finding.line, "column": finding.column,
            "width": finding.width, "what": finding.what, "why": finding.rule.why, "instead": finding.rule.instead,
        });
        format!("{object}\n")
    };
    findings.iter().map(line).collect()
}

/// SARIF 2.1.0.
pub fn sarif(findings: &[Finding]) -> String {
    let rules = RULES.iter().map(|rule| {
        json!({
            "id": rule.code, "name": rule.name, "shortDescription": { "text": rule.name.replace('-', " ") },
            "fullDescription": { "text": rule.why }, "help": { "text": format!("Write {}", rule.instead) },
        })
    });
    let results = findings.iter().map(|finding| {
        let region = json!({
            "startLine": finding.line.max(1), "startColumn": finding.column.max(1),
            "endColumn": finding.column.max(1) as usize + finding.width.max(1),
        });
        json!({
            "ruleId": finding.rule.code, "level": if finding.rule.code == "BM001" { "error" } else { "warning" },
            "message": { "text": format!("{}. {}. Write {}.", finding.what, finding.rule.why, finding.rule.instead) },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": finding.file }, "region": region } }],
        })
    });
    let driver = json!({ "name": "bootmigrate-workbench", "version": env!("CARGO_PKG_VERSION"), "rules": rules.collect::<Vec<_>>() });
    let run = json!({ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results.collect::<Vec<_>>() });
    let log = json!({ "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run] });
    format!("{log:#}\n")
}

/// One test case a finding; one that is well where there is none, since a suite without a case is
/// taken for one that did not run.
pub fn junit(findings: &[Finding]) -> String {
    let case = |finding: &Finding| {
        let Finding { rule, file, line, column, what, text, .. } = finding;
        Case {
            class: file.clone(),
            name: format!("{} {}, line {line}, column {column}", rule.code, rule.name),
            duration_ms: 0,
            end: Err(Failure {
                kind: rule.code.to_owned(),
                message: what.clone(),
                text: format!(
                    "{file}:{line}:{column}: {what}\n{text}\nwhy: {}\nwrite: {}",
                    rule.why, rule.instead
                ),
            }),
        }
    };
    let mut cases: Vec<Case> = findings.iter().map(case).collect();
    if cases.is_empty() {
        cases.push(Case {
            class: "migrations".to_owned(),
            name: "lint".to_owned(),
            duration_ms: 0,
            end: Ok("No finding.".to_owned()),
        });
    }
    xml::junit("lint", &cases)
}

/// `::warning file=…,line=…::…`, as a workflow of GitHub reads it.
pub fn github(findings: &[Finding]) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    let line = |finding: &Finding| {
        let level = if finding.rule.code == "BM001" { "error" } else { "warning" };
        let message =
            format!("{}. {}. Write {}.", finding.what, finding.rule.why, finding.rule.instead);
        let (line, column) = (finding.line.max(1), finding.column.max(1));
        let title = format!("{} {}", finding.rule.code, finding.rule.name);
        format!(
            "::{level} file={},line={line},col={column},title={}::{}\n",
            property(&finding.file),
            property(&title),
            escaped(&message)
        )
    };
    findings.iter().map(line).collect()
}

/// The list of lints as a Markdown table.
pub fn list() -> String {
    let rows = RULES.iter().map(|rule| {
        format!("| {} | {} | {} | {} |\n", rule.code, rule.name, rule.why, rule.instead)
    });
    format!(
        "| code | lint | why | write instead |\n|---|---|---|---|\n{}",
        rows.collect::<String>()
    )
}
