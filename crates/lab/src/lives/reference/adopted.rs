//! Owns what becomes of a database that another tool made.
//! Promises: by its history's version, the mapping, and the structure that our migrations make;
//! nothing else counts.
//! Never calls the device's code.

use super::replica::Replica;
use super::view::View;
use super::{After, Allowed};
use crate::lives::product::Asked;
use crate::lives::promise;

impl View<'_> {
    /// What another tool made is taken over where its schema is that of our version, and left alone
    /// where it is not.
    pub(super) fn taken_over(
        &self,
        said: Option<i64>,
        replica: &Replica,
        asked: &Asked,
    ) -> Vec<Allowed> {
        let pairs = &self.policy.adopts;
        let mapped = |said: i64| match pairs.iter().find(|(theirs, _)| *theirs == said) {
            Some((_, ours)) => Some(*ours),
            None => Some(said).filter(|said| pairs.is_empty() || *said == 0),
        };
        let known = |version: i64| match self.mine.iter().position(|entry| entry.version == version)
        {
            Some(place) => Some(place + 1),
            None => Some(0).filter(|_| version == 0),
        };
        let migrations = self.part.migrations(self.database);
        let same = |place: &usize| {
            Replica::empty()
                .migrated(&migrations[..*place])
                .is_ok_and(|made| made.structure() == replica.structure())
        };
        let Some(place) = said.and_then(mapped).and_then(known).filter(same) else {
            return vec![Allowed::quiet(
                16,
                promise::RIGHT_REPAIR,
                "it is not what the other tool's version says",
            )];
        };
        let mut adopted = replica.clone();
        adopted.entries = self.mine[..place].to_vec();
        let adopted = adopted.of_refinery();
        let after = || After::Replica(Box::new(adopted.clone()));
        if place == self.mine.len() {
            return vec![Allowed::new(
                0,
                after(),
                promise::OLD_OR_NEW,
                "it is taken over as it is",
            )];
        }
        let mut ways = self.behind(&adopted, asked);
        ways.iter_mut()
            .filter(|way| matches!(way.after, After::Same))
            .for_each(|way| way.after = after());
        ways.iter_mut().for_each(|way| way.stood = Some(Box::new(adopted.clone())));
        ways
    }
}
