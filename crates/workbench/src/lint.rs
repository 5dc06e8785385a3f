//! Owns `lint`: every rule on every file, what is allowed with a reason left out.
//! Promises: sorted by file and place; a file that was released is left alone unless asked for.
//! Never changes a file.

mod case;
mod formats;
mod rules;

use std::path::{Path, PathBuf};

use anyhow::Result;
use bootmigrate_build::{Database, Migration, Problem, Product};

use crate::cli::{Format, Lint};
use crate::model::Model;
use crate::{product, schema};
use case::{Case, File, Hit};
pub use rules::Rule;
use rules::{NOTHING_ALLOWED, REFUSED, RULES, WARNED};

/// One finding.
pub struct Finding {
    pub rule: &'static Rule,
    /// As every message names it.
    pub file: String,
    /// From 1; 0 for the file as a whole.
    pub line: u32,
    pub column: u32,
    /// Characters that the caret marks.
    pub width: usize,
    pub what: String,
    /// The line itself.
    pub text: String,
}

/// Prints what is found.
///
/// # Errors
/// The folder cannot be read, or SQLite fails.
pub fn lint(folder: &Path, request: &Lint) -> Result<bool> {
    if request.list {
        print!("{}", formats::list());
        return Ok(true);
    }
    let mut findings = match bootmigrate_build::read(folder) {
        Ok(product) => all(&product, request)?,
        Err(problems) => {
            let mut findings: Vec<Finding> =
                problems.iter().map(|problem| of_build(&REFUSED, problem)).collect();
            findings.iter_mut().for_each(|finding| finding.text = line_of(folder, finding));
            findings
        }
    };
    if request.format != Format::Text {
        let parent = parent(folder);
        findings.iter_mut().for_each(|finding| {
            finding.file = parent.join(&finding.file).to_string_lossy().into_owned();
        });
    }
    let text = match request.format {
        Format::Text => formats::text(&findings),
        Format::Json => formats::json(&findings),
        Format::Sarif => formats::sarif(&findings),
        Format::Junit => formats::junit(&findings),
        Format::Github => formats::github(&findings),
    };
    print!("{text}");
    Ok(findings.is_empty())
}

/// What a file's path begins with for whoever stands in this folder, as CI does in a repository.
fn parent(folder: &Path) -> PathBuf {
    let parent = folder.parent().unwrap_or(Path::new(""));
    let here = std::env::current_dir().unwrap_or_default();
    parent.strip_prefix(here).unwrap_or(parent).to_path_buf()
}

/// Every finding that no file allows.
///
/// # Errors
/// As SQLite; a database that is not there.
pub fn all(product: &Product, request: &Lint) -> Result<Vec<Finding>> {
    let (problems, mut warnings) = bootmigrate_build::execute(product);
    warnings.extend(product.warnings.iter().cloned());
    let mut findings = Vec::new();
    for database in product::databases(product, request.db.as_deref())? {
        let chain = schema::chain(product, database)?;
        let Some(settings) = product::settings(product, database) else { continue };
        let read = |count: usize| {
            chain
                .open(count)
                .map(|connection| Model::read(&connection, &settings.history_table))
                .transpose()
        };
        let models: Vec<Option<Model>> =
            (0..=database.migrations.len()).map(read).collect::<rusqlite::Result<_>>()?;
        let of_schema = database
            .migrations
            .iter()
            .enumerate()
            .map(|(place, migration)| (place, migration, false));
        let of_data =
            database.data.iter().map(|migration| (database.migrations.len(), migration, true));
        for (place, migration, data) in of_schema.chain(of_data) {
            let new = !migration.released && !migration.adopted;
            if !new && !request.all {
                continue;
            }
            let mut found = of_file(product, migration, &problems, &warnings);
            let after = if data { place } else { place + 1 };
            let last = models.iter().rev().flatten().next();
            if let (Some(Some(before)), Some(Some(after)), Some(last)) =
                (models.get(place), models.get(after), last)
            {
                let down = migration.down.as_deref().map(File::of);
                let (before, after) = (before.clone(), after.clone());
                let up = File::of(&migration.sql);
                let mut case = Case {
                    product,
                    database,
                    settings,
                    migration,
                    chain: &chain,
                    place,
                    data,
                    up,
                    down,
                    before,
                    after,
                    last,
                    trial: None,
                };
                case.trial = case.try_with_rows();
                found.extend(of_rules(&case));
            }
            findings.extend(allowed(product, migration, found));
        }
        findings.extend(of_database(product, database, &problems));
    }
    findings.sort_by(|one, other| {
        (&one.file, one.line, one.column, one.rule.code).cmp(&(
            &other.file,
            other.line,
            other.column,
            other.rule.code,
        ))
    });
    Ok(findings)
}

