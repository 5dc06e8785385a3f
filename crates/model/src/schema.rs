//! Owns what a schema consists of, read from an open connection, and how two schemas differ.
//! Promises: compares structure, not text: what ALTER TABLE, quotes, letters' case, comments or
//! another place for the same constraint change is equal.
//! Never reads a row of a user's table, and knows no version.

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rusqlite::types::ValueRef;
use rusqlite::Connection;

use text::{
    balanced, body, column_clauses, columns_of_view, constraint_clauses, index_clauses, is_virtual,
    items, join, tokens, tokens_among, where_they_part,
};

/// Tables, columns, constraints, indexes, views and triggers, each under a name such as `column
/// wifi.ssid`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    parts: BTreeMap<String, Part>,
    /// The columns of each table in their order, in small letters.
    order: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone)]
struct Part {
    /// Its name with the letters it was written with.
    shown: String,
    /// The object that it belongs to: `table wifi`.
    object: String,
    /// What it is, by tokens.
    text: String,
}

/// How letters are written is no difference.
impl PartialEq for Part {
    fn eq(&self, other: &Part) -> bool {
        (&self.object, &self.text) == (&other.object, &other.text)
    }
}

impl Eq for Part {}

/// One place where two schemas are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// For example `column wifi.ssid`.
    pub what: String,
    /// What a set of names would have for it: the same in small letters.
    pub key: String,
    /// What is the matter with it.
    pub how: How,
}

/// What is the matter with a part of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It should be there.
    Missing,
    /// A whole table, view, index or trigger more than there should be.
    ExtraObject,
    /// A column or a constraint more than its table should have.
    ExtraPart,
    /// It is there and is another.
    Other {
        /// From the first word on that differs.
        found: String,
        /// The same of what it should be.
        wanted: String,
    },
    /// The same columns in another order: what names its columns does not notice, `SELECT *` and
    /// `INSERT INTO t VALUES` do.
    Order {
        /// As they stand.
        found: String,
        /// As they should.
        wanted: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match &self.how {
            How::Missing => write!(f, "{what} is missing"),
            How::ExtraObject | How::ExtraPart => write!(f, "{what} is there and should not be"),
            How::Other { found, wanted } if wanted.is_empty() => {
                write!(f, "{what} has `{found}` and should not have it")
            }
            How::Other { found, wanted } if found.is_empty() => {
                write!(f, "{what} lacks `{wanted}`")
            }
            How::Other { found, wanted } => {
                write!(f, "{what} has `{found}` where `{wanted}` should be")
            }
            How::Order { found, wanted } => {
                write!(f, "{what} has its columns in the order {found}, and should have {wanted}")
            }
        }
    }
}

impl Schema {
    /// Reads the schema of the main database, without SQLite's own tables, those that a module
    /// keeps, the history and bootmigrate's.
    ///
    /// # Errors
    /// As SQLite.
    pub fn read(connection: &Connection, history_table: &str) -> rusqlite::Result<Schema> {
        let mut reader = Reader { connection, history_table, shadows: BTreeSet::new() };
        reader.shadows = reader.rows(SHADOWS)?.into_iter().map(|[name]| name).collect();
        let mut schema = Schema::default();
        let mut texts = BTreeMap::new();
        let (objects, names) = (reader.rows(OBJECTS)?, Names::read(&reader)?);
        for [table, kind, name, sql] in objects {
            let tokens = match kind.as_str() {
                "table" if is_virtual(&tokens(&sql)) => tokens(&sql),
                "table" | "index" => tokens_among(&sql, &|word| names.of_table(&table, word)),
                _ => tokens_among(&sql, &|word| names.of_any(word)),
            };
            let key = key_of(&kind, &name);
            match kind.as_str() {
                "table" if !is_virtual(&tokens) => {
                    schema.add(&key, &format!("table {name}"), &key, String::new());
                    schema.clauses(&name, &tokens, &names);
                    texts.insert(name.to_ascii_lowercase(), tokens);
                }
                "index" => {
                    let text =
                        format!("on {} {}", table.to_ascii_lowercase(), index_clauses(&tokens));
                    schema.add(&key, &format!("index {name}"), &key, text);
                }
                _ => schema.add(
                    &key,
                    &format!("{kind} {name}"),
                    &key,
                    join(tokens.get(1..).unwrap_or_default()),
                ),
            }
        }
        schema.columns(&reader, &texts)?;
        schema.indexes(&reader)?;
        schema.references(&reader)?;
        Ok(schema)
    }

