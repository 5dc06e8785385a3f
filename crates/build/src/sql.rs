//! Owns how SQL text falls into statements, the way SQLite itself cuts it.
//! Promises: a word in a comment, a string or a quoted name is never taken for SQL; every token
//! knows its place.
//! Never judges a statement.

pub use crate::lex::{lex, Incomplete, Token, TokenKind};

/// One statement: its tokens without comments and without the semicolon that ends it.
#[derive(Debug)]
pub struct Statement<'a> {
    /// In the order of the text.
    pub tokens: Vec<Token<'a>>,
}

impl<'a> Statement<'a> {
    /// The `index`-th token, if there is one.
    pub fn token(&self, index: usize) -> Option<&Token<'a>> {
        self.tokens.get(index)
    }

    /// From the first token to the last one, in the text that was cut.
    #[cfg(feature = "sqlite")]
    pub fn source<'t>(&self, text: &'t str) -> Option<&'t str> {
        let start =
            (self.tokens.first()?.text.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let last = self.tokens.last()?.text;
        let end = (last.as_ptr() as usize + last.len()).checked_sub(text.as_ptr() as usize)?;
        text.get(start..end)
    }

    /// Is the `index`-th token the word `word`?
    pub fn word(&self, index: usize, word: &str) -> bool {
        self.token(index).is_some_and(|token| token.is(word))
    }

    /// `CREATE [TEMP|TEMPORARY] TRIGGER`, whose body holds statements of its own.
    fn is_trigger(&self) -> bool {
        let place = if self.word(1, "TEMP") || self.word(1, "TEMPORARY") { 2 } else { 1 };
        self.word(0, "CREATE") && self.word(place, "TRIGGER")
    }

    /// The tokens so far end with `; END`. (`CASE … END` never stands behind a semicolon.)
    fn trigger_has_ended(&self) -> bool {
        match self.tokens.as_slice() {
            [.., before, last] => before.kind == TokenKind::Semicolon && last.is("END"),
            _ => false,
        }
    }

    fn must_go_on(&self) -> bool {
        self.is_trigger() && !self.trigger_has_ended()
    }

    /// The parenthesis that is opened and never closed.
    fn open_parenthesis(&self) -> Option<Incomplete> {
        let mut open = Vec::new();
        for token in &self.tokens {
            match token.kind {
                TokenKind::Open => open.push(token),
                TokenKind::Close => drop(open.pop()),
                _ => {}
            }
        }
        let token = open.pop()?;
        let sentence = "this parenthesis is never closed; write `)` where it ends";
        Some(Incomplete { line: token.line, column: token.column, sentence })
    }
}

