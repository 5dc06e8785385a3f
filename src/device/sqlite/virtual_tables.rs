//! Owns what a virtual table is made of: its module, the tables in which it keeps its content, and
//! whether it has content at all.
//! Promises: a table of a virtual table's own (shadow) is never taken for an ordinary one, also
//! where its module is missing.
//! Never reads or changes a row.

use rusqlite::OptionalExtension;

use crate::device::disk::Op;
use crate::device::sqlite::compile::lossy;
use crate::device::sqlite::findings::FindingKind;
use crate::device::sqlite::{class_of, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// What a virtual table's rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A full-text index with its text in its own `NAME_content`.
    Own,
    /// A full-text index of the text in this table or view.
    External(String),
    /// A full-text index without its text.
    None,
    /// Boxes of an R*Tree (or Geopoly).
    Boxes,
    /// What a module of the product's, or another one of SQLite's, keeps in shadow tables.
    Shadows,
    /// Nothing of its own: it shows what is elsewhere.
    Elsewhere,
    /// Its module, which this program does not have, knows.
    Unknown(String),
}

/// A virtual table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualTable {
    /// Its name.
    pub name: String,
    /// What its rows are.
    pub content: Content,
    /// The tables in which it keeps them.
    pub shadows: Vec<String>,
    /// The first word of its option `tokenize`.
    pub(super) tokenizer: Option<String>,
    /// Module and arguments, by which two of one name are the same.
    made_by: String,
}

impl VirtualTable {
    /// Of the same module, with the same arguments.
    pub fn is_made_as(&self, other: &VirtualTable) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && self.made_by == other.made_by
    }

    /// The name of the shadow table that ends so, where there is one.
    pub fn shadow(&self, ending: &str) -> Option<&str> {
        let wanted = format!("{}_{ending}", self.name);
        self.shadows.iter().find(|shadow| shadow.eq_ignore_ascii_case(&wanted)).map(String::as_str)
    }

    /// The shadow table with one row for each row of it; `None` where there is none.
    pub fn counted_by(&self) -> Option<&str> {
        match self.content {
            Content::Own => self.shadow("content"),
            Content::None => self.shadow("docsize"),
            Content::Boxes => self.shadow("rowid"),
            Content::External(_) | Content::Shadows | Content::Elsewhere | Content::Unknown(_) => {
                None
            }
        }
    }
}

impl Database {
    /// The virtual tables, by name.
    ///
    /// # Errors
    /// As SQLite.
    pub fn virtual_tables(&self, op: Op) -> Result<Vec<VirtualTable>, Failure> {
        self.read_virtual_tables().map_err(|error| self.failure(op, &error))
    }

    /// For errors of this module's caller.
    pub(super) fn read_virtual_tables(&self) -> rusqlite::Result<Vec<VirtualTable>> {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0 AND \
                   sql IS NOT NULL ORDER BY name";
        let mut statement = self.connection.prepare(sql)?;
        let texts = statement.query_map([], |row| Ok((lossy(row, 0)?, lossy(row, 1)?)))?;
        let texts = texts.collect::<rusqlite::Result<Vec<(String, String)>>>()?;
        // The longest name counts: `a` and `a_b` are two virtual tables, and `a_b_content` is of
        // the second.
        let owner = |shadow: &str| {
            let owns = |name: &&str| {
                let (begin, rest) = (shadow.get(..name.len()), shadow.get(name.len()..));
                begin.is_some_and(|begin| begin.eq_ignore_ascii_case(name))
                    && rest.is_some_and(|rest| rest.starts_with('_'))
            };
            texts
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(owns)
                .max_by_key(|name| name.len())
                .map(str::to_owned)
        };
        let sql = "SELECT name, type = 'shadow' FROM pragma_table_list WHERE schema = 'main' AND \
                   type IN ('shadow', 'table')";
        let mut statement = self.connection.prepare(sql)?;
        let tables = statement.query_map([], |row| Ok((lossy(row, 0)?, row.get::<_, bool>(1)?)))?;
        let owned = |(name, known): (String, bool)| owner(&name).map(|owner| (owner, name, known));
        let tables: Vec<(String, String, bool)> =
            tables.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().filter_map(owned).collect();
        let made = self.made_by_migrations();
        let mut found = Vec::new();
        for (name, text) in &texts {
            let (module, arguments) = module_of(text);
            let sql = "SELECT 1 FROM pragma_module_list WHERE name = ?1 COLLATE NOCASE";
            let there = self.connection.query_row(sql, [&module], |_| Ok(())).optional()?.is_some();
            let own = |(owner, shadow, known): &&(String, String, bool)| {
                owner == name
                    && match (there, shadow.get(name.len() + 1..)) {
                        // SQLite knows the endings of the modules that it has, and not which of
                        // them this table has.
                        (true, Some(ending)) => *known && keeps(&module, &arguments, ending),
                        // A migration that did not make the virtual table made this one.
                        (false, _) => !made.iter().any(|made| made.made_apart(shadow, name)),
                        (true, None) => false,
                    }
            };
            let shadows: Vec<String> =
                tables.iter().filter(own).map(|(_, shadow, _)| shadow.clone()).collect();
            let content = if there {
                content(&module, &arguments, &shadows)
            } else {
                Content::Unknown(module.clone())
            };
            let made_by = format!("{} {}", module.to_ascii_lowercase(), arguments.join(","));
            let tokenizer = option(&arguments, "tokenize")
                .and_then(|text| text.split_whitespace().next().map(str::to_owned));
            found.push(VirtualTable { name: name.clone(), content, shadows, tokenizer, made_by });
        }
        Ok(found)
    }