    /// The name of every part, in small letters.
    pub fn names(&self) -> BTreeSet<String> {
        self.parts.keys().cloned().collect()
    }

    /// The tables, views, indexes and triggers alone, in small letters: `table wifi`.
    pub fn objects(&self) -> BTreeSet<String> {
        self.parts.values().map(|part| part.object.clone()).collect()
    }

    /// Where this schema is not the wanted one. Of an object that is missing, or is more, the parts
    /// are not listed.
    pub fn differences(&self, wanted: &Schema) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut differs = |key: &str, part: &Part, how| {
            found.push(Difference { what: part.shown.clone(), key: key.to_owned(), how })
        };
        for (key, part) in &wanted.parts {
            match self.parts.get(key) {
                None if *key == part.object || self.parts.contains_key(&part.object) => {
                    differs(key, part, How::Missing)
                }
                Some(here) if here != part => {
                    let (found, wanted) = where_they_part(&here.text, &part.text);
                    differs(key, part, How::Other { found, wanted });
                }
                _ => {}
            }
        }
        for (key, part) in self.parts.iter().filter(|(key, _)| !wanted.parts.contains_key(*key)) {
            if *key == part.object {
                differs(key, part, How::ExtraObject);
            } else if wanted.parts.contains_key(&part.object) {
                differs(key, part, How::ExtraPart);
            }
        }
        for (table, order) in &wanted.order {
            let here = self.order.get(table).filter(|here| *here != order && same_set(here, order));
            if let (Some(here), Some(part)) = (here, wanted.parts.get(table)) {
                differs(
                    table,
                    part,
                    How::Order { found: here.join(", "), wanted: order.join(", ") },
                );
            }
        }
        found
    }

    /// A view or trigger that reaches the columns of this table (`table wifi`) by their place, see
    /// [`by_position`].
    pub fn by_position(&self, table: &str) -> Option<&str> {
        let name = table.strip_prefix("table ")?;
        let found = self.parts.iter().find(|(key, part)| {
            (key.starts_with("view ") || key.starts_with("trigger "))
                && by_position(&part.text, name)
        });
        found.map(|(_, part)| part.shown.as_str())
    }

    fn add(&mut self, key: &str, shown: &str, object: &str, text: String) {
        // The same constraint written twice is one of another text.
        let part = Part { shown: shown.to_owned(), object: object.to_owned(), text };
        self.parts
            .entry(key.to_owned())
            .and_modify(|there| there.text = format!("{} {}", there.text, part.text))
            .or_insert(part);
    }

    fn part_of(&mut self, name: &str, object: &str, what: &str, text: String) {
        // What stands in parentheses is in small letters already, but for texts, whose letters
        // count.
        let (word, list) = what.split_at(what.find('(').unwrap_or(what.len()));
        let (word, table) = (word.to_ascii_lowercase(), name.to_ascii_lowercase());
        let key = format!("{word}{list} of table {table}");
        self.add(&key, &format!("{what} of table {name}"), object, text);
    }

    /// What only the text of a table says.
    fn clauses(&mut self, name: &str, tokens: &[String], names: &Names) {
        let object = &key_of("table", name);
        let (body, tail) = body(tokens);
        for option in tail.split(|token| token == ",").filter(|option| !option.is_empty()) {
            self.part_of(name, object, &option.join(" ").to_ascii_uppercase(), String::new());
        }
        for (place, token) in body.iter().enumerate() {
            let next = |distance: usize| body.get(place + distance).map_or("", String::as_str);
            match token.as_str() {
                "check" if next(1) == "(" => {
                    let rule = join(balanced(body.get(place + 1..).unwrap_or_default()));
                    self.part_of(name, object, &format!("CHECK {rule}"), "once".to_owned());
                }
                "autoincrement" => self.part_of(name, object, "AUTOINCREMENT", String::new()),
                _ => {}
            }
        }
        for item in items(body) {
            let is_column = item.first().is_some_and(|first| names.is_column(name, first));
            for (what, text) in constraint_clauses(item, is_column) {
                self.part_of(name, object, &what, text);
            }
        }
    }

    fn columns(
        &mut self,
        reader: &Reader<'_>,
        texts: &BTreeMap<String, Vec<String>>,
    ) -> rusqlite::Result<()> {
        for [table, column, kind, not_null, default, key, hidden] in reader.rows(COLUMNS)? {
            let object = key_of("table", &table);
            let mut text = join(&tokens(&kind));
            // A rowid under a name of its own is never NULL, said or not.
            let rowid = key == "1" && text == "integer";
            if not_null == "1" && !rowid {
                text.push_str(" not null");
            }
            let default = join(&tokens_among(&default, &|_| false));
            if !default.is_empty() && default != "null" {
                text.push_str(&format!(" default {default}"));
            }
            if key != "0" {
                text.push_str(&format!(" primary key {key}"));
            }
            match hidden.as_str() {
                "2" => text.push_str(" virtual"),
                "3" => text.push_str(" stored"),
                _ => {}
            }
            let clauses = texts
                .get(&table.to_ascii_lowercase())
                .map_or_else(String::new, |tokens| column_clauses(tokens, &column));
            text.push_str(&clauses);
            let shown = format!("column {table}.{column}");
            self.add(&shown.to_ascii_lowercase(), &shown, &object, text.trim_start().to_owned());
            self.order.entry(object).or_default().push(column.to_ascii_lowercase());
        }
        Ok(())
    }

    /// The columns of each index; those that a UNIQUE or PRIMARY KEY makes are parts of their
    /// table.
    fn indexes(&mut self, reader: &Reader<'_>) -> rusqlite::Result<()> {
        let mut found: BTreeMap<String, ([String; 3], Vec<String>)> = BTreeMap::new();
        for [table, index, unique, origin, column, descends, collation] in reader.rows(INDEXES)? {
            let column = if column.is_empty() {
                "(expression)".to_owned()
            } else {
                column.to_ascii_lowercase()
            };
            let order = if descends == "1" { " desc" } else { "" };
            let collation = if collation.eq_ignore_ascii_case("binary") {
                String::new()
            } else {
                format!(" collate {}", collation.to_ascii_lowercase())
            };
            let entry = found.entry(index).or_insert_with(|| ([table, unique, origin], Vec::new()));
            entry.1.push(format!("{column}{collation}{order}"));
        }
        for (index, ([table, unique, origin], columns)) in found {
            let list = format!("({})", columns.join(", "));
            match origin.as_str() {
                "c" => {
                    let text = if unique == "1" { format!("unique {list}") } else { list };
                    self.add(
                        &key_of("index", &index),
                        &format!("index {index}"),
                        &key_of("index", &index),
                        text,
                    );
                }
                "pk" => self.part_of(&table, &key_of("table", &table), "PRIMARY KEY", list),
                _ => self.part_of(
                    &table,
                    &key_of("table", &table),
                    &format!("UNIQUE {list}"),
                    "once".to_owned(),
                ),
            }
        }
        Ok(())
    }

    fn references(&mut self, reader: &Reader<'_>) -> rusqlite::Result<()> {
        let mut found: BTreeMap<[String; 2], Columns> = BTreeMap::new();
        for [table, number, parent, from, to, update, delete] in reader.rows(REFERENCES)? {
            let actions = format!("on update {update} on delete {delete}").to_ascii_lowercase();
            let (_, [own, theirs]) = found
                .entry([table, number])
                .or_insert_with(|| ([parent, actions], Default::default()));
            own.push(from.to_ascii_lowercase());
            theirs.push(to.to_ascii_lowercase());
        }
        for ([table, _], ([parent, actions], [from, to])) in found {
            let what = format!(
                "reference ({}) to {} ({})",
                from.join(", "),
                parent.to_ascii_lowercase(),
                to.join(", ")
            );
            self.part_of(&table, &key_of("table", &table), &what, actions);
        }
        Ok(())
    }
}

