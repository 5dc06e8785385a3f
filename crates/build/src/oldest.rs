//! Owns the check of `sqlite_min`: what of the schema that all migrations leave an older SQLite can
//! neither read nor use.
//! Promises: what a later migration drops or makes again counts for nothing; every problem has its
//! place.
//! Never runs SQL: a migration in Rust, and a column that is dropped, are left to the device, which
//! looks at the schema itself.

use crate::config::DatabaseSettings;
use crate::product::Migration;
use crate::sql::{self, Statement, TokenKind};
use crate::sqlite_min::{newest_need, Need};
use crate::Problem;

/// An object of the schema, as far as the statements tell.
struct Object<'m> {
    kind: &'static str,
    name: String,
    /// What an index or a trigger is of.
    table: Option<String>,
    /// What it needs, and where that is written.
    needs: Option<(Need, &'m Migration)>,
}

const KINDS: [&str; 4] = ["TABLE", "VIEW", "INDEX", "TRIGGER"];

/// Problems, and warnings, of one database.
pub(crate) fn check(
    label: &str,
    migrations: &[Migration],
    entry: &DatabaseSettings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    let schema = resulting(migrations);
    let needs = schema.iter().filter_map(|object| {
        object.needs.as_ref().map(|(need, migration)| (object, need, *migration))
    });
    let Some(oldest) = entry.sqlite_min else {
        if let Some((object, need, migration)) = needs.max_by_key(|(_, need, _)| need.minor) {
            let sentence = format!(
                "{} needs SQLite 3.{} ({}); write `sqlite_min` in [databases.{}], the oldest \
                 SQLite of its applications, and the build checks that they have it",
                said(object),
                need.minor,
                need.what,
                entry.name
            );
            warnings.push(Problem::at(
                &format!("{label}/{}", migration.file),
                need.line,
                need.column,
                sentence,
            ));
        }
        return;
    };
    for (object, need, migration) in needs.filter(|(_, need, _)| need.minor > oldest) {
        let remedy = if migration.adopted || migration.released {
            "make it otherwise in a new migration"
        } else {
            "write it otherwise"
        };
        let sentence =
            format!(
            "{} needs SQLite 3.{} ({}), and `sqlite_min` of `{}` is 3.{oldest}: an application \
             with that could not read it; {remedy}, or `sqlite_min = \"3.{}\"`",
            said(object), need.minor, need.what, entry.name, need.minor
        );
        let to = if migration.adopted { &mut *warnings } else { &mut *problems };
        to.push(Problem::at(
            &format!("{label}/{}", migration.file),
            need.line,
            need.column,
            sentence,
        ));
    }
}

fn said(object: &Object<'_>) -> String {
    format!("the {} `{}`", object.kind.to_ascii_lowercase(), object.name)
}

fn resulting(migrations: &[Migration]) -> Vec<Object<'_>> {
    let mut schema = Vec::new();
    for migration in migrations {
        let lexed = sql::lex(&migration.sql);
        for statement in sql::statements(&lexed.tokens).0 {
            match statement.token(0).map(|first| first.text.to_ascii_uppercase()).as_deref() {
                Some("CREATE") => create(&mut schema, &statement, migration),
                Some("DROP") => drop_object(&mut schema, &statement),
                Some("ALTER") => alter(&mut schema, &statement, migration),
                _ => {}
            }
        }
    }
    schema
}

/// The name at this place, without its schema and quotes, and the place after it.
fn name_at(statement: &Statement<'_>, mut place: usize) -> Option<(String, usize)> {
    if statement.token(place + 1).is_some_and(|token| token.text == ".") {
        place += 2;
    }
    let token = statement.token(place).filter(|token| {
        matches!(token.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Text)
    })?;
    Some((token.text.trim_matches(['"', '`', '[', ']', '\'']).to_lowercase(), place + 1))
}

fn create<'m>(schema: &mut Vec<Object<'m>>, statement: &Statement<'_>, migration: &'m Migration) {
    let Some(place) = (1..3).find(|place| KINDS.iter().any(|kind| statement.word(*place, kind)))
    else {
        return;
    };
    let Some(kind) = KINDS.into_iter().find(|kind| statement.word(place, kind)) else { return };
    if statement.word(1, "TEMP") || statement.word(1, "TEMPORARY") {
        return;
    }
    let if_new = statement.word(place + 1, "IF");
    let Some((name, after)) = name_at(statement, if if_new { place + 4 } else { place + 1 }) else {
        return;
    };
    if if_new && schema.iter().any(|object| object.name == name && object.kind == kind) {
        return;
    }
    let on = (after..statement.tokens.len()).find(|place| statement.word(*place, "ON"));
    let table = on
        .filter(|_| kind == "INDEX" || kind == "TRIGGER")
        .and_then(|on| name_at(statement, on + 1))
        .map(|(table, _)| table);
    // Of CREATE TABLE … AS SELECT the schema keeps the columns alone.
    let query = kind == "TABLE" && statement.word(after, "AS");
    let needs = if query { None } else { newest_need(&statement.tokens) };
    schema.push(Object { kind, name, table, needs: needs.map(|need| (need, migration)) });
}

fn drop_object(schema: &mut Vec<Object<'_>>, statement: &Statement<'_>) {
    let place = if statement.word(2, "IF") { 4 } else { 2 };
    if let Some((name, _)) = name_at(statement, place) {
        schema.retain(|object| {
            !(statement.word(1, object.kind) && object.name == name)
                && object.table.as_ref() != Some(&name)
        });
    }
}

fn alter<'m>(schema: &mut [Object<'m>], statement: &Statement<'_>, migration: &'m Migration) {
    let Some((table, after)) = name_at(statement, 2) else { return };
    if statement.word(after, "RENAME") && statement.word(after + 1, "TO") {
        let Some((new, _)) = name_at(statement, after + 2) else { return };
        for object in schema.iter_mut() {
            if object.table.as_ref() == Some(&table) {
                object.table = Some(new.clone());
            } else if object.kind == "TABLE" && object.name == table {
                object.name.clone_from(&new);
            }
        }
        return;
    }
    let Some(object) =
        schema.iter_mut().find(|object| object.kind == "TABLE" && object.name == table)
    else {
        return;
    };
    if statement.word(after, "DROP") {
        // Perhaps it was this column.
        object.needs = None;
    } else if statement.word(after, "ADD") {
        let need = newest_need(&statement.tokens)
            .filter(|need| object.needs.as_ref().is_none_or(|(old, _)| old.minor < need.minor));
        object.needs = need.map(|need| (need, migration)).or(object.needs.take());
    }
}
