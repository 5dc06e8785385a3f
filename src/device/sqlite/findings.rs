//! Owns what the rows of `integrity_check` and `quick_check` mean, by SQLite's own words (3.53:
//! btree.c, pragma.c, fts3, fts5, rtree).
//! Promises: each row has one kind; what is not known is damage of a table, the kind that is never
//! repaired silently.
//! Never reads a database.

use std::collections::BTreeMap;

/// What a row of a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// A table's own pages or rows, or pages that two owners have: rows may be missing or wrong.
    Table,
    /// Pages or entries of an index alone: the table says what belongs into it.
    Index,
    /// The list of free pages or the pointer map: no row is in there.
    Space,
    /// A page that nothing refers to. Rows may be in it.
    Unused,
    /// A row that breaks a rule of the schema (NOT NULL, CHECK, type): the application's data, not
    /// damage of the file.
    Rule,
    /// What a virtual table's module says of its own content (FTS, R*Tree): not damage of the file.
    VirtualTable,
    /// Something of the application that this program does not have is needed to check it: not
    /// known to be damage.
    NotChecked,
    /// The check could not go on: a page is corrupt, and no row says whose.
    Stopped,
}

/// One row of a check, or one line of a row of many lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// The table, index or virtual table, where the row names one.
    pub object: Option<String>,
    /// SQLite's words.
    pub text: String,
}

/// An object of the schema that has pages: its name, and whether it is an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTree {
    /// Its name.
    pub name: String,
    /// It is an index; else a table.
    pub is_index: bool,
}

/// All that a check found; empty for a database in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Those that are damage of the file, in the check's order.
    pub fn damage(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.kind.is_damage())
    }

    /// The first that is damage of the file, in SQLite's words. An error that stopped the check
    /// says more than the rows before it.
    pub fn first_damage(&self) -> Option<&str> {
        let stopped = self.0.iter().find(|finding| finding.kind == FindingKind::Stopped);
        stopped.or(self.damage().next()).map(|finding| finding.text.as_str())
    }

    /// Those of this kind.
    pub fn of(&self, kind: FindingKind) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(move |finding| finding.kind == kind)
    }

    /// One is of this kind.
    pub fn has(&self, kind: FindingKind) -> bool {
        self.of(kind).next().is_some()
    }

    /// What is wrong is about indexes and free pages alone. A page that nothing refers to is one of
    /// those where one of their lists or trees is broken; else a table may have lost it. A check
    /// that could not go on says nothing of what it did not come to.
    pub fn tables_are_whole(&self) -> bool {
        let broken = |finding: &Finding| match finding.kind {
            FindingKind::Index => finding.text.starts_with("Tree "),
            kind => kind == FindingKind::Space,
        };
        let of_a_table = |finding: &Finding| {
            matches!(finding.kind, FindingKind::Table | FindingKind::Stopped)
                || finding.is_nobodys()
        };
        !self.0.iter().any(of_a_table)
            && (!self.has(FindingKind::Unused) || self.0.iter().any(broken))
    }

    /// Adds what one row says. `trees` are the schema's, by root page.
    pub fn add(&mut self, row: &str, trees: &BTreeMap<i64, NamedTree>) {
        match row.strip_prefix("*** in database ") {
            Some(block) => self.0.extend(block.lines().skip(1).map(|line| structure(line, trees))),
            None if row != "ok" => self.0.push(content(row)),
            None => {}
        }
    }

    /// What is no damage and worth knowing all the same, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let words = |finding: &Finding| match (finding.kind, &finding.object) {
            (FindingKind::VirtualTable, Some(name)) => Some(format!(
                "the virtual table {name} does not fit its content: {}",
                finding.text.replace('\n', "; ")
            )),
            (FindingKind::NotChecked, Some(name)) => {
                Some(format!("{name} was checked in part: {}", finding.text))
            }
            _ => None,
        };
        self.0.iter().filter_map(words).collect()
    }

    /// How an index is named that this program cannot compute.
    pub(super) fn index(name: &str) -> String {
        format!("index {name}")
    }

    /// What its entries are made with is here.
    pub(super) fn computes(&self, index: &str) -> bool {
        let name = Findings::index(index);
        !self.of(FindingKind::NotChecked).any(|finding| finding.object.as_deref() == Some(&name))
    }

    /// Adds a finding once.
    pub fn add_of(&mut self, kind: FindingKind, object: &str, text: &str) {
        let found = finding(kind, Some(object), text);
        if !self.0.contains(&found) {
            self.0.push(found);
        }
    }

    /// The words are a virtual table's own, whatever they look like.
    pub fn belongs_to(&mut self, virtual_table: &str, text: &str) {
        for finding in self.0.iter_mut().filter(|finding| finding.text == text) {
            (finding.kind, finding.object) =
                (FindingKind::VirtualTable, Some(virtual_table.to_owned()));
        }
    }

    /// Adds what SQLite does not count: a partial index with more entries than rows.
    pub fn add_too_many_entries(&mut self, index: &str) {
        self.0.push(finding(
            FindingKind::Index,
            Some(index),
            &format!("more entries than rows in the partial index {index}"),
        ));
    }

    /// Adds the error that stopped the check.
    pub fn add_stop(&mut self, cause: &str) {
        self.0.push(Finding { kind: FindingKind::Stopped, object: None, text: cause.to_owned() });
    }
}

