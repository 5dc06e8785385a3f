//! Owns the lints about tables: rebuilds, keys, indexes, types.
//! Promises: compares the schema before and after the file, as SQLite has it.
//! Never alarms for what an earlier file made.

use bootmigrate_build::workbench::lex;

use crate::lint::case::{created, dropped, inserts, name_at, outside, reads, renamed, Case, Hit};
use crate::model::{bare, Column, Index, Model, Table};

/// Tables that this file makes or makes again, each with its statement's first token.
fn made<'c>(case: &'c Case<'_>) -> Vec<(&'c Table, Hit)> {
    let new = case
        .after
        .tables
        .iter()
        .filter(|table| case.before.table(&table.name).is_none_or(|old| old.sql != table.sql));
    new.filter_map(|table| Some((table, place_of(case, table)?))).collect()
}

/// The statement that names a table first, of those that make one.
fn place_of(case: &Case<'_>, table: &Table) -> Option<Hit> {
    let named = |name: &str| name.eq_ignore_ascii_case(&table.name);
    let made = case
        .up
        .statements
        .iter()
        .find(|statement| created(statement, "TABLE").is_some_and(|(name, _)| named(&name)));
    // Made under another name, and renamed.
    let under_another = || {
        let (old, _) = case.up.statements.iter().filter_map(renamed).find(|(_, new)| named(new))?;
        case.up.statements.iter().find(|statement| {
            created(statement, "TABLE").is_some_and(|(name, _)| name.eq_ignore_ascii_case(&old))
        })
    };
    let altered = || {
        case.up.statements.iter().find(|statement| {
            statement.word(0, "ALTER")
                && name_at(statement, 2).is_some_and(|(name, _)| named(&name))
        })
    };
    let statement = made.or_else(under_another).or_else(altered)?;
    statement.token(0).map(|token| Hit::at(token, ""))
}

/// The token of a statement that makes a table which names this column.
fn at_column(case: &Case<'_>, hit: Hit, column: &str, what: String) -> Hit {
    let lexed = lex(case.up.text);
    let behind =
        lexed.tokens.iter().skip_while(|token| (token.line, token.column) < (hit.line, hit.column));
    let names = |text: &str| text.trim_matches(['"', '`', '[', ']']).eq_ignore_ascii_case(column);
    match behind
        .into_iter()
        .take_while(|token| token.text != ";")
        .find(|token| !token.is_comment() && names(token.text))
    {
        Some(token) => Hit::at(token, what),
        None => Hit { what, ..hit },
    }
}

pub fn instead_of_add_column(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (table, drop) in case.rebuilt() {
        let (Some(old), Some(new)) = (case.before.table(&table), case.after.table(&table)) else {
            continue;
        };
        let Some((kept, added)) = new.columns.split_at_checked(old.columns.len()) else { continue };
        let addable = |column: &Column| {
            column.key == 0
                && (!column.not_null || column.default.as_deref().is_some_and(is_constant))
        };
        let unique = |column: &Column| {
            new.indexes
                .iter()
                .any(|index| !index.explicit && index.columns.contains(&Some(column.name.clone())))
        };
        let checks = new.checks.iter().filter(|check| !old.checks.contains(check)).count();
        let same = kept == old.columns.as_slice()
            && new.foreign_keys.len() == old.foreign_keys.len()
            && checks == 0;
        let same = same && (new.strict, new.without_rowid) == (old.strict, old.without_rowid);
        // A rebuild that changes rows on the way, or leaves some out, is more than a column.
        let copies = case
            .up
            .statements
            .iter()
            .filter(|statement| inserts(statement).is_some() && reads(statement, &table));
        let plain = copies.clone().count() == 1
            && copies
                .clone()
                .all(|copy| outside(copy, "WHERE").is_none() && outside(copy, "GROUP").is_none());
        if same
            && plain
            && !added.is_empty()
            && added.iter().all(|column| addable(column) && !unique(column))
        {
            let names: Vec<&str> = added.iter().map(|column| column.name.as_str()).collect();
            hits.push(Hit::at(
                &drop,
                format!("`{table}` is rebuilt only to get the column {}", names.join(", ")),
            ));
        }
    }
    hits
}

fn is_constant(default: &str) -> bool {
    !default.starts_with('(') && !default.to_ascii_uppercase().starts_with("CURRENT_")
}

