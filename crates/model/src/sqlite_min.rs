//! Owns what of a schema's text an older SQLite can neither read nor use, and since when; shared
//! with the build crate.
//! Promises: judged by tokens, so that a word in a comment, a string or a quoted name counts for
//! nothing.
//! Never opens a database. The list and its source are in docs/migrations.md.

use crate::lex::{Token, TokenKind};

/// Something that came with an SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// 44 stands for 3.44.
    pub minor: u32,
    /// In words.
    pub what: String,
    /// Where it stands in the text, from 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// Words that stand for themselves wherever they follow one another; `(`, `)` and operators are
/// words, `?` is any token.
const PHRASES: &[(&[&str], u32, &str)] = &[
    (&[")", "OVER", "("], 25, "a window function"),
    (&["WINDOW", "?", "AS", "("], 25, "a window function"),
    (&["EXCLUDE", "NO", "OTHERS"], 28, "EXCLUDE in a window"),
    (&["EXCLUDE", "CURRENT", "ROW"], 28, "EXCLUDE in a window"),
    (&["EXCLUDE", "GROUP"], 28, "EXCLUDE in a window"),
    (&["EXCLUDE", "TIES"], 28, "EXCLUDE in a window"),
    (&["GROUPS", "BETWEEN"], 28, "GROUPS in a window"),
    (&["GROUPS", "UNBOUNDED"], 28, "GROUPS in a window"),
    (&["GROUPS", "CURRENT"], 28, "GROUPS in a window"),
    (&[")", "FILTER", "(", "WHERE"], 30, "FILTER of an aggregate function"),
    (&["NULLS", "FIRST"], 30, "NULLS FIRST"),
    (&["NULLS", "LAST"], 30, "NULLS LAST"),
    (&["AS", "MATERIALIZED", "("], 35, "MATERIALIZED"),
    (&["AS", "NOT", "MATERIALIZED", "("], 35, "NOT MATERIALIZED"),
    (&["ON", "CONFLICT", "DO", "UPDATE"], 35, "ON CONFLICT DO UPDATE without a target"),
    (&["-", ">"], 38, "the operator ->"),
    (&["IS", "DISTINCT", "FROM"], 39, "IS DISTINCT FROM"),
    (&["IS", "NOT", "DISTINCT", "FROM"], 39, "IS NOT DISTINCT FROM"),
    (&["RIGHT", "JOIN"], 39, "RIGHT JOIN"),
    (&["RIGHT", "OUTER", "JOIN"], 39, "RIGHT JOIN"),
    (&["FULL", "JOIN"], 39, "FULL JOIN"),
    (&["FULL", "OUTER", "JOIN"], 39, "FULL JOIN"),
    (&["WITHIN", "GROUP", "("], 47, "WITHIN GROUP"),
];

/// Functions, table-valued ones too, since 3.N.
const FUNCTIONS: &[(u32, &[&str])] = &[
    (32, &["iif"]),
    (34, &["substring"]),
    // All but `sign` only where SQLITE_ENABLE_MATH_FUNCTIONS was compiled in.
    (
        35,
        &[
            "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "ceiling", "cos",
            "cosh", "degrees", "exp", "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow",
            "power", "radians", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
        ],
    ),
    (38, &["format", "unixepoch"]),
    (41, &["unhex"]),
    (42, &["json_error_position"]),
    (43, &["octet_length", "timediff"]),
    (44, &["concat", "concat_ws", "string_agg"]),
    (
        45,
        &[
            "jsonb",
            "jsonb_array",
            "jsonb_extract",
            "jsonb_group_array",
            "jsonb_group_object",
            "jsonb_insert",
            "jsonb_object",
            "jsonb_patch",
            "jsonb_remove",
            "jsonb_replace",
            "jsonb_set",
        ],
    ),
    (46, &["json_pretty"]),
    (48, &["if"]),
    (50, &["unistr", "unistr_quote"]),
    // The second line only where SQLITE_ENABLE_PERCENTILE was compiled in.
    (
        51,
        &["jsonb_each", "jsonb_tree", "median", "percentile", "percentile_cont", "percentile_disc"],
    ),
    (53, &["json_array_insert", "jsonb_array_insert"]),
];

/// Options of FTS5.
const FTS5: &[(&str, u32)] =
    &[("contentless_delete", 43), ("tokendata", 45), ("contentless_unindexed", 47), ("locale", 47)];

/// What comes before a name with parentheses that is no call.
const BEFORE_A_NAME: [&str; 9] =
    ["TABLE", "EXISTS", "INTO", "REFERENCES", "VIEW", "INDEX", "WITH", "RECURSIVE", "USING"];