/// Puts tokens together to statements, and says which of them are not complete.
pub fn statements<'a>(tokens: &[Token<'a>]) -> (Vec<Statement<'a>>, Vec<Incomplete>) {
    let mut statements = Vec::new();
    let mut incomplete = Vec::new();
    let mut current = Statement { tokens: Vec::new() };
    let mut finish = |statement: Statement<'a>, incomplete: &mut Vec<Incomplete>| {
        if !statement.tokens.is_empty() {
            incomplete.extend(statement.open_parenthesis());
            statements.push(statement);
        }
    };
    for token in tokens.iter().filter(|token| !token.is_comment()) {
        if token.kind != TokenKind::Semicolon || current.must_go_on() {
            current.tokens.push(*token);
        } else {
            finish(
                std::mem::replace(&mut current, Statement { tokens: Vec::new() }),
                &mut incomplete,
            );
        }
    }
    if let (true, Some(first)) = (current.must_go_on(), current.token(0)) {
        let sentence =
            "this trigger has no `END;` of its own; write it after the last statement of the body";
        incomplete.push(Incomplete { line: first.line, column: first.column, sentence });
    } else {
        finish(current, &mut incomplete);
    }
    (statements, incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::fallible_iterator::FallibleIterator as _;

    /// Each statement as its tokens with one space between, then what is incomplete.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let lexed = lex(text);
        let (statements, incomplete) = statements(&lexed.tokens);
        let mut seen: Vec<String> = statements
            .iter()
            .map(|statement| {
                statement.tokens.iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
            })
            .collect();
        for missing in lexed.incomplete.iter().chain(&incomplete) {
            seen.push(format!("{}:{} {}", missing.line, missing.column, missing.sentence));
        }
        assert_eq!(seen, expected, "{text}");
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_strings_names_and_comments() {
        check("a;b", &["a", "b"]);
        check(";;a;;", &["a"]);
        check("a ';' b; c", &["a ';' b", "c"]);
        check("a 'it''s;' b; c", &["a 'it''s;' b", "c"]);
        check("a \";\" [;] `;`;c", &["a \";\" [;] `;`", "c"]);
        check("a -- ; b\nc; d", &["a c", "d"]);
        check("a /* ; */ b; c", &["a b", "c"]);
        check("/* * / **/ a;", &["a"]);
        check("a - -1 / 2;", &["a - - 1 / 2"]);
        check("x'00' 1.5e3 $a ?1", &["x '00' 1 . 5e3 $ a ? 1"]);
        check("größe;", &["größe"]);
        check("-- only a comment", &[]);
    }

    #[test]
    fn a_trigger_is_one_statement() {
        check(
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM \
             b; END; c;",
            &[
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END ; DELETE \
                 FROM b ; END",
                "c",
            ],
        );
        check("create temp trigger t begin a; end", &["create temp trigger t begin a ; end"]);
        check(
            "CREATE /* x */ TRIGGER t BEGIN a; -- b\n END; c",
            &["CREATE TRIGGER t BEGIN a ; END", "c"],
        );
        // Neither a table of that name nor its column makes a trigger.
        check("CREATE TABLE trigger (a); END", &["CREATE TABLE trigger ( a )", "END"]);
    }

    #[test]
    fn what_has_no_end_is_named_at_its_beginning() {
        check(
            "a;\n 'b",
            &[
                "a",
                "'b",
                "2:2 this text has no end; write the closing `'` (and `''` for one inside)",
            ],
        );
        check(
            "a;\n /* b; c",
            &[
                "a",
                "2:2 this comment has no end, so it hides the rest of the file; write the closing \
                 `*/`",
            ],
        );
        check("a [b", &["a [b", "1:3 this name has no end; write the closing `]`"]);
        check(
            "a ((b); c",
            &["a ( ( b )", "c", "1:3 this parenthesis is never closed; write `)` where it ends"],
        );
        check(
            "ä;\nCREATE TRIGGER t BEGIN a; c;",
            &[
                "ä",
                "2:1 this trigger has no `END;` of its own; write it after the last statement of \
                 the body",
            ],
        );
    }

    #[test]
    fn places_are_counted_in_characters() {
        let tokens = lex("ää b\n\tc").tokens;
        let places: Vec<_> =
            tokens.iter().map(|token| (token.text, token.line, token.column)).collect();
        assert_eq!(places, [("ää", 1, 1), ("b", 1, 4), ("c", 2, 2)]);
    }

    /// Every migration of the example product, oldest first, database by database.
    fn example() -> Vec<Vec<String>> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let databases = crate::read(&folder).map(|product| product.databases).unwrap_or_default();
        databases
            .into_iter()
            .map(|database| {
                database.migrations.into_iter().map(|migration| migration.sql).collect()
            })
            .collect()
    }

    #[test]
    fn statements_are_those_that_sqlite_finds() -> rusqlite::Result<()> {
        for migrations in example() {
            let connection = rusqlite::Connection::open_in_memory()?;
            for text in &migrations {
                let mut batch = rusqlite::Batch::new(&connection, text);
                let mut found = 0;
                while let Some(mut statement) = batch.next()? {
                    statement.raw_execute()?;
                    found += 1;
                }
                assert_eq!(statements(&lex(text).tokens).0.len(), found, "{text}");
            }
        }
        Ok(())
    }

    #[test]
    fn every_beginning_of_a_text_can_be_cut_and_nothing_but_space_is_lost() {
        for text in example().concat() {
            for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
                let beginning = text.get(..end).unwrap_or_default();
                let lexed = lex(beginning);
                let _ = statements(&lexed.tokens);
                let kept: usize = lexed
                    .tokens
                    .iter()
                    .map(|token| token.text.split_whitespace().map(str::len).sum::<usize>())
                    .sum();
                assert_eq!(
                    kept,
                    beginning.split_whitespace().map(str::len).sum::<usize>(),
                    "{beginning}"
                );
            }
        }
    }
}
