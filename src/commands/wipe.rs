//! Owns `wipe`: a factory reset of the databases that were named.
//! Promises: all of them are held before the first is touched, and durably given up before the
//! first file goes.
//! Never removes anything without --yes, and nothing of a database that was not named.

use crate::boot::group::others;
use crate::boot::look;
use crate::commands::run::present_tokens;
use crate::commands::{changes, not_begun, CommandContext, Lines, Printed};
use crate::decide::facts::{DatabaseState, Request};
use crate::decide::plan::Plan;
use crate::device::disk::{FileKind, Op, Stat};
use crate::device::supervisor::{place, RunFolder};
use crate::device::Device;
use crate::error::called::program;
use crate::error::exit::{self, gravest};
use crate::error::{Class, Failure};
use crate::ops::wipe::{claim, contents, Claimed, Contents};

const OP: Op = Op("wipe");

/// Wipes them, or lists what would go.
pub fn wipe(context: &CommandContext<'_>, agreed: bool) -> Printed {
    let found: Result<Vec<(&Device<'_>, Contents)>, Printed> = context
        .devices
        .iter()
        .map(|device| {
            contents(device)
                .map(|contents| (device, contents))
                .map_err(|failure| not_begun(device, failure))
        })
        .collect();
    match found {
        Err(printed) => printed,
        Ok(found) if !agreed => list(context, &found),
        Ok(found) => changes(context).map_or_else(|printed| printed, |()| wiped(context, &found)),
    }
}

fn list(context: &CommandContext<'_>, found: &[(&Device<'_>, Contents)]) -> Printed {
    let mut text = Lines::default();
    for (device, contents) in found {
        let name = &device.settings.name;
        if contents.is_nothing() {
            text.line(&format!("{name}: nothing of it is there"));
            continue;
        }
        text.line(&format!("{name}: {} bytes would go for good", contents.bytes()));
        if !contents.files.is_empty() {
            let files: Vec<String> =
                contents.files.iter().map(|(name, bytes)| format!("{name} {bytes}")).collect();
            text.line(&format!(
                "  files       {}, with all rows, those that were put aside too",
                files.join(", ")
            ));
        }
        let kept = [
            ("snapshots", contents.snapshots),
            ("quarantine", contents.quarantine),
            ("unfinished", contents.others),
        ];
        kept.iter().filter(|(_, (number, _))| *number > 0).for_each(|(word, (number, bytes))| {
            text.line(&format!("  {word:<11} {number}, {bytes} bytes"));
        });
        if contents.has_record {
            text.line(
                "  record      what was tried, failed and lost; requests that were handled stay \
                 handled",
            );
        }
        that_stay(context, device)
            .iter()
            .for_each(|stays| text.line(&format!("  note        {stays}")));
    }
    let code = exit::CONFIGURATION.code;
    let sentence = format!(
        "{}: `wipe` removes this for good, and nothing was touched; say --yes. [BM-{code}]",
        program()
    );
    Printed::outcome(text, Lines::of(&sentence), code)
}

/// Members of its group that were not named.
fn that_stay(context: &CommandContext<'_>, device: &Device<'_>) -> Option<String> {
    let named = |other: &&Device<'_>| {
        context.devices.iter().any(|one| one.settings.name == other.settings.name)
    };
    let stay: Vec<&str> = others(device, context.all)
        .filter(|other| !named(other))
        .map(|other| other.settings.name.as_str())
        .collect();
    (!stay.is_empty())
        .then(|| format!("{} goes together with it and stays as it is", stay.join(", ")))
}

