//! Owns the rule about values that are others on each device: the clock, and dice.
//! Promises: a function of dates without an argument means now, as `'now'` does.
//! Never looks at what only reads.

use bootmigrate_build::workbench::{Statement, TokenKind};

use crate::lint::case::{changes, inserts, Case, Hit};
use crate::model::bare;

pub fn not_repeatable(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for statement in case
        .up
        .statements
        .iter()
        .filter(|statement| inserts(statement).is_some() || changes(statement).is_some())
    {
        for (place, token) in statement.tokens.iter().enumerate() {
            let calls = statement.token(place + 1).is_some_and(|next| next.kind == TokenKind::Open);
            let clock = ["CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"]
                .iter()
                .any(|word| token.is(word));
            let random = calls && (token.is("random") || token.is("randomblob"));
            let is_now = token.kind == TokenKind::Text
                && bare(token).eq_ignore_ascii_case("now")
                && calls_date(statement, place);
            // Without an argument they mean now; `strftime` means it with its format alone.
            let arguments = || arguments(statement, place + 1);
            let bare_now = calls
                && (["date", "time", "datetime", "julianday", "unixepoch"]
                    .iter()
                    .any(|word| token.is(word))
                    && arguments() == 0
                    || token.is("strftime") && arguments() == 1);
            if clock || random || is_now || bare_now {
                hits.push(Hit::at(
                    token,
                    format!("{} has another value on each device and at each try", token.text),
                ));
            }
        }
    }
    hits
}

/// Arguments of the call whose opening parenthesis stands at `open`.
fn arguments(statement: &Statement<'_>, open: usize) -> usize {
    let (mut depth, mut commas, mut inside) = (0_usize, 0, 0);
    for token in statement.tokens.iter().skip(open) {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close if depth == 1 => break,
            TokenKind::Close => depth = depth.saturating_sub(1),
            _ if depth == 1 && token.text == "," => commas += 1,
            _ => {}
        }
        inside += usize::from(!token.is_comment());
    }
    // The opening parenthesis is one of them.
    if inside > 1 {
        commas + 1
    } else {
        0
    }
}

/// Is this text an argument of a function of dates?
fn calls_date(statement: &Statement<'_>, place: usize) -> bool {
    let functions = ["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];
    let before = statement.tokens.iter().take(place).rev();
    before
        .take_while(|token| token.kind != TokenKind::Close)
        .any(|token| functions.iter().any(|name| token.is(name)))
}
