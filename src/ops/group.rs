//! Owns what an operation asks of the other databases of its group (`group` in the
//! configuration).
//! Promises: they are asked before this one is opened to be changed, before its operation begins,
//! and when everything is verified and nothing is committed.
//! Never knows who they are.

use crate::error::Failure;

/// The other members of a database's group.
pub trait Others {
    /// What is planned leads to this firmware's version: can all of them go along?
    ///
    /// # Errors
    /// [`Class::Waits`](crate::error::Class::Waits), with the name of one that cannot.
    fn can_go(&self) -> Result<(), Failure>;

    /// Nothing stands in the way of this one's operation, which begins now.
    ///
    /// # Errors
    /// [`Class::Waits`](crate::error::Class::Waits): it shall not.
    fn may_begin(&self) -> Result<(), Failure>;

    /// Everything here is verified and nothing is committed: now they migrate, and commit before
    /// this one.
    ///
    /// # Errors
    /// [`Class::Waits`](crate::error::Class::Waits), with the name of one that could not.
    fn go_first(&self) -> Result<(), Failure>;
}

/// A database that goes by itself.
pub struct Alone;

impl Others for Alone {
    fn can_go(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn may_begin(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn go_first(&self) -> Result<(), Failure> {
        Ok(())
    }
}
