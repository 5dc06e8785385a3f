//! Owns the reading of a schema's SQL text: words, parentheses, and the clauses that no PRAGMA
//! answers.
//! Promises: quotes, letters' case, white space and comments are no part of what is read; texts
//! keep their letters, in double quotes too where no column has that name.
//! Never judges SQL: SQLite has accepted it.

/// Characters of a text that a difference shows.
const TEXT_SHOWN_CHARS_MAX: usize = 40;

pub(super) fn is_virtual(tokens: &[String]) -> bool {
    tokens.get(1).is_some_and(|token| token == "virtual")
}

/// An index's text matters for its WHERE and its expressions; its columns are read from SQLite.
pub(super) fn index_clauses(tokens: &[String]) -> String {
    let columns = tokens
        .iter()
        .position(|token| token == "(")
        .map_or(&[] as &[String], |place| tokens.get(place..).unwrap_or_default());
    let list = balanced(columns);
    let after = columns.get(list.len()..).unwrap_or_default();
    let nested = list.iter().filter(|token| *token == "(").count() > 1;
    let operators = list.iter().any(|token| {
        ["+", "-", "*", "/", "|", "%", "&", "<", ">", "=", "'"]
            .iter()
            .any(|sign| token.starts_with(sign))
    });
    let expressions = if nested || operators { join(list) } else { String::new() };
    format!("{expressions} {}", join(after)).trim().to_owned()
}

/// What stands between the first parentheses of a table's text, and what stands after them.
pub(super) fn body(tokens: &[String]) -> (&[String], &[String]) {
    let start = tokens.iter().position(|token| token == "(").unwrap_or(tokens.len());
    let rest = tokens.get(start..).unwrap_or_default();
    let inside = balanced(rest);
    (
        inside.get(1..inside.len().saturating_sub(1)).unwrap_or_default(),
        rest.get(inside.len()..).unwrap_or_default(),
    )
}

/// From an opening parenthesis to the one that closes it.
pub(super) fn balanced(tokens: &[String]) -> &[String] {
    let mut depth = 0usize;
    for (place, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return tokens.get(..=place).unwrap_or_default();
        }
    }
    tokens
}

/// The columns and constraints of a table's body.
pub(super) fn items(body: &[String]) -> impl Iterator<Item = &[String]> {
    let mut depth = 0usize;
    body.split(move |token| {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        token == "," && depth == 0
    })
}

/// Of a column or constraint: the clauses that change how a constraint works and that no PRAGMA
/// answers, each with the constraint that it belongs to: `ON CONFLICT of UNIQUE (a)`, `replace`.
pub(super) fn constraint_clauses(item: &[String], is_column: bool) -> Vec<(String, String)> {
    let own = item.first().filter(|_| is_column).map(|column| format!("({column})"));
    let (mut of, mut reference, mut found) = (String::new(), String::new(), Vec::new());
    let mut place = usize::from(is_column);
    while let Some(token) = item.get(place) {
        let rest = item.get(place + 1..).unwrap_or_default();
        let word = |distance: usize| rest.get(distance).map_or("", String::as_str);
        // What a table's constraint is of stands behind it.
        let list = |from: usize| {
            own.clone().unwrap_or_else(|| join(balanced(rest.get(from..).unwrap_or_default())))
        };
        match (token.as_str(), word(0)) {
            ("unique", _) => of = format!("UNIQUE {}", list(0)),
            ("primary", "key") => of = "PRIMARY KEY".to_owned(),
            ("not", "null") => of = format!("NOT NULL {}", list(0)),
            ("check", "(") => of = format!("CHECK {}", join(balanced(rest))),
            ("foreign", "key") => reference = format!("reference {}", list(1)),
            ("references", _) if is_column => reference = format!("reference {}", list(0)),
            // ABORT is what SQLite does without a word.
            ("on", "conflict") if word(1) != "abort" => {
                found.push((format!("ON CONFLICT of {of}"), word(1).to_owned()));
            }
            ("deferrable", "initially")
                if word(1) == "deferred"
                    && place
                        .checked_sub(1)
                        .is_none_or(|at| item.get(at).is_none_or(|before| before != "not")) =>
            {
                found.push((format!("INITIALLY DEFERRED of {reference}"), "once".to_owned()));
            }
            _ => {}
        }
        // A word inside parentheses is none of these.
        place +=
            if token == "(" { balanced(item.get(place..).unwrap_or_default()).len() } else { 1 };
    }
    found
}

/// The names that a view's text gives to columns: behind AS, and in the list behind its own name.
pub(super) fn columns_of_view(tokens: &[String]) -> impl Iterator<Item = String> + '_ {
    let list = tokens.get(3..).filter(|rest| rest.first().is_some_and(|first| first == "("));
    let behind_as =
        tokens.windows(2).filter(|pair| pair.first().is_some_and(|first| first == "as"));
    let behind_as = behind_as.filter_map(|pair| pair.get(1));
    list.map(balanced).unwrap_or_default().iter().chain(behind_as).cloned()
}

