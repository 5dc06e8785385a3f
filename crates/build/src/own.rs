//! Owns the rule that keeps migrations away from the runner's own tables.
//! Promises: finds what a statement writes to, makes, changes or removes, also inside a trigger;
//! reading is nobody's business.
//! Never knows which tables there are.

use crate::reserved::{is_reserved, refusal};
use crate::sql::{Statement, Token, TokenKind};

/// Line, column and sentence of the first place where this statement touches one of them.
pub(crate) fn touched(
    statement: &Statement<'_>,
    history_table: &str,
) -> Option<(u32, u32, String)> {
    let first = statement.token(0)?;
    // Whatever it makes, changes or removes is named in it.
    let by_name = ["CREATE", "DROP", "ALTER"].iter().any(|word| first.is(word));
    let found = statement.tokens.iter().enumerate().find(|(place, token)| {
        is_reserved(bare(token), history_table)
            && names_something(token)
            && (by_name || is_written(statement, *place))
    })?;
    Some((found.1.line, found.1.column, refusal(bare(found.1))))
}

fn bare<'a>(token: &Token<'a>) -> &'a str {
    token.text.trim_matches(['"', '`', '[', ']', '\''])
}

/// A word or a quoted name, and no comment.
fn names_something(token: &Token<'_>) -> bool {
    !matches!(token.kind, TokenKind::LineComment | TokenKind::BlockComment)
}

/// `INSERT INTO it`, `REPLACE INTO it`, `DELETE FROM it`, `UPDATE it`, `UPDATE OR IGNORE it`, each
/// also as `main.it`.
fn is_written(statement: &Statement<'_>, place: usize) -> bool {
    let dotted = place >= 2 && statement.token(place - 1).is_some_and(|token| token.text == ".");
    let before = if dotted { place - 2 } else { place };
    let word = |back: usize, word: &str| before >= back && statement.word(before - back, word);
    word(1, "INTO")
        || word(1, "UPDATE")
        || (word(1, "FROM") && word(2, "DELETE"))
        || (word(2, "OR") && word(3, "UPDATE"))
}

#[cfg(test)]
mod tests {
    use crate::reserved::HISTORY;
    use crate::sql;

    #[track_caller]
    fn check(text: &str, place: Option<(u32, u32)>) {
        let lexed = sql::lex(text);
        let (statements, _) = sql::statements(&lexed.tokens);
        let found = statements.iter().find_map(|statement| super::touched(statement, HISTORY));
        assert_eq!(found.map(|(line, column, _)| (line, column)), place, "{text}");
    }

    #[test]
    fn what_writes_or_changes_is_found() {
        check("INSERT INTO refinery_schema_history VALUES (1)", Some((1, 13)));
        check("replace into main.\"Refinery_Schema_History\"(version) values (1)", Some((1, 19)));
        check("SELECT 1;\nUPDATE OR IGNORE [bootmigrate_state] SET value = 7", Some((2, 18)));
        check("WITH x AS (SELECT 1) DELETE FROM main.bootmigrate_steps", Some((1, 39)));
        check("UPDATE bootmigrate_data SET rows = 0", Some((1, 8)));
        check("DROP TABLE IF EXISTS refinery_schema_history", Some((1, 22)));
        check("ALTER TABLE a RENAME TO 'bootmigrate_data'", Some((1, 25)));
        check(
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM bootmigrate_steps; END",
            Some((1, 54)),
        );
        check("CREATE INDEX i ON refinery_schema_history(name)", Some((1, 19)));
        check("CREATE TEMP VIEW bootmigrate_later AS SELECT 1", Some((1, 18)));
    }

    #[test]
    fn reading_and_likeness_are_not() {
        check("SELECT max(version) FROM refinery_schema_history", None);
        check(
            "INSERT INTO a SELECT version FROM refinery_schema_history JOIN b ON b.v = \
             refinery_schema_history.version",
            None,
        );
        check("DELETE FROM a WHERE v IN (SELECT version FROM bootmigrate_steps)", None);
        check(
            "-- INSERT INTO refinery_schema_history\nUPDATE bootmigrate SET a = \
             'refinery_schema_history'",
            None,
        );
        check("CREATE TABLE my_bootmigrate_state (a)", None);
    }
}