pub fn key_without_index(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (table, hit) in made(case) {
        // A later file may make the index, or drop the table.
        let Some(last) = case.last.table(&table.name) else { continue };
        let old = case.before.table(&table.name);
        for key in &table.foreign_keys {
            let is_new = old.is_none_or(|old| !old.foreign_keys.contains(key));
            let still = last.foreign_keys.contains(key);
            // One that a later rebuild loses is that file's finding.
            let had = case.after.table(&table.name).is_some_and(|it| it.has_index_on(&key.columns));
            if is_new && still && !had && !last.has_index_on(&key.columns) {
                let columns = key.columns.join(", ");
                let what = format!(
                    "no index of `{}` begins with {columns}, which refers to `{}`",
                    table.name, key.parent
                );
                hits.push(at_column(
                    case,
                    Hit { what: String::new(), ..hit },
                    key.columns.first().map_or("", String::as_str),
                    what,
                ));
                return hits;
            }
        }
    }
    hits
}

pub fn renamed_before_rebuild(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (number, statement) in case.up.statements.iter().enumerate() {
        let Some((table, moved)) = renamed(statement).filter(|(table, _)| case.has_rows(table))
        else {
            continue;
        };
        let again = case.up.statements.iter().skip(number).any(|later| {
            created(later, "TABLE").is_some_and(|(name, _)| name.eq_ignore_ascii_case(&table))
        });
        let who = referring(&case.after, &moved, &table);
        if let (true, false, Some(first)) = (again, who.is_empty(), statement.token(0)) {
            hits.push(Hit::at(
                first,
                format!(
                    "`{table}` is renamed away and made again, and {} will mean the old table",
                    who.join(", ")
                ),
            ));
        }
    }
    hits
}

/// Tables, views and triggers that name the table that was moved away; those that were made again,
/// too, do not.
fn referring<'c>(after: &'c Model, moved: &str, table: &str) -> Vec<&'c str> {
    let other = |name: &str| !name.eq_ignore_ascii_case(moved) && !name.eq_ignore_ascii_case(table);
    let refers = |one: &&Table| {
        other(&one.name)
            && one.foreign_keys.iter().any(|key| key.parent.eq_ignore_ascii_case(moved))
    };
    let names = |sql: &str| {
        lex(sql)
            .tokens
            .iter()
            .any(|token| !token.is_comment() && bare(token).eq_ignore_ascii_case(moved))
    };
    let objects = after
        .others
        .iter()
        .filter(|object| object.kind != "index" && other(&object.table) && names(&object.sql));
    let tables = after.tables.iter().filter(refers).map(|one| one.name.as_str());
    tables.chain(objects.map(|object| object.name.as_str())).collect()
}

pub fn drops_table(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for statement in &case.up.statements {
        let Some(table) = dropped(statement, "TABLE").filter(|table| case.has_rows(table)) else {
            continue;
        };
        let copied = case.up.statements.iter().any(|one| {
            let writes = one.word(0, "UPDATE") || inserts(one).is_some();
            reads(one, &table) && (writes || created(one, "TABLE").is_some())
        });
        let copied = copied || case.is_made_again(&table);
        if let (false, Some(first)) = (copied, statement.token(0)) {
            hits.push(Hit::at(first, format!("the rows of `{table}` are gone")));
        }
    }
    hits
}

pub fn drops_column(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (number, statement) in case.up.statements.iter().enumerate() {
        let Some((table, after)) = name_at(statement, 2)
            .filter(|_| statement.word(0, "ALTER") && statement.word(1, "TABLE"))
        else {
            continue;
        };
        let place = if statement.word(after + 1, "COLUMN") { after + 2 } else { after + 1 };
        let Some((column, _)) = name_at(statement, place).filter(|_| statement.word(after, "DROP"))
        else {
            continue;
        };
        let names =
            |text: &str| text.trim_matches(['"', '`', '[', ']']).eq_ignore_ascii_case(&column);
        let computed = case
            .before
            .table(&table)
            .and_then(|table| table.column(&column))
            .is_none_or(|column| column.generated);
        // Somebody has read it before.
        let moved = case.up.statements.iter().take(number).any(|one| {
            (inserts(one).is_some() || one.word(0, "UPDATE"))
                && one.tokens.iter().any(|token| names(token.text))
        });
        if let (false, false, Some(token)) = (computed, moved, statement.token(place)) {
            hits.push(Hit::at(token, format!("the values of `{table}.{column}` are gone")));
        }
    }
    hits
}