/// Of everything in this statement of a schema (CREATE, or ALTER TABLE ADD) what the newest SQLite
/// is needed for; `None` for nothing newer than 3.24.
pub fn newest_need(tokens: &[Token<'_>]) -> Option<Need> {
    let tokens: Vec<Token<'_>> =
        tokens.iter().filter(|token| !token.is_comment()).copied().collect();
    let text = Text::new(&tokens);
    let rules = [
        Text::phrase,
        Text::function,
        Text::table,
        Text::aggregate,
        Text::trigger,
        Text::number,
        Text::frame,
        Text::fts5,
    ];
    let found = (0..tokens.len()).flat_map(|index| rules.map(|rule| (index, rule(&text, index))));
    let mut newest: Option<Need> = None;
    for (index, (minor, what)) in found.filter_map(|(index, need)| Some((index, need?))) {
        if newest.as_ref().is_none_or(|newest| newest.minor < minor) {
            let (line, column) =
                tokens.get(index).map_or((0, 0), |token| (token.line, token.column));
            newest = Some(Need { minor, what, line, column });
        }
    }
    newest
}

type Found = Option<(u32, String)>;

/// Where a token stands among the parentheses.
#[derive(Clone, Copy, Default)]
struct Nesting {
    /// How many are open before it.
    depth: usize,
    /// The innermost of them.
    open: Option<usize>,
    /// Of a `(`: its `)`.
    close: Option<usize>,
}

struct Text<'t> {
    tokens: &'t [Token<'t>],
    nesting: Vec<Nesting>,
    /// Of a trigger: its BEGIN.
    begin: Option<usize>,
}

impl<'t> Text<'t> {
    fn new(tokens: &'t [Token<'t>]) -> Text<'t> {
        let (mut open, mut nesting) = (Vec::new(), Vec::<Nesting>::with_capacity(tokens.len()));
        for (index, token) in tokens.iter().enumerate() {
            if token.kind == TokenKind::Close {
                if let Some(opened) = open.pop().and_then(|open: usize| nesting.get_mut(open)) {
                    opened.close = Some(index);
                }
            }
            nesting.push(Nesting { depth: open.len(), open: open.last().copied(), close: None });
            if token.kind == TokenKind::Open {
                open.push(index);
            }
        }
        let begin = tokens.iter().position(|token| token.is("BEGIN"));
        Text { tokens, nesting, begin }
    }
}

