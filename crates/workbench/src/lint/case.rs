//! Owns what a lint looks at: one file, its tokens, and the database before, after, and with rows.
//! Promises: the states are SQLite's own, after running the files; nothing is guessed from text
//! alone where SQLite can be asked.
//! Never decides what is a mistake.

use bootmigrate_build::config::DatabaseSettings;
use bootmigrate_build::workbench::{lex, statements, Chain, Statement, Token, TokenKind};
use bootmigrate_build::{Database, Migration, Product};
use rusqlite::Connection;

use crate::model::{bare, Model};
use crate::{product, rows};

/// Rows a table when a file is tried.
const ROWS: u32 = 12;

/// A file as tokens.
pub struct File<'a> {
    pub text: &'a str,
    pub tokens: Vec<Token<'a>>,
    pub statements: Vec<Statement<'a>>,
}

impl<'a> File<'a> {
    pub fn of(text: &'a str) -> File<'a> {
        let tokens = lex(text).tokens;
        let (statements, _) = statements(&tokens);
        File { text, tokens, statements }
    }
}

/// One migration, and all that is known of it.
pub struct Case<'a> {
    pub product: &'a Product,
    pub database: &'a Database,
    pub settings: &'a DatabaseSettings,
    pub migration: &'a Migration,
    pub chain: &'a Chain<'a>,
    /// How many schema migrations have run before it.
    pub place: usize,
    /// It is a data migration.
    pub data: bool,
    pub up: File<'a>,
    pub down: Option<File<'a>>,
    pub before: Model,
    pub after: Model,
    /// After the newest migration.
    pub last: &'a Model,
    /// How it ends with rows in every table.
    pub trial: Option<Trial>,
}

/// A statement that fails where rows are.
pub struct Trial {
    /// Which statement, from 0.
    pub statement: usize,
    /// SQLite's extended code.
    pub code: i32,
    pub words: String,
}

/// A place in the file, and what is there.
pub struct Hit {
    /// In the file of the way back.
    pub down: bool,
    pub line: u32,
    pub column: u32,
    /// In characters.
    pub width: usize,
    pub what: String,
}

impl Hit {
    /// At a token of the migration.
    pub fn at(token: &Token<'_>, what: impl Into<String>) -> Hit {
        Hit {
            down: false,
            line: token.line,
            column: token.column,
            width: token.text.lines().next().unwrap_or_default().chars().count(),
            what: what.into(),
        }
    }

    /// At the head of the file.
    pub fn head(what: impl Into<String>) -> Hit {
        Hit { down: false, line: 1, column: 1, width: 1, what: what.into() }
    }

    /// The same in the file of the way back.
    pub fn in_down(self) -> Hit {
        Hit { down: true, ..self }
    }
}

impl<'a> Case<'a> {
    /// The connection as the file finds it.
    pub fn open(&self) -> Option<Connection> {
        self.chain.open(self.place)
    }

    /// Runs the file with rows in every table, as far as it goes.
    pub fn try_with_rows(&self) -> Option<Trial> {
        // A stand-in for a function of the product's gives NULL, which proves nothing.
        let file = product::shown(self.product, self.migration);
        if self.chain.unregistered().iter().any(|problem| problem.file == file) {
            return None;
        }
        let connection = self.open()?;
        let mut filled = self.before.clone();
        filled.tables.retain(|table| !self.takes_a_name(&table.name));
        rows::fill(&connection, &filled, ROWS).ok()?;
        let begins = if self.migration.directives.no_transaction { "" } else { "BEGIN" };
        connection.execute_batch(begins).ok()?;
        // A device leaves these out of a file that was released before bootmigrate.
        let left_out = |statement: &Statement<'_>| {
            self.migration.adopted
                && ["BEGIN", "COMMIT", "END", "PRAGMA", "VACUUM"]
                    .iter()
                    .any(|word| statement.word(0, word))
        };
        for (number, statement) in
            self.up.statements.iter().enumerate().filter(|(_, statement)| !left_out(statement))
        {
            if let Err(error) = connection.execute_batch(source(statement, self.up.text)) {
                let code = error.sqlite_error().map_or(0, |error| error.extended_code);
                let words = match error {
                    rusqlite::Error::SqliteFailure(_, Some(words))
                    | rusqlite::Error::SqlInputError { msg: words, .. } => words,
                    other => other.to_string(),
                };
                // Which texts are JSON is known to the application alone.
                return Some(Trial { statement: number, code, words })
                    .filter(|trial| trial.words != "malformed JSON");
            }
        }
        None
    }

    /// Tables that this file drops or renames away and makes again, each with that statement's
    /// first token.
    pub fn rebuilt(&self) -> Vec<(String, Token<'a>)> {
        let away = |statement: &Statement<'_>| {
            dropped(statement, "TABLE").or_else(|| renamed(statement).map(|(old, _)| old))
        };
        let gone = self
            .up
            .statements
            .iter()
            .filter_map(|statement| Some((away(statement)?, *statement.token(0)?)));
        gone.filter(|(table, _)| {
            self.before.table(table).is_some() && self.after.table(table).is_some()
        })
        .collect()
    }

    /// A later file gives this table the name of one that is still there: until then it is empty,
    /// or has the other's rows.
    fn takes_a_name(&self, table: &str) -> bool {
        self.last.table(table).is_none()
            && self.renamed_later(|old, new| {
                old.eq_ignore_ascii_case(table) && self.before.table(new).is_some()
            })
    }

    /// A table that is there has this one's rows, and gets its name by a later file.
    pub fn is_made_again(&self, table: &str) -> bool {
        self.renamed_later(|old, new| {
            new.eq_ignore_ascii_case(table) && self.before.table(old).is_some()
        })
    }

    fn renamed_later(&self, is_it: impl Fn(&str, &str) -> bool) -> bool {
        let later = self.database.migrations.iter().skip(self.place + 1);
        later.map(|migration| File::of(&migration.sql)).any(|file| {
            file.statements.iter().filter_map(renamed).any(|(old, new)| is_it(&old, &new))
        })
    }

    /// Is this table there before the file?
    pub fn has_rows(&self, table: &str) -> bool {
        self.before.table(table).is_some()
    }
}