    /// What each migration made, as the database itself has it; nothing where it has no such table.
    fn made_by_migrations(&self) -> Vec<Made> {
        let sql =
            "SELECT value FROM bootmigrate_state WHERE key LIKE 'made %' AND typeof(value) = \
                   'text'";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let texts = statement.query_map([], |row| lossy(row, 0))?;
            texts.collect::<rusqlite::Result<Vec<String>>>()
        };
        let texts = read().unwrap_or_default();
        texts.iter().filter_map(|text| serde_json::from_str(text).ok()).map(Made).collect()
    }

    /// The names of all shadow tables, in small letters.
    pub(super) fn shadow_names(&self) -> rusqlite::Result<Vec<String>> {
        let all = self.read_virtual_tables()?;
        Ok(all
            .into_iter()
            .flat_map(|table| table.shadows)
            .map(|shadow| shadow.to_ascii_lowercase())
            .collect())
    }

    /// It says of itself that its content is inconsistent.
    ///
    /// # Errors
    /// As SQLite, but for what the virtual table itself says.
    pub fn is_stale(&self, op: Op, table: &VirtualTable) -> Result<bool, Failure> {
        Ok(matches!(
            self.fault_of(op, "integrity_check", table)?,
            Some((FindingKind::VirtualTable, _))
        ))
    }

    /// Rows of one table whose number no row of the other has; `None` where that cannot be told.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn rows_without(&self, op: Op, table: &str, other: &str) -> Result<Option<u64>, Failure> {
        let sql = format!(
            "SELECT count(*) FROM {} WHERE rowid NOT IN (SELECT rowid FROM {})",
            quote(table),
            quote(other)
        );
        match self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)) {
            Ok(rows) => Ok(u64::try_from(rows).ok()),
            Err(error) if class_of(&error) == Class::Damaged => Ok(None),
            Err(error) => Err(self.failure(op, &error)),
        }
    }

    /// A command to a full-text index (`rebuild`, `integrity-check`, `delete-all`).
    ///
    /// # Errors
    /// As SQLite.
    pub fn command_index(
        &self,
        op: Op,
        table: &VirtualTable,
        command: &str,
    ) -> Result<(), Failure> {
        let name = quote(&table.name);
        self.run(op, &format!("INSERT INTO {name}({name}) VALUES ('{command}')"))
    }
}

/// `table wifi`, in small letters, of one migration.
struct Made(Vec<String>);

impl Made {
    fn made_apart(&self, table: &str, from: &str) -> bool {
        let has = |name: &str| {
            let name = format!("table {}", name.to_ascii_lowercase());
            self.0.contains(&name)
        };
        has(table) && !has(from)
    }
}

/// The module keeps a table of its own that ends so: a full-text index whose text or sizes are
/// elsewhere has none for them, and a table of that name is anybody's.
fn keeps(module: &str, arguments: &[String], ending: &str) -> bool {
    let is = |key: &str, value: &str| option(arguments, key).is_some_and(|found| found == value);
    let module = module.to_ascii_lowercase();
    match (module.as_str(), ending.to_ascii_lowercase().as_str()) {
        ("fts5", "content") => {
            option(arguments, "content").is_none() || is("contentless_unindexed", "1")
        }
        ("fts3" | "fts4", "content") => option(arguments, "content").is_none(),
        ("fts5", "docsize") => !is("columnsize", "0"),
        ("fts3", "docsize") => false,
        ("fts4", "docsize") => !is("matchinfo", "fts3"),
        _ => true,
    }
}

fn content(module: &str, arguments: &[String], shadows: &[String]) -> Content {
    match module.to_ascii_lowercase().as_str() {
        "fts3" | "fts4" | "fts5" => match option(arguments, "content") {
            None => Content::Own,
            Some(name) if name.is_empty() => Content::None,
            Some(name) => Content::External(name),
        },
        "rtree" | "rtree_i32" | "geopoly" => Content::Boxes,
        _ if shadows.is_empty() => Content::Elsewhere,
        _ => Content::Shadows,
    }
}

