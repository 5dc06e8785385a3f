//! Owns the rules for file names: what is a migration, what is its way back, what merely looks like
//! one.
//! Promises: every name that it accepts gives refinery the same version and name, as far as both
//! know its letters.
//! Never accepts a name that refinery would silently leave out.

/// What a file in a database's folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// `V4__wifi.sql`.
    Up(Stem),
    /// `V4__wifi.down.sql`.
    Down(Stem),
    /// No migration and nothing like one, for example a README.
    Other,
}

/// `V4__wifi`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stem {
    /// As it stands in the file name.
    pub text: String,
    /// 4.
    pub version: i64,
    /// `wifi`.
    pub name: String,
}

/// Says what a file is by its name alone.
///
/// # Errors
/// The sentence that says what is wrong with the name and how to write it.
pub(crate) fn parse(file: &str) -> Result<Named, String> {
    if let Some(stem) = file.strip_suffix(".down.sql") {
        return parse_stem(file, stem, ".down.sql").map(Named::Down);
    }
    if let Some(stem) = file.strip_suffix(".sql") {
        return parse_stem(file, stem, ".sql").map(Named::Up);
    }
    if file.to_ascii_lowercase().ends_with(".sql") {
        return Err(format!(
            "`{file}` ends with capital letters, so no tool would find it; write `.sql`"
        ));
    }
    if !looks_like_migration(file) {
        return Ok(Named::Other);
    }
    if let Some(stem) = file.strip_suffix(".rs") {
        return Err(format!(
            "a migration in Rust is registered by the firmware and announced by a file \
             `{stem}.sql` with the line `-- bootmigrate: code revision=1`; write that file and \
             move this one into the sources"
        ));
    }
    Err(format!(
        "`{file}` looks like a migration and does not end with `.sql`; rename it, or move it out \
         of this folder"
    ))
}

/// A letter that a migration may begin with, then a digit.
fn looks_like_migration(file: &str) -> bool {
    let mut characters = file.chars();
    matches!(characters.next(), Some('V' | 'v' | 'U' | 'u'))
        && characters.next().is_some_and(|next| next.is_ascii_digit())
}

fn parse_stem(file: &str, stem: &str, suffix: &str) -> Result<Stem, String> {
    let shape = format!(
        "write it like `V4__wifi{suffix}`: `V`, a number, two underscores, a name of letters, \
         digits and underscores"
    );
    let Some(rest) = stem.strip_prefix('V') else {
        return Err(refuse_prefix(file, stem, suffix, &shape));
    };
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    let (number, after) = rest.split_at_checked(digits).unwrap_or((rest, ""));
    if number.is_empty() {
        return Err(format!(
            "`{file}` has no version number after `V`, so refinery would leave it out silently; \
             {shape}"
        ));
    }
    let Some(name) = after.strip_prefix("__") else {
        return Err(refuse_separator(file, number, after, suffix, &shape));
    };
    if name.is_empty() {
        return Err(format!(
            "`{file}` has no name after the two underscores, so refinery would leave it out \
             silently; {shape}"
        ));
    }
    if let Some(wrong) = name.chars().find(|character| !may_stand(*character)) {
        let better: String = name.chars().map(|c| if may_stand(c) { c } else { '_' }).collect();
        if !wrong.is_ascii() {
            return Err(format!(
                "the name in `{file}` contains `{}`, which is neither a letter nor a digit from 0 \
                 to 9; write `V{number}__{better}{suffix}`",
                wrong.escape_default()
            ));
        }
        return Err(format!(
            "the name in `{file}` contains `{}`, so refinery would leave it out silently; write \
             `V{number}__{better}{suffix}`",
            wrong.escape_default()
        ));
    }
    let version = parse_version(file, number)?;
    Ok(Stem { text: stem.to_owned(), version, name: name.to_owned() })
}

/// In a name. Less than the `\w` of refinery's pattern, which knows the digits of all scripts and
/// marks that stand for no letter.
fn may_stand(character: char) -> bool {
    character.is_alphabetic() || character.is_ascii_digit() || character == '_'
}

