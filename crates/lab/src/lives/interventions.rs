//! Owns what others than bootmigrate do to a device: files that are copied and put back, a
//! record that is lost, other tools before it.
//! Promises: the reference learns of each what is known of it.
//! Never runs a command of ours.

use super::product::Migration;
use super::promise;
use super::reference::bad;
use super::reference::replica::{checksums, Replica};
use super::run::Run;
use super::simulated::Stands;
use super::tools;
use crate::finding::Bad;
use crate::sim::State;

impl Run<'_> {
    pub(super) fn keep(&mut self, number: usize) {
        let path = self.database(number).path();
        let state = self.device.state();
        let beside = ["-wal", "-journal"].iter().any(|side| {
            state.read_file(&format!("{path}{side}")).is_some_and(|bytes| !bytes.is_empty())
        });
        if let Some(bytes) = state.read_file(&path).filter(|_| !beside) {
            let known = &mut self.reference.known[number];
            if known.foreign.is_some() {
                return;
            }
            known.kept = known.replica.clone();
            self.kept[number] = Some(bytes);
        }
    }

    /// By an operator, while the device is off: the file alone, and nothing beside it.
    pub(super) fn put_back(&mut self, number: usize) {
        let path = self.database(number).path();
        let known = &mut self.reference.known[number];
        let (Some(kept), Some(bytes)) = (known.kept.clone(), self.kept[number].clone()) else {
            return;
        };
        known.replica = Some(kept);
        self.restart();
        let change = |state: &mut State| {
            state.put_file(&path, &bytes);
            for side in ["-wal", "-journal", "-shm"] {
                if state.read_file(&format!("{path}{side}")).is_some() {
                    state.put_file(&format!("{path}{side}"), b"");
                }
            }
        };
        self.device.restart(change, false);
        if let Stands::Whole(whole) = &*self.device.stands(&path) {
            self.reference.known[number].journal.clone_from(&whole.journal);
        }
    }

    /// Its bytes are garbage: nothing of it counts any more.
    pub(super) fn forget(&mut self, number: usize) {
        let path = format!("{}/record", self.database(number).state());
        if self.device.state().read_file(&path).is_none() {
            return;
        }
        self.restart();
        self.device.restart(|state| state.put_file(&path, &[0xa5; 8192]), false);
        self.reference.known[number].forgotten();
    }

    pub(super) fn refinery(&mut self, done: usize, wide: bool) -> Result<(), Bad> {
        let life = self.life;
        let database = &life.product.databases[0];
        let migrations: Vec<&Migration> = database.migrations.iter().take(done).collect();
        let table = database
            .key("history_table")
            .unwrap_or("refinery_schema_history")
            .trim_matches('"')
            .to_owned();
        let kind = if wide { "int8" } else { "INT4" };
        let columns = format!(
            "version {kind} PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum \
             VARCHAR(255)"
        );
        let row = |migration: &Migration| {
            let [short, long] = checksums(migration.version, &migration.name, &migration.text());
            let checksum = if wide { long } else { short };
            let values = format!(
                "{}, '{}', '2024-05-01T10:00:00Z', '{checksum}'",
                migration.version, migration.name
            );
            format!("INSERT INTO \"{table}\" VALUES ({values})")
        };
        self.made(&migrations, &[format!("CREATE TABLE \"{table}\"({columns})")], &row, &[])
    }

    pub(super) fn tool(
        &mut self,
        done: usize,
        before: &[i64],
        said: i64,
        unfinished: bool,
    ) -> Result<(), Bad> {
        let life = self.life;
        let database = &life.product.databases[0];
        let migrations: Vec<&Migration> = database.migrations.iter().take(done).collect();
        let history = tools::history(database.tool().unwrap_or_default(), before, said, unfinished);
        self.made(&migrations, &[], &|_| String::new(), &history)?;
        if let Some(replica) = &mut self.reference.known[0].replica {
            if let Err(why) = replica.taken_from(&history) {
                return bad(
                    promise::BUILD,
                    format!("the reference cannot write the history of a tool: {}", why.0),
                );
            }
            self.reference.known[0].foreign = Some((!unfinished).then_some(said));
        }
        Ok(())
    }

    /// Another program has made these migrations of the first database.
    fn made(
        &mut self,
        migrations: &[&Migration],
        before: &[String],
        row: &dyn Fn(&Migration) -> String,
        after: &[String],
    ) -> Result<(), Bad> {
        let path = self.database(0).path();
        let Ok(replica) = Replica::empty().migrated(migrations) else { return Ok(()) };
        // Each as on a connection of its own, so that nothing is left for the next.
        let mut texts = before.to_vec();
        texts.extend(
            migrations.iter().map(|migration| format!("{}{}", migration.text(), row(migration))),
        );
        texts.extend_from_slice(after);
        if let Err(why) = self.device.written(&path, &texts) {
            return bad(
                promise::BUILD,
                format!("another program cannot do what the reference has done: {why}"),
            );
        }
        let known = &mut self.reference.known[0];
        known.replica = Some(replica.of_refinery());
        known.journal = "delete".to_owned();
        Ok(())
    }
}
