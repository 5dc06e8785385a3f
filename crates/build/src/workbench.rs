//! Owns what `bootmigrate-workbench` uses of this crate: tokens of SQL, schemas, and each database
//! migration by migration.
//! Promises: the same code as a build's, nothing of it copied.
//! Never a promise to anybody else: it changes with the workbench.

pub use crate::execute::{Chain, Difference, How, Schema};
pub use crate::folder::place_after;
pub use crate::sql::{lex, statements, Incomplete, Statement, Token, TokenKind};
