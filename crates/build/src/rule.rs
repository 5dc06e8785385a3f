//! Owns what a statement of a migration may not be, and what to write instead.
//! Promises: judges whole statements by their tokens, so that `BEGIN … END` of a trigger and `CASE
//! … END` are left alone.
//! Never looks at names, order or releases.

use crate::pragma::{self, Effect};
use crate::sql::{Statement, Token, TokenKind};

/// PRAGMAs that answer with rows, which nobody reads in a migration.
const CHECK_PRAGMAS: [&str; 3] = ["foreign_key_check", "integrity_check", "quick_check"];

/// What the rules must know of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    /// `no-transaction` stands at its head.
    pub no_transaction: bool,
    /// It is a `.down.sql`.
    pub down: bool,
    /// It is in `data/`.
    pub data: bool,
    /// `user_version = "ours"`.
    pub user_version_ours: bool,
}

/// A statement that is refused or, as a warning, worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub line: u32,
    pub column: u32,
    pub sentence: String,
    pub warning: bool,
}

/// Looks at every statement of a file.
pub(crate) fn check(statements: &[Statement<'_>], context: Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    for statement in statements {
        let Some(first) = statement.token(0) else { continue };
        if let Some(sentence) = refused(statement, first, context) {
            findings.push(Finding {
                line: first.line,
                column: first.column,
                sentence,
                warning: false,
            });
        }
        if let Some(sentence) = unread_check(statement, context) {
            findings.push(Finding {
                line: first.line,
                column: first.column,
                sentence,
                warning: true,
            });
        }
        findings.extend(load_extension(statement));
        findings.extend(limited(statement));
        findings.extend(total_changes(statement));
    }
    findings.extend(open_savepoint(statements));
    findings
}

fn refused(statement: &Statement<'_>, first: &Token<'_>, context: Context) -> Option<String> {
    let word = first.text.to_ascii_uppercase();
    if first.kind != TokenKind::Word {
        return Some(format!(
            "a statement cannot begin with `{}`; remove it, or the semicolon before it",
            first.text
        ));
    }
    match word.as_str() {
        "ALTER" | "CREATE" | "DROP" | "VACUUM" if context.data => Some(format!(
            "`{word}` is not allowed: a data migration changes rows alone, beside running \
             applications; write what changes the schema in a migration of its own, outside `data`"
        )),
        "BEGIN" | "COMMIT" | "END" => Some(transaction_word(&word)),
        "ROLLBACK" if !(statement.word(1, "TO") || statement.word(2, "TO")) => {
            Some(transaction_word(&word))
        }
        "ATTACH" | "DETACH" => Some(format!(
            "`{word}` is not allowed: a migration works on its own database alone; write one \
             migration for each database, and `group` in bootmigrate.toml where they belong \
             together"
        )),
        "VACUUM" => vacuum(statement, context),
        "PRAGMA" => pragma(statement, context),
        "INSERT" | "UPDATE" | "REPLACE" | "WITH" => or_rollback(statement),
        _ => None,
    }
}

fn transaction_word(word: &str) -> String {
    format!(
        "`{word}` is not allowed: bootmigrate runs all pending migrations and their history in one \
         transaction of its own; remove this statement"
    )
}

/// `INSERT OR ROLLBACK` ends the transaction as ROLLBACK does.
fn or_rollback(statement: &Statement<'_>) -> Option<String> {
    let found = statement
        .tokens
        .windows(2)
        .any(|pair| matches!(pair, [one, two] if one.is("OR") && two.is("ROLLBACK")));
    found.then(|| {
        "`OR ROLLBACK` is not allowed: it would end bootmigrate's own transaction; write `OR ABORT`"
            .to_owned()
    })
}

fn vacuum(statement: &Statement<'_>, context: Context) -> Option<String> {
    if statement.tokens.iter().any(|token| token.is("INTO")) {
        return Some(
            "`VACUUM INTO` is not allowed: a migration writes no other file; remove this statement"
                .to_owned(),
        );
    }
    if context.down {
        return Some(
            "`VACUUM` cannot run in a down file, which is run inside a transaction; remove this \
             statement"
                .to_owned(),
        );
    }
    (!context.no_transaction).then(|| {
        "`VACUUM` cannot run inside a transaction; write `-- bootmigrate: no-transaction` at the \
         head of this file"
            .to_owned()
    })
}

/// A PRAGMA statement.
struct Pragma<'a> {
    /// What stands before its name and a dot.
    schema: Option<&'a str>,
    /// In small letters.
    name: String,
    has_value: bool,
}