/// Three steps, each for all of them: hold, give up, remove.
fn wiped(context: &CommandContext<'_>, found: &[(&Device<'_>, Contents)]) -> Printed {
    let (mut lines, mut exits) = (Lines::default(), vec![exit::USABLE.code]);
    let mut held: Vec<(&Device<'_>, &Contents, Claimed)> = Vec::new();
    for (device, contents) in found {
        if contents.is_nothing() {
            lines.line(&format!(
                "{}: nothing of it is there, and nothing was done.",
                device.settings.name
            ));
            continue;
        }
        if let Err(failure) = is_wanted(device) {
            return not_begun(device, failure);
        }
        match claim(device) {
            Ok(claimed) => held.push((device, contents, claimed)),
            // One that cannot be wiped keeps the others: nobody wants half a factory reset.
            Err(failure) => return not_begun(device, failure),
        }
    }
    let tokens = present_tokens(context.settings, context.environment);
    let mut begun = Vec::new();
    for (device, contents, mut claimed) in held {
        match claimed.begin(device, &tokens) {
            Ok(()) => begun.push((device, contents, claimed)),
            Err(failure) => {
                let printed = not_begun(device, failure);
                lines.extend(&printed.sentences);
                exits.push(printed.exit);
            }
        }
    }
    forget_the_runs(context, begun.iter().map(|(device, ..)| *device));
    for (device, contents, claimed) in begun {
        match claimed.carry_out(device) {
            Ok(()) => lines.line(&done(context, device, contents)),
            Err(failure) => {
                exits.push(failure.class.exit().code);
                lines.line(&goes_on(device, &failure));
            }
        }
    }
    Printed::outcome(Lines::default(), lines, gravest(exits.into_iter()))
}

/// What a boot refuses as somebody else's is no database of this product to reset.
fn is_wanted(device: &Device<'_>) -> Result<(), Failure> {
    let not_ours =
        |what: String| Err(Failure::new(Class::NotOurs, OP, what).at(&device.files.main));
    let named = place(&device.environment.root, &device.settings.path);
    let is_link = |stat: Stat| stat.kind == FileKind::Symlink;
    if device.disk().stat(&named).ok().flatten().is_some_and(is_link) {
        return not_ours(format!(
            "`path` is a symbolic link, which would lead to nothing afterwards; write {} in it",
            device.files.main.display()
        ));
    }
    match look(device, Request::Boot) {
        Ok((facts, Plan::Refuse(_)))
            if matches!(facts.database, DatabaseState::NoHistory { .. }) && !facts.held_data =>
        {
            not_ours(
                "it has tables of its own and no migration history; correct `path`, or remove \
                 that file yourself"
                    .into(),
            )
        }
        _ => Ok(()),
    }
}

/// No application may open what goes, nor what goes together with it; and the report tells of what
/// is no more.
fn forget_the_runs<'d>(
    context: &CommandContext<'_>,
    devices: impl Iterator<Item = &'d Device<'d>>,
) {
    let folder = RunFolder::new(context.environment.disk, &context.environment.root);
    for device in devices {
        let names = others(device, context.all)
            .map(|other| &other.settings.name)
            .chain([&device.settings.name]);
        for name in names {
            if let Err(error) = folder.remove_ready(name) {
                log::warn!("{name}: its ready file could not be removed: {error}.");
            }
        }
        if let Err(error) = folder.remove_report() {
            log::warn!("The report on /run could not be removed: {error}.");
        }
    }
}

fn done(context: &CommandContext<'_>, device: &Device<'_>, contents: &Contents) -> String {
    let name = &device.settings.name;
    let stays = that_stay(context, device).map_or_else(String::new, |stays| format!(" {stays}."));
    format!(
        "{name}: wiped, {} bytes; the next run creates it afresh.{stays} Flash may keep blocks \
         readable until it erases them: run `fstrim` on its mount. [BM-0 {name}]",
        contents.bytes()
    )
}

fn goes_on(device: &Device<'_>, failure: &Failure) -> String {
    let (code, name) = (failure.class.exit().code, &device.settings.name);
    format!(
        "{name}: the wipe has begun and is not finished: {failure}. Next: the next run or \
         `bootmigrate wipe` goes on. [BM-{code} {name}]"
    )
}
