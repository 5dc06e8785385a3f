//! Owns the generator of lives: a product, its images, and what a device of it meets.
//! Promises: one seed, one life; every migration of the main line works on an empty device.
//! Never looks at the device's code.

mod happens;

use rusqlite::config::DbConfig;
use rusqlite::Connection;

use super::rng::{quoted, Features, Rng};
use happens::{burst, command, damaged, rows};

use super::grammar::{self, Op};
use super::policies;
use super::product::{Asked, Database, Event, Firmware, Life, Migration, Part, Product};
use super::tables::tables;
use super::tools::{may_be_unfinished, TOOLS};

/// Migrations of one database, at most.
const MIGRATIONS_MAX: usize = 12;
/// Events of one life, at most.
const EVENTS_MAX: usize = 20;
/// The end of a token that is longer than what is kept of one.
const LONG: &str = "-and-so-on-for-more-bytes-than-any-record-has-room-for-in-one-of-its-tokens";

/// The life of this seed.
pub fn life(seed: u64) -> Life {
    let mut rng = Rng::new(seed);
    let features = Features::draw(&mut rng);
    let two_slots = rng.chance(40);
    let count = if features.many { rng.between(2, 3) } else { 1 };
    let names = ["settings", "telemetry", "log"];
    let mut databases: Vec<Database> =
        names[..count].iter().map(|name| database(&mut rng, &features, name)).collect();
    policies::draw(&mut rng, &features, two_slots, &mut databases);
    let mut product = Product { two_slots, databases };
    let images = images(&mut rng, &features, &product);
    let tool = if features.tools && !features.refinery {
        tool(&mut rng, &mut product, &images)
    } else {
        None
    };
    product.databases[0].nowhere =
        features.nowhere && count == 1 && tool.is_none() && !features.refinery;
    let mut events = events(&mut rng, &features, &product, &images);
    if let Some(tool) = tool {
        events.insert(0, tool);
    }
    Life { product, images, events }
}

/// Another tool made the first migrations of the only database, and `baseline` names it, with a
/// mapping or without, right or wrong.
fn tool(rng: &mut Rng, product: &mut Product, images: &[Firmware]) -> Option<Event> {
    let [database] = product.databases.as_mut_slice() else { return None };
    let versions: Vec<i64> =
        database.migrations.iter().map(|migration| migration.version).collect();
    let done = rng.between(1, images[0].parts[0].known.max(1)).min(versions.len());
    let (ours, name) = (*versions.get(done.checked_sub(1)?)?, *rng.pick(&TOOLS));
    let unfinished = may_be_unfinished(name) && rng.chance(15);
    let (mut said, mut pairs) = (ours, Vec::new());
    let mut before = versions[..done - 1].to_vec();
    if rng.chance(50) {
        // Theirs are other numbers, of which some are ours too; one may be missing.
        let theirs =
            |at: usize| if is_shared(ours, at) { versions[at] } else { 100 + versions[at] };
        pairs = (0..versions.len()).map(|at| (theirs(at), versions[at])).collect();
        said = theirs(done - 1);
        before = (0..done - 1).map(theirs).collect();
        if rng.chance(40) {
            pairs.retain(|(other, _)| *other != said);
            // Else an earlier one that is mapped would count.
            before.clear();
            said = if rng.chance(50) { ours } else { said };
        }
    }
    if rng.chance(15) {
        said = 0;
        before.clear();
    }
    let adopt = if pairs.is_empty() {
        format!("\"{name}\"")
    } else {
        let pairs: Vec<String> =
            pairs.iter().map(|(theirs, ours)| format!("{theirs} = {ours}")).collect();
        format!("{{ from = \"{name}\", versions = {{ {} }} }}", pairs.join(", "))
    };
    database.keys.retain(|(key, _)| *key != "user_version");
    database.keys.push(("baseline", adopt));
    Some(Event::Tool { done, before, said, unfinished })
}