/// The names that a word in double quotes may be.
struct Names {
    /// Of each table, all in small letters.
    columns: BTreeMap<String, BTreeSet<String>>,
    /// Of every object, and of the columns of views.
    objects: BTreeSet<String>,
}

impl Names {
    fn read(reader: &Reader<'_>) -> rusqlite::Result<Names> {
        let mut names = Names { columns: BTreeMap::new(), objects: BTreeSet::new() };
        for [_, kind, name, sql] in reader.rows(OBJECTS)? {
            names.objects.insert(name.to_ascii_lowercase());
            if kind == "view" {
                names.objects.extend(columns_of_view(&tokens(&sql)));
            }
        }
        for [table, column, ..] in reader.rows::<7>(COLUMNS)? {
            let columns = names.columns.entry(table.to_ascii_lowercase()).or_default();
            columns.insert(column.to_ascii_lowercase());
        }
        Ok(names)
    }

    fn is_column(&self, table: &str, word: &str) -> bool {
        let columns = self.columns.get(&table.to_ascii_lowercase());
        columns.is_some_and(|columns| columns.contains(word))
    }

    fn of_table(&self, table: &str, word: &str) -> bool {
        let own = ["rowid", "oid", "_rowid_"].contains(&word) || table.eq_ignore_ascii_case(word);
        own || self.is_column(table, word)
    }

