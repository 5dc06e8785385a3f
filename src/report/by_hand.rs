//! Owns what is told a person whose command was stopped.
//! Promises: no boot is announced to go on with what only that person asked for.
//! Never changes an exit code.

use super::sentence::Sentence;
use super::{DatabaseReport, Outcome};
use crate::decide::facts::Request;

impl DatabaseReport {
    /// The same of a run that a person asked for: no boot goes on with what that asked for.
    #[must_use]
    pub(crate) fn asked_by(mut self, request: &Request) -> DatabaseReport {
        let by_hand = match request {
            Request::Purge | Request::Restore(_) | Request::Rollback => true,
            Request::Boot | Request::Retry | Request::PurgeAndRetry | Request::Migrate => false,
        };
        let dropped = by_hand && self.outcome == Outcome::Interrupted && !self.ready_left;
        if !dropped {
            return self;
        }
        let (what, state) =
            (self.what.take().unwrap_or_default(), self.state.take().unwrap_or_default());
        self.tell(Sentence::new(what, state, "no boot goes on with it; run the command again"))
    }
}
