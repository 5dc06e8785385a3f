//! Owns what a statement of a migration may not do, as SQLite asks it of an authorizer while it
//! compiles the statement.
//! Promises: one answer for the device and for the build's own run of the catalogue; a refusal says
//! what to write instead.
//! Never runs a statement, and never reads a text but to know VACUUM.

use std::collections::BTreeSet;

use rusqlite::hooks::{AuthAction, AuthContext, TransactionOperation};
use rusqlite::Connection;

use crate::compile::lossy;
use crate::lex::lex;
use crate::pragma::{self, Effect};
use crate::reserved::{self, is_reserved, PREFIX};

/// Where a migration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Inside the runner's transaction.
    Transaction,
    /// On a copy, outside any transaction: VACUUM and page_size work.
    NoTransaction,
    /// Inside a transaction beside running applications: rows alone may change.
    Beside,
}

/// The file that is asked for.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where it runs.
    pub mode: Mode,
    /// It was released before bootmigrate.
    pub adopted: bool,
    /// The table that no migration may touch.
    pub history_table: String,
}

/// What SQLite is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Allowed,
    /// A PRAGMA that runs while it is compiled, and is left out.
    LeftOut,
    /// With the reason.
    Refused(String),
}

impl Rules {
    /// May the file do this? While VACUUM runs it attaches a database and begins a transaction for
    /// itself.
    pub fn answer(&self, context: &AuthContext<'_>, vacuum_runs: bool) -> Answer {
        if self.adopted
            && matches!(
                context.action,
                AuthAction::Pragma { pragma_name, .. } if pragma::can_be_left_out(pragma_name)
            )
        {
            return Answer::LeftOut;
        }
        self.refusal(context, vacuum_runs)
            .or_else(|| self.touches_ours(context))
            .map_or(Answer::Allowed, Answer::Refused)
    }

    /// Why a migration may not do this, and what to write instead.
    fn refusal(&self, context: &AuthContext<'_>, vacuum_runs: bool) -> Option<String> {
        match &context.action {
            // Its own transaction words are not run.
            AuthAction::Transaction { .. } if self.adopted => None,
            AuthAction::Transaction { operation: TransactionOperation::Begin } if vacuum_runs => {
                None
            }
            AuthAction::Transaction { .. } => Some(
                "BEGIN, COMMIT and ROLLBACK are bootmigrate's: everything pending is one \
                 transaction; delete this line"
                    .into(),
            ),
            AuthAction::Attach { filename: "" } | AuthAction::Detach { .. } if vacuum_runs => None,
            AuthAction::Attach { .. } | AuthAction::Detach { .. } => Some(
                "ATTACH and DETACH are not possible in a migration: one migration changes one \
                 database"
                    .into(),
            ),
            AuthAction::Function { function_name }
                if function_name.eq_ignore_ascii_case("load_extension") =>
            {
                Some("load_extension is not possible in a migration".into())
            }
            // In the product's own trigger or view it is the product's.
            AuthAction::Function { function_name }
                if function_name.eq_ignore_ascii_case("total_changes")
                    && context.accessor.is_none()
                    && !self.adopted =>
            {
                Some(
                    "total_changes() counts what other migrations of the same boot have changed, \
                     too: write changes() after a statement"
                        .into(),
                )
            }
            AuthAction::Pragma { pragma_name, pragma_value } => {
                let name = pragma_name.to_ascii_lowercase();
                let why = pragma::refusal(context.database_name, &name, pragma_value.is_some())
                    .or_else(|| {
                        let too_early =
                            pragma::effect(&name) == Effect::Vacuum && pragma_value.is_some();
                        let too_early =
                            too_early && self.mode != Mode::NoTransaction && !self.adopted;
                        too_early.then_some(
                            "it takes effect with VACUUM only, in a `no-transaction` migration",
                        )
                    })?;
                Some(format!("PRAGMA {name} is not possible in a migration: {why}"))
            }
            action if self.mode == Mode::Beside && changes_the_schema(action) => Some(
                "a data migration changes rows alone: write what changes the schema in a migration \
                 of its own, outside `data`"
                    .into(),
            ),
            _ => None,
        }
    }