impl Text<'_> {
    fn is(&self, index: usize, word: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| match token.kind {
            TokenKind::Word => token.text.eq_ignore_ascii_case(word),
            TokenKind::Open | TokenKind::Close | TokenKind::Other | TokenKind::Semicolon => {
                token.text == word
            }
            _ => false,
        })
    }

    fn kind(&self, index: usize) -> Option<TokenKind> {
        self.tokens.get(index).map(|token| token.kind)
    }

    fn depth(&self, index: usize) -> usize {
        self.nesting.get(index).map_or(0, |nesting| nesting.depth)
    }

    /// The `)` of this `(`.
    fn close_of(&self, open: usize) -> Option<usize> {
        self.nesting.get(open)?.close
    }

    fn creates(&self, kind: &str) -> bool {
        self.is(0, "CREATE") && (1..4).any(|index| self.is(index, kind))
    }

    fn phrase(&self, index: usize) -> Found {
        let fits = |words: &[&str]| {
            words.iter().enumerate().all(|(at, word)| *word == "?" || self.is(index + at, word))
        };
        let (_, minor, what) = PHRASES.iter().find(|(words, ..)| fits(words))?;
        // FILTER came with window functions, and to the others later.
        let of_a_window = *what == "FILTER of an aggregate function"
            && self.close_of(index + 2).is_some_and(|close| self.is(close + 1, "OVER"));
        Some(if of_a_window {
            (25, "a window function".to_owned())
        } else {
            (*minor, (*what).to_owned())
        })
    }

    fn is_call(&self, index: usize) -> bool {
        if self.kind(index) != Some(TokenKind::Word)
            || self.kind(index + 1) != Some(TokenKind::Open)
        {
            return false;
        }
        let follows = |word: &str| index > 0 && self.is(index - 1, word);
        // CREATE INDEX … ON name (column)
        let indexed = self.creates("INDEX") && self.depth(index) == 0 && follows("ON");
        // WITH name (column) AS [NOT] [MATERIALIZED] (
        let named = self.close_of(index + 1).is_some_and(|close| {
            self.is(close + 1, "AS") && (2..5).any(|at| self.is(close + at, "("))
        });
        let names =
            indexed || named || follows(".") || BEFORE_A_NAME.iter().any(|word| follows(word));
        !names
    }

    fn function(&self, index: usize) -> Found {
        if !self.is_call(index) {
            return None;
        }
        let name = self.tokens.get(index)?.text.to_ascii_lowercase();
        let since = FUNCTIONS
            .iter()
            .find(|(_, names)| names.contains(&name.as_str()))
            .map(|(minor, _)| *minor);
        let counted = ["iif", "if", "json_valid"].contains(&name.as_str());
        match (name.as_str(), if counted { self.arguments(index + 1) } else { 0 }) {
            ("iif" | "if", 4..) => Some((49, format!("{name}() with more than three arguments"))),
            ("iif", 2) => Some((48, "iif() with two arguments".to_owned())),
            ("json_valid", 2) => Some((45, "json_valid() with two arguments".to_owned())),
            _ => since.map(|minor| (minor, format!("{name}()"))),
        }
    }

    fn arguments(&self, open: usize) -> usize {
        let Some(close) = self.close_of(open).filter(|close| *close > open + 1) else { return 0 };
        let inside = self.depth(open) + 1;
        1 + (open + 1..close)
            .filter(|index| self.depth(*index) == inside && self.is(*index, ","))
            .count()
    }

    fn table(&self, index: usize) -> Found {
        let column = if self.creates("TABLE") && !self.creates("VIRTUAL") {
            Some(1)
        } else {
            self.is(0, "ALTER").then_some(0)
        };
        if column == Some(self.depth(index)) && self.is(index, "AS") && self.is(index + 1, "(") {
            return Some((31, "a generated column".to_owned()));
        }
        let option = column == Some(1)
            && self.depth(index) == 0
            && index > 0
            && (self.is(index - 1, ")") || self.is(index - 1, ","));
        (option && self.is(index, "STRICT")).then(|| (37, "a STRICT table".to_owned()))
    }

    /// ORDER BY among the arguments of a function.
    fn aggregate(&self, index: usize) -> Found {
        if !self.is(index, "ORDER") || !self.is(index + 1, "BY") {
            return None;
        }
        let open = self.nesting.get(index)?.open?;
        let first = open + 1;
        let query = ["SELECT", "WITH", "VALUES", "PARTITION", "ORDER"]
            .iter()
            .any(|word| self.is(first, word));
        let called = open > 0
            && self.kind(open - 1) == Some(TokenKind::Word)
            && !self.is(open - 1, "OVER")
            && !self.is(open - 1, "AS");
        // A window that is based on another one: `OVER (w ORDER BY x)`, ruled out above with OVER
        // and AS.
        (called && !query).then(|| (44, "ORDER BY inside an aggregate function".to_owned()))
    }

    fn trigger(&self, index: usize) -> Found {
        if !self.creates("TRIGGER") {
            return None;
        }
        if self.is(index, "RAISE") && self.is(index + 3, ",") {
            let text = self.kind(index + 4) == Some(TokenKind::Text)
                || self.kind(index + 4) == Some(TokenKind::Quoted);
            return (!text || !self.is(index + 5, ")"))
                .then(|| (47, "an expression in RAISE()".to_owned()));
        }
        let begin = self.begin?;
        if index <= begin
            || self.depth(index) > 0
            || !(self.is(index, "FROM") || self.is(index, "DO"))
        {
            return None;
        }
        let start = (begin..index).rev().find(|at| self.is(*at, ";") || *at == begin)? + 1;
        if self.is(index, "FROM")
            && self.is(start, "UPDATE")
            && !self.is(index.saturating_sub(1), "DISTINCT")
        {
            return Some((33, "UPDATE … FROM in a trigger".to_owned()));
        }
        let earlier = (start..index).any(|at| self.is(at, "DO") && self.depth(at) == 0);
        (self.is(index, "DO") && earlier).then(|| (35, "more than one ON CONFLICT".to_owned()))
    }

    fn number(&self, index: usize) -> Found {
        let token = self.tokens.get(index)?;
        let number = token.kind == TokenKind::Other
            && token.text.starts_with(|first: char| first.is_ascii_digit())
            && token.text.contains('_');
        number.then(|| (46, "an underscore in a number".to_owned()))
    }

    /// A window's frame with an expression.
    fn frame(&self, index: usize) -> Found {
        if !self.is(index, "RANGE") {
            return None;
        }
        let bound = if self.is(index + 1, "BETWEEN") { index + 2 } else { index + 1 };
        let constant = self.is(bound, "UNBOUNDED") || self.is(bound, "CURRENT");
        let ends = (bound..self.tokens.len())
            .take(8)
            .any(|at| self.is(at, "PRECEDING") || self.is(at, "FOLLOWING"));
        (ends && !constant).then(|| (28, "an expression in RANGE".to_owned()))
    }

    fn fts5(&self, index: usize) -> Found {
        let using = (0..self.tokens.len()).take(12).find(|at| self.is(*at, "USING"))?;
        if !self.creates("VIRTUAL") || !self.is(using + 1, "fts5") || !self.is(index + 1, "=") {
            return None;
        }
        if self.is(index, "tokenize") {
            let value = self
                .tokens
                .get(index + 2)?
                .text
                .trim_matches(['\'', '"'])
                .trim_start()
                .to_ascii_lowercase();
            return value.starts_with("trigram").then(|| (34, "the tokenizer trigram".to_owned()));
        }
        let (name, minor) = FTS5.iter().find(|(name, _)| self.is(index, name))?;
        Some((*minor, format!("the option {name} of FTS5")))
    }
}

#[cfg(test)]
#[path = "sqlite_min_tests.rs"]
mod tests;