impl<'a> Pragma<'a> {
    fn of(statement: &Statement<'a>) -> Option<Pragma<'a>> {
        let bare = |place: usize| statement.token(place).map(bare);
        let dotted = statement.token(2).is_some_and(|token| token.text == ".");
        let place = if dotted { 3 } else { 1 };
        let schema = if dotted { bare(1) } else { None };
        Some(Pragma {
            schema,
            name: bare(place)?.to_ascii_lowercase(),
            has_value: statement.token(place + 1).is_some(),
        })
    }
}

fn pragma(statement: &Statement<'_>, context: Context) -> Option<String> {
    let Pragma { schema, name, has_value } = Pragma::of(statement)?;
    if let Some(why) = pragma::refusal(schema, &name, has_value) {
        return Some(format!("`PRAGMA {name}` is not allowed in a migration: {why}"));
    }
    if pragma::effect(&name) == Effect::Vacuum
        && has_value
        && (context.down || !context.no_transaction)
    {
        let instead = if context.down {
            "remove this statement, for a down file is run inside a transaction"
        } else {
            "write `-- bootmigrate: no-transaction` at the head of this file and `VACUUM;` after it"
        };
        return Some(format!("`PRAGMA {name}` takes effect with VACUUM only; {instead}"));
    }
    if name == "user_version" && has_value && context.user_version_ours {
        return Some(
            "`PRAGMA user_version` is set by bootmigrate here; remove this statement, or \
             `user_version = \"ours\"` in bootmigrate.toml"
                .to_owned(),
        );
    }
    None
}

fn unread_check(statement: &Statement<'_>, context: Context) -> Option<String> {
    let Pragma { name, .. } = Pragma::of(statement).filter(|_| statement.word(0, "PRAGMA"))?;
    let instead = if context.down { "" } else { ", or write `-- bootmigrate: expect = <query>`" };
    CHECK_PRAGMAS.contains(&name.as_str()).then(|| {
        format!(
            "`PRAGMA {name}` answers with rows that nobody reads here; bootmigrate checks before \
             the commit, so remove this statement{instead}"
        )
    })
}

/// ORDER BY or LIMIT of an UPDATE or DELETE: an option with which SQLite's parser itself must be
/// generated, and the bundled one is not.
fn limited(statement: &Statement<'_>) -> Option<Finding> {
    let mut depth = 0u32;
    let mut outside = Vec::new();
    for token in &statement.tokens {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            _ if depth == 0 => outside.push(token),
            _ => {}
        }
    }
    let verb = outside.iter().find(|token| {
        ["SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"]
            .iter()
            .any(|verb| token.is(verb))
    })?;
    let begins = ["UPDATE", "DELETE", "WITH"].iter().any(|verb| statement.word(0, verb));
    if !begins || !(verb.is("UPDATE") || verb.is("DELETE")) {
        return None;
    }
    let found = outside.iter().find(|token| token.is("LIMIT") || token.is("ORDER"))?;
    let sentence = format!(
        "the SQLite in the firmware knows no `{}` in an UPDATE or DELETE; write `WHERE rowid IN \
         (SELECT rowid FROM … ORDER BY … LIMIT …)`",
        if found.is("LIMIT") { "LIMIT" } else { "ORDER BY" }
    );
    Some(Finding { line: found.line, column: found.column, sentence, warning: false })
}

fn load_extension(statement: &Statement<'_>) -> Option<Finding> {
    let sentence = "`load_extension` is not allowed: a migration brings no code; register a \
                    function in the firmware";
    call_of(statement, "load_extension").map(|call| at(call, sentence.to_owned()))
}

/// In the body of a trigger or a view it is the product's own, and not run now.
fn total_changes(statement: &Statement<'_>) -> Option<Finding> {
    let body = statement.word(0, "CREATE")
        && (1..4).any(|place| statement.word(place, "TRIGGER") || statement.word(place, "VIEW"));
    let call = call_of(statement, "total_changes").filter(|_| !body)?;
    let sentence = "`total_changes()` is not allowed: it counts what other migrations of the same \
                    boot have changed, too; write `changes()` after a statement";
    Some(at(call, sentence.to_owned()))
}

/// Where a function of this name is called.
fn call_of<'a>(statement: &Statement<'a>, name: &str) -> Option<Token<'a>> {
    let is_it = |token: &Token<'_>| {
        matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
            && bare(token).eq_ignore_ascii_case(name)
    };
    statement.tokens.windows(2).find_map(|pair| match pair {
        [name, open] if open.kind == TokenKind::Open && is_it(name) => Some(*name),
        _ => None,
    })
}

/// A name without its quotes.
fn bare<'a>(token: &Token<'a>) -> &'a str {
    token.text.trim_matches(['"', '`', '[', ']', '\''])
}

fn at(token: Token<'_>, sentence: String) -> Finding {
    Finding { line: token.line, column: token.column, sentence, warning: false }
}

