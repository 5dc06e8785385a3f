//! Owns what an act asks of the other databases of its group (`together` in the configuration).
//! Promises: they are asked twice: before anything is begun, and when everything is verified and nothing is committed.
//! Never knows who they are.

use crate::error::Failure;

/// The other members of a database's group.
pub trait Others {
    /// Before an act of this database begins: nothing is known that keeps one of them from going along.
    ///
    /// # Errors
    /// [`Class::Waits`](crate::error::Class::Waits), with the name of one.
    fn may_begin(&self) -> Result<(), Failure>;

    /// Everything here is verified and nothing is committed: now they migrate, and commit before this one.
    ///
    /// # Errors
    /// [`Class::Waits`](crate::error::Class::Waits), with the name of one that could not.
    fn go_first(&self) -> Result<(), Failure>;
}

/// A database that goes by itself.
pub struct Alone;

impl Others for Alone {
    fn may_begin(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn go_first(&self) -> Result<(), Failure> {
        Ok(())
    }
}