/// Which of the numbers are both theirs and ours: the first few, since a tool's numbers grow.
fn is_shared(of: i64, at: usize) -> bool {
    (at as i64) < of % 4
}

fn memory() -> Connection {
    let scratch = Connection::open_in_memory()
        .unwrap_or_else(|error| panic!("a database in memory: {error}"));
    scratch.execute_batch("PRAGMA foreign_keys = OFF").unwrap_or_else(|error| panic!("{error}"));
    // A name in quotes that is a column no more shall not become a text.
    for switch in [DbConfig::SQLITE_DBCONFIG_DQS_DDL, DbConfig::SQLITE_DBCONFIG_DQS_DML] {
        scratch.set_db_config(switch, false).unwrap_or_else(|error| panic!("{error}"));
    }
    scratch
}

fn database(rng: &mut Rng, features: &Features, name: &str) -> Database {
    let scratch = memory();
    let count = if rng.chance(70) { rng.between(1, 5) } else { rng.between(4, MIGRATIONS_MAX) };
    let mut migrations: Vec<Migration> = Vec::new();
    let mut version = 0;
    for number in 0..count {
        version += if rng.chance(75) { 1 } else { rng.between(2, 9) as i64 };
        if let Some(migration) = migration(rng, features, &scratch, version, number) {
            migrations.push(migration);
        }
    }
    if features.directives || features.compatible {
        compatible(rng, &mut migrations, if features.compatible { 85 } else { 40 });
    }
    Database { name: name.to_owned(), keys: Vec::new(), migrations, nowhere: false }
}

fn migration(
    rng: &mut Rng,
    features: &Features,
    scratch: &Connection,
    version: i64,
    number: usize,
) -> Option<Migration> {
    let ops: Vec<Op> =
        (0..rng.between(1, 3)).filter_map(|_| grammar::draw(rng, features, scratch)).collect();
    if ops.is_empty() {
        return None;
    }
    let mut statements: Vec<String> = ops.iter().flat_map(|op| op.up.clone()).collect();
    let mut directives = Vec::new();
    if features.leaves && rng.chance(40) {
        leave(rng, scratch, &mut statements);
    }
    if features.no_transaction && number > 0 && rng.chance(35) {
        directives.push("no-transaction".to_owned());
        statements.push("VACUUM".to_owned());
    }
    if features.directives || features.tight {
        direct(rng, scratch, &mut directives, if features.tight { 60 } else { 20 });
    }
    let down = if features.downs && rng.chance(85) { way_back(rng, features, &ops) } else { None };
    if down.is_none() && features.directives && rng.chance(15) {
        directives.push("irreversible".to_owned());
    }
    let words = ["first", "more", "change", "split", "x", "Änderung", "a_b"];
    let name = format!("{}_{number}", rng.pick(&words));
    Some(Migration {
        version,
        name,
        directives,
        statements,
        down,
        crlf: features.crlf && rng.chance(60),
    })
}

/// What a connection keeps for itself, and the next file must not meet.
fn leave(rng: &mut Rng, scratch: &Connection, statements: &mut Vec<String>) {
    let table = tables(scratch)
        .ok()
        .and_then(|known| known.first().map(|table| table.name.clone()))
        .unwrap_or_default();
    let one = match rng.below(4) {
        0 => "PRAGMA case_sensitive_like = ON".to_owned(),
        1 => "PRAGMA recursive_triggers = ON".to_owned(),
        2 => "PRAGMA legacy_alter_table = ON".to_owned(),
        _ => format!("CREATE TEMP TABLE {}(other)", quoted(&table)),
    };
    statements.push(one);
}

