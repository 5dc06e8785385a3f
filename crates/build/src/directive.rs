//! Owns the `-- bootmigrate:` comments: their grammar, where they may stand, which of them exclude
//! each other.
//! Promises: a misspelt directive is never a mere comment; every sentence says what to write.
//! Never looks at the statements, but at the query of an `expect`.

use crate::product::{Allow, Directives, Expect, ForeignKeys};
use crate::sql::{self, Token, TokenKind};
use crate::Problem;

/// Every directive, as it is written without its value.
const KNOWN: [&str; 9] = [
    "no-transaction",
    "foreign-keys",
    "compatible-from",
    "irreversible",
    "expect",
    "batch",
    "needs-space",
    "code",
    "allow",
];

/// What means nothing in `data/`.
const SCHEMAS_ALONE: [&str; 5] =
    ["no-transaction", "foreign-keys", "compatible-from", "irreversible", "code"];

/// A larger number is a slip of the pen: no migration needs a hundred times its database.
const NEEDS_SPACE_MAX_PERCENT: u32 = 10_000;

/// More edits than this, and a word is not a misspelt directive.
const EDITS_MAX: usize = 4;

/// Which file the comments stand in.
pub(crate) struct Place<'a> {
    /// How a problem names the file.
    pub file: &'a str,
    /// Version of the migration.
    pub version: i64,
    /// In `data/`.
    pub data: bool,
    /// A `.down.sql`, which has no directives.
    pub down: bool,
    /// Has a `.down.sql` beside it.
    pub has_down: bool,
    /// The database is migrated `group` with others.
    pub group: bool,
}

/// Reads the directives of one file.
pub(crate) fn read(
    tokens: &[Token<'_>],
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Directives {
    let mut reader = Reader { found: Directives::default(), seen: Vec::new() };
    let mut at_head = true;
    for token in tokens {
        if !matches!(token.kind, TokenKind::LineComment | TokenKind::BlockComment) {
            at_head = false;
            continue;
        }
        let said = match directive_in(token) {
            None => continue,
            Some(_) if place.down => {
                Err("a down file has no directives; write them at the head of the migration itself"
                    .to_owned())
            }
            Some(Ok(_)) if !at_head => {
                Err("a directive stands at the head of the file, before the first statement; move \
                     this line up"
                    .to_owned())
            }
            Some(Ok(text)) => reader.take(text, token, place),
            Some(Err(sentence)) => Err(sentence),
        };
        if let Err(sentence) = said {
            problems.push(Problem::at(place.file, token.line, token.column, sentence));
        }
    }
    problems.extend(reader.contradictions(place));
    reader.found
}

/// What stands behind `bootmigrate:`, or the sentence for a comment that only looks like a
/// directive.
fn directive_in<'a>(token: &Token<'a>) -> Option<Result<&'a str, String>> {
    let block = token.kind == TokenKind::BlockComment;
    let inner = token.text.strip_prefix(if block { "/*" } else { "--" })?;
    let inner = inner.strip_suffix("*/").unwrap_or(inner).trim();
    let (word, rest) = inner.split_at_checked("bootmigrate".len())?;
    if !word.eq_ignore_ascii_case("bootmigrate") {
        return None;
    }
    let directive = rest.trim_start().strip_prefix(':').map(str::trim);
    let meant = directive.unwrap_or(rest.trim());
    let first_word = meant.split([' ', '\t', '=']).next().unwrap_or_default();
    match directive {
        // A sentence that begins with the project's name is only a comment.
        None if !rest.starts_with([' ', '\t']) || !KNOWN.contains(&first_word) => None,
        None => Some(Err(format!("a colon is missing; write `-- bootmigrate: {meant}`"))),
        Some(_) if block => Some(Err(format!(
            "a directive is a comment of one line; write `-- bootmigrate: {meant}`"
        ))),
        Some(_) if word != "bootmigrate" => Some(Err(format!(
            "`bootmigrate` is written in small letters; write `-- bootmigrate: {meant}`"
        ))),
        Some(text) => Some(Ok(text)),
    }
}

