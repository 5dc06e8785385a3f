//! Owns the report as one page: no script, no other file, readable on a phone and in print.
//! Promises: every name and sentence is escaped; every database is a point of a chart, or counted.
//! Never reaches for the network.

use std::collections::BTreeMap;

use super::record::{Kind, Record};
use super::report::{bytes, counts, versions, worst, MEASURES};
use crate::xml::escaped;

/// Of every page.
pub const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(records: &[Record], remarks: &[String]) -> String {
    let wrong = records.iter().filter(|record| record.is_failure()).count();
    let summary = format!("{} databases, {wrong} failed", records.len());
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Rehearsal: \
         {summary}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Rehearsal</h1>\n<p>{summary}.</p>\n"
    );
    for line in remarks {
        page.push_str(&format!("<p class=\"exceeded\">{}</p>\n", escaped(line)));
    }
    page.push_str(&outcomes(records));
    page.push_str(&by_version(records));
    page.push_str(&by_migration(records));
    page.push_str(&chart(
        "Time against size",
        records,
        |record| record.duration_ms,
        |value| format!("{value} ms"),
    ));
    page.push_str(&chart(
        "Space beside the database against size",
        records,
        |record| record.space_bytes,
        bytes,
    ));
    for (name, of, shown) in MEASURES {
        let rows = worst(records, of).into_iter().map(|record| {
            let cells = format!(
                "<td class=\"number\">{}</td><td class=\"number\">{}</td>",
                shown(of(record)),
                bytes(record.bytes)
            );
            format!(
                "<tr>{cells}<td class=\"short\">{}</td><td class=\"file\">{}</td></tr>\n",
                versions(record),
                escaped(&record.file)
            )
        });
        let rows: String = rows.collect();
        if !rows.is_empty() {
            let head = "<th class=\"number\">value</th><th \
                        class=\"number\">size</th><th>version</th><th>database</th>";
            page.push_str(&section(&format!("Worst by {name}"), head, &rows));
        }
    }
    page.push_str(&wrongs(records));
    page.push_str("</body>\n</html>\n");
    page
}

/// A heading and a table.
pub fn section(title: &str, head: &str, rows: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n<div \
             class=\"table\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n")
}

fn outcomes(records: &[Record]) -> String {
    let mut rows = String::new();
    for (kind, outcomes) in counts(records) {
        for (outcome, count) in outcomes {
            let share = count as f64 * 100.0 / records.len().max(1) as f64;
            rows.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td class=\"number\">{count}</td><td \
                 style=\"width:40%\"><span class=\"bar {}\" \
                 style=\"width:{share:.1}%\"></span></td></tr>\n",
                kind.word(),
                escaped(&outcome),
                kind.word()
            ));
        }
    }
    section(
        "Outcomes",
        "<th>kind</th><th>outcome</th><th class=\"number\">count</th><th></th>",
        &rows,
    )
}

/// Database, version before, version after.
type Step<'a> = (Option<&'a str>, Option<i64>, Option<i64>);

fn by_version(records: &[Record]) -> String {
    let mut groups: BTreeMap<Step<'_>, Vec<&Record>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind == Kind::Well) {
        groups
            .entry((record.database.as_deref(), record.from, record.version))
            .or_default()
            .push(record);
    }
    let mut rows = String::new();
    for ((database, ..), group) in groups {
        let times: Vec<u64> = group.iter().map(|record| record.duration_ms).collect();
        let lost: i64 = group.iter().map(|record| record.rows_lost).sum();
        rows.push_str(&format!(
            "<tr><td>{}</td><td class=\"short\">{}</td>{}<td class=\"number\">{lost}</td></tr>\n",
            escaped(database.unwrap_or_default()),
            group.first().map(|record| versions(record)).unwrap_or_default(),
            spread(times)
        ));
    }
    let head = format!("<th>database</th><th>version</th>{SPREAD}<th class=\"number\">lost</th>");
    section("By version, of those that are well", &head, &rows)
}

fn by_migration(records: &[Record]) -> String {
    let mut groups: BTreeMap<(&str, i64), Vec<u64>> = BTreeMap::new();
    for record in records {
        for (version, time) in &record.migrations {
            let database = record.database.as_deref().unwrap_or_default();
            groups.entry((database, *version)).or_default().push(*time);
        }
    }
    let rows = groups.into_iter().map(|((database, version), times)| {
        format!("<tr><td>{}</td><td>V{version}</td>{}</tr>\n", escaped(database), spread(times))
    });
    let rows: String = rows.collect();
    if rows.is_empty() {
        return rows;
    }
    section("By migration", &format!("<th>database</th><th>migration</th>{SPREAD}"), &rows)
}

