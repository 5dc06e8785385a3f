//! Owns the lints about what lies around a migration: older firmware, the way back, space, what
//! only the product has.
//! Promises: compares real schemas; what the configuration rules out is not asked for.
//! Never asks for a way back of a data migration.

use bootmigrate_build::config::OnNewer;
use bootmigrate_build::workbench::lex;

use crate::lint::case::{changes, dropped, inserts, outside, reads, Case, Hit};
use crate::model::{Model, Table};
use crate::product;

/// The comment of a directive, or the head of the file.
fn at_directive(case: &Case<'_>, name: &str, what: String) -> Hit {
    let of = |text: &str| {
        text.trim_start_matches('-')
            .trim()
            .strip_prefix("bootmigrate:")
            .is_some_and(|rest| rest.trim().starts_with(name))
    };
    match case.up.tokens.iter().find(|token| token.is_comment() && of(token.text)) {
        Some(token) => Hit::at(token, what),
        None => Hit::head(what),
    }
}

pub fn not_compatible(case: &Case<'_>) -> Vec<Hit> {
    let Some(from) = case.migration.directives.compatible_from else { return Vec::new() };
    let older = case.chain.open(product::count_to(case.database, from).unwrap_or(case.place));
    let Some(older) =
        older.and_then(|connection| Model::read(&connection, &case.settings.history_table).ok())
    else {
        return Vec::new();
    };
    let mut broken = Vec::new();
    for table in &older.tables {
        match case.after.table(&table.name) {
            None => broken.push(format!("the table {} is not there any more", table.name)),
            Some(now) => broken.extend(broken_for(table, now)),
        }
    }
    for view in older
        .others
        .iter()
        .filter(|object| object.kind == "view" && case.after.other("view", &object.name).is_none())
    {
        broken.push(format!("the view {} is not there any more", view.name));
    }
    // What an earlier file has broken is said there.
    let was = |sentence: &String| {
        let before = older
            .tables
            .iter()
            .filter_map(|table| Some(broken_for(table, case.before.table(&table.name)?)));
        before.flatten().any(|one| one == *sentence)
    };
    broken.retain(|sentence| !was(sentence));
    if broken.is_empty() {
        return Vec::new();
    }
    vec![at_directive(
        case,
        "compatible-from",
        format!("firmware of version {from} cannot use the result: {}", broken.join("; ")),
    )]
}

/// What of a table its older application would miss, or be refused.
fn broken_for(old: &Table, now: &Table) -> Vec<String> {
    let mut broken = Vec::new();
    for column in old.columns.iter().filter(|column| now.column(&column.name).is_none()) {
        broken.push(format!("the column {}.{} is not there any more", old.name, column.name));
    }
    for column in now.columns.iter().filter(|column| {
        column.not_null && column.default.is_none() && !column.generated && column.key == 0
    }) {
        match old.column(&column.name) {
            None => broken.push(format!(
                "its INSERT does not know {}.{}, which is NOT NULL without a default",
                now.name, column.name
            )),
            Some(was) if !was.not_null => {
                broken.push(format!("{}.{} may not be NULL any more", now.name, column.name))
            }
            Some(_) => {}
        }
    }
    for index in now.indexes.iter().filter(|index| index.unique && index.explicit) {
        let known = old.indexes.iter().any(|one| one.unique && one.columns == index.columns);
        let all_old = index.columns.iter().flatten().all(|column| old.column(column).is_some());
        if !known && all_old {
            broken.push(format!("the index {} refuses rows that it may write", index.name));
        }
    }
    broken
}

pub fn no_way_back(case: &Case<'_>) -> Vec<Hit> {
    let asks = case.settings.on_newer.contains(&OnNewer::Downgrade);
    let directives = &case.migration.directives;
    // Older firmware uses it as it is.
    let is_usable = directives.compatible_from.is_some()
        && case.settings.on_newer.contains(&OnNewer::Compatible);
    let has_one = case.down.is_some()
        || is_usable
        || directives.irreversible
        || directives.code_revision.is_some();
    if case.data || !asks || has_one {
        return Vec::new();
    }
    vec![Hit::head("older firmware has no way back from this version")]
}

pub fn way_back_loses(case: &Case<'_>) -> Vec<Hit> {
    let Some(down) = &case.down else { return Vec::new() };
    let mut hits = Vec::new();
    for statement in &down.statements {
        let table = dropped(statement, "TABLE").filter(|table| case.before.table(table).is_some());
        let copied = |table: &String| {
            down.statements.iter().any(|one| inserts(one).is_some() && reads(one, table))
        };
        if let (Some(table), Some(first)) =
            (table.filter(|table| !copied(table)), statement.token(0))
        {
            hits.push(
                Hit::at(first, format!("the way back drops `{table}`, which was there before"))
                    .in_down(),
            );
        }
        let emptied = changes(statement).filter(|(table, verb)| {
            statement.word(*verb, "DELETE")
                && outside(statement, "WHERE").is_none()
                && case.before.table(table).is_some()
        });
        if let Some((table, token)) =
            emptied.and_then(|(table, verb)| Some((table, statement.token(verb)?)))
        {
            hits.push(
                Hit::at(
                    token,
                    format!("the way back deletes every row of `{table}`, which was there before"),
                )
                .in_down(),
            );
        }
    }
    hits
}

pub fn needs_space(case: &Case<'_>) -> Vec<Hit> {
    let directives = &case.migration.directives;
    if !directives.no_transaction || directives.needs_space_percent.is_some() {
        return Vec::new();
    }
    vec![at_directive(
        case,
        "no-transaction",
        "it works on a copy of the whole database, and does not say how much room that takes"
            .to_owned(),
    )]
}

pub fn unregistered(case: &Case<'_>) -> Vec<Hit> {
    let file = product::shown(case.product, case.migration);
    let found = case.chain.unregistered().into_iter().filter(|problem| problem.file == file);
    found
        .map(|problem| {
            let lexed = lex(case.up.text);
            let token = lexed
                .tokens
                .iter()
                .find(|token| (token.line, token.column) == (problem.line, problem.column));
            let what = problem
                .sentence
                .trim_start_matches("not checked in full: ")
                .replace(", which the product has to register", "");
            match token {
                Some(token) => Hit::at(token, what),
                None => Hit { line: problem.line, column: problem.column, ..Hit::head(what) },
            }
        })
        .collect()
}
