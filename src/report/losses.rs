//! Owns the losses that one report tells: of what ended the run, of every replacement on the way to
//! it, and of earlier runs that had no time to say so.
//! Promises: each is told once, by operation, with the folder that has what was lost.
//! Never forgets one: the record does, once the report is out.

use std::collections::BTreeMap;

use super::Finished;
use crate::decide::facts::Facts;
use crate::decide::record::Loss;
use crate::ops::replace::Replaced;

/// All of them, oldest first.
pub(super) fn of(facts: &Facts, done: &Finished, rolled: &[Replaced]) -> Vec<Loss> {
    let recorded = facts.losses.iter().map(|loss| (loss.operation, &loss.text));
    // The record may have no more than the beginning of the words.
    let rolled = rolled.iter().filter_map(|done| Some((done.operation, done.loss.as_ref()?)));
    let own = done.operation.zip(done.loss.as_ref());
    let by_operation: BTreeMap<u64, &String> = recorded.chain(rolled).chain(own).collect();
    let loss = |(operation, text): (u64, &String)| Loss { operation, text: text.clone() };
    by_operation.into_iter().map(loss).collect()
}

/// In words, each with its folder, but for a single one that lies where the report says.
pub(super) fn words(losses: &[Loss], said: Option<u64>) -> Option<String> {
    let with_folder = |loss: &Loss| format!("{} (quarantine/{})", loss.text, loss.operation);
    match losses {
        [] => None,
        [loss] if said == Some(loss.operation) => Some(loss.text.clone()),
        losses => Some(losses.iter().map(with_folder).collect::<Vec<_>>().join("; ")),
    }
}
