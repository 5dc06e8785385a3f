//! Owns compiling a schema: each view, trigger and table by the statements that an application
//! begins with.
//! Promises: what does not compile is told apart from what cannot be compiled here, for lack of a
//! function, collation or module that only the application has; a trigger is compiled without the
//! others.
//! Never runs a statement on the database, and never changes a byte of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rusqlite::config::DbConfig;
use rusqlite::Connection;

use crate::lex::{lex, quote, Token, TokenKind};
use crate::sqlite_min::newest_need;

/// What kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A table, with its generated columns, CHECKs, defaults and indexes.
    Table,
    /// A view.
    View,
    /// An index: it is compiled with its table.
    Index,
    /// A trigger.
    Trigger,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ObjectKind::Table => "table",
            ObjectKind::View => "view",
            ObjectKind::Index => "index",
            ObjectKind::Trigger => "trigger",
        })
    }
}

/// Why an object does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nowhere, with SQLite's words.
    Broken(String),
    /// Only because SQLite takes a name in double quotes that it does not find for a text.
    Text(String),
    /// Not here: it needs what only the application has.
    Unknown(String),
}

type Name = (ObjectKind, String);
type Said<T> = rusqlite::Result<Option<T>>;

/// What was compiled: every object with its text, and a verdict on those that did not compile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compiled {
    texts: BTreeMap<Name, String>,
    verdicts: BTreeMap<Name, Verdict>,
    /// What makes the same schema again, without rows: tables, views, indexes, triggers.
    pub sources: Vec<String>,
}

/// Compiles everything that the main database's schema names. `empty` opens a database in memory,
/// with the functions that the connection has.
///
/// # Errors
/// As SQLite, but for errors of the schema's objects, which are part of the answer.
pub fn compile(
    connection: &Connection,
    empty: &dyn Fn() -> Option<Connection>,
) -> rusqlite::Result<Compiled> {
    let objects = Objects::read(connection)?;
    // A function that may not be called from a schema that is not trusted compiles in the
    // application; nothing is run here.
    let verdicts = with(connection, DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, true, || {
        objects.verdicts(connection, empty)
    })?;
    use ObjectKind::{Index, Table, Trigger, View};
    let sources = [Table, View, Index, Trigger].map(Some);
    let sources = sources
        .iter()
        .flat_map(|kind| objects.all.iter().filter(move |object| object.kind == *kind))
        .map(|object| object.sql.clone());
    let sources = sources.filter(|sql| !sql.is_empty()).collect();
    let texts = objects
        .all
        .into_iter()
        .filter_map(|object| Some(((object.kind?, object.name.to_lowercase()), object.sql)));
    Ok(Compiled { texts: texts.collect(), verdicts, sources })
}

impl Compiled {
    /// Sentences about what compiles no more, or was made so that it does not compile.
    pub fn broken_since(&self, before: &Compiled) -> Vec<String> {
        let new = self.verdicts.iter().filter(|(name, verdict)| self.is_new(name, verdict, before));
        new.filter_map(|(name, verdict)| sentence(name, verdict)).collect()
    }

    /// Sentences about what does not compile and did not before.
    pub fn broken_as_before(&self, before: &Compiled) -> Vec<String> {
        let old = self.verdicts.iter().filter(|(name, verdict)| {
            matches!(verdict, Verdict::Broken(_)) && !self.is_new(name, verdict, before)
        });
        old.filter_map(|(name, verdict)| sentence(name, verdict)).collect()
    }

    /// Sentences about objects, new or of another text, that an application with SQLite 3.`oldest`
    /// can neither read nor use, and could before: a rename changes the text of what was there.
    pub fn too_new_since(&self, before: &Compiled, oldest: u32) -> Vec<String> {
        let changed = self.texts.iter().filter(|(name, text)| before.texts.get(name) != Some(text));
        let need = |text: &str| newest_need(&lex(text).tokens).filter(|need| need.minor > oldest);
        let too_new = changed.filter_map(|(object, text)| {
            let (kind, name) = object;
            let need_now = need(text)?;
            let as_before = |text: &String| {
                need(text)
                    .is_some_and(|old| (old.minor, &old.what) == (need_now.minor, &need_now.what))
            };
            let renamed = || {
                let mut gone = before.texts.iter().filter(|((old, _), _)| old == kind);
                *kind == ObjectKind::Table
                    && gone.any(|(old, text)| !self.texts.contains_key(old) && as_before(text))
            };
            if before.texts.get(object).map_or_else(renamed, as_before) {
                return None;
            }
            Some(format!(
                "{kind} {name} needs SQLite 3.{} ({}), and sqlite_min is 3.{oldest}",
                need_now.minor, need_now.what
            ))
        });
        too_new.collect()
    }