/// COLLATE and the expression of a generated column, which no PRAGMA answers.
pub(super) fn column_clauses(table: &[String], column: &str) -> String {
    let (body, _) = body(table);
    let column = column.to_ascii_lowercase();
    let Some(item) = items(body).find(|item| item.first() == Some(&column)) else {
        return String::new();
    };
    let mut text = String::new();
    let (mut place, mut depth) = (1usize, 0usize);
    while let Some(token) = item.get(place) {
        let next = item.get(place + 1).map_or("", String::as_str);
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "collate" if depth == 0 && next != "binary" => {
                text.push_str(&format!(" collate {next}"))
            }
            "as" if depth == 0 && next == "(" => {
                text.push_str(&format!(
                    " as {}",
                    join(balanced(item.get(place + 1..).unwrap_or_default()))
                ));
            }
            _ => {}
        }
        place += 1;
    }
    text
}

/// Both texts from the word on in which they differ, shortened.
pub(super) fn where_they_part(one: &str, other: &str) -> (String, String) {
    let same = one
        .char_indices()
        .zip(other.chars())
        .find(|((_, a), b)| a != b)
        .map_or(one.len().min(other.len()), |((at, _), _)| at);
    // Where the one only goes on after the other's last word, that word is no part of the
    // difference.
    let begins_a_word = |text: &str| text.get(same..).is_none_or(|rest| !rest.starts_with(is_word));
    let word = match one.get(..same) {
        Some(before) if !(begins_a_word(one) && begins_a_word(other)) => {
            before.trim_end_matches(is_word).len()
        }
        _ => same,
    };
    let word = word - usize::from(one.get(..word).is_some_and(|before| before.ends_with('\'')));
    let shown = |text: &str| {
        text.get(word..)
            .unwrap_or("")
            .trim()
            .chars()
            .take(TEXT_SHOWN_CHARS_MAX)
            .collect::<String>()
            .trim_end()
            .to_owned()
    };
    (shown(one), shown(other))
}

/// Words and signs in small letters, names without their quotes, without comments; strings keep
/// theirs.
pub(super) fn tokens(sql: &str) -> Vec<String> {
    tokens_among(sql, &|_| true)
}

/// What stands before a name, whatever columns there are.
const BEFORE_A_NAME: [&str; 7] =
    [".", "as", "collate", "constraint", "references", "table", "index"];

/// The same, where a word in double quotes that is no name is a text, as for SQLite: ALTER TABLE
/// writes it in single quotes.
pub(super) fn tokens_among(sql: &str, is_name: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let tail = rest.get(first.len_utf8()..).unwrap_or("");
        rest = match first {
            '-' if tail.starts_with('-') => tail.split_once('\n').map_or("", |(_, after)| after),
            '/' if tail.starts_with('*') => tail.split_once("*/").map_or("", |(_, after)| after),
            '\'' | '"' | '`' | '[' => {
                let end = if first == '[' { ']' } else { first };
                let length = quoted_length(tail, end);
                let (inside, after) = tail.split_at_checked(length).unwrap_or((tail, ""));
                let after = after.get(end.len_utf8().min(after.len())..).unwrap_or("");
                let inside = inside.replace(&format!("{end}{end}"), &end.to_string());
                // A default in double quotes is a text, whose letters count.
                let last = found.last().map_or("", String::as_str);
                let is_text = first == '\''
                    || (first == '"'
                        && (last == "default"
                            || !(BEFORE_A_NAME.contains(&last)
                                || after.trim_start().starts_with('.')
                                || is_name(&inside.to_ascii_lowercase()))));
                found.push(if is_text {
                    format!("'{inside}'")
                } else {
                    inside.to_ascii_lowercase()
                });
                after
            }
            letter if is_word(letter) => {
                let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
                found.push(word.to_ascii_lowercase());
                after
            }
            blank if blank.is_whitespace() || blank == ';' => tail,
            sign => {
                found.push(sign.to_string());
                tail
            }
        };
    }
    found
}

/// Bytes up to the closing quote; a doubled one is inside.
fn quoted_length(text: &str, end: char) -> usize {
    let mut characters = text.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        if character != end {
            continue;
        }
        if end == ']' || characters.peek().is_none_or(|(_, next)| *next != end) {
            return place;
        }
        characters.next();
    }
    text.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

pub(super) fn join(tokens: &[String]) -> String {
    let mut text = String::new();
    for token in tokens {
        let tight = text.is_empty()
            || text.ends_with('(')
            || [")", ",", "."].contains(&token.as_str())
            || text.ends_with('.');
        if !tight {
            text.push(' ');
        }
        text.push_str(token);
    }
    text
}