/// What the rules say of a migration.
fn of_rules(case: &Case<'_>) -> Vec<Finding> {
    let hits = RULES.iter().flat_map(|rule| {
        let hits = rule.look.map(|look| look(case)).unwrap_or_default();
        hits.into_iter().map(move |hit| (rule, hit))
    });
    hits.map(|(rule, hit)| of_hit(case.product, case.migration, rule, hit)).collect()
}

/// What the build says of a migration's files.
fn of_file(
    product: &Product,
    migration: &Migration,
    problems: &[Problem],
    warnings: &[Problem],
) -> Vec<Finding> {
    let files = [product::shown(product, migration), product::shown_down(product, migration)];
    let ours = |problem: &&Problem| files.contains(&problem.file);
    let refused = problems.iter().filter(ours).map(|problem| of_build(&REFUSED, problem));
    // Two rules of ours say the same with more words.
    let ours_too = |problem: &&Problem| {
        !problem.sentence.starts_with("not checked")
            && !problem.sentence.contains("went with this table")
    };
    let warned =
        warnings.iter().filter(ours).filter(ours_too).map(|problem| of_build(&WARNED, problem));
    let mut found: Vec<Finding> = refused.chain(warned).collect();
    for finding in &mut found {
        let down = finding.file.ends_with(".down.sql");
        finding.text = line_in(
            if down { migration.down.as_deref().unwrap_or_default() } else { &migration.sql },
            finding.line,
        );
    }
    found
}

/// Problems of files that are no migration's: none is lost.
fn of_database(product: &Product, database: &Database, problems: &[Problem]) -> Vec<Finding> {
    let prefix = format!("{}/{}/", product::label(product), database.name);
    let known = |problem: &Problem| {
        let all = database.migrations.iter().chain(&database.data);
        all.into_iter().any(|one| {
            [product::shown(product, one), product::shown_down(product, one)]
                .contains(&problem.file)
        })
    };
    problems
        .iter()
        .filter(|problem| problem.file.starts_with(&prefix) && !known(problem))
        .map(|problem| of_build(&REFUSED, problem))
        .collect()
}

fn of_build(rule: &'static Rule, problem: &Problem) -> Finding {
    Finding {
        rule,
        file: problem.file.clone(),
        line: problem.line,
        column: problem.column,
        width: 1,
        what: problem.sentence.clone(),
        text: String::new(),
    }
}

fn of_hit(product: &Product, migration: &Migration, rule: &'static Rule, hit: Hit) -> Finding {
    let file = if hit.down {
        product::shown_down(product, migration)
    } else {
        product::shown(product, migration)
    };
    let text = line_in(
        if hit.down { migration.down.as_deref().unwrap_or_default() } else { &migration.sql },
        hit.line,
    );
    Finding {
        rule,
        file,
        line: hit.line,
        column: hit.column,
        width: hit.width,
        what: hit.what,
        text,
    }
}

/// Without what the file allows; an `allow` that allows nothing is a finding itself.
fn allowed(product: &Product, migration: &Migration, found: Vec<Finding>) -> Vec<Finding> {
    let allow = &migration.directives.allow;
    let is_allowed = |finding: &Finding| {
        finding.rule.code != REFUSED.code && allow.iter().any(|one| one.code == finding.rule.code)
    };
    // Those of `check` are not ours to judge.
    let unused = allow.iter().filter(|one| {
        !one.code.starts_with("BM1") && !found.iter().any(|finding| finding.rule.code == one.code)
    });
    let unused: Vec<Finding> = unused
        .map(|one| {
            let text = line_in(&migration.sql, one.line);
            let what = match rules::find(&one.code) {
                Some(_) => format!("{} finds nothing in this file", one.code),
                None => format!("there is no lint {}", one.code),
            };
            Finding {
                rule: &NOTHING_ALLOWED,
                file: product::shown(product, migration),
                line: one.line,
                column: 1,
                width: text.chars().count(),
                what,
                text,
            }
        })
        .collect();
    found.into_iter().filter(|finding| !is_allowed(finding)).chain(unused).collect()
}

fn line_in(text: &str, line: u32) -> String {
    let number = usize::try_from(line).unwrap_or_default();
    number.checked_sub(1).and_then(|number| text.lines().nth(number)).unwrap_or_default().to_owned()
}

/// The line of a finding in a folder that has no product.
fn line_of(folder: &Path, finding: &Finding) -> String {
    let inside = finding.file.split_once('/').map_or("", |(_, inside)| inside);
    line_in(&std::fs::read_to_string(folder.join(inside)).unwrap_or_default(), finding.line)
}
