//! Owns the rows of the example product's databases, as its application writes them at a version.
//! Promises: values that the version allows and a later one must mend (NULL, other kinds) are among
//! them.
//! Never a row that the version's own schema refuses.

use rusqlite::{params, Connection};

use super::dice::Dice;

/// Sensors of the largest device, and its measured values.
const SENSORS_MAX: u64 = 6000;
const SAMPLES_MAX: u64 = 30_000;

/// Fills a database.
pub fn fill(connection: &mut Connection, database: &str, version: i64, dice: &mut Dice) {
    let transaction = connection.transaction().unwrap();
    if database == "telemetry" {
        samples(&transaction, dice);
    } else {
        settings(&transaction, version, dice);
    }
    transaction.commit().unwrap();
}

fn samples(connection: &Connection, dice: &mut Dice) {
    let mut add = connection
        .prepare("INSERT INTO sample (sensor_id, taken_at, value) VALUES (?1, ?2, ?3)")
        .unwrap();
    let mut time = 1_700_000_000 + dice.below(50_000_000) as i64;
    for _ in 0..dice.size(20, SAMPLES_MAX) {
        time += dice.below(60) as i64;
        add.execute(params![dice.below(20) as i64, time, dice.below(100_000) as f64 / 100.0])
            .unwrap();
    }
}

fn settings(connection: &Connection, version: i64, dice: &mut Dice) {
    let sensors = dice.size(3, SENSORS_MAX) as i64;
    let sites = sensors / 40 + 1;
    let run = |sql: &str, words: &[&dyn rusqlite::ToSql]| connection.execute(sql, words).unwrap();
    run(
        "INSERT INTO device VALUES (1, ?1, 'gateway', '2024-05-06')",
        &[&format!("{:012x}", dice.next())],
    );
    for site in 1..=sites {
        let name = format!("{} {site}", dice.word(20));
        run("INSERT INTO site (id, name) VALUES (?1, ?2)", &[&site, &name]);
    }
    let kinds = [Some("temperature"), Some("humidity"), Some("pressure"), Some("wind"), None];
    for sensor in 1..=sensors {
        let (kind, label) = (*dice.one(&kinds), (dice.below(4) > 0).then(|| dice.word(30)));
        // Version 10 has both NOT NULL, and a CHECK of the kind.
        let (kind, label) = if version < 10 {
            (kind, label)
        } else {
            (kind.filter(|kind| *kind != "wind").or(Some("unknown")), label.or(Some(String::new())))
        };
        let site = 1 + dice.below(sites as u64) as i64;
        let address = format!("{:08x}-{sensor}", dice.below(1 << 32));
        run(
            "INSERT INTO sensor (id, site_id, address, label, kind) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[&sensor, &site, &address, &label, &kind],
        );
        for point in 0..if version < 5 { 0 } else { dice.below(4) } {
            let (raw, reference) = (point as f64 + 0.5, dice.below(1000) as f64 / 10.0);
            run(
                "INSERT INTO calibration_point (sensor_id, raw, reference) VALUES (?1, ?2, ?3)",
                &[&sensor, &raw, &reference],
            );
        }
    }
    for network in 0..dice.below(12) {
        let (ssid, secret) = (format!("{} {network}", dice.word(20)), dice.word(40));
        run("INSERT INTO wifi_network (ssid, passphrase) VALUES (?1, ?2)", &[&ssid, &secret]);
    }
    let language = ["en_GB", "de_AT", "pt_BR", "fi"];
    let spoken = dice.one(&language);
    run("UPDATE preference SET value = ?1 WHERE name = 'language'", &[spoken]);
}

/// Every row changed, in a transaction that is not committed.
pub fn change_all(connection: &Connection, database: &str) {
    let table = if database == "telemetry" {
        "sample SET value = 0"
    } else {
        "sensor SET label = 'x' || id"
    };
    connection.execute_batch(&format!("PRAGMA cache_size = 5; BEGIN; UPDATE {table};")).unwrap();
}

/// Every row written again as it is.
pub fn write_again(connection: &Connection, database: &str) {
    let table =
        if database == "telemetry" { "sample SET value = value" } else { "sensor SET kind = kind" };
    connection.execute_batch(&format!("UPDATE {table}")).unwrap();
}

/// Another product's tables.
pub fn somebody_elses(connection: &mut Connection, dice: &mut Dice) {
    let transaction = connection.transaction().unwrap();
    for table in 0..1 + dice.below(4) {
        transaction
            .execute_batch(&format!(
                "CREATE TABLE t{table} (a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i{table} ON \
                 t{table} (b)"
            ))
            .unwrap();
        for _ in 0..dice.size(1, 500) {
            let text = dice.word(60);
            transaction.execute(&format!("INSERT INTO t{table} (b) VALUES (?1)"), [text]).unwrap();
        }
    }
    transaction.commit().unwrap();
}
