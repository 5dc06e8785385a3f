//! Owns how much SQLite has to compile for a statement, when each view and each common table
//! expression stands for its own text.
//! Promises: found by the text alone, in time that grows with its length; never less than SQLite
//! compiles.
//! Never compiles anything: SQLite, which would go through 2^59 of them, can neither be stopped
//! there nor asked before.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::compile::lossy;
use crate::lex::{lex, Token, TokenKind};

/// The SELECTs of one view, trigger or statement, those of the views that it reads included. SQLite
/// itself joins at most 64 tables.
const WEIGHT_MAX: u64 = 500;
/// Those of all views of a schema together: all of them are compiled when a table is renamed.
const SCHEMA_WEIGHT_MAX: u64 = 20_000;

/// Those of one statement of a migration or of stored down SQL, whose views have been counted
/// elsewhere.
const TEXT_WEIGHT_MAX: u64 = 5_000;

/// What a name stands for; a name in small letters.
type Weights = BTreeMap<String, u64>;

/// Why SQLite had better not compile this schema; `None` where it may.
///
/// # Errors
/// As SQLite.
pub fn too_heavy(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare(
        "SELECT type, lower(name), coalesce(sql, '') FROM main.sqlite_schema WHERE type IN \
         ('view', 'trigger') ORDER BY type DESC, rowid",
    )?;
    let rows =
        statement.query_map([], |row| Ok((lossy(row, 0)?, lossy(row, 1)?, lossy(row, 2)?)))?;
    let all = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let views: BTreeMap<&str, &str> = all
        .iter()
        .filter(|(kind, ..)| kind == "view")
        .map(|(_, name, sql)| (name.as_str(), sql.as_str()))
        .collect();
    let weights = weights(&views);
    let sentence = |kind: &str, name: &str, weight: u64| {
        let what = if weight == u64::MAX {
            "more than can be counted".to_owned()
        } else {
            weight.to_string()
        };
        format!(
            "{kind} {name} reads views, and those others, {what} times over, and at most \
             {WEIGHT_MAX} are compiled"
        )
    };
    for (kind, name, sql) in &all {
        let weight = match weights.get(name).filter(|_| kind == "view") {
            Some(weight) => *weight,
            None => heaviest(sql, &weights),
        };
        if weight > WEIGHT_MAX {
            return Ok(Some(sentence(kind, name, weight)));
        }
    }
    let together = weights.values().fold(0u64, |sum, weight| sum.saturating_add(*weight));
    let too_many = format!(
        "its views read views, and those others, {together} times over, and at most \
         {SCHEMA_WEIGHT_MAX} are compiled"
    );
    Ok((together > SCHEMA_WEIGHT_MAX).then_some(too_many))
}

/// Why SQLite had better not compile this text's statements, whatever they read.
pub fn text_too_heavy(text: &str) -> Option<String> {
    let weight = heaviest(text, &Weights::new());
    let sentence = || {
        format!(
            "its common table expressions read each other {weight} times over, and at most \
             {TEXT_WEIGHT_MAX} are compiled"
        )
    };
    (weight > TEXT_WEIGHT_MAX).then(sentence)
}

fn heaviest(text: &str, known: &Weights) -> u64 {
    let tokens = words(text);
    tokens
        .split(|token| token.kind == TokenKind::Semicolon)
        .map(|statement| of(statement, known))
        .max()
        .unwrap_or(0)
}

fn words(text: &str) -> Vec<Token<'_>> {
    lex(text).tokens.into_iter().filter(|token| !token.is_comment()).collect()
}

/// Every view's. One that reads itself, over others or not, is refused by SQLite at once, and
/// counts once.
fn weights(views: &BTreeMap<&str, &str>) -> Weights {
    let texts: BTreeMap<&str, Vec<Token<'_>>> =
        views.iter().map(|(name, sql)| (*name, words(sql))).collect();
    let (mut weights, mut begun) = (Weights::new(), BTreeSet::new());
    for start in texts.keys() {
        // What is on the way is not begun again; a list of ours, since a chain may be longer than a
        // stack is deep.
        let mut ahead = vec![(*start, false)];
        while let Some((name, read)) = ahead.pop() {
            if weights.contains_key(name) {
                continue;
            }
            let Some(tokens) = texts.get(name) else { continue };
            if read {
                weights.insert(name.to_owned(), of(tokens, &weights));
                continue;
            }
            begun.insert(name);
            ahead.push((name, true));
            let needed = tokens.iter().filter_map(|token| {
                texts.get_key_value(named(token).as_str()).map(|(known, _)| *known)
            });
            let needed: BTreeSet<&str> = needed.collect();
            ahead.extend(
                needed
                    .into_iter()
                    .filter(|other| !weights.contains_key(*other) && !begun.contains(other))
                    .map(|one| (one, false)),
            );
        }
    }
    weights
}

