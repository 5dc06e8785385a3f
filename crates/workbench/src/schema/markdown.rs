//! Owns a schema as documentation: each table with its columns, references, indexes and CHECKs,
//! then views and triggers.
//! Promises: made from what SQLite says of the schema; the same schema gives the same bytes.
//! Never says what a column is for: nobody has written that down.

use crate::model::{Column, Model, Table};

/// The page.
pub fn page(model: &Model, title: &str) -> String {
    let mut text = format!("# {title}\n");
    for table in &model.tables {
        text.push_str(&of_table(model, table));
    }
    for kind in ["view", "trigger"] {
        for object in model.others.iter().filter(|object| object.kind == kind) {
            let on =
                if kind == "trigger" { format!(" on {}", object.table) } else { String::new() };
            text.push_str(&format!(
                "\n## {kind} {}{on}\n\n```sql\n{}\n```\n",
                object.name, object.sql
            ));
        }
    }
    text
}

fn of_table(model: &Model, table: &Table) -> String {
    let mut text = format!("\n## {}\n\n", table.name);
    let kinds = [(table.strict, "STRICT"), (table.without_rowid, "WITHOUT ROWID")];
    let kinds: Vec<&str> = kinds.iter().filter(|(is, _)| *is).map(|(_, kind)| *kind).collect();
    if !kinds.is_empty() {
        text.push_str(&format!("{}\n\n", kinds.join(", ")));
    }
    text.push_str("| column | type | NULL | default | |\n|---|---|---|---|---|\n");
    for column in &table.columns {
        let null = if column.not_null || column.key > 0 { "no" } else { "yes" };
        let default = column.default.as_deref().map_or(String::new(), code);
        let cells = [
            column.name.clone(),
            column.kind.clone(),
            null.to_owned(),
            default,
            said_of(table, column),
        ];
        text.push_str(&format!(
            "| {} |\n",
            cells.map(|cell| cell.replace('|', "\\|").replace('\n', " ")).join(" | ")
        ));
    }
    let lines = table.indexes.iter().filter(|index| index.explicit).map(|index| {
        let columns: Vec<&str> = index
            .columns
            .iter()
            .map(|column| column.as_deref().unwrap_or("an expression"))
            .collect();
        let kind = [(index.unique, "unique "), (index.partial, "partial ")]
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, kind)| *kind)
            .collect::<String>();
        format!("- {kind}index {} on {}\n", index.name, columns.join(", "))
    });
    let referred = model.tables.iter().filter(|other| {
        other.foreign_keys.iter().any(|key| key.parent.eq_ignore_ascii_case(&table.name))
    });
    let referred = referred.map(|other| format!("- referred to by {}\n", other.name));
    let checks = table.checks.iter().map(|check| format!("- CHECK {}\n", code(check)));
    let lines: String = lines.chain(referred).chain(checks).collect();
    if !lines.is_empty() {
        text.push_str(&format!("\n{lines}"));
    }
    text
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// Key, reference, unique, generated.
fn said_of(table: &Table, column: &Column) -> String {
    let mut said = Vec::new();
    said.extend((column.key > 0).then(|| "primary key".to_owned()));
    said.extend(column.generated.then(|| "generated".to_owned()));
    for key in &table.foreign_keys {
        if let Some(place) =
            key.columns.iter().position(|name| name.eq_ignore_ascii_case(&column.name))
        {
            let parent =
                key.parent_columns.get(place).map_or(String::new(), |name| format!("({name})"));
            said.push(format!("refers to {}{parent}", key.parent));
        }
    }
    let alone = |columns: &[Option<String>]| {
        let [Some(name)] = columns else { return false };
        name.eq_ignore_ascii_case(&column.name)
    };
    let unique = column.key == 0
        && table
            .indexes
            .iter()
            .any(|index| index.unique && !index.partial && alone(&index.columns));
    said.extend(unique.then(|| "unique".to_owned()));
    said.join(", ")
}