    /// Sentences about what cannot be compiled here.
    pub fn unchecked(&self) -> Vec<String> {
        let unknown = self.verdicts.iter().filter_map(|((kind, name), verdict)| match verdict {
            Verdict::Unknown(words) => {
                Some(format!("{kind} {name} cannot be checked here: {words}"))
            }
            Verdict::Broken(_) | Verdict::Text(_) => None,
        });
        unknown.collect()
    }

    /// What this schema has counts as having been there before.
    pub fn accept(&mut self, now: Compiled) {
        self.texts.extend(now.texts);
        self.verdicts.extend(
            now.verdicts.into_iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Unknown(_))),
        );
    }

    fn is_new(&self, name: &Name, verdict: &Verdict, before: &Compiled) -> bool {
        let old = before.verdicts.get(name);
        match verdict {
            Verdict::Unknown(_) => false,
            // A table may have been renamed.
            Verdict::Broken(_) => {
                let renamed = |(old, verdict): (&Name, &Verdict)| {
                    old.0 == ObjectKind::Table
                        && matches!(verdict, Verdict::Broken(_))
                        && !self.texts.contains_key(old)
                };
                let was_so = matches!(old, Some(Verdict::Broken(_)));
                !was_so && (name.0 != ObjectKind::Table || !before.verdicts.iter().any(renamed))
            }
            // Written so it is a matter of taste; that a name has become one means that the column
            // is gone, also where another one was renamed meanwhile.
            Verdict::Text(words) => {
                let had = |text: &String| quoted_name(words).is_none_or(|it| text.contains(it));
                let same = |old: &String| {
                    had(old) || self.texts.get(name).is_some_and(|now| differ_in_names(old, now))
                };
                old.is_none() && before.texts.get(name).is_some_and(same)
            }
        }
    }
}

/// The name in double quotes that SQLite says no column has, quotes included.
fn quoted_name(words: &str) -> Option<&str> {
    let start = words.find('"')?;
    let length = words.get(start + 1..)?.find('"')?;
    words.get(start..start + length + 2)
}

/// In nothing but names, as after ALTER TABLE RENAME.
fn differ_in_names(one: &str, other: &str) -> bool {
    let (one, other) = (lex(one).tokens, lex(other).tokens);
    let is_name = |token: &Token<'_>| matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
    one.len() == other.len()
        && one.iter().zip(&other).all(|(one, other)| {
            (is_name(one) && is_name(other)) || (one.kind, one.text) == (other.kind, other.text)
        })
}

fn sentence((kind, name): &Name, verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Broken(words) => Some(format!("{kind} {name} does not compile: {words}")),
        Verdict::Text(words) => {
            Some(format!("{kind} {name} reads a name in double quotes as a text now: {words}"))
        }
        Verdict::Unknown(_) => None,
    }
}

/// One entry of the schema.
struct Object {
    /// `None` for what this SQLite does not know.
    kind: Option<ObjectKind>,
    name: String,
    /// What a trigger or an index is of.
    table: String,
    sql: String,
    /// It has a tree of its own: no view, and no virtual table.
    stored: bool,
}

struct Objects {
    all: Vec<Object>,
    /// Tables that belong to a virtual table's module, which alone writes to them.
    shadows: BTreeSet<String>,
}

impl Objects {
    fn read(connection: &Connection) -> rusqlite::Result<Objects> {
        let sql =
            "SELECT type, name, tbl_name, coalesce(sql, ''), rootpage > 0 FROM main.sqlite_schema \
             WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";
        let mut statement = connection.prepare(sql)?;
        let all = statement.query_map([], |row| {
            let kind = match lossy(row, 0)?.as_str() {
                "table" => Some(ObjectKind::Table),
                "view" => Some(ObjectKind::View),
                "trigger" => Some(ObjectKind::Trigger),
                "index" => Some(ObjectKind::Index),
                _ => None,
            };
            Ok(Object {
                kind,
                name: lossy(row, 1)?,
                table: lossy(row, 2)?,
                sql: lossy(row, 3)?,
                stored: row.get::<_, Option<bool>>(4)? == Some(true),
            })
        })?;
        let all = all.collect::<rusqlite::Result<_>>()?;
        let mut statement = connection.prepare(
            "SELECT lower(name) FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'",
        )?;
        let shadows =
            statement.query_map([], |row| lossy(row, 0))?.collect::<rusqlite::Result<_>>()?;
        Ok(Objects { all, shadows })
    }

