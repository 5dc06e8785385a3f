//! Owns what a migration may do with each PRAGMA, and what to write instead.
//! Promises: a list of what is allowed, one for the build's rules and for the device's authorizer;
//! what is not in it is refused.
//! Never knows in which file a statement stands, and runs none.

use crate::lex::{lex, Token};

/// What a PRAGMA is to a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It answers and changes nothing. SQLite's own virtual tables ask some of these too.
    Query,
    /// It changes the database, and is committed with the migration.
    Database,
    /// It changes the database at the next VACUUM: in a `no-transaction` file, before VACUUM.
    Vacuum,
    /// It changes the connection, for the rest of its file alone: the next file finds it as it was.
    Connection,
    /// It is refused.
    Refused {
        /// Why, and what to write instead.
        instead: &'static str,
        /// A file that was released before bootmigrate has the same rows without it: there it can
        /// be left out.
        can_be_left_out: bool,
    },
}

/// Every PRAGMA that is allowed, and of those that are not the ones with a sentence of their own.
pub const PRAGMAS: &[(&str, Effect)] = &[
    ("analysis_limit", Effect::Connection),
    ("application_id", Effect::Database),
    ("auto_vacuum", Effect::Vacuum),
    ("automatic_index", Effect::Connection),
    (
        "busy_timeout",
        left_out(
            "the locks are bootmigrate's own; set `busy_timeout_s` in bootmigrate.toml",
        ),
    ),
    ("cache_size", Effect::Connection),
    (
        "cache_spill",
        left_out(
            "bootmigrate decides where changed pages wait for the commit; remove this statement",
        ),
    ),
    ("case_sensitive_like", Effect::Connection),
    ("cell_size_check", Effect::Connection),
    ("checkpoint_fullfsync", left_out(DURABILITY)),
    ("collation_list", Effect::Query),
    ("compile_options", Effect::Query),
    ("count_changes", Effect::Connection),
    ("data_store_directory", left_out(PROCESS)),
    ("data_version", Effect::Query),
    ("database_list", Effect::Query),
    (
        "default_cache_size",
        left_out(
            "it is deprecated, and what it sets is for every later connection; remove this \
             statement",
        ),
    ),
    ("defer_foreign_keys", Effect::Connection),
    ("empty_result_callbacks", Effect::Connection),
    ("encoding", left_out("it has no effect once a table exists; remove this statement")),
    ("foreign_key_check", Effect::Query),
    ("foreign_key_list", Effect::Query),
    (
        "foreign_keys",
        left_out(
            "it is silently ignored inside a transaction, and foreign keys are off while \
             migrating; remove it, or write at the head of the file `-- bootmigrate: foreign-keys \
             = on` to have them checked right after this migration, or `= enforced` to have them \
             enforced in it",
        ),
    ),
    ("freelist_count", Effect::Query),
    ("full_column_names", Effect::Connection),
    ("fullfsync", left_out(DURABILITY)),
    ("function_list", Effect::Query),
    ("hard_heap_limit", left_out(PROCESS)),
    (
        "ignore_check_constraints",
        refused(
            "it lets rows in that the schema forbids; repair the rows instead",
        ),
    ),
    ("incremental_vacuum", Effect::Database),
    ("index_info", Effect::Query),
    ("index_list", Effect::Query),
    ("index_xinfo", Effect::Query),
    ("integrity_check", Effect::Query),
    (
        "journal_mode",
        left_out(
            "it cannot change inside a transaction; set `journal_mode` in bootmigrate.toml",
        ),
    ),
    ("journal_size_limit", left_out(DURABILITY)),
    ("legacy_alter_table", Effect::Connection),
    ("legacy_file_format", left_out("it has no effect any more; remove this statement")),
    ("locking_mode", left_out("the locks are bootmigrate's own; remove this statement")),
    ("max_page_count", Effect::Connection),
    (
        "mmap_size",
        left_out(
            "a storage error in mapped memory would end the program; remove this statement",
        ),
    ),
    ("module_list", Effect::Query),
    (
        "optimize",
        left_out(
            "what it does depends on what the connection has read before; write `ANALYZE`, or \
             remove this statement",
        ),
    ),
    ("page_count", Effect::Query),
    ("page_size", Effect::Vacuum),
    ("pragma_list", Effect::Query),
    ("query_only", left_out("it would forbid writing the history; remove this statement")),
    ("quick_check", Effect::Query),
    (
        "read_uncommitted",
        left_out(
            "it has no effect without a shared cache, and there is none; remove this statement",
        ),
    ),
    ("recursive_triggers", Effect::Connection),
    ("reverse_unordered_selects", Effect::Connection),
    ("schema_version", refused("it can corrupt the database; remove this statement")),
    ("secure_delete", Effect::Connection),
    ("short_column_names", Effect::Connection),
    ("shrink_memory", left_out("memory is bootmigrate's own; remove this statement")),
    ("soft_heap_limit", left_out(PROCESS)),
    ("synchronous", left_out(DURABILITY)),
    ("table_info", Effect::Query),
    ("table_list", Effect::Query),
    ("table_xinfo", Effect::Query),
    (
        "temp_store",
        left_out(
            "it cannot change in a transaction that has used a TEMP table, and bootmigrate decides \
             it by the database's size; remove this statement",
        ),
    ),
    ("temp_store_directory", left_out(PROCESS)),
    ("threads", left_out("how many threads sort is bootmigrate's own; remove this statement")),
    (
        "trusted_schema",
        left_out(
            "a migration runs without trust in the schema; remove this statement",
        ),
    ),
    ("user_version", Effect::Database),
    ("wal_autocheckpoint", left_out("checkpoints are bootmigrate's own; remove this statement")),
    (
        "wal_checkpoint",
        left_out(
            "it cannot work inside a transaction, and bootmigrate does it after the commit; remove \
             this statement",
        ),
    ),
    (
        "writable_schema",
        refused(
            "an edited sqlite_schema can corrupt the database; make a new table, copy the rows, \
             drop the old one and rename",
        ),
    ),
];

