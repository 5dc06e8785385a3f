//! Owns the reading of docs/failures.md: one row a situation, one line of a row a way it ends.
//! Promises: a table that cannot be read is said with its line; cells that belong together have as
//! many lines.
//! Never looks at a device: the integration tests observe, and `examples/failure_rows.rs` prints.

use std::fmt::Write;

/// What stands in the exit cell of a line that this release does not do.
pub const NOT_YET: &str = "not yet";
/// Separates the lines of a row inside one cell.
const BREAK: &str = "<br>";
/// Cells of a row: number, situation, what is done, exit, sentence, database, names.
const CELLS: usize = 7;

/// One situation.
#[derive(Debug, Clone)]
pub struct Row {
    /// From 1.
    pub number: usize,
    /// What happens to the device.
    pub situation: String,
    /// The ways it ends.
    pub lines: Vec<Line>,
}

/// One way a situation ends; also what a test has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Exit code, `cut, then 0`, or [`NOT_YET`].
    pub exit: String,
    /// What is said; in the document `…` stands for anything.
    pub said: String,
    /// Which database stands under the name afterwards.
    pub database: String,
    /// Names that the run changed.
    pub changed: String,
}

impl Line {
    /// This release does not do it.
    pub fn is_not_yet(&self) -> bool {
        self.exit == NOT_YET
    }

    /// What was seen is what this line of the document says.
    pub fn fits(&self, seen: &Line) -> bool {
        self.exit == seen.exit
            && said(&self.said, &seen.said)
            && self.database == seen.database
            && self.changed == seen.changed
    }
}

/// The pieces between `…` stand in the text, in their order.
fn said(pattern: &str, text: &str) -> bool {
    let text = text.replace('`', "");
    let mut rest = text.as_str();
    pattern.split('…').map(str::trim).filter(|piece| !piece.is_empty()).all(|piece| {
        match rest.find(piece) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        }
    })
}

/// Every row of the document, in its order.
///
/// # Errors
/// The line that cannot be read, and why.
pub fn read(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").map(str::trim).collect();
        let Some(Ok(number)) = cells.first().map(|cell| cell.parse::<usize>()) else { continue };
        let wrong = |what: &str| format!("docs/failures.md:{}: row {number}: {what}", index + 1);
        if cells.len() != CELLS {
            return Err(wrong(&format!("{} cells, not {CELLS}", cells.len())));
        }
        if number != rows.len() + 1 {
            return Err(wrong("its number is not the next one"));
        }
        let columns: Vec<Vec<&str>> =
            cells[3..].iter().map(|cell| cell.split(BREAK).map(str::trim).collect()).collect();
        if columns.iter().any(|column| column.len() != columns[0].len()) {
            return Err(wrong("exit, sentence, database and names do not have as many lines"));
        }
        let line = |at: usize| Line {
            exit: columns[0][at].into(),
            said: columns[1][at].replace('`', ""),
            database: columns[2][at].into(),
            changed: columns[3][at].into(),
        };
        let lines: Vec<Line> = (0..columns[0].len()).map(line).collect();
        if lines
            .iter()
            .any(|line| !line.is_not_yet() && line.said.replace('…', "").trim().is_empty())
        {
            return Err(wrong("a sentence that fits everything"));
        }
        rows.push(Row { number, situation: cells[1].into(), lines });
    }
    Ok(rows)
}

/// One observed line, as the file of a row keeps it.
pub fn write_line(seen: &Line) -> String {
    let mut text = String::new();
    for field in [&seen.exit, &seen.said, &seen.database, &seen.changed] {
        let _ = writeln!(text, "{}", field.replace('\n', " "));
    }
    text
}

/// What [`write_line`] has written, all lines of a row.
pub fn read_lines(text: &str) -> Vec<Line> {
    let fields: Vec<&str> = text.lines().collect();
    let line = |four: &[&str]| Line {
        exit: four[0].into(),
        said: four[1].into(),
        database: four[2].into(),
        changed: four[3].into(),
    };
    fields.chunks_exact(4).map(line).collect()
}