    fn of(&self, kind: ObjectKind) -> impl Iterator<Item = &Object> {
        self.all.iter().filter(move |object| object.kind == Some(kind))
    }

    fn has_triggers(&self, table: &Object) -> bool {
        self.of(ObjectKind::Trigger).any(|trigger| trigger.table.eq_ignore_ascii_case(&table.name))
    }

    fn verdicts(
        &self,
        connection: &Connection,
        empty: &dyn Fn() -> Option<Connection>,
    ) -> rusqlite::Result<BTreeMap<Name, Verdict>> {
        let (mut found, mut suspect) = (BTreeMap::new(), Vec::new());
        for object in self.of(ObjectKind::Table).chain(self.of(ObjectKind::View)) {
            let itself = match verdict(connection, object, &reading(object))? {
                None if self.is_written(object) => {
                    verdict(connection, object, &writing(connection, object)?)?
                }
                read => read,
            };
            let Some(first) = itself else { continue };
            let alone = if self.has_triggers(object) {
                without_triggers(connection, object)?
            } else {
                Some(first.clone())
            };
            match alone {
                Some(verdict) => drop(found.insert(
                    (object.kind.unwrap_or(ObjectKind::Table), object.name.to_lowercase()),
                    verdict,
                )),
                None => suspect.push((object, first)),
            }
        }
        if !suspect.is_empty() {
            found.extend(self.triggers(&suspect, empty)?);
        }
        Ok(found)
    }

    /// Applications write to it: no virtual table, whose module decides at run time, no shadow, and
    /// no view without triggers.
    fn is_written(&self, object: &Object) -> bool {
        let table = object.kind == Some(ObjectKind::Table)
            && object.stored
            && !self.shadows.contains(&object.name.to_lowercase());
        table || object.kind == Some(ObjectKind::View) && self.has_triggers(object)
    }

    /// Which of the triggers it is: each is compiled without the others, on the same schema in
    /// memory.
    fn triggers(
        &self,
        suspect: &[(&Object, Verdict)],
        empty: &dyn Fn() -> Option<Connection>,
    ) -> rusqlite::Result<BTreeMap<Name, Verdict>> {
        let mut found = BTreeMap::new();
        if let Some(copy) = empty() {
            let mut left_out = Vec::new();
            for object in self
                .of(ObjectKind::Table)
                .chain(self.of(ObjectKind::View))
                .filter(|object| !self.shadows.contains(&object.name.to_lowercase()))
            {
                if copy.execute_batch(&object.sql).is_err() {
                    left_out.push(object.name.as_str());
                }
            }
            for trigger in self.of(ObjectKind::Trigger) {
                if let Some(verdict) = self.alone(&copy, trigger)? {
                    let doubtful = matches!(
                        &verdict,
                        Verdict::Broken(words)
                            if left_out.iter().any(|name| words.contains(name))
                    );
                    let verdict = if doubtful {
                        Verdict::Unknown("it uses a table that cannot be made here".to_owned())
                    } else {
                        verdict
                    };
                    found.insert((ObjectKind::Trigger, trigger.name.to_lowercase()), verdict);
                }
            }
        }
        // What a trigger of another table does to it has been said there.
        for (table, verdict) in suspect {
            if !found.values().any(|one| one == verdict)
                && !self.of(ObjectKind::Trigger).any(|trigger| {
                    trigger.table.eq_ignore_ascii_case(&table.name)
                        && found.contains_key(&(ObjectKind::Trigger, trigger.name.to_lowercase()))
                })
            {
                found.insert(
                    (table.kind.unwrap_or(ObjectKind::Table), table.name.to_lowercase()),
                    verdict.clone(),
                );
            }
        }
        Ok(found)
    }

    fn alone(&self, copy: &Connection, trigger: &Object) -> rusqlite::Result<Option<Verdict>> {
        let Some(table) = self.all.iter().find(|object| {
            matches!(object.kind, Some(ObjectKind::Table | ObjectKind::View))
                && object.name.eq_ignore_ascii_case(&trigger.table)
        }) else {
            return Ok(None);
        };
        if let Err(error) = copy.execute_batch(&trigger.sql) {
            return sql_error(&error).map(|words| Some(judged(words))).ok_or(error);
        }
        let verdict = writing(copy, table).and_then(|statements| verdict(copy, table, &statements));
        copy.execute_batch(&format!("DROP TRIGGER main.{}", quote(&trigger.name)))?;
        verdict
    }
}