fn refuse_prefix(file: &str, stem: &str, suffix: &str, shape: &str) -> String {
    if let Some(rest) = stem.strip_prefix('v') {
        return format!(
            "`{file}` begins with a small `v`, so refinery would leave it out silently; write \
             `V{rest}{suffix}`"
        );
    }
    if looks_like_migration(file) {
        return refuse_unversioned(file, stem, suffix);
    }
    format!(
        "`{file}` is not named like a migration, so refinery would leave it out silently; {shape}, \
         or move it out of this folder"
    )
}

/// Of refinery an unversioned migration, which runs out of order; of Flyway and its like the way
/// back of the version with its number.
fn refuse_unversioned(file: &str, stem: &str, suffix: &str) -> String {
    let rest = stem.get(1..).unwrap_or_default();
    let name = rest.split_once("__").map_or("name", |(_, name)| name);
    if suffix == ".down.sql" {
        return format!(
            "`{file}` begins with `U`, and a way back is named as its migration; write \
             `V{rest}.down.sql`"
        );
    }
    format!(
        "`{file}` would be run out of order; write `V{rest}.down.sql` where it undoes \
         `V{rest}.sql`, else `V` with the next free number and `__{name}.sql`"
    )
}

fn refuse_separator(file: &str, number: &str, after: &str, suffix: &str, shape: &str) -> String {
    if let Some(name) = after.strip_prefix('_') {
        return format!(
            "`{file}` has one underscore between version and name, so refinery would leave it out \
             silently; write `V{number}__{name}{suffix}`"
        );
    }
    if after.starts_with('.') {
        return format!(
            "the version in `{file}` is not a whole number; write the next free whole number"
        );
    }
    if after.starts_with('-') {
        return format!(
            "`{file}` has `-` after its version, so refinery would leave it out silently; {shape}"
        );
    }
    format!(
        "`{file}` has no two underscores between version and name, so refinery would leave it out \
         silently; {shape}"
    )
}

fn parse_version(file: &str, number: &str) -> Result<i64, String> {
    number.parse().map_err(|_| {
        format!(
            "the version {number} in `{file}` is above {}, the largest that there can be; write \
             the next free number",
            i64::MAX
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn accepts(file: &str, version: i64, name: &str) {
        let (Named::Up(stem) | Named::Down(stem)) = parse(file).unwrap() else {
            unreachable!("{file}")
        };
        assert_eq!((stem.version, stem.name.as_str()), (version, name));
    }

    #[test]
    fn good_names() {
        accepts("V4__wifi.sql", 4, "wifi");
        accepts("V0004__wi_fi2.sql", 4, "wi_fi2");
        accepts("V4__wifi.down.sql", 4, "wifi");
        accepts("V2147483647__größe.sql", i64::from(i32::MAX), "größe");
        accepts("V20240101120000__wifi.sql", 20_240_101_120_000, "wifi");
        accepts("V9223372036854775807__x.sql", i64::MAX, "x");
    }

    #[test]
    fn refinery_reads_every_character_that_may_stand() {
        // Elsewhere Unicode grows, and Rust's tables or refinery's are the newer ones.
        let (latin_to_thaana, devanagari, thai) =
            ('\0'..='\u{7ff}', '\u{900}'..='\u{97f}', '\u{e00}'..='\u{e7f}');
        let (kana, han, hangul) =
            ('\u{3040}'..='\u{30ff}', '\u{4e00}'..='\u{9fff}', '\u{ac00}'..='\u{d7a3}');
        let all =
            latin_to_thaana.chain(devanagari).chain(thai).chain(kana).chain(han).chain(hangul);
        let all: String = all.filter(|character| may_stand(*character)).collect();
        assert!(all.chars().count() > 33_000);
        assert!(refinery::Migration::unapplied(&format!("V1__{all}"), "").unwrap().name() == all);
    }

    #[test]
    fn marks_and_other_digits_have_a_sentence() {
        for wrong in ["\u{b2}", "\u{663}", "\u{301}", "\u{94d}"] {
            let refused = parse(&format!("V1__area_{wrong}.sql")).unwrap_err();
            assert!(
                refused.ends_with(
                    "which is neither a letter nor a digit from 0 to 9; write `V1__area__.sql`"
                ),
                "{refused}"
            );
        }
    }

    #[test]
    fn bystanders_are_left_alone() {
        assert_eq!(parse("README.md"), Ok(Named::Other));
        assert_eq!(parse("Views.txt"), Ok(Named::Other));
    }
}