struct Reader {
    found: Directives,
    /// Which directives stood where.
    seen: Vec<(&'static str, u32, u32)>,
}

impl Reader {
    fn take(&mut self, text: &str, token: &Token<'_>, place: &Place<'_>) -> Result<(), String> {
        let name_end = text.find([' ', '\t', '=']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(name_end).unwrap_or((text, ""));
        let Some(known) = KNOWN.into_iter().find(|known| *known == name) else {
            return Err(unknown(name));
        };
        if !matches!(known, "expect" | "allow")
            && self.seen.iter().any(|(seen, _, _)| *seen == known)
        {
            return Err(format!("`{known}` stands here twice; remove one of the two"));
        }
        self.seen.push((known, token.line, token.column));
        let rest = rest.trim();
        let value = rest.strip_prefix('=').map(str::trim).filter(|value| !value.is_empty());
        match known {
            "no-transaction" | "irreversible" | "batch" => self.flag(known, rest, place),
            "foreign-keys" => self.foreign_keys(value),
            "compatible-from" => self.compatible_from(value, place.version),
            "expect" => self.expect(value, token.line),
            "needs-space" => self.needs_space(value),
            "allow" => self.allow(value, token.line),
            _ => self.code(rest),
        }
    }

    fn flag(&mut self, known: &str, rest: &str, place: &Place<'_>) -> Result<(), String> {
        if !rest.is_empty() {
            return Err(format!(
                "`{known}` takes no value; write `-- bootmigrate: {known}`, and any other \
                 directive on a line of its own"
            ));
        }
        match known {
            "no-transaction" => self.found.no_transaction = true,
            "irreversible" => self.found.irreversible = true,
            _ if place.data => self.found.batch = true,
            _ => {
                return Err("`batch` is for data migrations only; move this file into the folder \
                            `data`, or remove this line"
                    .to_owned())
            }
        }
        Ok(())
    }

    fn foreign_keys(&mut self, value: Option<&str>) -> Result<(), String> {
        self.found.foreign_keys =
            match value {
                Some("on") => ForeignKeys::On,
                Some("deferred") => ForeignKeys::Deferred,
                Some("enforced") => ForeignKeys::Enforced,
                Some("off") => ForeignKeys::Off,
                _ => return Err(
                    "`foreign-keys` takes on, deferred, enforced or off; write for example `-- \
                     bootmigrate: foreign-keys = on`"
                        .to_owned(),
                ),
            };
        Ok(())
    }

    fn compatible_from(&mut self, value: Option<&str>, version: i64) -> Result<(), String> {
        match value.and_then(number::<i64>) {
            Some(from) if (1..=version).contains(&from) => {
                self.found.compatible_from = Some(from);
                Ok(())
            }
            _ => Err(format!(
                "`compatible-from` takes the oldest schema version whose firmware can use the \
                 result, from 1 to {version}; write for example `-- bootmigrate: compatible-from = \
                 {}`",
                version.saturating_sub(1).max(1)
            )),
        }
    }

    fn expect(&mut self, value: Option<&str>, line: u32) -> Result<(), String> {
        let shape =
            "write for example `-- bootmigrate: expect = SELECT * FROM network WHERE ssid IS NULL`";
        let query = value
            .ok_or_else(|| format!("`expect` takes a query that must return no row; {shape}"))?;
        let lexed = sql::lex(query);
        let (statements, incomplete) = sql::statements(&lexed.tokens);
        if let Some(missing) = lexed.incomplete.or(incomplete.into_iter().next()) {
            return Err(format!(
                "the query of this `expect` does not end on its line: {}",
                missing.sentence
            ));
        }
        match statements.as_slice() {
            [one] if ["SELECT", "WITH", "VALUES"].iter().any(|word| one.word(0, word)) => {
                self.found.expect.push(Expect { query: query.to_owned(), line });
                Ok(())
            }
            [_] => Err(format!(
                "`expect` takes a query that begins with SELECT, WITH or VALUES; {shape}"
            )),
            _ => {
                Err(format!("`expect` takes one query, and each further one its own line; {shape}"))
            }
        }
    }

    fn needs_space(&mut self, value: Option<&str>) -> Result<(), String> {
        let percent = value
            .and_then(percent)
            .filter(|percent| (1..=NEEDS_SPACE_MAX_PERCENT).contains(percent));
        self.found.needs_space_percent = Some(percent.ok_or_else(|| {
            format!(
                "`needs-space` takes a multiple of the database's size, from 0.01 to {} with at \
                 most two decimals; write for example `-- bootmigrate: needs-space = 2.0`",
                NEEDS_SPACE_MAX_PERCENT / 100
            )
        })?);
        Ok(())
    }

    fn allow(&mut self, value: Option<&str>, line: u32) -> Result<(), String> {
        let (code, because) =
            value.and_then(|value| value.split_once(" because ")).unwrap_or_default();
        let (code, because) = (code.trim(), because.trim());
        let is_code = code.strip_prefix("BM").is_some_and(|digits| {
            digits.len() == 3 && digits.chars().all(|digit| digit.is_ascii_digit())
        });
        if !is_code || because.is_empty() {
            return Err("`allow` takes the code of a lint and the reason; write for example `-- \
                        bootmigrate: allow = BM012 because the table has ten rows`"
                .to_owned());
        }
        self.found.allow.push(Allow { code: code.to_owned(), because: because.to_owned(), line });
        Ok(())
    }

    fn code(&mut self, rest: &str) -> Result<(), String> {
        let value = rest
            .strip_prefix("revision")
            .map(str::trim_start)
            .and_then(|rest| rest.strip_prefix('='));
        let revision = value.and_then(|value| number::<u32>(value.trim()));
        // A wrong number is still code: that there is no SQL is not a second problem.
        self.found.code_revision = Some(revision.unwrap_or_default());
        match revision {
            Some(_) => Ok(()),
            None => {
                Err("`code` takes the revision of the Rust code, from 1; write for example `-- \
                     bootmigrate: code revision=1`"
                    .to_owned())
            }
        }
    }

    /// What two directives together, or a directive and a down file, cannot mean.
    fn contradictions(&self, place: &Place<'_>) -> Vec<Problem> {
        let found = &self.found;
        let rules = [
            (
                "irreversible",
                found.irreversible && place.has_down,
                "`irreversible` says that there is no way back, and a `.down.sql` is one; remove \
                 this line or that file",
            ),
            (
                "no-transaction",
                found.no_transaction && place.group,
                "databases with `group` are committed from transactions open at the same time, so \
                 `no-transaction` cannot be; remove this line, or `group` in bootmigrate.toml",
            ),
            (
                "code",
                found.code_revision.is_some() && found.no_transaction,
                "the Rust code is given a transaction, so `no-transaction` cannot be; remove one \
                 of the two lines",
            ),
        ];
        let of_schemas = SCHEMAS_ALONE.into_iter().map(|name| {
            (
                name,
                place.data,
                "a data migration changes rows beside running applications, and this is for \
                 migrations of the schema; remove this line",
            )
        });
        let broken = rules.into_iter().chain(of_schemas).filter(|(_, broken, _)| *broken);
        broken
            .filter_map(|(name, _, sentence)| {
                let (_, line, column) = self.seen.iter().find(|(seen, _, _)| *seen == name)?;
                Some(Problem::at(place.file, *line, *column, sentence))
            })
            .collect()
    }
}

/// A whole number above 0, written with digits alone.
fn number<N: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Option<N> {
    let digits = !text.is_empty() && text.chars().all(|character| character.is_ascii_digit());
    text.parse::<N>().ok().filter(|value| digits && *value >= N::from(1))
}

/// `2`, `2.0` or `1.25` in per cent.
fn percent(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits =
        |part: &str| !part.is_empty() && part.chars().all(|character| character.is_ascii_digit());
    if !all_digits(whole) || !all_digits(decimals) || decimals.len() > 2 {
        return None;
    }
    let hundredths: u32 = format!("{decimals:0<2}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(hundredths)
}

fn unknown(name: &str) -> String {
    let nearest = KNOWN.into_iter().map(|known| (edits(name, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= EDITS_MAX && distance < known.len() => {
            format!("there is no directive `{name}`; did you mean `{known}`?")
        }
        _ => format!(
            "there is no directive `{name}`; there are {}",
            KNOWN.map(|known| format!("`{known}`")).join(", ")
        ),
    }
}

/// How many letters must be put in, left out or changed to make one word of the other.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        let mut next = vec![left];
        for (above, candidate) in row.iter().skip(1).zip(other.chars()) {
            let changed = diagonal + usize::from(letter != candidate);
            left = changed.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "batch"), 5);
        assert_eq!(edits("batch", "batch"), 0);
        assert_eq!(edits("no_transaction", "no-transaction"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn space_is_kept_in_per_cent() {
        assert_eq!(
            [percent("2"), percent("2.0"), percent("1.25"), percent("0.5")],
            [Some(200), Some(200), Some(125), Some(50)]
        );
        assert_eq!(
            [percent("2,0"), percent("-2"), percent("1.234"), percent(".5"), percent("4294967295")],
            [None; 5]
        );
    }
}
