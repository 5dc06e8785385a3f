//! Owns [`Bad`]: a rule that does not hold, and what was seen.
//! Promises: every rule has a name.
//! Never decides what follows.

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// The rule's name.
    pub rule: &'static str,
    /// What was seen.
    pub what: String,
}

/// A rule that does not hold, as an error.
pub(crate) fn bad<T>(rule: &'static str, what: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { rule, what: what.into() })
}
