//! Owns what a schema uses and this program does not have: functions, collations, modules and
//! tokenizers that an application registers.
//! Promises: what SQLite says of it is understood in all of its words.
//! Never decides what follows from something that is missing.

use std::fmt;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::Null;
use rusqlite::Connection;

/// Something that an application has and this program does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// A scalar, aggregate or table-valued function.
    Function(String),
    /// An order of text.
    Collation(String),
    /// The module of a virtual table.
    Module(String),
    /// A tokenizer of a full-text index.
    Tokenizer(String),
}

impl Missing {
    /// What this error says that SQLite does not have.
    pub fn of(error: &rusqlite::Error) -> Option<Missing> {
        match error {
            rusqlite::Error::SqliteFailure(_, Some(words)) => Missing::in_words(words),
            rusqlite::Error::SqlInputError { msg, .. } => Missing::in_words(msg),
            _ => None,
        }
    }

    /// The same of SQLite's words; other words may stand before them (`error in view v: no such
    /// function: slug`).
    fn in_words(words: &str) -> Option<Missing> {
        let named = |begin: &str| {
            let (_, rest) = words.split_once(begin)?;
            let name = rest.split(['\n', ';']).next().unwrap_or(rest).trim();
            (!name.is_empty()).then(|| name.to_owned())
        };
        let function = |name: String| Missing::Function(name.trim_end_matches("()").to_owned());
        named("no such function: ")
            .or_else(|| named("unknown function: "))
            .or_else(|| named("wrong number of arguments to function "))
            .or_else(|| named("unsafe use of ").filter(|name| name.ends_with("()")))
            .map(function)
            .or_else(|| named("no such collation sequence: ").map(Missing::Collation))
            .or_else(|| named("no such module: ").map(Missing::Module))
            .or_else(|| {
                named("no such tokenizer: ")
                    .or_else(|| named("unknown tokenizer: "))
                    .map(Missing::Tokenizer)
            })
    }

    /// Something takes its place for reading: a function answers NULL, which breaks no CHECK, and a
    /// collation compares bytes. `false` where nothing can.
    pub(super) fn stand_in(&self, connection: &Connection) -> rusqlite::Result<bool> {
        match self {
            Missing::Function(name) => {
                let flags = FunctionFlags::SQLITE_UTF8
                    | FunctionFlags::SQLITE_DETERMINISTIC
                    | FunctionFlags::SQLITE_INNOCUOUS;
                connection
                    .create_scalar_function(name.as_str(), ANY_NUMBER, flags, |_| Ok(Null))
                    .map(|()| true)
            }
            Missing::Collation(name) => connection
                .create_collation(name.as_str(), |one: &str, other: &str| one.cmp(other))
                .map(|()| true),
            Missing::Module(_) | Missing::Tokenizer(_) => Ok(false),
        }
    }

    pub(super) fn remove_stand_in(&self, connection: &Connection) -> rusqlite::Result<()> {
        match self {
            Missing::Function(name) => connection.remove_function(name.as_str(), ANY_NUMBER),
            Missing::Collation(name) => connection.remove_collation(name.as_str()),
            Missing::Module(_) | Missing::Tokenizer(_) => Ok(()),
        }
    }
}

/// Of arguments.
const ANY_NUMBER: i32 = -1;

/// Functions that SQLite has where it was compiled with SQLITE_ENABLE_MATH_FUNCTIONS, as this
/// workspace does and Debian.
const MATH_FUNCTIONS: [&str; 29] = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "ceiling", "cos", "cosh",
    "degrees", "exp", "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow", "power",
    "radians", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
];

impl Missing {
    pub(super) fn is_not_here(&self) -> String {
        format!("{self} is not in this firmware")
    }

    /// What a product does about it.
    pub fn advice(&self) -> String {
        match self {
            Missing::Function(name)
                if MATH_FUNCTIONS.iter().any(|known| name.eq_ignore_ascii_case(known)) =>
            {
                format!(
                    "{}: build it with LIBSQLITE3_FLAGS=-DSQLITE_ENABLE_MATH_FUNCTIONS",
                    self.is_not_here()
                )
            }
            _ => {
                let known = self.is_not_here();
                format!(
                    "{known}: where the application registers it, register it with \
                     Migrator::on_connection too"
                )
            }
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Function(name) => write!(f, "the function {name}()"),
            Missing::Collation(name) => write!(f, "the collation {name}"),
            Missing::Module(name) => write!(f, "the module {name}"),
            Missing::Tokenizer(name) => write!(f, "the tokenizer {name}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let of = |words: &str| Missing::in_words(words).map(|missing| missing.to_string());
        for (words, name) in [
            ("no such function: slug", "the function slug()"),
            ("unknown function: regexp()", "the function regexp()"),
            ("wrong number of arguments to function lower()", "the function lower()"),
            ("unsafe use of slug()", "the function slug()"),
            ("error in view v: no such function: slug", "the function slug()"),
            ("no such collation sequence: icu_root", "the collation icu_root"),
            ("no such module: vec0", "the module vec0"),
            ("no such tokenizer: simple", "the tokenizer simple"),
            ("unknown tokenizer: icu", "the tokenizer icu"),
        ] {
            assert_eq!(of(words).as_deref(), Some(name), "{words}");
        }
        assert_eq!(of("no such table: function"), None);
        assert_eq!(of("unsafe use of virtual table \"x\""), None);
    }

    #[test]
    fn sqlite_has_what_it_is_compiled_with() {
        let connection = Connection::open_in_memory().unwrap();
        for option in [
            "ENABLE_MATH_FUNCTIONS",
            "ENABLE_FTS3",
            "ENABLE_FTS3_PARENTHESIS",
            "ENABLE_FTS5",
            "ENABLE_RTREE",
            "SOUNDEX",
            "ENABLE_DBSTAT_VTAB",
        ] {
            let has = connection
                .query_row("SELECT sqlite_compileoption_used(?1)", [option], |row| {
                    row.get::<_, bool>(0)
                })
                .unwrap();
            assert!(
                has,
                "SQLite is compiled without {option}; LIBSQLITE3_FLAGS must name what \
                 .cargo/config.toml does"
            );
        }
        for name in MATH_FUNCTIONS {
            let known: bool = connection
                .query_row(
                    "SELECT count(*) > 0 FROM pragma_function_list WHERE name = ?1",
                    [name],
                    |row| row.get(0),
                )
                .unwrap();
            assert!(known, "{name}");
        }
        assert!(Missing::Function("sqrt".into())
            .advice()
            .ends_with("LIBSQLITE3_FLAGS=-DSQLITE_ENABLE_MATH_FUNCTIONS"));
    }
}
