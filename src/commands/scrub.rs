//! Owns `scrub`: every page of each database is read beside the applications, slowly.
//! Promises: what is wrong is noted for the next boot and said (17); what the medium does not give
//! is said (15); the applications are kept from nothing.
//! Never repairs.

use crate::commands::{changes, not_begun, CommandContext, Lines, Printed};
use crate::error::exit::{self, gravest};
use crate::ops::scrub::{scrub as scrubbed, Scrubbed};

/// Goes through each database.
pub fn scrub(context: &CommandContext<'_>) -> Printed {
    if let Err(printed) = changes(context) {
        return printed;
    }
    let (mut text, mut sentences, mut exits) = (Lines::default(), Lines::default(), vec![0]);
    for device in context.devices {
        let name = &device.settings.name;
        match scrubbed(device) {
            Ok(Scrubbed::Whole { pages, unsure: 0 }) => {
                text.line(&format!("{name}: {pages} pages read, nothing found."));
            }
            Ok(Scrubbed::Whole { pages, unsure }) => text.line(&format!(
                "{name}: {pages} pages read, nothing found; {unsure} parts of 1 MiB were written \
                 whenever they were looked at."
            )),
            Ok(Scrubbed::Absent) => text.line(&format!("{name}: there is no database.")),
            Ok(Scrubbed::Found(wrong)) => {
                exits.push(exit::DAMAGED.code);
                sentences.line(&format!(
                    "{name}: {wrong}; the next boot checks the whole database, and repairs it by \
                     `on_damage`. Next: restart the device while the newest snapshot is young. \
                     [BM-{} {name}]",
                    exit::DAMAGED.code
                ));
            }
            Ok(Scrubbed::Unread { pages, first }) => {
                exits.push(exit::STORAGE.code);
                sentences.line(&format!(
                    "{name}: {pages} pages cannot be read from the medium: {first}. Next: save \
                     what can be read with `bootmigrate salvage --db {name} --into FILE`, and \
                     replace the medium. [BM-{} {name}]",
                    exit::STORAGE.code
                ));
            }
            Err(failure) => {
                let said = not_begun(device, failure);
                exits.push(said.exit);
                sentences.extend(&said.sentences);
            }
        }
    }
    Printed::outcome(text, sentences, gravest(exits.into_iter()))
}
