//! Owns the lints about single statements: what they name, leave out, or depend on.
//! Promises: bodies of triggers and views, and DEFAULT clauses, are judged by what runs later and
//! not by what runs now.
//! Never looks at a comment or into a text.

use bootmigrate_build::workbench::{Statement, Token, TokenKind};
use rusqlite::config::DbConfig;

use crate::lint::case::{
    changes, created, inserts, is_temporary, name_at, outside, source, Case, Hit,
};
use crate::model::bare;

/// Every statement of the migration.
fn each<'c, 'a>(case: &'c Case<'a>, of: impl FnMut(&'c Statement<'a>) -> Option<Hit>) -> Vec<Hit> {
    case.up.statements.iter().filter_map(of).collect()
}

pub fn no_where(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let (table, verb) = changes(statement)?;
        let temporary = case.up.statements.iter().any(|one| {
            is_temporary(one)
                && created(one, "TABLE").is_some_and(|(name, _)| name.eq_ignore_ascii_case(&table))
        });
        let whole = outside(statement, "WHERE").is_none()
            && !temporary
            && (case.has_rows(&table) || case.data);
        let token = statement.token(verb).filter(|_| whole)?;
        let verb = token.text.to_ascii_uppercase();
        Some(Hit::at(
            token,
            format!(
                "{verb} without WHERE changes every row of `{table}`, in one transaction at boot"
            ),
        ))
    })
}

pub fn select_star(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let (table, _) = inserts(statement)?;
        let star = star(statement)?;
        Some(Hit::at(
            star,
            format!("what goes into which column of `{table}` depends on the order of the columns"),
        ))
    })
}

/// The `*` of a `SELECT *` or `SELECT a.*` outside of parentheses.
fn star<'s, 'a>(statement: &'s Statement<'a>) -> Option<&'s Token<'a>> {
    let mut depth = 0_u32;
    for (place, token) in statement.tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        let before = place.checked_sub(1).and_then(|before| statement.token(before));
        let begins = before.is_some_and(|before| {
            before.text == "." || before.text == "," || before.is("SELECT") || before.is("DISTINCT")
        });
        if depth == 0 && token.text == "*" && begins {
            return Some(token);
        }
    }
    None
}

pub fn positional(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let (table, after) = inserts(statement)?;
        let next = statement.token(after)?;
        let unnamed = next.kind != TokenKind::Open && !next.is("DEFAULT") && !next.is("AS");
        let token = statement.token(after - 1).filter(|_| unnamed)?;
        Some(Hit::at(
            token,
            format!("this INSERT names no columns of `{table}`, so its values go by their order"),
        ))
    })
}

pub fn or_ignore(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let verb = ["INSERT", "UPDATE", "REPLACE"]
            .into_iter()
            .find_map(|verb| outside(statement, verb))?;
        let first = statement.token(verb).filter(|_| !statement.word(0, "CREATE"))?;
        let (word, place) = if first.is("REPLACE") { ("REPLACE", verb) } else { ("OR", verb + 1) };
        let how = if word == "REPLACE" {
            "REPLACE"
        } else {
            ["IGNORE", "REPLACE"]
                .into_iter()
                .find(|how| statement.word(verb + 1, "OR") && statement.word(verb + 2, how))?
        };
        // A default row that may be there already is no loss.
        let seeds = how == "IGNORE" && first.is("INSERT") && outside(statement, "VALUES").is_some();
        let loses = if how == "IGNORE" {
            "a row that breaks a constraint is left out"
        } else {
            "a row that is in the way is deleted"
        };
        let token = statement.token(place).filter(|_| !seeds)?;
        Some(Hit::at(token, format!("{loses} without a word")))
    })
}

pub fn if_exists(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let begins =
            (statement.word(0, "CREATE") && !is_temporary(statement)) || statement.word(0, "DROP");
        let place = statement.tokens.iter().take(5).position(|token| token.is("IF"))?;
        let token = statement.token(place).filter(|_| begins)?;
        let words = if statement.word(0, "CREATE") { "IF NOT EXISTS" } else { "IF EXISTS" };
        Some(Hit::at(
            token,
            format!("{words} lets a database go on that is not as the migrations made it"),
        ))
    })
}

