//! Owns the fleet as one page: no script, no other file, readable on a phone and in print.
//! Promises: every name and sentence is escaped.
//! Never reaches for the network.

use std::collections::BTreeMap;

use super::tally::Tally;
use crate::list::grouped;
use crate::rehearse::{section, STYLE};
use crate::xml::escaped;

/// The page.
pub fn page(tally: &Tally) -> String {
    let (all, bad, lost) =
        (grouped(tally.devices), grouped(tally.not_usable), grouped(tally.data_loss));
    let summary = format!("{all} devices: {bad} not usable, {lost} lost data");
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Fleet: \
         {summary}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Fleet</h1>\n<p>{summary}.</p>\n"
    );
    if let Some(example) = &tally.unreadable_example {
        let count = grouped(tally.unreadable);
        page.push_str(&format!(
            "<p class=\"exceeded\">{count} files are no report, the first of them {}</p>\n",
            escaped(example)
        ));
    }
    let firmware = tally.by_firmware.iter().map(|(name, of)| {
        let numbers = [of.devices, of.not_usable, of.data_loss]
            .map(|number| format!("<td class=\"number\">{}</td>", grouped(number)));
        format!("<tr><td>{}</td>{}</tr>\n", escaped(name), numbers.concat())
    });
    let head = "<th>firmware</th><th class=\"number\">devices</th><th class=\"number\">not \
                usable</th><th class=\"number\">lost data</th>";
    page.push_str(&section("By firmware", head, &firmware.collect::<String>()));
    for (title, table) in
        [("outcome", &tally.by_outcome), ("version", &tally.by_version), ("cause", &tally.by_cause)]
    {
        for (database, counts) in table {
            page.push_str(&bars(&format!("{}, by {title}", escaped(database)), title, counts));
        }
    }
    let troubles = tally.worst().into_iter().map(|(code, trouble)| {
        let sentence = format!(
            "<td class=\"said\"><code>{}</code><br>{}</td>",
            escaped(code),
            escaped(&trouble.sentence)
        );
        format!(
            "<tr><td class=\"number\">{}</td>{sentence}<td class=\"file\">{}</td></tr>\n",
            grouped(trouble.devices),
            escaped(&trouble.example)
        )
    });
    let troubles: String = troubles.collect();
    if !troubles.is_empty() {
        page.push_str(&section(
            "Troubles",
            "<th class=\"number\">devices</th><th>what</th><th>first in</th>",
            &troubles,
        ));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn bars(title: &str, what: &str, counts: &BTreeMap<String, u64>) -> String {
    let all = counts.values().sum::<u64>().max(1);
    let rows = counts.iter().map(|(name, count)| {
        let share = *count as f64 * 100.0 / all as f64;
        let color = if ["quiet", "migrated", "created", "adopted", "compatible"]
            .contains(&name.as_str())
            || what == "version"
        {
            ""
        } else {
            " refused"
        };
        let bar = format!(
            "<td style=\"width:40%\"><span class=\"bar{color}\" \
             style=\"width:{share:.1}%\"></span></td>"
        );
        format!(
            "<tr><td>{}</td><td class=\"number\">{}</td>{bar}</tr>\n",
            escaped(name),
            grouped(*count)
        )
    });
    section(
        title,
        &format!("<th>{what}</th><th class=\"number\">devices</th><th></th>"),
        &rows.collect::<String>(),
    )
}