    /// Why a table of ours may not be touched, also by a trigger; everybody may read it.
    fn touches_ours(&self, context: &AuthContext<'_>) -> Option<String> {
        // VACUUM fills the file that it has attached for itself.
        if context.database_name.is_some_and(|name| name.starts_with("vacuum_")) {
            return None;
        }
        let names: [&str; 2] = match context.action {
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name }
            | AuthAction::AlterTable { table_name, .. }
            | AuthAction::CreateTable { table_name }
            | AuthAction::CreateTempTable { table_name }
            | AuthAction::CreateVtable { table_name, .. }
            | AuthAction::DropTable { table_name }
            | AuthAction::DropTempTable { table_name }
            | AuthAction::DropVtable { table_name, .. } => [table_name, ""],
            AuthAction::CreateIndex { index_name: name, table_name }
            | AuthAction::CreateTempIndex { index_name: name, table_name }
            | AuthAction::DropIndex { index_name: name, table_name }
            | AuthAction::DropTempIndex { index_name: name, table_name }
            | AuthAction::CreateTrigger { trigger_name: name, table_name }
            | AuthAction::CreateTempTrigger { trigger_name: name, table_name }
            | AuthAction::DropTrigger { trigger_name: name, table_name }
            | AuthAction::DropTempTrigger { trigger_name: name, table_name } => [name, table_name],
            AuthAction::CreateView { view_name }
            | AuthAction::CreateTempView { view_name }
            | AuthAction::DropView { view_name }
            | AuthAction::DropTempView { view_name } => [view_name, ""],
            _ => return None,
        };
        names.into_iter().find(|name| is_reserved(name, &self.history_table)).map(reserved::refusal)
    }
}

fn changes_the_schema(action: &AuthAction<'_>) -> bool {
    matches!(
        action,
        AuthAction::CreateTable { .. }
            | AuthAction::CreateIndex { .. }
            | AuthAction::CreateTrigger { .. }
            | AuthAction::CreateView { .. }
            | AuthAction::CreateVtable { .. }
            | AuthAction::AlterTable { .. }
            | AuthAction::DropTable { .. }
            | AuthAction::DropIndex { .. }
            | AuthAction::DropTrigger { .. }
            | AuthAction::DropView { .. }
            | AuthAction::DropVtable { .. }
    )
}

/// Everything that has one of our names, hangs on a table that has, or is a trigger that names one:
/// what no authorizer is asked of.
///
/// # Errors
/// As SQLite.
pub fn ours(connection: &Connection, history_table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema UNION ALL SELECT \
               'temporary ' || type, name, tbl_name, coalesce(sql, '') FROM sqlite_temp_schema";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut objects = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let (kind, name, on) = (lossy(row, 0)?, lossy(row, 1)?, lossy(row, 2)?);
        let sql = lossy(row, 3)?;
        // A trigger that speaks of them would write to them when nobody looks.
        let text = sql.to_ascii_lowercase();
        let speaks = kind.ends_with("trigger")
            && [history_table.to_ascii_lowercase().as_str(), PREFIX]
                .iter()
                .any(|part| text.contains(part));
        if speaks || is_reserved(&name, history_table) || is_reserved(&on, history_table) {
            objects.insert(format!("{kind} {name} on {on}: {sql}"));
        }
    }
    Ok(objects)
}

/// The statement is VACUUM. SQLite passes over an empty one and gives its semicolon to the next.
pub fn is_vacuum(statement: &str) -> bool {
    let lexed = lex(statement);
    lexed
        .tokens
        .iter()
        .find(|token| !token.is_comment() && token.text != ";")
        .is_some_and(|token| token.is("VACUUM"))
}

#[cfg(test)]
mod tests {
    use super::is_vacuum;

    #[test]
    fn vacuum_is_a_statements_first_word() {
        assert!(["VACUUM", "; -- x\n /* y */ vacuum main"].into_iter().all(is_vacuum));
        assert!(!["", "VACUUMED", "SELECT 'VACUUM'", "-- VACUUM\nSELECT 1"]
            .into_iter()
            .any(is_vacuum));
    }
}
