//! Owns `baseline`: an operator says whose history a database has, and the run that follows takes
//! it over.
//! Promises: the same run as at boot, with the same comparison of schemas; what the operator said
//! counts for this run alone.
//! Never adopts what the comparison refuses.

use crate::catalog::Embedded;
use crate::cli::{Action, Command};
use crate::config::{Adopt, Settings};
use crate::decide::facts::Request;

/// `baseline` as the run that it asks for; every other command as it is.
///
/// # Errors
/// One sentence.
pub fn as_run(
    embedded: &Embedded,
    settings: &mut Settings,
    command: &Command,
) -> Result<Command, String> {
    let Action::Adopt { from, at } = &command.action else { return Ok(command.clone()) };
    let name = command.database.as_deref().unwrap_or_default();
    let catalog = embedded.databases.iter().find(|catalog| catalog.database == name);
    let versions = catalog
        .map_or(&[][..], |catalog| catalog.migrations)
        .iter()
        .map(|migration| migration.version);
    if let Some(at) = at.filter(|at| !versions.clone().any(|version| version == *at)) {
        let list = versions.map(|version| version.to_string()).collect::<Vec<_>>().join(", ");
        return Err(format!("--at {at} is not one of this firmware's versions; there is {list}"));
    }
    for database in settings.databases.iter_mut().filter(|database| database.name == name) {
        if from.is_some() || at.is_some() || database.baseline.is_none() {
            let versions = database.baseline.take().map(|adopt| adopt.versions).unwrap_or_default();
            let by_hand = Adopt::by_hand(from.as_deref(), *at)?;
            // The numbers that the configuration maps are the tool's, not an operator's.
            database.baseline =
                Some(if at.is_some() { by_hand } else { Adopt { versions, ..by_hand } });
        }
    }
    Ok(Command {
        action: Action::Run { request: Request::Boot, program: Vec::new() },
        ..command.clone()
    })
}