/// Of one statement: each SELECT, each name of a view, and each of a common table expression as
/// often as it is written.
fn of(tokens: &[Token<'_>], views: &Weights) -> u64 {
    let mut own = Weights::new();
    // The expressions that are open: their name, at which depth they end, and the weight up to
    // here.
    let mut open: Vec<(String, u32, u64)> = Vec::new();
    let (mut depth, mut weight) = (0u32, 0u64);
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => {
                if let Some(name) = expression_before(tokens.get(..at).unwrap_or_default()) {
                    open.push((name, depth, weight));
                }
                depth = depth.saturating_add(1);
            }
            TokenKind::Close => {
                depth = depth.saturating_sub(1);
                if let Some((name, _, before)) = open.pop_if(|(_, begun, _)| *begun == depth) {
                    own.insert(name, weight.saturating_sub(before).max(1));
                    weight = before;
                }
            }
            _ if token.is("SELECT") || token.is("VALUES") => weight = weight.saturating_add(1),
            _ => {
                let name = named(token);
                weight = weight.saturating_add(
                    own.get(&name).or_else(|| views.get(&name)).copied().unwrap_or(0),
                );
            }
        }
    }
    weight
}

/// `NAME AS (`, `NAME (…) AS (`, with MATERIALIZED or without: the name.
fn expression_before(tokens: &[Token<'_>]) -> Option<String> {
    let mut before = tokens.iter().rev().peekable();
    before.next_if(|token| token.is("MATERIALIZED"));
    before.next_if(|token| token.is("NOT"));
    before.next_if(|token| token.is("AS"))?;
    if before.next_if(|token| token.kind == TokenKind::Close).is_some() {
        before.by_ref().find(|token| token.kind == TokenKind::Open)?;
    }
    before.next().map(named).filter(|name| !name.is_empty())
}

/// In small letters and without quotes; empty for what is no name.
fn named(token: &Token<'_>) -> String {
    let text = match token.kind {
        TokenKind::Word => token.text,
        // SQLite takes a text for a name where a name belongs.
        TokenKind::Quoted | TokenKind::Text => {
            token.text.get(1..token.text.len().saturating_sub(1)).unwrap_or_default()
        }
        _ => "",
    };
    text.to_lowercase()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn heavy(sql: &str) -> Option<String> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        too_heavy(&connection).unwrap()
    }

    fn tree(levels: u32, body: &str) -> String {
        let level = |level: u32| {
            format!("CREATE VIEW v{level} AS {};", body.replace('#', &(level - 1).to_string()))
        };
        format!("CREATE VIEW v0 AS SELECT 1 x; {}", (1..levels).map(level).collect::<String>())
    }

    #[test]
    fn what_a_product_writes_is_light() {
        assert_eq!(heavy(&tree(8, "SELECT a.x FROM v# a, v# b")), None);
        assert_eq!(heavy(&tree(100, "SELECT x FROM v#")), None);
        assert_eq!(
            heavy(
                "CREATE TABLE t (a); CREATE VIEW v AS WITH n(i) AS (SELECT 1 UNION ALL SELECT i + \
                 1 FROM n) SELECT i FROM n"
            ),
            None
        );
        assert_eq!(
            heaviest(
                "WITH a AS (SELECT 1), b AS NOT MATERIALIZED (SELECT * FROM a, a) SELECT * FROM b \
                 JOIN a",
                &Weights::new()
            ),
            5
        );
    }

    #[test]
    fn each_way_to_double_is_counted() {
        for body in [
            "SELECT a.x FROM v# a, \"V#\" b",
            "SELECT x FROM [v#] WHERE x IN (SELECT x FROM main.`v#`)",
            "SELECT x FROM 'v#' UNION SELECT x FROM v#",
        ] {
            let found = heavy(&tree(60, body)).unwrap();
            assert!(found.starts_with("view v") && found.contains("times over"), "{body}: {found}");
        }
        assert!(
            heavy(&tree(300, "SELECT x FROM v#")).is_some(),
            "a chain, which takes SQLite the square of its length"
        );
        let level = |level: u32| {
            format!(", c{level}(x) AS MATERIALIZED (SELECT a.x FROM c{0} a, c{0} b)", level - 1)
        };
        let nested = format!(
            "WITH c0(x) AS (SELECT 1) {} SELECT x FROM c39",
            (1..40).map(level).collect::<String>()
        );
        assert!(text_too_heavy(&nested).is_some());
        assert!(heavy(&format!("CREATE VIEW v AS {nested}")).unwrap().starts_with("view v "));
        let trigger = format!(
            "CREATE TABLE t (a); {} CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; DELETE FROM \
             t WHERE a IN ({}); END",
            tree(8, "SELECT a.x FROM v# a, v# b"),
            "SELECT x FROM v7 UNION ".repeat(9) + "SELECT 1"
        );
        assert!(heavy(&trigger).unwrap().starts_with("trigger r "));
    }

    #[test]
    fn views_in_a_circle_and_long_chains_end() {
        assert_eq!(
            heavy("CREATE VIEW a AS SELECT * FROM b; CREATE VIEW b AS SELECT * FROM a"),
            None
        );
        let chain: Vec<(String, String)> = (1..50_000u32)
            .map(|level| (format!("v{level}"), format!("SELECT x FROM v{}", level - 1)))
            .collect();
        let chain = chain.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).collect();
        assert_eq!(weights(&chain).values().max(), Some(&49_999));
    }
}
