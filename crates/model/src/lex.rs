//! Owns how SQL text falls into tokens, the way SQLite itself cuts it; shared with the build crate.
//! Promises: a word in a comment, a string or a quoted name is never taken for SQL; every token
//! knows its place.
//! Never judges a statement.

use std::str::Chars;

/// What a token is, as far as the rules need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Keyword or plain identifier.
    Word,
    /// `'text'`.
    Text,
    /// `"name"`, `[name]` or a name in backticks.
    Quoted,
    /// `-- to the end of the line`.
    LineComment,
    /// `/* … */`.
    BlockComment,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// A number, an operator or any other character.
    Other,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// With its quotes or comment marks.
    pub text: &'a str,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl Token<'_> {
    /// Is this the unquoted word `word`?
    pub fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Is this a comment?
    pub fn is_comment(&self) -> bool {
        matches!(self.kind, TokenKind::LineComment | TokenKind::BlockComment)
    }
}

/// Something that begins and never ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// Where it begins, from 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What is missing.
    pub sentence: &'static str,
}

/// The tokens of a text, comments among them.
#[derive(Debug)]
pub struct Lexed<'a> {
    /// In the text's order.
    pub tokens: Vec<Token<'a>>,
    /// The last token has no end. The build alone asks.
    pub incomplete: Option<Incomplete>,
}

/// Cuts a text into tokens.
pub fn lex(text: &str) -> Lexed<'_> {
    let mut lexer = Lexer { rest: text.chars(), line: 1, column: 1 };
    let mut tokens = Vec::new();
    let mut incomplete = None;
    loop {
        lexer.skip_space();
        let (before, line, column) = (lexer.rest.as_str(), lexer.line, lexer.column);
        let Some((kind, unfinished)) = lexer.token() else { break };
        let length = before.len() - lexer.rest.as_str().len();
        tokens.push(Token { kind, text: before.get(..length).unwrap_or_default(), line, column });
        incomplete =
            incomplete.or(unfinished.map(|sentence| Incomplete { line, column, sentence }));
    }
    Lexed { tokens, incomplete }
}

struct Lexer<'a> {
    rest: Chars<'a>,
    line: u32,
    column: u32,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn advance(&mut self) -> Option<char> {
        let character = self.rest.next()?;
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(character)
    }

    fn advance_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.advance();
        }
    }

    fn skip_space(&mut self) {
        // SQLite takes a byte order mark for a space; a NUL character has been said before.
        self.advance_while(|character| {
            character.is_ascii_whitespace() || matches!(character, '\u{feff}' | '\0')
        });
    }

    /// Reads one token and says what is missing where it has no end.
    fn token(&mut self) -> Option<(TokenKind, Option<&'static str>)> {
        let first = self.advance()?;
        let whole = |kind| Some((kind, None));
        match first {
            '-' if self.peek() == Some('-') => {
                self.advance_while(|character| character != '\n');
                whole(TokenKind::LineComment)
            }
            '/' if self.peek() == Some('*') => {
                Some((TokenKind::BlockComment, self.block_comment()))
            }
            '\'' => {
                let missing =
                    "this text has no end; write the closing `'` (and `''` for one inside)";
                Some((TokenKind::Text, self.quoted('\'', missing)))
            }
            '"' => Some((
                TokenKind::Quoted,
                self.quoted('"', "this name has no end; write the closing `\"`"),
            )),
            '`' => Some((
                TokenKind::Quoted,
                self.quoted('`', "this name has no end; write the closing backtick"),
            )),
            '[' => {
                self.advance_while(|character| character != ']');
                Some((
                    TokenKind::Quoted,
                    self.advance()
                        .is_none()
                        .then_some("this name has no end; write the closing `]`"),
                ))
            }
            ';' => whole(TokenKind::Semicolon),
            '(' => whole(TokenKind::Open),
            ')' => whole(TokenKind::Close),
            _ if first.is_ascii_digit() => {
                self.advance_while(in_word);
                whole(TokenKind::Other)
            }
            _ if in_word(first) && first != '$' => {
                self.advance_while(in_word);
                whole(TokenKind::Word)
            }
            _ => whole(TokenKind::Other),
        }
    }

    fn block_comment(&mut self) -> Option<&'static str> {
        self.advance();
        loop {
            match self.advance() {
                Some('*') if self.peek() == Some('/') => {
                    self.advance();
                    return None;
                }
                Some(_) => {}
                None => {
                    return Some(
                        "this comment has no end, so it hides the rest of the file; write the \
                         closing `*/`",
                    )
                }
            }
        }
    }

    fn quoted(&mut self, quote: char, missing: &'static str) -> Option<&'static str> {
        loop {
            match self.advance() {
                Some(character) if character == quote => {
                    // A doubled quote is one inside the text.
                    if self.peek() != Some(quote) {
                        return None;
                    }
                    self.advance();
                }
                Some(_) => {}
                None => return Some(missing),
            }
        }
    }
}

fn in_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || character == '_'
        || character == '$'
        || !character.is_ascii()
}

/// A name as SQL writes it: in quotes, and each of its own twice.
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