impl Finding {
    /// A value that its column would have converted, whatever an application stored.
    fn is_nobodys(&self) -> bool {
        self.kind == FindingKind::Rule
            && ["NUMERIC value in ", "TEXT value in "]
                .iter()
                .any(|begin| self.text.starts_with(begin))
    }
}

impl FindingKind {
    /// The file is damaged.
    pub fn is_damage(self) -> bool {
        match self {
            FindingKind::Table
            | FindingKind::Index
            | FindingKind::Space
            | FindingKind::Unused
            | FindingKind::Stopped => true,
            FindingKind::Rule | FindingKind::VirtualTable | FindingKind::NotChecked => false,
        }
    }
}

fn finding(kind: FindingKind, object: Option<&str>, text: &str) -> Finding {
    Finding { kind, object: object.map(str::to_owned), text: text.to_owned() }
}

/// A line about pages.
fn structure(line: &str, trees: &BTreeMap<i64, NamedTree>) -> Finding {
    if let Some(rest) = line.strip_prefix("Tree ") {
        let root = rest.split(' ').next().and_then(|number| number.parse().ok());
        let tree: Option<&NamedTree> = root.and_then(|root: i64| trees.get(&root));
        let name = tree.map(|tree| tree.name.as_str());
        return match tree {
            _ if line.contains("ptr map entry") || line.contains("Failed to read ptrmap") => {
                finding(FindingKind::Space, None, line)
            }
            // The other owner may be a table, and which of the two is right is not known.
            _ if line.contains("2nd reference to page ") => finding(FindingKind::Table, name, line),
            Some(tree) if tree.is_index => finding(FindingKind::Index, name, line),
            _ => finding(FindingKind::Table, name, line),
        };
    }
    let space = [
        "Freelist: ",
        "max rootpage ",
        "incremental_vacuum enabled ",
        "Failed to read ptrmap ",
        "Bad ptr map entry ",
    ];
    if space.iter().any(|begin| line.starts_with(begin)) {
        return finding(FindingKind::Space, None, line);
    }
    let unused = line.starts_with("Page ") && line.ends_with(": never used");
    finding(if unused { FindingKind::Unused } else { FindingKind::Table }, None, line)
}

/// A row about rows, entries, or a virtual table.
fn content(row: &str) -> Finding {
    let after = |words: &str| row.split_once(words).map(|(_, name)| name);
    let rule =
        ["NULL value in ", "NUMERIC value in ", "TEXT value in ", "CHECK constraint failed in "];
    if rule.iter().any(|begin| row.starts_with(begin))
        || (row.starts_with("non-") && row.contains(" value in "))
    {
        return finding(FindingKind::Rule, after(" in "), row);
    }
    if let Some(index) = row
        .strip_prefix("wrong # of entries in index ")
        .or(row.strip_prefix("non-unique entry in index "))
    {
        return finding(FindingKind::Index, Some(index), row);
    }
    if row.starts_with("row ") || row.starts_with("rowid not at end-of-record ") {
        let words = [" missing from index ", " values differ from index ", " of index "];
        if let Some(index) = words.iter().find_map(|words| after(words)) {
            return finding(FindingKind::Index, Some(index), row);
        }
    }
    if let Some((index, _)) = row
        .strip_prefix("index ")
        .and_then(|rest| rest.split_once(" stores an imprecise floating-point value "))
    {
        return finding(FindingKind::Index, Some(index), row);
    }
    match virtual_table(row) {
        Some(name) => finding(FindingKind::VirtualTable, Some(name), row),
        None => {
            finding(FindingKind::Table, row.strip_prefix("row not in PRIMARY KEY order for "), row)
        }
    }
}

/// The name in `malformed inverted index for FTS5 table main.notes`, `In RTree main.places:`, and
/// their like.
fn virtual_table(row: &str) -> Option<&str> {
    let fts = ["malformed inverted index for FTS", "unable to validate the inverted index for FTS"];
    let name = match row.strip_prefix("In RTree ") {
        Some(rest) => rest,
        None => fts.iter().find_map(|begin| row.strip_prefix(begin))?.split_once(" table ")?.1,
    };
    let end = name.find([':', '\n']).unwrap_or(name.len());
    name.get(..end)?.split_once('.').map(|(_, name)| name)
}