/// The value of `key = 'value'` among a module's arguments.
fn option(arguments: &[String], wanted: &str) -> Option<String> {
    arguments.iter().find_map(|argument| {
        let (key, value) = argument.split_once('=')?;
        key.trim().eq_ignore_ascii_case(wanted).then(|| unquoted(value.trim()))
    })
}

fn unquoted(text: &str) -> String {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"' | '`' | '['));
    let Some(open) = quote else { return text.to_owned() };
    let close = if open == '[' { ']' } else { open };
    let inner = text.get(1..).and_then(|rest| rest.strip_suffix(close)).unwrap_or(text);
    inner.replace(&format!("{close}{close}"), &close.to_string())
}

/// Module and arguments of `CREATE VIRTUAL TABLE name USING module(arguments)`.
fn module_of(text: &str) -> (String, Vec<String>) {
    let mut words = Vec::new();
    let mut arguments = Vec::new();
    let (mut depth, mut current) = (0u32, String::new());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' | '`' | '[' => {
                let close = if c == '[' { ']' } else { c };
                current.push(c);
                for inner in rest.by_ref() {
                    current.push(inner);
                    if inner == close {
                        break;
                    }
                }
            }
            '-' if rest.peek() == Some(&'-') => drop(rest.by_ref().find(|end| *end == '\n')),
            '(' => {
                if depth == 0 {
                    words.push(std::mem::take(&mut current));
                } else {
                    current.push(c);
                }
                depth += 1;
            }
            ')' if depth == 1 => {
                arguments.push(std::mem::take(&mut current).trim().to_owned());
                depth = 0;
            }
            ')' => {
                depth = depth.saturating_sub(1);
                current.push(c);
            }
            ',' if depth == 1 => arguments.push(std::mem::take(&mut current).trim().to_owned()),
            c if depth == 0 && c.is_whitespace() => words.push(std::mem::take(&mut current)),
            c => current.push(c),
        }
    }
    words.push(current);
    let mut words = words
        .into_iter()
        .filter(|word| !word.is_empty())
        .skip_while(|word| !word.eq_ignore_ascii_case("using"))
        .skip(1);
    (unquoted(words.next().unwrap_or_default().trim_end_matches(';')), arguments)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::sqlite::Sqlite;

    const OP: Op = Op("test");

    #[test]
    fn a_virtual_table_is_known_by_its_text() {
        let of = |text: &str| {
            let (module, arguments) = module_of(text);
            content(&module, &arguments, &[])
        };
        assert_eq!(
            of("CREATE VIRTUAL TABLE f USING fts5(a, b, tokenize = 'porter ascii')"),
            Content::Own
        );
        assert_eq!(
            of("CREATE VIRTUAL TABLE \"using\" USING FTS5(a, content=\"no\"\"te\")"),
            Content::External("no\"te".into())
        );
        assert_eq!(of("CREATE VIRTUAL TABLE f\nUSING fts5 (a, content = '' )"), Content::None);
        assert_eq!(
            of("CREATE VIRTUAL TABLE f USING fts4(content=\"note\", a)"),
            Content::External("note".into())
        );
        assert_eq!(of("CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)"), Content::Boxes);
        assert_eq!(
            of("CREATE VIRTUAL TABLE v USING \"fts5vocab\"(f, 'row') -- content=''"),
            Content::Elsewhere
        );
        assert_eq!(module_of("CREATE VIRTUAL TABLE v USING vec0;").0, "vec0");
        assert_eq!(
            module_of("CREATE VIRTUAL TABLE v USING vec0(e float[3], f(1,2))").1,
            ["e float[3]", "f(1,2)"]
        );
    }

    #[test]
    fn a_shadow_belongs_to_the_longest_name() {
        let database = Sqlite::default().scratch(OP).unwrap();
        // What its module has made, where it is here.
        database
            .connection
            .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
            .unwrap();
        let schema = "CREATE VIRTUAL TABLE a USING fts5(x); CREATE VIRTUAL TABLE a_b USING \
                      rtree(id, x0, x1); CREATE TABLE a_user(x);
            CREATE TABLE v_user(x); PRAGMA writable_schema = ON;
            INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING \
                      vec0(e)'); PRAGMA writable_schema = RESET";
        database.run(OP, schema).unwrap();
        let found = database.virtual_tables(OP).unwrap();
        let shadows: Vec<(&str, usize)> =
            found.iter().map(|table| (table.name.as_str(), table.shadows.len())).collect();
        // Whose `v_user` is, nobody can say where the module is missing.
        assert_eq!(shadows, [("a", 5), ("a_b", 3), ("v", 1)]);
        let ordinary: Vec<String> = database
            .ordinary_tables(OP, "history")
            .unwrap()
            .into_iter()
            .map(|table| table.name)
            .collect();
        assert_eq!(ordinary, ["a_user"]);
    }
}
