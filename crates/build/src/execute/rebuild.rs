//! Owns what a table rebuild forgets: the old table's triggers, indexes and AUTOINCREMENT, which go
//! with its DROP TABLE.
//! Promises: what the file itself drops, or makes again under another name, is not forgotten.
//! Never refuses anything: a device runs the file as it is.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::sql::{self, Statement, Token, TokenKind};

/// What hangs on the tables of a schema.
pub struct Hanging {
    objects: Vec<Object>,
    tables: BTreeSet<String>,
    /// Of the tables, those that count.
    autoincrement: BTreeSet<String>,
}

/// A trigger or an index.
struct Object {
    kind: String,
    name: String,
    table: String,
    /// Its text behind its name.
    says: Vec<String>,
}

/// A table that was dropped and stands again, and what it has no more.
#[derive(Debug, PartialEq, Eq)]
pub struct Lost {
    /// Of the DROP TABLE, from 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// What is gone, and of which table.
    pub sentence: String,
}

impl Hanging {
    /// Reads the schema.
    ///
    /// # Errors
    /// As SQLite.
    pub fn read(connection: &Connection) -> rusqlite::Result<Hanging> {
        let mut hanging = Hanging {
            objects: Vec::new(),
            tables: BTreeSet::new(),
            autoincrement: BTreeSet::new(),
        };
        let mut found = connection.prepare(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER \
             BY name",
        )?;
        let mut rows = found.query([])?;
        while let Some(row) = rows.next()? {
            let (kind, name, table, text): (String, String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let lexed = sql::lex(&text);
            let tokens: Vec<&Token<'_>> =
                lexed.tokens.iter().filter(|token| !token.is_comment()).collect();
            if kind == "table" {
                let counts = tokens.iter().any(|token| token.is("AUTOINCREMENT"));
                hanging.tables.insert(name.to_lowercase());
                hanging.autoincrement.extend(counts.then(|| name.to_lowercase()));
            } else if kind == "index" || kind == "trigger" {
                let behind =
                    tokens.iter().position(|token| token.is(&kind)).map_or(0, |place| place + 2);
                let says = tokens.iter().skip(behind).map(|token| said(token)).collect();
                hanging.objects.push(Object { kind, name, table: table.to_lowercase(), says });
            }
        }
        Ok(hanging)
    }

    /// What this file's rebuilds have lost, `after` it.
    pub fn lost(&self, after: &Hanging, text: &str) -> Vec<Lost> {
        let lexed = sql::lex(text);
        let (statements, _) = sql::statements(&lexed.tokens);
        let dropped = |kind: &'static str| {
            statements.iter().filter_map(move |statement| dropped(statement, kind))
        };
        let mut found = Vec::new();
        for (first, table) in dropped("TABLE")
            .filter(|(_, table)| self.tables.contains(table) && after.tables.contains(table))
        {
            let mut lost = Vec::new();
            for object in self.objects.iter().filter(|object| object.table == table) {
                let stands = after.objects.iter().any(|now| {
                    now.kind == object.kind
                        && now.table == table
                        && (now.name.eq_ignore_ascii_case(&object.name) || now.says == object.says)
                });
                let is_meant = ["INDEX", "TRIGGER"]
                    .into_iter()
                    .flat_map(dropped)
                    .any(|(_, name)| name.eq_ignore_ascii_case(&object.name));
                if !stands && !is_meant {
                    lost.push(format!("the {} {}", object.kind, object.name));
                }
            }
            let mut say =
                |sentence| found.push(Lost { line: first.line, column: first.column, sentence });
            if !lost.is_empty() {
                let (lost, it) = (lost.join(", "), if lost.len() == 1 { "it" } else { "them" });
                say(format!(
                    "{lost} went with this table, and it stands again without {it}; make {it} \
                     again, or drop {it} by a statement of this file if that is meant"
                ));
            }
            if self.autoincrement.contains(&table) && !after.autoincrement.contains(&table) {
                say("AUTOINCREMENT went with this table, and SQLite may give the id of a deleted \
                     row again; write it in the new table"
                    .to_owned());
            }
        }
        found
    }
}

/// A word in any letters, and everything else as it is.
fn said(token: &Token<'_>) -> String {
    if matches!(token.kind, TokenKind::Word | TokenKind::Quoted) {
        bare(token)
    } else {
        token.text.to_owned()
    }
}

fn bare(token: &Token<'_>) -> String {
    token.text.trim_matches(['"', '`', '[', ']']).to_lowercase()
}

/// The first token of this statement, and what it drops of the main database.
fn dropped<'a>(statement: &Statement<'a>, kind: &str) -> Option<(Token<'a>, String)> {
    if !(statement.word(0, "DROP") && statement.word(1, kind)) {
        return None;
    }
    let place = if statement.word(2, "IF") { 4 } else { 2 };
    let dotted = statement.token(place + 1).is_some_and(|token| token.text == ".");
    let schema = statement.token(place).filter(|_| dotted).map(bare);
    if schema.is_some_and(|schema| schema != "main") {
        return None;
    }
    let name = statement.token(if dotted { place + 2 } else { place })?;
    Some((*statement.token(0)?, bare(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str =
        "CREATE TABLE p (id INTEGER PRIMARY KEY AUTOINCREMENT, k); CREATE INDEX by_k ON p (k); \
         CREATE TABLE log (x);
        CREATE TRIGGER gone AFTER DELETE ON p BEGIN INSERT INTO log VALUES (old.k); END;";
    const REBUILD: &str = "CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, k NOT NULL); \
                           INSERT INTO n SELECT * FROM p;\n DROP TABLE p; ALTER TABLE n RENAME TO \
                           p;";

    #[track_caller]
    fn check(text: &str, expected: &[&str]) -> rusqlite::Result<()> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(OLD)?;
        let before = Hanging::read(&connection)?;
        connection.execute_batch(text)?;
        let lost = before.lost(&Hanging::read(&connection)?, text);
        let words = lost.iter().map(|one| {
            format!(
                "{}:{} {}",
                one.line,
                one.column,
                one.sentence.split(" went ").next().unwrap_or_default()
            )
        });
        assert_eq!(words.collect::<Vec<_>>(), expected, "{text}");
        Ok(())
    }

    #[test]
    fn what_a_rebuild_forgets_is_named() -> rusqlite::Result<()> {
        let trigger =
            "CREATE TRIGGER gone AFTER DELETE ON p BEGIN INSERT INTO log VALUES (old.k); END;";
        check(REBUILD, &["2:2 the index by_k, the trigger gone"])?;
        check(&format!("{REBUILD} CREATE INDEX by_k ON p (k, id);"), &["2:2 the trigger gone"])?;
        check(&format!("{REBUILD} {trigger}"), &["2:2 the index by_k"])?;
        let forgets = REBUILD
            .replace(" AUTOINCREMENT", "")
            .replace("DROP TABLE p", "DROP TABLE IF EXISTS main.\"P\"");
        check(
            &format!("{forgets} {trigger} CREATE INDEX other ON \"p\"(K);"),
            &["2:2 AUTOINCREMENT"],
        )
    }

    #[test]
    fn what_goes_on_purpose_is_not() -> rusqlite::Result<()> {
        check(&format!("DROP INDEX by_k; DROP TRIGGER IF EXISTS gone; {REBUILD}"), &[])?;
        check("DROP TABLE p;", &[])?;
        check("DROP INDEX by_k; ALTER TABLE p RENAME TO q;", &[])?;
        check("CREATE TEMP TABLE p (x); DROP TABLE temp.p;", &[])
    }
}
