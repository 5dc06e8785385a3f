//! Owns the generator of lives: a product, its images, and what a device of it meets.
//! Promises: one seed, one life; every migration of the main line works on an empty device.
//! Never looks at the device's code.

use rusqlite::config::DbConfig;
use rusqlite::Connection;

use super::dice::{quoted, Dice, Features};
use super::grammar::{self, Op};
use super::policies;
use super::product::{Asked, Database, Event, Firmware, Harm, Life, Migration, Part, Product};
use super::tables::tables;

/// Migrations of one database, at most.
const MIGRATIONS_MAX: usize = 12;
/// Events of one life, at most.
const EVENTS_MAX: usize = 20;
/// The end of a token that is longer than what is kept of one.
const LONG: &str = "-and-so-on-for-more-bytes-than-any-record-has-room-for-in-one-of-its-tokens";

/// The life of this seed.
pub fn life(seed: u64) -> Life {
    let mut dice = Dice::new(seed);
    let features = Features::draw(&mut dice);
    let two_slots = dice.chance(40);
    let count = if features.many { dice.between(2, 3) } else { 1 };
    let names = ["settings", "telemetry", "log"];
    let mut databases: Vec<Database> =
        names[..count].iter().map(|name| database(&mut dice, &features, name)).collect();
    policies::draw(&mut dice, &features, two_slots, &mut databases);
    let product = Product { two_slots, databases };
    let images = images(&mut dice, &features, &product);
    let events = events(&mut dice, &features, &product, &images);
    Life { product, images, events }
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

fn database(dice: &mut Dice, features: &Features, name: &str) -> Database {
    let scratch = memory();
    let count = if dice.chance(70) { dice.between(1, 5) } else { dice.between(4, MIGRATIONS_MAX) };
    let mut migrations: Vec<Migration> = Vec::new();
    let mut version = 0;
    for number in 0..count {
        version += if dice.chance(75) { 1 } else { dice.between(2, 9) as i64 };
        if let Some(migration) = migration(dice, features, &scratch, version, number) {
            migrations.push(migration);
        }
    }
    if features.directives {
        compatible(dice, &mut migrations);
    }
    Database { name: name.to_owned(), keys: Vec::new(), migrations }
}

fn migration(
    dice: &mut Dice,
    features: &Features,
    scratch: &Connection,
    version: i64,
    number: usize,
) -> Option<Migration> {
    let ops: Vec<Op> =
        (0..dice.between(1, 3)).filter_map(|_| grammar::draw(dice, features, scratch)).collect();
    if ops.is_empty() {
        return None;
    }
    let mut statements: Vec<String> = ops.iter().flat_map(|op| op.up.clone()).collect();
    let mut directives = Vec::new();
    if features.leaves && dice.chance(40) {
        leave(dice, scratch, &mut statements);
    }
    if features.no_transaction && number > 0 && dice.chance(35) {
        directives.push("no-transaction".to_owned());
        statements.push("VACUUM".to_owned());
    }
    if features.directives {
        direct(dice, scratch, &mut directives);
    }
    let down =
        if features.downs && dice.chance(85) { way_back(dice, features, &ops) } else { None };
    if down.is_none() && features.directives && dice.chance(15) {
        directives.push("irreversible".to_owned());
    }
    let words = ["first", "more", "change", "split", "x", "Änderung", "a_b"];
    let name = format!("{}_{number}", dice.pick(&words));
    Some(Migration {
        version,
        name,
        directives,
        statements,
        down,
        crlf: features.crlf && dice.chance(60),
    })
}

/// What a connection keeps for itself, and the next file must not meet.
fn leave(dice: &mut Dice, scratch: &Connection, statements: &mut Vec<String>) {
    let table = tables(scratch)
        .ok()
        .and_then(|known| known.first().map(|table| table.name.clone()))
        .unwrap_or_default();
    let one = match dice.below(4) {
        0 => "PRAGMA case_sensitive_like = ON".to_owned(),
        1 => "PRAGMA recursive_triggers = ON".to_owned(),
        2 => "PRAGMA legacy_alter_table = ON".to_owned(),
        _ => format!("CREATE TEMP TABLE {}(other)", quoted(&table)),
    };
    statements.push(one);
}

fn direct(dice: &mut Dice, scratch: &Connection, directives: &mut Vec<String>) {
    if dice.chance(20) {
        directives.push(format!("foreign-keys = {}", dice.pick(&["on", "deferred", "off"])));
    }
    if dice.chance(20) {
        directives
            .push(format!("needs-space = {}", dice.pick(&["0.01", "0.5", "1.75", "2", "3.25"])));
    }
    if dice.chance(25) {
        if let Some(table) = tables(scratch)
            .ok()
            .filter(|known| !known.is_empty())
            .map(|known| dice.pick(&known).name.clone())
        {
            directives.push(format!("expect = SELECT 1 FROM {} WHERE 1 = 2", quoted(&table)));
        }
    }
}

/// Newer firmware says which older one can use its result.
fn compatible(dice: &mut Dice, migrations: &mut [Migration]) {
    let versions: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
    for (place, migration) in migrations.iter_mut().enumerate().skip(1) {
        if dice.chance(40) {
            let oldest = versions[dice.below(place + 1).min(place)];
            migration.directives.push(format!("compatible-from = {oldest}"));
        }
    }
}

fn way_back(dice: &mut Dice, features: &Features, ops: &[Op]) -> Option<Vec<String>> {
    let mut down = Vec::new();
    for op in ops.iter().rev() {
        down.extend(op.down.clone()?);
    }
    if features.wrong_downs && dice.chance(50) {
        if dice.chance(50) {
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

fn images(dice: &mut Dice, features: &Features, product: &Product) -> Vec<Firmware> {
    let mut images = Vec::new();
    let mut known: Vec<usize> = product
        .databases
        .iter()
        .map(|database| 1 + dice.below(database.migrations.len().max(1)))
        .collect();
    for _ in 0..dice.between(2, 4) {
        let part = |(database, known): (&Database, &usize)| Part {
            known: (*known).min(database.migrations.len()),
            own: None,
        };
        let turned = features.crlf && dice.chance(40);
        images.push(Firmware {
            parts: product.databases.iter().zip(&known).map(part).collect(),
            turned,
        });
        for (known, database) in known.iter_mut().zip(&product.databases) {
            *known = (*known + dice.below(4)).min(database.migrations.len());
        }
    }
    for wanted in [features.bad, features.sister] {
        if !wanted {
            continue;
        }
        let mut image = dice.pick(&images).clone();
        let one = dice.below(product.databases.len());
        image.parts[one].own = own(dice, features, &product.databases[one], image.parts[one].known);
        images.push(image);
    }
    images
}

/// A migration that only one image has: it fails on rows, or is another one under a number that is taken later.
fn own(
    dice: &mut Dice,
    features: &Features,
    database: &Database,
    known: usize,
) -> Option<Migration> {
    let scratch = memory();
    for migration in &database.migrations[..known] {
        scratch.execute_batch(&migration.statements.join(";")).ok()?;
    }
    let version = match database.migrations.get(known) {
        Some(next) if dice.chance(80) => next.version,
        _ => database.migrations[..known].last().map_or(0, |last| last.version) + 1,
    };
    let all = tables(&scratch).ok()?;
    let mut statements = Vec::new();
    let mut directives = Vec::new();
    if features.bad && !all.is_empty() {
        let table = dice.pick(&all);
        let (name, column) = (quoted(&table.name), quoted(&table.columns[0].name));
        if let Some(op) = grammar::draw(dice, features, &scratch) {
            statements.extend(op.up);
        }
        match dice.below(7) {
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
        statements.extend(grammar::draw(dice, features, &scratch)?.up);
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
        crlf: features.crlf && dice.chance(30),
    })
}

fn events(
    dice: &mut Dice,
    features: &Features,
    product: &Product,
    images: &[Firmware],
) -> Vec<Event> {
    let mut events = Vec::new();
    let main =
        images.iter().filter(|image| image.parts.iter().all(|part| part.own.is_none())).count();
    let mut image = 0;
    if features.refinery {
        events.push(Event::Refinery { done: dice.between(1, images[0].parts[0].known) });
    }
    events.push(Event::Boot { firmware: 0, asked: Asked::Boot });
    let wanted = dice.between(2, EVENTS_MAX - 2);
    while events.len() < wanted {
        let database = dice.below(product.databases.len());
        match dice.below(20) {
            0..=6 => events.push(rows(dice, features, database)),
            7..=10 => {
                image = if features.older && dice.chance(40) {
                    dice.below(main)
                } else {
                    (image + dice.below(2)).min(main - 1)
                };
                events.push(Event::Boot { firmware: image, asked: Asked::Boot });
            }
            11 | 12 if images.len() > main => {
                let firmware = dice.between(main, images.len() - 1);
                for _ in 0..dice.between(1, 4) {
                    events.push(Event::Boot { firmware, asked: Asked::Boot });
                }
            }
            13 | 14 if features.commands => {
                events.push(command(dice, product, images, (image, main), database))
            }
            15 if features.many && features.together && images.len() > main => {
                // What is lost while another one is missing is said when all are there.
                events.push(Event::Boot { firmware: main, asked: Asked::Purge(database) });
                events.push(Event::Boot { firmware: image, asked: Asked::Boot });
            }
            15 if features.put_back => events.push(Event::Keep { database }),
            16 if features.put_back => events.push(Event::PutBack { database }),
            17 if features.damage => return harmed(dice, images, main, events, database),
            18 if features.tight => {
                image = (image + dice.below(2)).min(main - 1);
                let asked = Asked::Tight(*dice.pick(&[0, 40, 60, 110, 150, 180, 220, 310, 400]));
                events.push(Event::Boot { firmware: image, asked });
            }
            18 => events.push(Event::Boot { firmware: image, asked: Asked::Boot }),
            _ => {}
        }
    }
    events.truncate(EVENTS_MAX);
    events
}

/// The last events of a life: a file is harmed, and boots follow.
fn harmed(
    dice: &mut Dice,
    images: &[Firmware],
    main: usize,
    mut events: Vec<Event>,
    database: usize,
) -> Vec<Event> {
    events.truncate(EVENTS_MAX - 5);
    events.push(damage(dice, database));
    for _ in 0..dice.between(1, 3) {
        let firmware = if images.len() > main && dice.chance(20) {
            dice.between(main, images.len() - 1)
        } else {
            dice.below(main)
        };
        let asked = if dice.chance(15) { Asked::PurgeAndRetry } else { Asked::Boot };
        events.push(Event::Boot { firmware, asked });
    }
    events
}

fn rows(dice: &mut Dice, features: &Features, database: usize) -> Event {
    let journal = if features.wal && dice.chance(40) {
        Some(*dice.pick(&["wal", "wal", "delete", "truncate", "persist"]))
    } else {
        None
    };
    let killed = features.killed && dice.chance(40);
    Event::Rows {
        database,
        seed: dice.draw(),
        count: dice.between(1, 12),
        journal,
        killed,
        fixed: None,
    }
}

fn command(
    dice: &mut Dice,
    product: &Product,
    images: &[Firmware],
    (image, main): (usize, usize),
    database: usize,
) -> Event {
    let any = if images.len() > main && dice.chance(40) {
        dice.between(main, images.len() - 1)
    } else {
        image
    };
    let versions: Vec<i64> =
        product.databases[database].migrations.iter().map(|migration| migration.version).collect();
    // The word that nobody takes away matters most where it leads to nothing.
    let failing = if images.len() > main { images.len() - 1 } else { image };
    let (firmware, asked) = match dice.below(9) {
        0 => (any, Asked::Retry),
        1 => (any, Asked::PurgeAndRetry),
        2 => (any, Asked::Purge(database)),
        3 if !versions.is_empty() => (image, Asked::Rollback(database, *dice.pick(&versions))),
        4 => (image, Asked::MarkGood),
        5 => (image, Asked::SnapshotCreate),
        6 | 7 => {
            (failing, Asked::Word(format!("{}{}", dice.below(1_000_000), dice.pick(&["", LONG]))))
        }
        _ => (any, Asked::Rehearse),
    };
    Event::Boot { firmware, asked }
}

fn damage(dice: &mut Dice, database: usize) -> Event {
    let harm = *dice.pick(&[Harm::Flip, Harm::Zero, Harm::Truncate, Harm::Stale, Harm::Gone]);
    Event::Damage { database, harm, seed: dice.draw() }
}
