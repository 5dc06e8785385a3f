//! Owns the tokens of a record: those that were handled.
//! Promises: one that is still there is not forgotten for another.
//! Never holds more of them than the format has room for.

use super::{clip, Record, TOKENS_MAX, TOKEN_BYTES_MAX};

impl Record {
    /// Was this token honoured before?
    pub fn knows_token(&self, token: &str) -> bool {
        self.tokens.iter().any(|known| known == clip(token, TOKEN_BYTES_MAX))
    }

    /// Those of these tokens that are known fall off last.
    pub fn keep_tokens(&mut self, present: &[String]) {
        let is_present =
            |known: &String| present.iter().any(|token| known == clip(token, TOKEN_BYTES_MAX));
        // `false` comes first, and the order of the others stays.
        self.tokens.sort_by_key(|known| !is_present(known));
    }

    /// Remembers a token; the oldest falls off.
    pub fn remember_token(&mut self, token: &str) {
        let token = clip(token, TOKEN_BYTES_MAX).to_owned();
        self.tokens.retain(|known| *known != token);
        self.tokens.insert(0, token);
        self.tokens.truncate(TOKENS_MAX);
    }
}
