//! Owns what an application does in a life: its statements, how it ends, and what it was told.
//! Promises: the statements are drawn from the schema that stands there, by the life's seed.
//! Never judges.

use super::Run;
use crate::finding::Bad;
use crate::lives::content::answer;
use crate::lives::grammar::of_virtual;
use crate::lives::grammar::rows::application;
use crate::lives::product::Event;
use crate::lives::promise;
use crate::lives::reference::bad;
use crate::lives::rng::{quoted, Rng};
use crate::lives::simulated::Stands;
use crate::lives::tables::{tables, virtual_tables};

impl Run<'_> {
    /// What an application would do here.
    pub(super) fn statements(
        &self,
        database: usize,
        seed: u64,
        (count, large): (usize, bool),
    ) -> Vec<String> {
        let mut rng = Rng::new(seed);
        let Some(replica) = &self.reference.known[database].replica else { return Vec::new() };
        let known = tables(replica.connection()).unwrap_or_default();
        let of_modules = virtual_tables(replica.connection()).unwrap_or_default();
        let statement = |rng: &mut Rng| {
            if known.is_empty() || !of_modules.is_empty() && rng.chance(30) {
                let (name, module) = of_modules.get(rng.below(of_modules.len()))?;
                return Some(of_virtual(rng, &quoted(name), module));
            }
            let table = rng.pick(&known).clone();
            Some(application(rng, &table, large))
        };
        (0..count).filter_map(|_| statement(&mut rng)).collect()
    }

    pub(super) fn application(&mut self, event: &Event, wanted: &[String]) -> Result<(), Bad> {
        let Event::Rows { database: number, journal, killed, careless, .. } = event else {
            return Ok(());
        };
        let (number, killed, careless) = (*number, *killed, *careless);
        let path = self.database(number).path();
        let Some(replica) = &self.reference.known[number].replica else { return Ok(()) };
        let mut left = None;
        let device = &self.device;
        let ended = device.application(&path, |connection| {
            if let Some(mode) = journal {
                connection
                    .pragma_update(None, "journal_mode", *mode)
                    .map_err(|error| error.to_string())?;
            }
            connection
                .execute_batch("PRAGMA synchronous = EXTRA; PRAGMA wal_autocheckpoint = 0")
                .map_err(|error| error.to_string())?;
            for statement in wanted {
                let (here, there) = (
                    replica.application(statement, careless),
                    answer(connection, statement, careless),
                );
                if here != there {
                    return Err(format!(
                        "an application is answered {there:?}, and should be {here:?}: {statement}"
                    ));
                }
            }
            if killed {
                let _ = connection.execute_batch(
                    "BEGIN; CREATE TABLE unfinished(x); INSERT INTO unfinished VALUES \
                     (zeroblob(9000))",
                );
                left = Some(device.state());
            }
            Ok(())
        });
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(what)) | Err(what) => return bad(promise::OLD_OR_NEW, what),
        }
        if let Some(state) = left {
            self.device.continued(&state);
            self.ready.iter_mut().for_each(|ready| *ready = false);
        }
        let stands = self.device.stands(&path);
        if let Stands::Whole(whole) = &*stands {
            self.reference.known[number].journal.clone_from(&whole.journal);
        }
        self.reference.standing(number, self.database(number), &stands)
    }
}