fn direct(rng: &mut Rng, scratch: &Connection, directives: &mut Vec<String>, space: u64) {
    if rng.chance(20) {
        directives.push(format!("foreign-keys = {}", rng.pick(&["on", "deferred", "off"])));
    }
    if rng.chance(space) {
        directives
            .push(format!("needs-space = {}", rng.pick(&["0.01", "0.5", "1.75", "2", "3.25"])));
    }
    if rng.chance(25) {
        if let Some(table) = tables(scratch)
            .ok()
            .filter(|known| !known.is_empty())
            .map(|known| rng.pick(&known).name.clone())
        {
            directives.push(format!("expect = SELECT 1 FROM {} WHERE 1 = 2", quoted(&table)));
        }
    }
}

/// Newer firmware says which older one can use its result.
fn compatible(rng: &mut Rng, migrations: &mut [Migration], percent: u64) {
    let versions: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
    for (place, migration) in migrations.iter_mut().enumerate().skip(1) {
        if rng.chance(percent) {
            let oldest = versions[rng.below(place + 1).min(place)];
            migration.directives.push(format!("compatible-from = {oldest}"));
        }
    }
}

fn way_back(rng: &mut Rng, features: &Features, ops: &[Op]) -> Option<Vec<String>> {
    let mut down = Vec::new();
    for op in ops.iter().rev() {
        down.extend(op.down.clone()?);
    }
    if features.wrong_downs && rng.chance(50) {
        if rng.chance(50) {
            down.pop();
        } else {
            down.push("INSERT INTO nowhere VALUES (1)".to_owned());
        }
    }
    if down.is_empty() {
        down.push("SELECT 1".to_owned());
    }
    Some(down)
}

fn images(rng: &mut Rng, features: &Features, product: &Product) -> Vec<Firmware> {
    let mut images = Vec::new();
    // Where no image is, each checksum is that of the text as it is.
    let turns = rng.chance(60);
    let mut known: Vec<usize> = product
        .databases
        .iter()
        .map(|database| 1 + rng.below(database.migrations.len().max(1)))
        .collect();
    for _ in 0..rng.between(2, 4) {
        let part = |(database, known): (&Database, &usize)| Part {
            known: (*known).min(database.migrations.len()),
            own: None,
        };
        let turned = features.crlf && rng.chance(40);
        images.push(Firmware {
            parts: product.databases.iter().zip(&known).map(part).collect(),
            turned: turned && turns,
        });
        for (known, database) in known.iter_mut().zip(&product.databases) {
            *known = (*known + rng.below(4)).min(database.migrations.len());
        }
    }
    for wanted in [features.bad, features.sister] {
        if !wanted {
            continue;
        }
        let mut image = rng.pick(&images).clone();
        let one = rng.below(product.databases.len());
        image.parts[one].own = own(rng, features, &product.databases[one], image.parts[one].known);
        images.push(image);
    }
    images
}