/// Asks SQLite, once with and once without its old habit.
pub fn text_in_double_quotes(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    let Some(connection) = case.open() else { return hits };
    let habit = |on: bool| {
        let dml = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, on);
        dml.and_then(|_| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, on))
    };
    for statement in &case.up.statements {
        let text = source(statement, case.up.text);
        if statement
            .tokens
            .iter()
            .any(|token| token.kind == TokenKind::Quoted && token.text.starts_with('"'))
        {
            // Of a view SQLite looks at no column before it is read.
            let begins = statement.tokens.iter().position(|token| token.is("AS"));
            let select =
                begins.filter(|_| created(statement, "VIEW").is_some()).and_then(|place| {
                    let first = statement.token(place + 1)?.text.as_ptr() as usize;
                    text.get(first.checked_sub(text.as_ptr() as usize)?..)
                });
            let asked = select.unwrap_or(text);
            let refused = habit(false).is_ok().then(|| connection.prepare(asked).err()).flatten();
            let taken = habit(true).is_ok() && connection.prepare(asked).is_ok();
            let words =
                refused.map(|error| error.to_string()).filter(|_| taken).unwrap_or_default();
            let meant =
                |token: &&Token<'_>| token.kind == TokenKind::Quoted && words.contains(token.text);
            hits.extend(statement.tokens.iter().find(meant).map(|token| {
                Hit::at(
                    token,
                    format!("{} is no column here, so SQLite takes it for a text", token.text),
                )
            }));
        }
        if connection.execute_batch(text).is_err() {
            break;
        }
    }
    hits
}

pub fn temporary(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (number, statement) in
        case.up.statements.iter().enumerate().filter(|(_, statement)| is_temporary(statement))
    {
        let Some((name, _)) =
            ["TABLE", "VIEW", "TRIGGER"].into_iter().find_map(|kind| created(statement, kind))
        else {
            continue;
        };
        let trigger = created(statement, "TRIGGER").is_some();
        let names = |token: &Token<'_>| {
            matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
                && bare(token).eq_ignore_ascii_case(&name)
        };
        let used = case
            .up
            .statements
            .iter()
            .skip(number + 1)
            .any(|later| !later.word(0, "DROP") && later.tokens.iter().any(names));
        let asked =
            case.migration.directives.expect.iter().any(|expect| expect.query.contains(&name));
        if let (false, false, false, Some(token)) = (used, asked, trigger, statement.token(1)) {
            hits.push(Hit::at(
                token,
                format!("`{name}` is gone at the end of this file, and nothing in it reads it"),
            ));
        }
    }
    hits
}

/// PRAGMAs that hold for the file alone, and that nothing in a migration needs.
const OF_THE_FILE: [&str; 9] = [
    "analysis_limit",
    "automatic_index",
    "cache_size",
    "case_sensitive_like",
    "cell_size_check",
    "count_changes",
    "reverse_unordered_selects",
    "short_column_names",
    "full_column_names",
];

pub fn pragma(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let (name, _) = name_at(statement, 1).filter(|_| statement.word(0, "PRAGMA"))?;
        let token = statement
            .token(0)
            .filter(|_| OF_THE_FILE.contains(&name.to_ascii_lowercase().as_str()))?;
        Some(Hit::at(token, format!("PRAGMA {name} holds for the rest of this file alone")))
    })
}

pub fn legacy_alter(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let (name, after) = name_at(statement, 1).filter(|_| statement.word(0, "PRAGMA"))?;
        let off = statement.tokens.iter().skip(after).any(|token| {
            ["off", "0", "no", "false"].iter().any(|word| token.text.eq_ignore_ascii_case(word))
        });
        let token = statement
            .token(0)
            .filter(|_| name.eq_ignore_ascii_case("legacy_alter_table") && !off)?;
        Some(Hit::at(
            token,
            "with legacy_alter_table a RENAME leaves the old name in views and triggers",
        ))
    })
}

pub fn vacuum(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let token = statement.token(0).filter(|token| token.is("VACUUM"))?;
        Some(Hit::at(token, "VACUUM writes the whole file again while the application waits"))
    })
}

pub fn rowid(case: &Case<'_>) -> Vec<Hit> {
    let is_column = |name: &str| {
        case.after
            .tables
            .iter()
            .chain(&case.before.tables)
            .any(|table| table.column(name).is_some())
    };
    let aliased = |name: &str| {
        case.after
            .table(name)
            .or(case.before.table(name))
            .is_some_and(|table| table.rowid().is_some())
    };
    each(case, |statement| {
        let kept = inserts(statement).is_some()
            || created(statement, "VIEW").is_some()
            || created(statement, "TRIGGER").is_some();
        let is_it = |token: &Token<'_>| {
            ["rowid", "_rowid_", "oid"].iter().any(|word| token.is(word) && !is_column(word))
        };
        let token = statement.tokens.iter().find(|token| is_it(token)).filter(|_| kept)?;
        // Where every table that is read has it as a column, it stays what it is.
        let tables = statement
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.is("FROM") || token.is("JOIN") || token.is("ON"));
        let mut named = tables
            .filter_map(|(place, _)| name_at(statement, place + 1))
            .map(|(name, _)| name)
            .peekable();
        let safe = named.peek().is_some() && named.all(|name| aliased(&name));
        (!safe).then(|| {
            Hit::at(
                token,
                format!(
                    "{} of a table without an INTEGER PRIMARY KEY is another after a VACUUM or a \
                     rebuild",
                    token.text
                ),
            )
        })
    })
}