pub fn affinity(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (table, hit) in made(case).into_iter().filter(|(table, _)| !table.strict) {
        for column in new_columns(case, table) {
            let kind = &column.kind;
            let reads_as =
                if kind.contains("INT") && (kind.contains("POINT") || kind.contains("CHAR")) {
                    "INTEGER"
                } else if ["STRING", "UUID", "GUID"].iter().any(|word| kind.starts_with(word)) {
                    "NUMERIC"
                } else {
                    continue;
                };
            let what = format!(
                "`{}.{}` is declared {kind}, which SQLite takes for {reads_as}: a text that looks \
                 like a number becomes one",
                table.name, column.name
            );
            hits.push(at_column(case, Hit { what: String::new(), ..hit }, &column.name, what));
        }
    }
    hits
}

fn new_columns<'t>(case: &Case<'_>, table: &'t Table) -> Vec<&'t Column> {
    let old = case.before.table(&table.name);
    table
        .columns
        .iter()
        .filter(|column| {
            old.and_then(|old| old.column(&column.name)).is_none_or(|old| old.kind != column.kind)
        })
        .collect()
}

pub fn nullable_key(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (table, hit) in made(case)
        .into_iter()
        .filter(|(table, _)| !table.without_rowid && !table.strict && table.rowid().is_none())
    {
        let old = case.before.table(&table.name);
        for column in table.columns.iter().filter(|column| {
            column.key > 0 && !column.not_null && column.kind != "INTEGER" && column.kind != "INT"
        }) {
            if old.and_then(|old| old.column(&column.name)).is_none_or(|old| old.key == 0) {
                let what = format!(
                    "the key column `{}.{}` may be NULL, and any number of rows with NULL are \
                     different to SQLite",
                    table.name, column.name
                );
                hits.push(at_column(case, Hit { what: String::new(), ..hit }, &column.name, what));
            }
        }
    }
    hits
}

pub fn int_key(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (table, hit) in made(case).into_iter().filter(|(table, _)| !table.without_rowid) {
        let mut key = table.columns.iter().filter(|column| column.key > 0);
        let Some(column) = key.next().filter(|column| {
            matches!(column.kind.as_str(), "INT" | "BIGINT" | "SMALLINT" | "TINYINT")
        }) else {
            continue;
        };
        let is_new = case
            .before
            .table(&table.name)
            .is_none_or(|old| old.column(&column.name).is_none_or(|old| old.kind != column.kind));
        if key.next().is_none() && is_new {
            let what = format!(
                "`{}.{}` is {} PRIMARY KEY, which is not the row's number: it may be NULL and \
                 needs an index of its own",
                table.name, column.name, column.kind
            );
            hits.push(at_column(case, Hit { what: String::new(), ..hit }, &column.name, what));
        }
    }
    hits
}

pub fn conflict_clause(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for statement in
        case.up.statements.iter().filter(|statement| created(statement, "TABLE").is_some())
    {
        for (place, token) in
            statement.tokens.iter().enumerate().filter(|(_, token)| token.is("CONFLICT"))
        {
            if let Some(word) =
                ["REPLACE", "IGNORE"].into_iter().find(|word| statement.word(place + 1, word))
            {
                hits.push(Hit::at(
                    token,
                    format!(
                        "with ON CONFLICT {word} every later INSERT may lose a row without a word"
                    ),
                ));
            }
        }
    }
    hits
}

pub fn redundant_index(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for statement in &case.up.statements {
        let Some((name, _)) = created(statement, "INDEX") else { continue };
        let find = |table: &&Table| {
            table.indexes.iter().any(|index| index.name.eq_ignore_ascii_case(&name))
        };
        let Some(table) = case.after.tables.iter().find(find) else { continue };
        let Some(index) = table.indexes.iter().find(|index| index.name.eq_ignore_ascii_case(&name))
        else {
            continue;
        };
        let covers = |other: &&Index| {
            other.name != index.name
                && !other.partial
                && other.columns.len() >= index.columns.len()
                && other.columns.starts_with(&index.columns)
        };
        let usable = !index.unique
            && !index.partial
            && index.columns.iter().all(Option::is_some)
            && !has_collation(case, &name);
        if let (true, Some(other), Some(first)) =
            (usable, table.indexes.iter().find(covers), statement.token(0))
        {
            let by = if other.explicit {
                format!("the index `{}`", other.name)
            } else {
                "a UNIQUE or PRIMARY KEY".to_owned()
            };
            hits.push(Hit::at(
                first,
                format!(
                    "`{name}` has the first columns of {by}, so it costs every write and helps no \
                     read"
                ),
            ));
        }
    }
    hits
}

fn has_collation(case: &Case<'_>, index: &str) -> bool {
    case.after.other("index", index).is_some_and(|object| {
        lex(&object.sql).tokens.iter().any(|token| token.is("COLLATE") || token.is("DESC"))
    })
}
