//! Owns a schema as a picture: a box a table, a line a reference, parents to the left of their
//! children.
//! Promises: an SVG without a script or another file; the same schema gives the same bytes.
//! Never places a table by chance.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{Model, Table};
use crate::xml::escaped;

/// Of one letter, one line, and between boxes.
const LETTER: usize = 8;
const LINE: usize = 20;
const GAP: usize = 60;
const MARGIN: usize = 12;

/// Where a table is drawn.
#[derive(Clone, Copy)]
struct Place {
    x: usize,
    y: usize,
    width: usize,
}

/// The picture.
pub fn svg(model: &Model, title: &str) -> String {
    let (places, width, height) = places(model);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>{}</title>\n<style>text {{ font: 13px monospace; fill: #222 }} .name {{ \
         font-weight: bold }} .kind {{ fill: #777 }} rect {{ fill: #fff; stroke: #888 }} .head {{ \
         fill: #e8eef4 }} path {{ fill: none; stroke: #47a }}</style>\n",
        escaped(title)
    );
    for table in &model.tables {
        lines(model, table, &places, &mut text);
    }
    for table in &model.tables {
        if let Some(place) = places.get(table.name.as_str()) {
            draw(table, *place, &mut text);
        }
    }
    text.push_str("</svg>\n");
    text
}

/// One more than its farthest parent's; a circle ends at the number of tables.
fn levels(model: &Model) -> BTreeMap<&str, usize> {
    let mut levels: BTreeMap<&str, usize> =
        model.tables.iter().map(|table| (table.name.as_str(), 0)).collect();
    for _ in 0..model.tables.len().min(8) {
        for table in &model.tables {
            let parents = table
                .foreign_keys
                .iter()
                .filter(|key| !key.parent.eq_ignore_ascii_case(&table.name));
            let parents = parents
                .filter_map(|key| model.table(&key.parent))
                .filter_map(|parent| levels.get(parent.name.as_str()));
            let level = parents.max().map_or(0, |level| level + 1).min(8);
            levels.insert(&table.name, level);
        }
    }
    levels
}

fn width(table: &Table) -> usize {
    let of_column = table
        .columns
        .iter()
        .map(|column| column.name.chars().count() + column.kind.chars().count() + 3);
    of_column.chain([table.name.chars().count()]).max().unwrap_or(0) * LETTER + 2 * MARGIN
}

fn height(table: &Table) -> usize {
    (table.columns.len() + 1) * LINE + MARGIN / 2
}

/// Every table's place, and the size of the whole.
fn places(model: &Model) -> (BTreeMap<&str, Place>, usize, usize) {
    let levels = levels(model);
    let (mut places, mut x, mut highest) = (BTreeMap::new(), MARGIN, MARGIN);
    for level in 0..=levels.values().copied().max().unwrap_or(0) {
        let here: Vec<&Table> = model
            .tables
            .iter()
            .filter(|table| levels.get(table.name.as_str()) == Some(&level))
            .collect();
        let widest = here.iter().map(|table| width(table)).max().unwrap_or(0);
        let mut y = MARGIN;
        for table in here {
            places.insert(table.name.as_str(), Place { x, y, width: width(table) });
            y += height(table) + LINE;
        }
        highest = highest.max(y);
        x += widest + if widest > 0 { GAP } else { 0 };
    }
    (places, x, highest)
}

fn draw(table: &Table, Place { x, y, width }: Place, text: &mut String) {
    let _ = writeln!(
        text,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\"/>",
        height(table)
    );
    let _ = writeln!(
        text,
        "<rect class=\"head\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{LINE}\"/>"
    );
    let _ = writeln!(
        text,
        "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>",
        x + MARGIN,
        y + 15,
        escaped(&table.name)
    );
    for (number, column) in (1..).zip(&table.columns) {
        let key = if column.key > 0 { "* " } else { "" };
        let kind = format!("<tspan class=\"kind\"> {}</tspan>", escaped(&column.kind));
        let y = y + number * LINE + 16;
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{y}\">{key}{}{kind}</text>",
            x + MARGIN,
            escaped(&column.name)
        );
    }
}

/// From each reference's column to its parent's box.
fn lines(model: &Model, table: &Table, places: &BTreeMap<&str, Place>, text: &mut String) {
    for key in &table.foreign_keys {
        let parent = model.table(&key.parent).and_then(|parent| places.get(parent.name.as_str()));
        let (Some(from), Some(to)) = (places.get(table.name.as_str()), parent) else { continue };
        let column = table.columns.iter().position(|column| {
            key.columns.iter().any(|name| name.eq_ignore_ascii_case(&column.name))
        });
        let (x, y) = (from.x, from.y + (column.unwrap_or(0) + 1) * LINE + 12);
        let (to_x, to_y) = (to.x + to.width, to.y + LINE / 2);
        let half = GAP / 2;
        let _ = writeln!(
            text,
            "<path d=\"M{x} {y} C{} {y} {} {to_y} {to_x} {to_y}\"/>",
            x.saturating_sub(half),
            to_x + half
        );
    }
}
