//! Owns the comment's text: a heading with the verdict, a table, and what a reviewer unfolds.
//! Promises: begins with a mark by which a later comment replaces it; no name or sentence can break
//! the table.
//! Never decides what is good.

use super::measured::{Measured, Previous};
use super::Change;
use crate::list::grouped;
use crate::rehearse::bytes;

/// What packaging/ci looks for.
const MARK: &str = "<!-- bootmigrate-certificate -->";

/// The whole comment.
pub fn comment(changes: &[Change<'_>]) -> String {
    let good = changes.iter().all(Change::is_good);
    let mut text = format!(
        "{MARK}\n## bootmigrate: {}\n",
        if good {
            "this change is fit for devices"
        } else {
            "look at this change before it reaches a device"
        }
    );
    for change in changes {
        text.push_str(&one(change));
    }
    text.push_str("\nMade by `bootmigrate-workbench certificate`.\n");
    text
}

fn one(change: &Change<'_>) -> String {
    let (from, to, name) = (change.from, change.to, &change.database.name);
    let title =
        if from == 0 { format!("first boot to V{to}") } else { format!("V{from} to V{to}") };
    let mut text =
        format!("\n### {} `{name}`: {title}\n\n| | |\n|---|---|\n", mark(change.is_good()));
    for (what, is) in rows(change) {
        text.push_str(&format!("| {what} | {} |\n", is.replace('|', "\\|").replace('\n', " ")));
    }
    let schema: String =
        change.schema.iter().map(|line| format!("{}\n", line.replacen('~', "!", 1))).collect();
    text.push_str(&format!(
        "\n<details><summary>Schema: {} changes</summary>\n\n```diff\n{schema}```\n\n</details>\n",
        change.schema.len()
    ));
    if !change.findings.is_empty() {
        let line = |finding: &&crate::lint::Finding| {
            format!(
                "- `{}:{}` {} {}: {}\n",
                finding.file, finding.line, finding.rule.code, finding.rule.name, finding.what
            )
        };
        let lines: String = change.findings.iter().map(line).collect();
        text.push_str(&format!(
            "\n<details open><summary>Lints: {}</summary>\n\n{lines}\n</details>\n",
            change.findings.len()
        ));
    }
    text
}

fn mark(good: bool) -> &'static str {
    if good {
        "✅"
    } else {
        "❌"
    }
}

/// The table's lines.
fn rows(change: &Change<'_>) -> Vec<(&'static str, String)> {
    let (safe, all, judged) = change.cuts;
    let rest = if judged { "" } else { "; not every upgrade could be judged" };
    let safe = format!(
        "{} safe at {} of {} instants{rest}",
        mark(safe == all && judged),
        grouped(safe),
        grouped(all)
    );
    let mut rows = vec![("Power cuts", safe)];
    match &change.measured {
        Err(why) => rows.push(("Upgrade with rows", format!("not tried: {why}"))),
        Ok(measured) => rows.extend(of_upgrade(measured)),
    }
    let lints = match change.findings.len() {
        0 => "✅ no finding".to_owned(),
        count => format!("❌ {count}, below"),
    };
    rows.push(("Lints", lints));
    rows
}

fn of_upgrade(measured: &Measured) -> Vec<(&'static str, String)> {
    let Measured { record, rows: each, previous } = measured;
    let boot = if measured.is_good() {
        format!("✅ {}", record.sentence)
    } else {
        format!("❌ {}", record.wrongs().join("; "))
    };
    let shown =
        |count: &Option<i64>| count.map_or("no table".to_owned(), |count| count.to_string());
    let tables: Vec<String> = record
        .tables
        .iter()
        .map(|(table, [old, new])| format!("{table}: {} → {}", shown(old), shown(new)))
        .collect();
    let lost = if record.rows_lost > 0 {
        format!("⚠️ {} rows fewer; ", record.rows_lost)
    } else {
        String::new()
    };
    let tables = if tables.is_empty() {
        "every table keeps its number of rows".to_owned()
    } else {
        tables.join(", ")
    };
    let previous = match previous {
        Previous::Starts(how) => format!("✅ starts: {how}"),
        Previous::Loses(how) => format!("⚠️ starts, with a loss: {how}"),
        Previous::Refuses(why) => format!("⚠️ does not start: {why}"),
        Previous::NotTried(why) => format!("not tried, since there is no upgrade: {why}"),
    };
    let factor = |part: u64| part as f64 / record.bytes.max(1) as f64;
    let written = record
        .written_bytes
        .map_or("not known".to_owned(), |written| format!("{:.1} times", factor(written)));
    vec![
        ("Upgrade with rows", format!("{boot} ({each} rows a table, {})", bytes(record.bytes))),
        ("Rows", format!("{lost}{tables}")),
        ("The release before on the result", previous),
        ("Space beside the database", format!("{:.1} times its size", factor(record.space_bytes))),
        ("Written to storage", format!("{written} its size")),
        ("Time on this machine", format!("{} ms", record.duration_ms)),
    ]
}
