//! Owns the list of lints: code, name, why it matters on a device, and what to write instead.
//! Promises: a code never gets another meaning; sorted by code.
//! Never looks at a file: each rule's function does.

mod lost;
mod repeatable;
mod statements;
mod tables;
mod trial;
mod ways;

use super::case::{Case, Hit};

/// One lint.
pub struct Rule {
    pub code: &'static str,
    /// In a word or a few.
    pub name: &'static str,
    pub why: &'static str,
    /// What to write instead.
    pub instead: &'static str,
    /// `None` where the build or the list of findings answers.
    pub look: Option<fn(&Case<'_>) -> Vec<Hit>>,
}

const fn rule(
    code: &'static str,
    name: &'static str,
    look: fn(&Case<'_>) -> Vec<Hit>,
    why: &'static str,
    instead: &'static str,
) -> Rule {
    Rule { code, name, why, instead, look: Some(look) }
}

/// What the build refuses.
pub const REFUSED: Rule = Rule {
    code: "BM001",
    name: "refused-by-the-build",
    why: "no image is built with it, and a device would refuse it",
    instead: "what the sentence says",
    look: None,
};
/// What the build warns of.
pub const WARNED: Rule = Rule {
    code: "BM002",
    name: "warned-by-the-build",
    why: "the build goes on, and a device may do other than was meant",
    instead: "what the sentence says",
    look: None,
};
/// A directive `allow` that allows nothing.
pub const NOTHING_ALLOWED: Rule = Rule {
    code: "BM003",
    name: "nothing-to-allow",
    why: "an exception that is not needed hides the next finding",
    instead: "the file without this directive",
    look: None,
};

/// Every lint.
pub const RULES: &[Rule] = &[
    REFUSED,
    WARNED,
    NOTHING_ALLOWED,
    rule(
        "BM010",
        "add-not-null-without-default",
        trial::add_not_null,
        "SQLite takes it while the table is empty, as in every test, and refuses it on a device",
        "a DEFAULT, or a column that may be NULL",
    ),
    rule(
        "BM011",
        "add-default-not-constant",
        trial::add_default,
        "SQLite takes it while the table is empty, and refuses it where rows are",
        "a constant DEFAULT, and an UPDATE for the rows that are there",
    ),
    rule(
        "BM012",
        "rebuild-instead-of-add-column",
        tables::instead_of_add_column,
        "a rebuild writes every row and index again; ADD COLUMN writes one line of the schema",
        "`ALTER TABLE … ADD COLUMN …`",
    ),
    rule(
        "BM013",
        "add-stored-column",
        trial::add_stored,
        "SQLite cannot compute it for rows that are there",
        "a VIRTUAL column, or a rebuild",
    ),
    rule(
        "BM014",
        "not-null-on-rows",
        trial::not_null,
        "the schema before allows NULL, so some device has one, and there the migration fails",
        "`coalesce(column, …)` in the copy, or an UPDATE before",
    ),
    rule(
        "BM015",
        "unique-on-rows",
        trial::unique,
        "the schema before allows equal values, so some device has them, and there the migration \
         fails",
        "first merge or number the rows that are equal, then make it unique",
    ),
    rule(
        "BM016",
        "check-on-rows",
        trial::check,
        "the schema before allows other values, so some device has one, and there the migration \
         fails",
        "a CASE in the copy, or an UPDATE before, that brings every value into the range",
    ),
    rule(
        "BM017",
        "fails-on-rows",
        trial::other,
        "a new device runs it, and one with rows does not",
        "a file that also runs with rows in every table",
    ),
    rule(
        "BM018",
        "foreign-key-without-index",
        tables::key_without_index,
        "each DELETE or UPDATE of a parent reads the whole child table",
        "`CREATE INDEX … ON child (column)` in the same file",
    ),
    rule(
        "BM019",
        "rebuild-loses",
        lost::rebuild_loses,
        "what hangs on a table goes with its DROP, and nothing says so",
        "the same constraint, index or trigger for the new table; or a DROP of its own where that \
         is meant",
    ),
    rule(
        "BM020",
        "renamed-before-rebuild",
        tables::renamed_before_rebuild,
        "RENAME takes the references of other tables, views and triggers along to the old table",
        "make the new table under another name, copy, drop the old one, rename the new one",
    ),
    rule(
        "BM021",
        "legacy-alter-table",
        statements::legacy_alter,
        "a view or trigger with the old name fails when the application uses it",
        "the RENAME without this PRAGMA",
    ),
    rule(
        "BM022",
        "drops-table",
        tables::drops_table,
        "the rows cannot come back, with or without a way back",
        "copy what is still needed first; else allow it with the reason",
    ),
    rule(
        "BM023",
        "drops-column",
        tables::drops_column,
        "the values cannot come back, with or without a way back",
        "copy what is still needed first; else allow it with the reason",
    ),
    rule(
        "BM024",
        "no-where",
        statements::no_where,
        "on a large table the boot takes as long as the table is large, and its journal as much \
         room",
        "a WHERE; for many rows a data migration with `batch`, beside the application",
    ),
    rule(
        "BM025",
        "insert-select-star",
        statements::select_star,
        "databases that came to this version on different ways may have their columns in another \
         order",
        "both lists of columns",
    ),
    rule(
        "BM026",
        "insert-without-columns",
        statements::positional,
        "databases that came to this version on different ways may have their columns in another \
         order",
        "the list of columns",
    ),
    rule(
        "BM027",
        "or-ignore-or-replace",
        statements::or_ignore,
        "nobody counts the rows that are lost",
        "`ON CONFLICT (…) DO UPDATE` or a WHERE that says which rows are meant",
    ),
    rule(
        "BM028",
        "if-exists",
        statements::if_exists,
        "the difference is found by a later migration, or by the application",
        "the statement without it",
    ),
    rule(
        "BM029",
        "not-repeatable",
        repeatable::not_repeatable,
        "after a power cut, a way back or a purge the same migration leaves other rows",
        "a constant, or NULL, for rows that are there",
    ),
    rule(
        "BM030",
        "text-in-double-quotes",
        statements::text_in_double_quotes,
        "the day that a column of this name is added the statement means another thing; other \
         builds of SQLite refuse it",
        "'text' in single quotes",
    ),
    rule(
        "BM031",
        "temporary-object",
        statements::temporary,
        "TEMP objects end with their file",
        "an object that stays, or nothing",
    ),
    rule(
        "BM032",
        "pragma-of-the-file",
        statements::pragma,
        "the application's connection does not have it",
        "the PRAGMA in the application, where it opens the database",
    ),
    rule(
        "BM033",
        "vacuum",
        statements::vacuum,
        "it takes as long as the file is large, and as much room again",
        "nothing: free pages are used again; or allow it with the reason",
    ),
    rule(
        "BM034",
        "no-needs-space",
        ways::needs_space,
        "on a device with less room the migration fails half-way, at each boot",
        "`-- bootmigrate: needs-space = 2.0`, and devices with less wait",
    ),
    rule(
        "BM035",
        "rowid-kept",
        statements::rowid,
        "a number that was kept then points to another row",
        "a column `id INTEGER PRIMARY KEY`",
    ),
    rule(
        "BM036",
        "type-affinity",
        tables::affinity,
        "`007` becomes 7, and `1e5` becomes 100000.0",
        "TEXT, or the table STRICT",
    ),
    rule(
        "BM037",
        "nullable-key",
        tables::nullable_key,
        "SQLite allows NULL in a PRIMARY KEY, unlike other databases",
        "NOT NULL, or the table WITHOUT ROWID",
    ),
    rule(
        "BM038",
        "int-primary-key",
        tables::int_key,
        "only INTEGER PRIMARY KEY is the row's number",
        "INTEGER PRIMARY KEY",
    ),
    rule(
        "BM039",
        "not-compatible",
        ways::not_compatible,
        "the other slot's application starts on it and fails",
        "a later `compatible-from`, or a change that older firmware does not notice",
    ),
    rule(
        "BM040",
        "no-way-back",
        ways::no_way_back,
        "after an update that was rolled back the older firmware refuses the database, or purges \
         it",
        "a `.down.sql`, or `-- bootmigrate: irreversible` where there is none",
    ),
    rule(
        "BM041",
        "way-back-loses-rows",
        ways::way_back_loses,
        "an update that was rolled back has cost the user's data",
        "copy the rows back before",
    ),
    rule(
        "BM042",
        "not-registered",
        ways::unregistered,
        "the stock binary cannot run it, and neither the build nor a rehearsal knows what it does",
        "plain SQL; or allow it where the product's own binary registers it",
    ),
    rule(
        "BM043",
        "reserved-name",
        statements::reserved,
        "a tool that finds such a table takes it for its own",
        "another name",
    ),
    rule(
        "BM044",
        "crlf",
        statements::line_ends,
        "a checkout on another machine writes other line ends, and texts over several lines differ",
        "LF, and `*.sql text eol=lf` in .gitattributes",
    ),
    rule(
        "BM045",
        "confusable-letter",
        statements::confusable,
        "two names that look the same are different to SQLite",
        "the name typed again",
    ),
    rule(
        "BM046",
        "create-table-as",
        statements::create_as,
        "what the old table refused the new one takes",
        "CREATE TABLE with all it needs, then INSERT … SELECT",
    ),
    rule(
        "BM047",
        "limit-without-order",
        statements::limit_without_order,
        "two devices, or two rounds, take other rows",
        "ORDER BY a key before the LIMIT",
    ),
    rule(
        "BM048",
        "equals-null",
        statements::equals_null,
        "the statement changes no row, and nothing says so",
        "IS NULL or IS NOT NULL",
    ),
    rule(
        "BM049",
        "conflict-clause",
        tables::conflict_clause,
        "the application does not see that a row is gone",
        "the plain constraint, and ON CONFLICT in the statements that mean it",
    ),
    rule(
        "BM050",
        "redundant-index",
        tables::redundant_index,
        "it takes room and a write for each row",
        "no index",
    ),
    rule(
        "BM051",
        "view-select-star",
        statements::view_star,
        "an application that reads by place, or a way back, meets other columns",
        "the list of columns",
    ),
];

/// The lint with this code.
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code)
}
