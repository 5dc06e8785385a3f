//! Owns one database after each of its migrations: the states that a lint or a check compares.
//! Promises: each file has run as the build runs it, with stand-ins for what only the product has.
//! Never reports a problem that `execute` would not.

use rusqlite::Connection;

use super::connection::Image;
use super::Run;
use crate::product::{Database, Product};
use crate::Problem;

/// A database from nothing, migration by migration.
pub struct Chain<'p> {
    run: Run<'p>,
    /// The first one is of no migration.
    images: Vec<Image>,
}

impl<'p> Chain<'p> {
    /// Runs every schema migration up to the first one that fails. `None` for a database without an
    /// entry in the configuration.
    pub fn of(product: &'p Product, database: &'p Database) -> Option<Chain<'p>> {
        let mut run = Run::of(product, database)?;
        let mut images = vec![Image::new()];
        for migration in &database.migrations {
            match images.last().map(|image| run.up(migration, image)) {
                Some(Ok(image)) => images.push(image),
                _ => break,
            }
        }
        Some(Chain { run, images })
    }

    /// A connection of its own to the state after the first `count` migrations; `None` where one of
    /// them does not run.
    pub fn open(&self, count: usize) -> Option<Connection> {
        self.run.open(self.images.get(count)?).ok()
    }

    /// What only the product has, and a file needs: each with its place.
    pub fn unregistered(&self) -> Vec<&Problem> {
        self.run
            .found
            .warnings
            .iter()
            .filter(|problem| problem.sentence.starts_with(super::catalogue::NOT_IN_FULL))
            .collect()
    }
}