fn reading(object: &Object) -> Vec<String> {
    vec![format!("SELECT * FROM main.{}", quote(&object.name))]
}

/// Statements that fire every trigger, compute every default, generated column and index, and check
/// every CHECK.
fn writing(connection: &Connection, object: &Object) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0")?;
    let columns = statement.query_map([&object.name], |row| lossy(row, 0))?;
    let columns: Vec<String> = columns
        .map(|name| name.map(|name| format!("{0} = {0}", quote(&name))))
        .collect::<rusqlite::Result<_>>()?;
    let table = quote(&object.name);
    Ok(vec![
        format!("INSERT INTO main.{table} DEFAULT VALUES"),
        format!("UPDATE main.{table} SET {}", columns.join(", ")),
        format!("DELETE FROM main.{table}"),
    ])
}

fn without_triggers(connection: &Connection, object: &Object) -> rusqlite::Result<Option<Verdict>> {
    with(connection, DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false, || {
        match verdict(connection, object, &reading(object))? {
            None if object.stored => verdict(connection, object, &writing(connection, object)?),
            read => Ok(read),
        }
    })
}

/// The first of these statements that does not compile, and why.
fn verdict(connection: &Connection, object: &Object, sql: &[String]) -> Said<Verdict> {
    let first = || first_error(connection, object, sql);
    let strict = with(connection, DbConfig::SQLITE_DBCONFIG_DQS_DML, false, first)?;
    let Some(strict) = strict else { return Ok(None) };
    let usual = with(connection, DbConfig::SQLITE_DBCONFIG_DQS_DML, true, first)?;
    Ok(Some(usual.map_or(Verdict::Text(strict), judged)))
}

fn first_error(connection: &Connection, object: &Object, sql: &[String]) -> Said<String> {
    for sql in sql {
        if let Err(error) = connection.prepare(sql) {
            match sql_error(&error) {
                Some(words) if is_not_meant(&words, object) => {}
                Some(words) => return Ok(Some(words)),
                None => return Err(error),
            }
        }
    }
    Ok(None)
}

/// A view that has no trigger for this statement, or a table that only its module writes; not one
/// into which a trigger writes.
fn is_not_meant(words: &str, object: &Object) -> bool {
    let own = &object.name;
    words == format!("table {own} may not be modified")
        || words == format!("cannot modify {own} because it is a view")
}

/// What SQLite says of something that only the application has.
const OF_THE_APPLICATION: [&str; 7] = [
    "no such function: ",
    "unknown function: ",
    "wrong number of arguments to function ",
    "no such collation sequence: ",
    "no such module: ",
    "no such tokenizer: ",
    "unknown tokenizer: ",
];

fn judged(words: String) -> Verdict {
    if OF_THE_APPLICATION.iter().any(|beginning| words.starts_with(beginning)) {
        Verdict::Unknown(words)
    } else {
        Verdict::Broken(words)
    }
}

/// SQLite's words, where it is the schema or a statement that it complains of, and neither the file
/// nor the storage.
pub fn sql_error(error: &rusqlite::Error) -> Option<String> {
    use rusqlite::ffi::{SQLITE_CORRUPT_SEQUENCE, SQLITE_CORRUPT_VTAB, SQLITE_ERROR};
    let (code, words) = match error {
        rusqlite::Error::SqliteFailure(failure, words) => {
            (failure.extended_code, words.clone().unwrap_or_else(|| failure.to_string()))
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, msg.clone()),
        _ => return None,
    };
    (code & 0xff == SQLITE_ERROR || [SQLITE_CORRUPT_VTAB, SQLITE_CORRUPT_SEQUENCE].contains(&code))
        .then_some(words)
}

/// With a switch of the connection set to this, and set back after it.
fn with<T>(
    connection: &Connection,
    option: DbConfig,
    value: bool,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let before = connection.db_config(option)?;
    connection.set_db_config(option, value)?;
    let done = work();
    connection.set_db_config(option, before)?;
    done
}

/// SQLite takes any bytes for text: what an application has in its schema may be in Latin-1, and a
/// damaged one may have anything.
pub fn lossy(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<String> {
    let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten().unwrap_or_default();
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// The same where there may be none.
pub fn lossy_if_any(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten();
    Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