const DURABILITY: &str = "how data reaches the storage is bootmigrate's own; remove this statement";
const PROCESS: &str = "it changes the whole process; remove this statement";
/// SQLite runs no statement for a name that it does not know, and says nothing.
const UNKNOWN: Effect = left_out(
    "SQLite has none of this name and would silently ignore it; correct the name, or remove this \
     statement",
);

const fn refused(instead: &'static str) -> Effect {
    Effect::Refused { instead, can_be_left_out: false }
}

const fn left_out(instead: &'static str) -> Effect {
    Effect::Refused { instead, can_be_left_out: true }
}

/// What the PRAGMA of this name is, whatever its letters' case.
pub fn effect(name: &str) -> Effect {
    let known = PRAGMAS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map_or(UNKNOWN, |(_, effect)| *effect)
}

/// Why no migration may have this PRAGMA, and what to write instead; `schema` is what stands before
/// its name.
pub fn refusal(schema: Option<&str>, name: &str, has_value: bool) -> Option<&'static str> {
    match effect(name) {
        Effect::Refused { instead, .. } => Some(instead),
        Effect::Query => None,
        Effect::Database | Effect::Vacuum | Effect::Connection => {
            let elsewhere =
                has_value && schema.is_some_and(|schema| !schema.eq_ignore_ascii_case("main"));
            elsewhere.then_some(
                "a migration sets it for its own database alone; write it without a schema name",
            )
        }
    }
}

/// A file that was released before bootmigrate has the same rows without this PRAGMA.
pub fn can_be_left_out(name: &str) -> bool {
    matches!(effect(name), Effect::Refused { can_be_left_out: true, .. })
}

/// A statement of this text turns foreign keys off, as a table's rebuild does that must not take
/// its children along.
pub fn turns_foreign_keys_off(text: &str) -> bool {
    let lexed = lex(text);
    let tokens: Vec<_> = lexed.tokens.iter().filter(|token| !token.is_comment()).collect();
    let off = |token: &Token<'_>| {
        ["OFF", "0", "FALSE", "NO"].iter().any(|word| bare(token.text).eq_ignore_ascii_case(word))
    };
    // `PRAGMA main.foreign_keys = OFF`, or with the value in parentheses.
    tokens.iter().enumerate().filter(|(_, token)| token.is("PRAGMA")).any(|(at, _)| {
        let place =
            at + if tokens.get(at + 2).is_some_and(|token| token.text == ".") { 3 } else { 1 };
        let named = tokens
            .get(place)
            .is_some_and(|token| bare(token.text).eq_ignore_ascii_case("foreign_keys"));
        named && tokens.get(place + 2).is_some_and(|token| off(token))
    })
}