    /// A view or a trigger may read any of them.
    fn of_any(&self, word: &str) -> bool {
        self.objects.contains(word) || self.columns.keys().any(|table| self.of_table(table, word))
    }
}

/// Of a reference: the parent and the actions, its own columns and the parent's.
type Columns = ([String; 2], [Vec<String>; 2]);

/// Does this SQL reach this table's columns by their place: `SELECT *` of it, or an INSERT that
/// names no column?
pub fn by_position(sql: &str, table: &str) -> bool {
    let tokens = tokens(sql);
    let table = table.to_ascii_lowercase();
    if !tokens.contains(&table) {
        return false;
    }
    let all = tokens
        .windows(2)
        .any(|pair| matches!(pair, [one, star] if star == "*" && ["select", "distinct", ",", "."].contains(&one.as_str())));
    let unnamed = tokens.windows(3).any(
        |three| matches!(three, [into, name, next] if into == "into" && *name == table && ["values", "select", "with"].contains(&next.as_str())),
    );
    all || unnamed
}

/// Tables that a module keeps for a virtual table: they come and go with it.
const SHADOWS: &str =
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'";

const OBJECTS: &str = "SELECT tbl_name, type, name, coalesce(sql, '') FROM main.sqlite_schema \
                       WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

const COLUMNS: &str =
    "SELECT t.name, c.name, c.type, c.\"notnull\", coalesce(c.dflt_value, ''), c.pk, c.hidden FROM \
     main.sqlite_schema t, pragma_table_xinfo(t.name, 'main') c WHERE t.type = 'table' AND t.sql \
     NOT LIKE 'CREATE VIRTUAL %' ORDER BY t.name, c.cid";

const INDEXES: &str = "SELECT t.name, i.name, i.\"unique\", i.origin, coalesce(x.name, ''), \
                       x.\"desc\", x.coll FROM main.sqlite_schema t, pragma_index_list(t.name, \
                       'main') i, pragma_index_xinfo(i.name, 'main') x WHERE t.type = 'table' AND \
                       t.sql NOT LIKE 'CREATE VIRTUAL %' AND x.\"key\" = 1 ORDER BY i.name, \
                       x.seqno";

/// Without a column a reference means the parent's primary key.
const REFERENCES: &str =
    "SELECT t.name, f.id, f.\"table\", f.\"from\", coalesce(f.\"to\", (SELECT p.name FROM \
     pragma_table_info(f.\"table\", 'main') p WHERE p.pk = f.seq + 1), ''), f.on_update, \
     f.on_delete FROM main.sqlite_schema t, pragma_foreign_key_list(t.name, 'main') f WHERE t.type \
     = 'table' AND t.sql NOT LIKE 'CREATE VIRTUAL %' ORDER BY t.name, f.id, f.seq";

/// The rows about tables of the product; the first column names the table.
struct Reader<'c> {
    connection: &'c Connection,
    history_table: &'c str,
    shadows: BTreeSet<String>,
}

impl Reader<'_> {
    fn rows<const N: usize>(&self, sql: &str) -> rusqlite::Result<Vec<[String; N]>> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns: [String; N] = std::array::from_fn(|_| String::new());
            for (place, column) in columns.iter_mut().enumerate() {
                *column = text_of(row.get_ref(place)?);
            }
            if columns.first().is_some_and(|table| self.is_of_the_product(table)) {
                found.push(columns);
            }
        }
        Ok(found)
    }

    fn is_of_the_product(&self, table: &str) -> bool {
        let name = table.to_ascii_lowercase();
        let ours = name.starts_with("sqlite_")
            || name.starts_with("bootmigrate_")
            || name == self.history_table.to_ascii_lowercase();
        !ours && !self.shadows.contains(table)
    }
}

/// A damaged schema may have names that are not UTF-8: no reason to stop.
fn text_of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        value => {
            String::from_utf8_lossy(value.as_bytes_or_null().ok().flatten().unwrap_or_default())
                .into_owned()
        }
    }
}

fn key_of(kind: &str, name: &str) -> String {
    format!("{kind} {}", name.to_ascii_lowercase())
}

fn same_set(one: &[String], other: &[String]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
