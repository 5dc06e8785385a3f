//! Owns a product's application for the integration tests: opens a database, reads and writes as it
//! is told on standard input.
//! Promises: one answer for each line, `ok …` or `error …`; what it acknowledged is committed.
//! Never runs bootmigrate.
//!
//! Lines: `open PATH` · `sql STATEMENTS` · `row QUERY` · `close` · `hammer PATH` · `hammer-open
//! PATH` · `stop`.

#![allow(clippy::unwrap_used)]

use rusqlite::{types::Value, Connection, OpenFlags};
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Opens, writes or reads, and closes, again and again, until told to stop.
struct Hammer {
    stop: Arc<AtomicBool>,
    /// How many rows were acknowledged, and how often it opened the file.
    thread: JoinHandle<(u64, u64)>,
}

#[derive(Default)]
struct Application {
    connection: Option<Connection>,
    hammer: Option<Hammer>,
}

fn main() {
    // Under an emulator the process would have the emulator's name.
    rustix::thread::set_name(c"application").unwrap();
    let mut application = Application::default();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match application.obey(word, rest) {
            Ok(answer) => format!("ok {answer}"),
            Err(error) => format!("error {error}"),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", answer.replace('\n', " ").trim_end()).unwrap();
        out.flush().unwrap();
    }
}

fn open(path: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

impl Application {
    fn obey(&mut self, word: &str, rest: &str) -> Result<String, String> {
        let connection = || self.connection.as_ref().ok_or_else(|| String::from("nothing is open"));
        let said = |error: rusqlite::Error| error.to_string();
        match word {
            "open" => {
                let opened = open(rest).map_err(said)?;
                opened
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
                    .map_err(said)?;
                self.connection = Some(opened);
                Ok(String::new())
            }
            "sql" => connection()?.execute_batch(rest).map(|()| String::new()).map_err(said),
            "row" => {
                let value: Value =
                    connection()?.query_row(rest, [], |row| row.get(0)).map_err(said)?;
                Ok(format!("{value:?}"))
            }
            "close" => {
                self.connection = None;
                Ok(String::new())
            }
            "hammer" | "hammer-open" => {
                self.hammer = Some(Hammer::start(rest.to_string(), word == "hammer"));
                Ok(String::new())
            }
            "stop" => {
                let hammer = self.hammer.take().ok_or("nothing hammers")?;
                hammer.stop.store(true, Ordering::SeqCst);
                let (rows, opened) = hammer.thread.join().map_err(|_| "the hammer panicked")?;
                Ok(format!("{rows} {opened}"))
            }
            _ => Err(format!("no such line: {word}")),
        }
    }
}

/// Milliseconds between two openings, in turn.
const RHYTHM_MS: [u64; 7] = [0, 3, 11, 29, 1, 17, 41];

impl Hammer {
    fn start(path: String, writes: bool) -> Hammer {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut rows, mut opened) = (0, 0);
            while !told.load(Ordering::SeqCst) {
                // The rhythm of an application: mostly idle, at times twice in a row, never in step
                // with a swap.
                if let Some(pause) =
                    RHYTHM_MS.get(opened as usize % RHYTHM_MS.len()).filter(|pause| **pause > 0)
                {
                    std::thread::sleep(std::time::Duration::from_millis(*pause));
                }
                let Ok(connection) = open(&path) else { continue };
                opened += 1;
                let name = format!("hammer {}", rows + 1);
                // Without waiting for the disk: the test is about processes, not about power.
                let _ = connection.execute_batch("PRAGMA synchronous = OFF");
                if !writes {
                    let _ = connection.query_row("SELECT count(*) FROM parent", [], |_| Ok(()));
                } else if connection
                    .execute("INSERT INTO parent (name) VALUES (?1)", [name])
                    .is_ok()
                {
                    rows += 1;
                }
            }
            (rows, opened)
        });
        Hammer { stop, thread }
    }
}