fn bare(name: &str) -> &str {
    name.trim_matches(['"', '`', '[', ']', '\''])
}

/// A statement that is not run in a file that was released before bootmigrate: transaction words,
/// since bootmigrate's own transaction makes them needless; a PRAGMA that [`can_be_left_out`]; and
/// in a transaction VACUUM, which only compacts.
pub fn is_left_out(statement: &str, in_transaction: bool) -> bool {
    let lexed = lex(statement);
    // SQLite passes over an empty statement and gives its semicolon to the next one.
    let tokens: Vec<_> = lexed
        .tokens
        .iter()
        .filter(|token| !token.is_comment())
        .skip_while(|token| token.text == ";")
        .collect();
    let is = |place: usize, word: &str| tokens.get(place).is_some_and(|token| token.is(word));
    if is(0, "VACUUM") {
        return in_transaction && !tokens.iter().any(|token| token.is("INTO"));
    }
    // `PRAGMA main.synchronous`
    let place = if tokens.get(2).is_some_and(|token| token.text == ".") { 3 } else { 1 };
    let name = tokens.get(place).map_or("", |token| bare(token.text));
    ["BEGIN", "COMMIT", "END"].iter().any(|word| is(0, word))
        || (is(0, "PRAGMA") && can_be_left_out(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once_and_in_alphabetical_order() {
        let names: Vec<&str> = PRAGMAS.iter().map(|(name, _)| *name).collect();
        assert!(names.windows(2).all(|pair| pair.first() < pair.last()), "{names:?}");
    }

    #[test]
    fn an_empty_statement_hides_no_word() {
        for left_out in
            ["BEGIN", ";BEGIN", "; -- x\n; commit", ";PRAGMA main.foreign_keys = 0", ";VACUUM"]
        {
            assert!(is_left_out(left_out, true), "{left_out}");
        }
        assert!(!is_left_out(";CREATE TABLE a (b)", true));
    }

    #[test]
    fn a_rebuild_says_that_its_children_stay() {
        for off in [
            "PRAGMA foreign_keys = OFF;",
            "SELECT 1; pragma main.\"foreign_keys\"(0)",
            "PRAGMA/**/foreign_keys='no'",
        ] {
            assert!(turns_foreign_keys_off(off), "{off}");
        }
        for other in [
            "PRAGMA foreign_keys = ON",
            "PRAGMA foreign_keys",
            "-- PRAGMA foreign_keys = OFF",
            "SELECT 'PRAGMA foreign_keys = OFF'",
        ] {
            assert!(!turns_foreign_keys_off(other), "{other}");
        }
    }

    #[test]
    fn what_is_not_in_the_list_is_refused() {
        assert!(refusal(None, "foreign_kyes", true)
            .is_some_and(|why| why.contains("would silently ignore it")));
        assert_eq!(effect("Legacy_Alter_TABLE"), Effect::Connection);
        assert_eq!(refusal(None, "max_page_count", true), None);
        assert_eq!(refusal(Some("MAIN"), "max_page_count", true), None);
        // An R*Tree of TEMP asks for the size of its pages.
        assert_eq!(refusal(Some("temp"), "page_size", false), None);
        assert!(refusal(Some("temp"), "max_page_count", true).is_some());
    }

    #[test]
    fn what_a_file_of_before_does_without() {
        for left_out in [
            "PRAGMA journal_mode = WAL",
            "pragma /* x */ main.\"synchronous\"(OFF)",
            "BEGIN",
            "END",
            "PRAGMA foreign_keys=ON",
            "begin transaction",
            "COMMIT;",
            "pragma main.foreign_keys",
            "VACUUM",
        ] {
            assert!(is_left_out(left_out, true), "{left_out}");
        }
        for run in [
            "PRAGMA user_version = 3",
            "PRAGMA writable_schema = 1",
            "ROLLBACK",
            "VACUUM INTO 'x'",
            "ATTACH 'x' AS y",
            "SELECT 1",
            "ENDLESS",
        ] {
            assert!(!is_left_out(run, true), "{run}");
        }
        assert!(!is_left_out("VACUUM", false));
    }
}