/// A statement's text.
pub fn source<'t>(statement: &Statement<'_>, text: &'t str) -> &'t str {
    statement.source(text).unwrap_or_default()
}

/// The name at this place, without its schema and quotes, and the place behind it.
pub fn name_at(statement: &Statement<'_>, mut place: usize) -> Option<(String, usize)> {
    if statement.token(place + 1).is_some_and(|token| token.text == ".") {
        place += 2;
    }
    let token = statement.token(place).filter(|token| {
        matches!(token.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Text)
    })?;
    Some((bare(token), place + 1))
}

/// What `DROP kind` drops.
pub fn dropped(statement: &Statement<'_>, kind: &str) -> Option<String> {
    if !(statement.word(0, "DROP") && statement.word(1, kind)) {
        return None;
    }
    let place = if statement.word(2, "IF") { 4 } else { 2 };
    if statement.word(place, "temp")
        && statement.token(place + 1).is_some_and(|token| token.text == ".")
    {
        return None;
    }
    name_at(statement, place).map(|(name, _)| name)
}

/// The old and the new name of `ALTER TABLE … RENAME TO …`.
pub fn renamed(statement: &Statement<'_>) -> Option<(String, String)> {
    let (old, after) = name_at(statement, 2)
        .filter(|_| statement.word(0, "ALTER") && statement.word(1, "TABLE"))?;
    let renames = statement.word(after, "RENAME") && statement.word(after + 1, "TO");
    name_at(statement, after + 2).filter(|_| renames).map(|(new, _)| (old, new))
}

/// `CREATE [TEMP] [UNIQUE] kind [IF NOT EXISTS] name`: the name, and the place behind it.
pub fn created(statement: &Statement<'_>, kind: &str) -> Option<(String, usize)> {
    let place = (1..3).find(|place| statement.word(*place, kind))?;
    let place = if statement.word(place + 1, "IF") { place + 4 } else { place + 1 };
    statement.word(0, "CREATE").then(|| name_at(statement, place)).flatten()
}

/// It makes something in the database `temp`.
pub fn is_temporary(statement: &Statement<'_>) -> bool {
    statement.word(0, "CREATE") && (statement.word(1, "TEMP") || statement.word(1, "TEMPORARY"))
}

/// Where the word stands outside of parentheses.
pub fn outside(statement: &Statement<'_>, word: &str) -> Option<usize> {
    let mut depth = 0_u32;
    statement.tokens.iter().position(|token| {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.is(word)
    })
}

/// The table that an INSERT or REPLACE writes to, and the place behind its name.
pub fn inserts(statement: &Statement<'_>) -> Option<(String, usize)> {
    let into = outside(statement, "INTO")?;
    let verb = ["INSERT", "REPLACE"]
        .iter()
        .any(|verb| outside(statement, verb).is_some_and(|place| place < into));
    (verb && !statement.word(0, "CREATE")).then(|| name_at(statement, into + 1)).flatten()
}

/// The table that an UPDATE or DELETE changes, and where its verb stands.
pub fn changes(statement: &Statement<'_>) -> Option<(String, usize)> {
    if statement.word(0, "CREATE") || inserts(statement).is_some() {
        return None;
    }
    if let Some(verb) = outside(statement, "UPDATE") {
        let place = if statement.word(verb + 1, "OR") { verb + 3 } else { verb + 1 };
        return name_at(statement, place).map(|(name, _)| (name, verb));
    }
    let verb = outside(statement, "DELETE")?;
    name_at(statement, verb + 2).map(|(name, _)| (name, verb))
}

/// Does it read this table: `FROM name` or `JOIN name`?
pub fn reads(statement: &Statement<'_>, table: &str) -> bool {
    statement.tokens.iter().enumerate().any(|(place, token)| {
        (token.is("FROM") || token.is("JOIN"))
            && name_at(statement, place + 1)
                .is_some_and(|(name, _)| name.eq_ignore_ascii_case(table))
    })
}