pub fn create_as(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let (table, after) = created(statement, "TABLE").filter(|_| !is_temporary(statement))?;
        let token = statement.token(after).filter(|token| token.is("AS"))?;
        Some(Hit::at(
            token,
            format!(
                "`{table}` gets the columns alone: no key, no NOT NULL, no default, no CHECK, no \
                 reference"
            ),
        ))
    })
}

pub fn limit_without_order(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for statement in case
        .up
        .statements
        .iter()
        .filter(|statement| inserts(statement).is_some() || changes(statement).is_some())
    {
        let limit = statement.tokens.iter().position(|token| token.is("LIMIT"));
        let Some((place, token)) = limit.and_then(|place| Some((place, statement.token(place)?)))
        else {
            continue;
        };
        // One row of a query that gives one: a value, and not a part of the rows.
        if statement.token(place + 1).is_some_and(|number| number.text == "1") {
            continue;
        }
        // The SELECT that it belongs to.
        let begins =
            statement.tokens.iter().take(place).rposition(|token| token.is("SELECT")).unwrap_or(0);
        let inside = statement.tokens.get(begins..place).unwrap_or_default();
        if !inside.iter().any(|token| token.is("ORDER")) {
            hits.push(Hit::at(token, "which rows LIMIT takes depends on the plan of the query"));
        }
    }
    hits
}

pub fn equals_null(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for file in [Some(&case.up), case.down.as_ref()].into_iter().flatten() {
        for statement in &file.statements {
            let mut in_set = false;
            for (place, token) in statement.tokens.iter().enumerate() {
                in_set = match () {
                    () if token.is("SET") => true,
                    () if token.is("WHERE")
                        || token.is("WHEN")
                        || token.is("ON")
                        || token.is("SELECT")
                        || token.is("CASE") =>
                    {
                        false
                    }
                    () => in_set,
                };
                let before = |back: usize| {
                    place
                        .checked_sub(back)
                        .and_then(|place| statement.token(place))
                        .map_or("", |token| token.text)
                };
                let compares =
                    matches!(before(1), "=" | ">") && (before(1) == "=" || before(2) == "<");
                if token.is("NULL") && compares && !in_set && !statement.word(0, "PRAGMA") {
                    let hit = Hit::at(
                        token,
                        "no value is equal to NULL, and none is unequal: the condition is never \
                         true",
                    );
                    hits.push(if std::ptr::eq(file, &case.up) { hit } else { hit.in_down() });
                }
            }
        }
    }
    hits
}

pub fn view_star(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let (view, _) = created(statement, "VIEW")?;
        let token = star(statement)?;
        Some(Hit::at(
            token,
            format!("the columns of `{view}` change whenever those of its tables do"),
        ))
    })
}

pub fn reserved(case: &Case<'_>) -> Vec<Hit> {
    each(case, |statement| {
        let (name, after) = ["TABLE", "VIEW", "INDEX", "TRIGGER"]
            .into_iter()
            .find_map(|kind| created(statement, kind))?;
        let small = name.to_ascii_lowercase();
        let whose = if small.starts_with("lost_") {
            "rows that have no place after a purge or a salvage"
        } else if small.starts_with("refinery_") {
            "refinery"
        } else {
            return None;
        };
        let token = statement.token(after - 1)?;
        Some(Hit::at(token, format!("names like `{name}` are for {whose}")))
    })
}

pub fn line_ends(case: &Case<'_>) -> Vec<Hit> {
    let crlf = case.up.text.contains("\r\n");
    if crlf {
        vec![Hit::head("the lines of this file end with CRLF")]
    } else {
        Vec::new()
    }
}

pub fn confusable(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for token in
        case.up.tokens.iter().filter(|token| !token.is_comment() && token.kind != TokenKind::Text)
    {
        let other = |letter: char| {
            matches!(
                letter,
                '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}' | '\u{ff00}'..='\u{ffef}'
            )
        };
        let invisible = |letter: char| {
            matches!(
                letter,
                '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
                    | '\u{2060}' | '\u{feff}'
            )
        };
        let latin = token.text.chars().any(|letter| letter.is_ascii_alphabetic());
        let mixed = latin && token.text.chars().any(other);
        if let Some(letter) =
            token.text.chars().find(|letter| invisible(*letter) || mixed && other(*letter))
        {
            hits.push(Hit::at(
                token,
                format!(
                    "there is the letter U+{:04X} in this name, which looks like another or like \
                     nothing",
                    u32::from(letter)
                ),
            ));
        }
    }
    hits
}