/// The outermost savepoint that no statement of the file ends.
fn open_savepoint(statements: &[Statement<'_>]) -> Option<Finding> {
    let mut open: Vec<&Token<'_>> = Vec::new();
    for statement in statements {
        let named = |place: usize| {
            statement.token(if statement.word(place, "SAVEPOINT") { place + 1 } else { place })
        };
        let place_of = |open: &[&Token<'_>], name: &Token<'_>| {
            open.iter().rposition(|one| bare(one).eq_ignore_ascii_case(bare(name)))
        };
        if statement.word(0, "SAVEPOINT") {
            open.extend(statement.token(1));
        } else if statement.word(0, "RELEASE") {
            let ends = named(1).and_then(|name| place_of(&open, name));
            open.truncate(ends.unwrap_or(open.len()));
        } else if statement.word(0, "ROLLBACK") {
            let place = if statement.word(1, "TO") { 2 } else { 3 };
            let back_to = named(place).and_then(|name| place_of(&open, name));
            open.truncate(back_to.map_or(open.len(), |back_to| back_to + 1));
        }
    }
    open.first().map(|name| {
        at(
            **name,
            format!(
                "the savepoint `{}` is still open at the end of this file; write `RELEASE {};` \
                 behind what it is for",
                bare(name),
                name.text
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    /// Line, column and the sentence's first words of all findings.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let lexed = sql::lex(text);
        let (statements, _) = sql::statements(&lexed.tokens);
        let context =
            Context { no_transaction: false, down: false, data: false, user_version_ours: false };
        let seen: Vec<String> = super::check(&statements, context)
            .iter()
            .map(|finding| format!("{}:{} {}", finding.line, finding.column, finding.sentence))
            .collect();
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(seen.starts_with(expected), "{seen}\n{expected}");
        }
    }

    #[test]
    fn transaction_words_count_as_statements_only() {
        check("SELECT 1; begin; SELECT 2", &["1:11 `BEGIN` is not"]);
        check(
            "COMMIT TRANSACTION;\nEND;\n  ROLLBACK;",
            &["1:1 `COMMIT`", "2:1 `END`", "3:3 `ROLLBACK`"],
        );
        check("SAVEPOINT a; ROLLBACK TO a; ROLLBACK TRANSACTION TO a; RELEASE a;", &[]);
        check(
            "SAVEPOINT a; SAVEPOINT \"B\"; RELEASE SAVEPOINT b;",
            &["1:11 the savepoint `a` is still open"],
        );
        check("SAVEPOINT a; SAVEPOINT b; SAVEPOINT a; ROLLBACK TO b; RELEASE a;", &[]);
        check(
            "SAVEPOINT a;\n SAVEPOINT [a b]; ROLLBACK TO SAVEPOINT a; RELEASE b;",
            &["1:11 the savepoint `a`"],
        );
        check("SELECT total_changes ( ), changes();", &["1:8 `total_changes()` is not"]);
        check(
            "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT total_changes(); END; SELECT \
             'total_changes()';",
            &[],
        );
        check(
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET c = CASE WHEN d THEN 1 END; \
             END;",
            &[],
        );
        check(
            "SELECT CASE WHEN 1 THEN 2 END; -- BEGIN;\n/* COMMIT; */ SELECT 'ROLLBACK;', \"END;\"",
            &[],
        );
        check(
            "INSERT OR ROLLBACK INTO a VALUES (1); INSERT OR ABORT INTO a VALUES (1)",
            &["1:1 `OR ROLLBACK`"],
        );
        check("CREATE TABLE a (b UNIQUE ON CONFLICT ROLLBACK)", &[]);
    }

    #[test]
    fn an_update_has_no_limit() {
        check(
            "DELETE FROM a ORDER BY x LIMIT 1; UPDATE a SET x = 1 LIMIT 2",
            &["1:15 the SQLite in the firmware knows no `ORDER BY`", "1:54 the"],
        );
        check(
            "WITH b AS (SELECT 1 LIMIT 1) DELETE FROM a WHERE x IN b LIMIT 3",
            &["1:57 the SQLite in the firmware knows no `LIMIT`"],
        );
        check("DELETE FROM a WHERE rowid IN (SELECT rowid FROM a ORDER BY x LIMIT 1)", &[]);
        check("WITH b AS (SELECT 1) INSERT INTO a SELECT * FROM b WHERE 1 ORDER BY 1 LIMIT 1", &[]);
        check(
            "INSERT INTO a SELECT 1 WHERE 1 ON CONFLICT DO UPDATE SET x = 2; SELECT 1 LIMIT 1; \
             UPDATE a SET \"limit\" = 1",
            &[],
        );
    }

    #[test]
    fn pragmas_are_found_under_any_spelling() {
        check("PRAGMA main.\"Foreign_Keys\" = off", &["1:1 `PRAGMA foreign_keys`"]);
        check(
            "pragma journal_mode(wal); PRAGMA user_version = 3; PRAGMA page_size",
            &["1:1 `PRAGMA journal_mode`"],
        );
        check("PRAGMA page_size = 8192", &["1:1 `PRAGMA page_size` takes effect"]);
        check("PRAGMA integrity_check", &["1:1 `PRAGMA integrity_check` answers"]);
        check(
            "PRAGMA temp.max_page_count = 9; PRAGMA 'main'.max_page_count = 9",
            &["1:1 `PRAGMA max_page_count` is not"],
        );
        check(
            "PRAGMA legacy_alter_table = ON; PRAGMA table_info(a); PRAGMA no_such_thing",
            &["1:55 `PRAGMA no_such_thing` is not"],
        );
    }
}