/// The heads of what `spread` writes.
const SPREAD: &str = "<th class=\"number\">count</th><th class=\"number\">median</th><th \
                      class=\"number\">longest</th>";

/// How many, the one in the middle, and the longest.
fn spread(mut times: Vec<u64>) -> String {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    let cell = |text: String| format!("<td class=\"number\">{text}</td>");
    [times.len().to_string(), format!("{median} ms"), format!("{longest} ms")].map(cell).concat()
}

/// Points with both scales logarithmic. Of two points at one place, one is drawn.
fn chart(
    title: &str,
    records: &[Record],
    of: fn(&Record) -> u64,
    shown: fn(u64) -> String,
) -> String {
    let points: Vec<(u64, u64, bool)> = records
        .iter()
        .filter(|record| record.kind != Kind::Unclear)
        .map(|record| (record.bytes.max(1), of(record).max(1), record.is_failure()))
        .collect();
    let range = |values: &dyn Fn(&(u64, u64, bool)) -> u64| {
        let lowest = points.iter().map(values).min().unwrap_or(1);
        let highest = points.iter().map(values).max().unwrap_or(1);
        (lowest, highest.max(lowest + 1))
    };
    let ((left, right), (bottom, top)) = (range(&|point| point.0), range(&|point| point.1));
    let (width, height, margin) = (640.0, 280.0, 100.0);
    let scaled = |value: u64, (low, high): (u64, u64)| {
        ((value as f64).ln() - (low as f64).ln()) / ((high as f64).ln() - (low as f64).ln())
    };
    let mut drawn: BTreeMap<(i64, i64), bool> = BTreeMap::new();
    for (size, value, wrong) in &points {
        let x = margin + scaled(*size, (left, right)) * (width - margin - 20.0);
        let y = height - 30.0 - scaled(*value, (bottom, top)) * (height - 50.0);
        *drawn.entry((x.round() as i64, y.round() as i64)).or_default() |= wrong;
    }
    let circles = drawn.iter().map(|((x, y), wrong)| {
        format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\"{}/>\n",
            if *wrong { " class=\"wrong\"" } else { "" }
        )
    });
    let circles: String = circles.collect();
    let text = |x: f64, y: f64, anchor: &str, text: String| {
        format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>\n", escaped(&text))
    };
    let labels = [
        text(margin, height - 8.0, "start", bytes(left)),
        text(width - 20.0, height - 8.0, "end", bytes(right)),
        text(margin - 6.0, height - 30.0, "end", shown(bottom)),
        text(margin - 6.0, 24.0, "end", shown(top)),
    ];
    let axes = format!(
        "<line x1=\"{margin}\" y1=\"{0}\" x2=\"{1}\" y2=\"{0}\"/>\n<line x1=\"{margin}\" y1=\"14\" \
         x2=\"{margin}\" y2=\"{0}\"/>\n",
        height - 26.0,
        width - 14.0
    );
    format!(
        "<section>\n<h2>{title}</h2>\n<svg viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{title}\">\n{axes}{circles}{}</svg>\n</section>\n",
        labels.concat()
    )
}

fn wrongs(records: &[Record]) -> String {
    let mut rows = String::new();
    let mut wrong: Vec<&Record> =
        records.iter().filter(|record| !record.wrongs().is_empty()).collect();
    wrong.sort_by_key(|record| (!record.is_failure(), std::cmp::Reverse(record.kind)));
    for record in wrong {
        let sentences: Vec<String> = record.wrongs().iter().map(|wrong| escaped(wrong)).collect();
        rows.push_str(&format!(
            "<tr><td class=\"file\">{}</td><td>{}</td><td \
             class=\"said\">{}<br><code>{}</code></td></tr>\n",
            escaped(&record.file),
            record.kind.word(),
            sentences.join("<br>"),
            escaped(&record.reproduce)
        ));
    }
    if rows.is_empty() {
        return String::new();
    }
    section(
        "Not well",
        "<th>database</th><th>kind</th><th>what was said, and the same again</th>",
        &rows,
    )
}