/// An answer of a check.
#[derive(Debug)]
pub(super) struct Checked {
    /// Its rows.
    pub said: Vec<String>,
    /// What ended it early.
    pub stop: Option<rusqlite::Error>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(row: &str) -> Vec<(FindingKind, Option<String>)> {
        let tree = |name: &str, is_index| NamedTree { name: name.to_owned(), is_index };
        let trees = BTreeMap::from([(2, tree("t", false)), (3, tree("t_by_a", true))]);
        let mut findings = Findings::default();
        findings.add(row, &trees);
        findings.0.into_iter().map(|finding| (finding.kind, finding.object)).collect()
    }

    #[track_caller]
    fn check(row: &str, kind: FindingKind, object: Option<&str>) {
        assert_eq!(kinds(row), [(kind, object.map(str::to_owned))], "{row}");
    }

    #[test]
    fn entries_of_an_index_are_told_from_rows_of_a_table() {
        for row in [
            "wrong # of entries in index t_by_a",
            "non-unique entry in index t_by_a",
            "row 7 missing from index t_by_a",
            "row 7 values differ from index t_by_a",
            "rowid not at end-of-record for row 7 of index t_by_a",
            "index t_by_a stores an imprecise floating-point value for row 7",
        ] {
            check(row, FindingKind::Index, Some("t_by_a"));
        }
        check("row not in PRIMARY KEY order for t", FindingKind::Table, Some("t"));
        check("something that a later SQLite says", FindingKind::Table, None);
    }

    #[test]
    fn rules_and_virtual_tables_are_no_damage_of_the_file() {
        check("NULL value in t.a", FindingKind::Rule, Some("t.a"));
        check("NUMERIC value in t.a", FindingKind::Rule, Some("t.a"));
        check("TEXT value in t.a", FindingKind::Rule, Some("t.a"));
        check("non-INT value in t.a", FindingKind::Rule, Some("t.a"));
        check("CHECK constraint failed in t", FindingKind::Rule, Some("t"));
        check(
            "malformed inverted index for FTS5 table main.notes",
            FindingKind::VirtualTable,
            Some("notes"),
        );
        check(
            "unable to validate the inverted index for FTS4 table main.old: SQL logic error",
            FindingKind::VirtualTable,
            Some("old"),
        );
        check(
            "In RTree main.places:\nNode 3 missing from database",
            FindingKind::VirtualTable,
            Some("places"),
        );
        // An index whose name has the words of a rule is one all the same.
        check(
            "row 1 missing from index NULL value in t",
            FindingKind::Index,
            Some("NULL value in t"),
        );
    }

    #[test]
    fn tables_are_whole_only_where_the_check_came_to_its_end_and_nothing_speaks_against_it() {
        let whole = |rows: &[&str]| {
            let mut findings = Findings::default();
            rows.iter().for_each(|row| findings.add(row, &BTreeMap::new()));
            findings
        };
        let mut stopped = whole(&["wrong # of entries in index t_by_a"]);
        assert!(stopped.tables_are_whole());
        stopped.add_stop("database disk image is malformed (SQLite 11)");
        assert!(!stopped.tables_are_whole());
        // No application can store these: the page is another table's, or of another time.
        for row in ["NUMERIC value in t.a", "TEXT value in t.a"] {
            assert!(
                !whole(&["wrong # of entries in index t_by_a", row]).tables_are_whole(),
                "{row}"
            );
        }
        // These it can.
        for row in ["NULL value in t.a", "CHECK constraint failed in t", "non-INT value in t.a"] {
            assert!(
                whole(&["wrong # of entries in index t_by_a", row]).tables_are_whole(),
                "{row}"
            );
        }
    }

    #[test]
    fn a_structure_message_belongs_to_its_tree() {
        let block = |line: &str| format!("*** in database main ***\n{line}");
        check(
            &block("Tree 3 page 3 cell 1: Rowid 7 out of order"),
            FindingKind::Index,
            Some("t_by_a"),
        );
        check(
            &block("Tree 3 page 9: btreeInitPage() returns error code 11"),
            FindingKind::Index,
            Some("t_by_a"),
        );
        check(
            &block("Tree 2 page 9 right child: invalid page number 700"),
            FindingKind::Table,
            Some("t"),
        );
        check(&block("Tree 17 page 17: free space corruption"), FindingKind::Table, None);
        // Met in an index; its other owner may be a row.
        check(
            &block("Tree 3 page 3 cell 1: 2nd reference to page 8"),
            FindingKind::Table,
            Some("t_by_a"),
        );
        check(
            &block("Tree 2 page 2 cell 1: Bad ptr map entry key=5 expected=(5,2) got=(3,1)"),
            FindingKind::Space,
            None,
        );
        check(&block("Freelist: size is 3 but should be 4"), FindingKind::Space, None);
        check(&block("max rootpage (7) disagrees with header (6)"), FindingKind::Space, None);
        check(&block("Page 12: never used"), FindingKind::Unused, None);
        check(&block("Page 2: pointer map referenced"), FindingKind::Table, None);
        assert_eq!(
            kinds(&block("Page 12: never used\nTree 2 page 2: Extends off end of page")).len(),
            2
        );
        assert!(kinds("ok").is_empty());
    }
}
