//! Owns what a product has registered: migrations in Rust, what it does on each connection, and its
//! hooks.
//! Promises: a panic of the product's code is caught, and no defect of ours; what registers neither
//! reads nor changes the database.
//! Never runs a migration.

use std::cell::Cell;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe, PanicHookInfo};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::Connection;

use crate::catalog::Migration;
use crate::error::called::program;
use crate::hooks::{AfterFailure, FailureInfo, Hooks};

/// What a migration in Rust may answer with; see
/// [`Migrator::code_migration`](crate::Migrator::code_migration).
///
/// ```
/// fn checked(settings: &bootmigrate::Connection) -> Result<(), bootmigrate::CodeError> {
///     match settings.query_row("SELECT count(*) FROM site", [], |row| row.get::<_, i64>(0))? {
///         0 => Err("a device without a site is not calibrated".into()),
///         _ => Ok(()),
///     }
/// }
/// ```
pub type CodeError = Box<dyn std::error::Error + Send + Sync>;

pub(super) type Code = Box<dyn Fn(&Connection) -> Result<(), CodeError> + Send>;

/// The code that a product has registered.
#[derive(Default)]
pub struct Registered {
    all: Vec<(String, i64, Code)>,
    on_connection: Vec<Code>,
    /// A failure of `on_connection` was reported: a run opens many connections.
    reported: Cell<bool>,
    hooks: Option<Box<dyn Hooks>>,
    /// What a hook answered: no further database in this run.
    stopped: Cell<bool>,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} migrations in Rust, {} on each connection",
            self.all.len(),
            self.on_connection.len()
        )
    }
}

impl Registered {
    /// Adds the code of one migration; of two for one version the later counts.
    pub fn add(
        &mut self,
        database: String,
        version: i64,
        code: impl Fn(&Connection) -> Result<(), CodeError> + Send + 'static,
    ) {
        self.all.retain(|(name, other, _)| (name, *other) != (&database, version));
        self.all.push((database, version, Box::new(code)));
    }

    /// Adds code that registers functions, collations or modules on every connection.
    pub fn add_on_connection(
        &mut self,
        code: impl Fn(&Connection) -> Result<(), CodeError> + Send + 'static,
    ) {
        self.on_connection.push(Box::new(code));
    }

    /// Callbacks; of two the later ones count.
    pub fn add_hooks(&mut self, hooks: impl Hooks + 'static) {
        self.hooks = Some(Box::new(hooks));
    }

    /// There are some.
    pub fn has_hooks(&self) -> bool {
        self.hooks.is_some()
    }

    /// Tells the product's hooks; a panic of theirs changes nothing.
    pub fn tell(&self, what: impl Fn(&dyn Hooks)) {
        if let Some(Err(panic)) = self.hooks.as_deref().map(|hooks| as_guest(|| what(hooks))) {
            log::error!(
                "a hook of the product's panicked: {}; the outcome stands.",
                words_of(&*panic)
            );
        }
    }

    /// The product's word on what follows a failure; the policy's where there is none, where it
    /// panics, or where it is not allowed.
    pub fn ask(&self, failure: &FailureInfo<'_>) -> AfterFailure {
        let Some(hooks) = self.hooks.as_deref() else { return failure.policy };
        let answer = match as_guest(|| hooks.after_failure(failure)) {
            Ok(answer) if failure.allowed.contains(&answer) => answer,
            Ok(answer) => {
                log::warn!(
                    "{}: the product's hook answers {answer:?}, which is not allowed here; the \
                     policy counts.",
                    failure.database
                );
                failure.policy
            }
            Err(panic) => {
                log::error!(
                    "{}: the product's hook panicked: {}; the policy counts.",
                    failure.database,
                    words_of(&*panic)
                );
                failure.policy
            }
        };
        self.stopped.set(self.stopped.get() || answer == AfterFailure::Stop);
        answer
    }

    /// A run begins.
    pub fn begin(&self) {
        self.stopped.set(false);
    }

    /// A hook has ended this run.
    pub fn stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Lets the product register on a connection that was just opened. Where that fails, the
    /// database is used all the same: what needs the missing function, collation or module says so
    /// itself.
    pub(super) fn prepare(&self, connection: &mut Connection) {
        for code in &self.on_connection {
            let failed = match registering(connection, code) {
                Ok(()) => continue,
                Err(error) => error.to_string(),
            };
            if !self.reported.replace(true) {
                log::warn!(
                    "the product's code for each connection failed: {failed}; functions, \
                     collations or modules may be missing."
                );
            }
        }
    }

    pub(super) fn find(&self, database: &str, version: i64) -> Option<&Code> {
        self.all
            .iter()
            .find(|(name, other, _)| (name.as_str(), *other) == (database, version))
            .map(|(_, _, code)| code)
    }
}

/// What is missing for this migration of a database, in words; `None` where nothing is.
pub fn missing(
    registered: Option<&Registered>,
    database: &str,
    migration: &Migration,
) -> Option<String> {
    let revision = migration.directives.code_revision?;
    let found =
        registered.is_some_and(|registered| registered.find(database, migration.version).is_some());
    (!found).then(|| {
        format!(
            "{} asks for Rust code (revision {revision}), and this binary registers none",
            migration.file
        )
    })
}

thread_local! {
    static GUEST: Cell<bool> = const { Cell::new(false) };
}

/// A product's code runs on this thread: its panic is caught, and no defect of ours.
pub fn guest_runs() -> bool {
    GUEST.get()
}

/// Runs code of the product's; its panic is an error.
pub(super) fn as_guest<T>(code: impl FnOnce() -> T) -> std::thread::Result<T> {
    GUEST.set(true);
    let ran = catch_unwind(AssertUnwindSafe(code));
    GUEST.set(false);
    ran
}

/// The code registers, and a function may be called (`SELECT load_extension('…')`); no other SQL: a
/// read would take locks, and a PRAGMA would change what the connection is opened with.
fn registering(connection: &mut Connection, code: &Code) -> Result<(), CodeError> {
    let only_functions = |context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Function { .. } => Authorization::Allow,
        _ => Authorization::Deny,
    };
    connection.authorizer(Some(only_functions))?;
    let ran = as_guest(|| code(connection))
        .unwrap_or_else(|panic| Err(format!("it panicked: {}", words_of(&*panic)).into()));
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    ran
}

/// The one sentence about code that panicked where nothing can be caught.
pub fn last_words(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = words_of(panic.payload()).replace('\n', " ");
    format!(
        "{}: the product's code (a migration, or what it does on each connection) panicked at \
         {place}: {words}; built with panic = \"abort\", this run ends with it, and the next boot \
         goes on from what is on disk. [BM-10]",
        program()
    )
}

pub(super) fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}