/// A migration that only one image has: it fails on rows, or is another one under a number that is
/// taken later.
fn own(rng: &mut Rng, features: &Features, database: &Database, known: usize) -> Option<Migration> {
    let scratch = memory();
    for migration in &database.migrations[..known] {
        scratch.execute_batch(&migration.statements.join(";")).ok()?;
    }
    let version = match database.migrations.get(known) {
        Some(next) if rng.chance(80) => next.version,
        _ => database.migrations[..known].last().map_or(0, |last| last.version) + 1,
    };
    let all = tables(&scratch).ok()?;
    let mut statements = Vec::new();
    let mut directives = Vec::new();
    if features.bad && !all.is_empty() {
        let table = rng.pick(&all);
        let (name, column) = (quoted(&table.name), quoted(&table.columns[0].name));
        if let Some(op) = grammar::draw(rng, features, &scratch) {
            statements.extend(op.up);
        }
        match rng.below(7) {
            // On an empty device, too.
            6 => statements.push("INSERT INTO \"nowhere\" VALUES (1)".to_owned()),
            5 => {
                directives.push("no-transaction".to_owned());
                directives.push(format!("expect = SELECT * FROM {name}"));
                statements.push("VACUUM".to_owned());
            }
            0 => statements
                .push(format!("CREATE UNIQUE INDEX \"only one\" ON {name}(typeof({column}))")),
            1 => {
                statements.push(
                    "CREATE TABLE \"never\"(x CHECK (x IS NULL OR \"x\" IS NULL))".to_owned(),
                );
                statements.push(format!("INSERT INTO \"never\" SELECT 1 FROM {name}"));
            }
            2 => directives.push(format!("expect = SELECT * FROM {name}")),
            3 => {
                statements.push(
                    "CREATE TABLE \"orphan\"(id INTEGER PRIMARY KEY, p REFERENCES \"orphan\"(id))"
                        .to_owned(),
                );
                statements.push(format!("INSERT INTO \"orphan\"(p) SELECT 99 FROM {name} LIMIT 1"));
            }
            _ => statements.push(format!(
                "INSERT INTO {name}({column}) SELECT abs(-9223372036854775807 - 1) FROM {name}"
            )),
        }
    } else {
        statements.extend(grammar::draw(rng, features, &scratch)?.up);
    }
    if statements.is_empty() {
        statements.push("SELECT 1".to_owned());
    }
    Some(Migration {
        version,
        name: "own".to_owned(),
        directives,
        statements,
        down: None,
        crlf: features.crlf && rng.chance(30),
    })
}

fn events(
    rng: &mut Rng,
    features: &Features,
    product: &Product,
    images: &[Firmware],
) -> Vec<Event> {
    let mut events = Vec::new();
    let main =
        images.iter().filter(|image| image.parts.iter().all(|part| part.own.is_none())).count();
    let mut image = 0;
    if features.refinery {
        events.push(Event::Refinery {
            done: rng.between(1, images[0].parts[0].known),
            wide: rng.chance(40),
        });
    }
    events.push(Event::Boot { firmware: 0, asked: Asked::Boot });
    let wanted = rng.between(2, EVENTS_MAX - 2);
    while events.len() < wanted {
        let database = rng.below(product.databases.len());
        match rng.below(20) {
            0..=6 => events.push(rows(rng, features, database)),
            7..=10 => {
                image = if features.older && rng.chance(40) {
                    rng.below(main)
                } else {
                    (image + rng.below(2)).min(main - 1)
                };
                events.push(Event::Boot { firmware: image, asked: Asked::Boot });
            }
            11 | 12 if images.len() > main => {
                let firmware = rng.between(main, images.len() - 1);
                for _ in 0..rng.between(1, 4) {
                    events.push(Event::Boot { firmware, asked: Asked::Boot });
                }
            }
            13 | 14 if features.commands => {
                events.push(command(rng, product, images, (image, main), database))
            }
            15 if features.many && features.groups && images.len() > main => {
                // What is lost while another one is missing is said when all are there.
                events.push(Event::Boot { firmware: main, asked: Asked::Purge(database) });
                events.push(Event::Boot { firmware: image, asked: Asked::Boot });
            }
            15 if features.forgets => {
                events.push(Event::Forget { database });
                events.push(Event::Boot { firmware: image, asked: Asked::Boot });
            }
            15 if features.put_back => events.push(Event::Keep { database }),
            16 if features.put_back => events.push(Event::PutBack { database }),
            17 if features.damage => return damaged(rng, images, main, events, database),
            18 if features.tight => {
                image = (image + rng.below(2)).min(main - 1);
                let asked = Asked::Tight(*rng.pick(&[0, 40, 60, 110, 150, 180, 220, 310, 400]));
                events.push(Event::Boot { firmware: image, asked });
            }
            18 => events.push(Event::Boot { firmware: image, asked: Asked::Boot }),
            19 if features.bursts => {
                burst(rng, features, &mut events, (images.len(), main), database)
            }
            _ => {}
        }
    }
    events.truncate(EVENTS_MAX);
    events
}
