//! Owns the sweep over failing calls: every effect of a scenario's run, a boot or a command, fails,
//! once and for ever, in every way that it can.
//! Promises: the run's exit is one that the failure explains, nothing is lost, and the next boots
//! without it end well.
//! Never lets a failure lead to a purge or a restore.

use std::fmt;

use crate::by_operator::{carry_out, kept, left};
use crate::device::{switch_on, Booted};
use crate::dump::Album;
use crate::finding::Bad;
use crate::judge::{Judge, Start, Trial};
use crate::logged::first_of;
use crate::scenario::Scenario;
use crate::share::Share;
use crate::sim::content::BLOCK;
use crate::sim::replay::{Order, Replay};
use crate::sim::{Fault, FaultKind, Lack, Moment, Options, Sim};
use crate::tally::Tally;

/// Free bytes of the device whose calls fail.
const ROOM_BYTES: u64 = 64 << 20;
/// What is left on a disk that fills up: nothing, or room for a journal's first page; no inode;
/// nothing of a quota.
const LEFT: [(Lack, u64); 4] =
    [(Lack::Bytes, 0), (Lack::Bytes, 8 << 10), (Lack::Inodes, 0), (Lack::Quota, 0)];

/// What goes wrong, as its name is printed and read.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// A call fails.
    Fault(Fault),
    /// From this effect on the disk has this many bytes left, or no inode, or no byte of the quota,
    /// and at the next boot too; then somebody makes room.
    Filled { effect: u64, lack: Lack, room: u64 },
    /// The medium has lost this page of a file that was there before, until somebody repairs it
    /// after the run.
    Lost { file: usize, page: u64 },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Filled { effect, lack, room } => {
                write!(f, "fault:{effect}:{}:{room}", filled_with(*lack))
            }
            Trouble::Lost { file, page } => write!(f, "fault:file-{file}:lost:{page}"),
            Trouble::Fault(fault) => {
                let many = if fault.for_ever { "for-ever" } else { "once" };
                match fault.at {
                    Moment::Effect(at) => write!(f, "fault:{at}:{:?}:{many}", fault.kind),
                    Moment::Call(at) => write!(f, "fault:call-{at}:{:?}:{many}", fault.kind),
                }
            }
        }
    }
}

/// Every effect, every kind, once and for ever; a disk that fills up there; and every `stride`-th
/// call, reads and looks too: of all these a share.
pub fn sweep(scenario: &Scenario, stride: u64, share: Share) -> Tally {
    let whole = first_of(scenario);
    let (effects, calls) = (whole.log.len() as u64, whole.sim.calls());
    let mut tally = Tally::new(scenario.name, "failing runs", &["effects"]);
    tally.count("effects", effects);
    let mut judge = Judge::default();
    let undisturbed = whole.booted.report.exit;
    let mut chosen = share.of(scenario.name);
    let mut maybe = |trouble| {
        if chosen() {
            try_it(&mut tally, scenario, trouble, undisturbed, &mut judge);
        }
    };
    for effect in 0..effects {
        for kind in FaultKind::ALL {
            for for_ever in [false, true] {
                maybe(Trouble::Fault(Fault::at_effect(effect, kind, for_ever)));
            }
        }
        for (lack, room) in LEFT {
            maybe(Trouble::Filled { effect, lack, room });
        }
    }
    for (file, pages) in
        files(scenario).into_iter().map(|(_, bytes)| bytes.div_ceil(BLOCK)).enumerate()
    {
        for page in 0..pages {
            maybe(Trouble::Lost { file, page });
        }
    }
    let every = (1..=calls).step_by(usize::try_from(stride).unwrap_or(usize::MAX).max(1));
    for call in every.filter(|_| stride > 0) {
        for kind in [FaultKind::InputOutput, FaultKind::Denied] {
            for for_ever in [false, true] {
                maybe(Trouble::Fault(Fault::at_call(call - 1, kind, for_ever)));
            }
        }
    }
    tally
}

/// What lies on the storage before the first boot: path and size of each file that has content.
fn files(scenario: &Scenario) -> Vec<(String, u64)> {
    let initial = &scenario.initial;
    let size = |node| initial.content(node).map_or(0, |content| content.size());
    initial
        .walk()
        .into_iter()
        .map(|(path, node)| (path, size(node)))
        .filter(|(_, size)| *size > 0)
        .collect()
}

fn try_it(
    tally: &mut Tally,
    scenario: &Scenario,
    trouble: Trouble,
    undisturbed: u8,
    judge: &mut Judge,
) {
    let trial = &mut Trial { scenario, undisturbed, judge, tell: &mut |_| {} };
    let (kind, outcome) = match trouble {
        Trouble::Fault(fault) => {
            let looked = if matches!(fault.at, Moment::Call(_)) { " anywhere" } else { "" };
            (format!("{}{looked}", fault.kind), one(trial, fault))
        }
        Trouble::Filled { effect, lack, room } => {
            (filled_with(lack).to_owned(), filled(trial, effect, (lack, room)))
        }
        Trouble::Lost { file, page } => ("lost page".to_owned(), lost(trial, file, page)),
    };
    let Some((exit, judged)) = outcome else { return };
    tally.judged += 1;
    tally.by(&format!("{kind}, exit"), exit);
    if let Err(bad) = judged {
        tally.note(format!("{}@{trouble}", scenario.name), bad);
    }
}

/// In a word, as the name of such a run has it.
fn filled_with(lack: Lack) -> &'static str {
    match lack {
        Lack::Bytes => "filled",
        Lack::Inodes => "no-inodes",
        Lack::Quota => "no-quota",
    }
}

/// The disk is full from this effect on, really: what is freed can be used again. Full at the next
/// boot, too; then not.
fn filled(
    trial: &mut Trial<'_>,
    effect: u64,
    (lack, room): (Lack, u64),
) -> Option<(u8, Result<(), Bad>)> {
    let Trial { scenario, undisturbed, judge, tell } = trial;
    let (scenario, undisturbed) = (*scenario, *undisturbed);
    let sim = Sim::with(&scenario.initial, Options { log: false, ..scenario.options.clone() });
    if lack != Lack::Bytes && scenario.options.total_bytes.is_none() {
        sim.set_available_bytes(ROOM_BYTES);
    }
    sim.at_effect(effect, move |sim| sim.leave(lack, room));
    let first = carry_out(scenario.run, scenario.firmware, &sim, &scenario.asked);
    let exit = first.report.exit;
    tell(&format!(
        "{} from effect {effect} on: exit {exit}: {}",
        filled_with(lack),
        first.report.sentence
    ));
    if let Err(bad) = left(scenario, &sim, exit, &mut Album::default()) {
        return Some((exit, Err(bad)));
    }
    let mut roomy = as_said(scenario, &first);
    if scenario.options.total_bytes.is_none() {
        roomy.options.total_bytes = Some(sim.used_bytes().0 + room + ROOM_BYTES);
    }
    let options = sim.with_left(
        lack,
        room,
        if lack == Lack::Bytes { &scenario.options } else { &roomy.options },
    );
    let again = Sim::with(&sim.state().swept(), Options { log: false, ..options });
    let second = switch_on(scenario.firmware, &again, &scenario.again);
    tell(&format!("still so: exit {}: {}", second.report.exit, second.report.sentence));
    // A command's own exit excuses no boot.
    let boot = if scenario.run.is_boot() { Some(undisturbed) } else { None };
    for (booted, undisturbed) in [(&first, Some(undisturbed)), (&second, boot)] {
        let exit = booted.report.exit;
        let explained = Some(exit) == undisturbed
            || explains(FaultKind::Full, exit)
            || scenario.exits.contains(&exit);
        if !explained || exit == 11 && !scenario.ends.iter().any(|end| end.loss) {
            let what = format!("a full disk led to exit {exit}: {}", booted.report.sentence);
            return Some((exit, Err(Bad { rule: "the failure's own exit", what })));
        }
        if exit == 14
            && Some(exit) != undisturbed
            && scenario.short.is_none()
            && !lack.is_named(&booted.report.sentence)
        {
            return Some((
                exit,
                Err(Bad { rule: "what was short is named", what: booted.report.sentence.clone() }),
            ));
        }
    }
    roomy = as_said(&roomy, &second);
    let said = first.loss_said_at.is_some() || second.loss_said_at.is_some();
    Some((
        exit,
        judge
            .judge_from(&roomy, &again.state().swept(), Start::again(&roomy, said), tell)
            .map(|_| ()),
    ))
}

/// What the run itself said of its snapshot counts: where there was too little room for one, it
/// goes on without, and says so.
fn as_said(scenario: &Scenario, booted: &Booted) -> Scenario {
    let mut told = scenario.clone();
    if booted.report.usable && booted.report.sentence.contains("without a snapshot") {
        told.snapshots_min = 0;
    }
    told
}

/// The exit of the run that met the failure, and whether the rules held; `None` where it did not
/// meet it.
fn one(trial: &mut Trial<'_>, fault: Fault) -> Option<(u8, Result<(), Bad>)> {
    let scenario = trial.scenario;
    let sim = Sim::with(
        &scenario.initial,
        Options { log: loses_what_it_held(fault.kind), ..scenario.options.clone() },
    );
    if scenario.options.total_bytes.is_none() {
        // Room enough; and where it was full all the same, somebody has made more when it boots
        // again.
        sim.set_available_bytes(ROOM_BYTES);
    }
    sim.inject(fault);
    met(trial, &sim, fault.kind, fault.at)
}

/// Whoever reads this page gets EIO; repaired after the run, as far as the device left it where it
/// was.
fn lost(trial: &mut Trial<'_>, file: usize, page: u64) -> Option<(u8, Result<(), Bad>)> {
    let scenario = trial.scenario;
    let sim = Sim::with(&scenario.initial, Options { log: true, ..scenario.options.clone() });
    let (path, _) = files(scenario).into_iter().nth(file)?;
    (trial.tell)(&format!("{path} has lost page {page}"));
    sim.lose_page(&path, page);
    met(trial, &sim, FaultKind::InputOutput, Moment::Call(0))
}

/// One run on a disk that was prepared, and the boots after it.
fn met(
    trial: &mut Trial<'_>,
    sim: &Sim,
    kind: FaultKind,
    at: Moment,
) -> Option<(u8, Result<(), Bad>)> {
    let (scenario, undisturbed) = (trial.scenario, trial.undisturbed);
    let booted = carry_out(scenario.run, scenario.firmware, sim, &scenario.asked);
    let fired = sim.fired();
    if fired.is_empty() {
        return None;
    }
    (trial.tell)(&fired[0]);
    (trial.tell)(&format!("exit {}: {}", booted.report.exit, booted.report.sentence));
    let exit = booted.report.exit;
    let state = sim.state().swept();
    let before_it = |said_at: u64| {
        kind != FaultKind::Kill || matches!(at, Moment::Effect(killed) if said_at < killed)
    };
    let said = booted.loss_said_at.is_some_and(before_it);
    let explained = exit == undisturbed
        || explains(kind, exit)
        || scenario.exits.contains(&exit) && exit != 0 && exit != 11;
    if !explained {
        let what = format!("{} led to exit {exit}: {}", fired[0], booted.report.sentence);
        return Some((exit, Err(Bad { rule: "the failure's own exit", what })));
    }
    let judged = left(scenario, sim, exit, &mut Album::default());
    let told = as_said(scenario, &booted);
    let judged =
        judged.and_then(|()| trial.judge.judge(&told, &state, said, trial.tell).map(|_| ()));
    let judged = judged.and_then(|()| {
        if loses_what_it_held(kind) {
            cut_after(trial, sim, &booted, said)
        } else {
            Ok(())
        }
    });
    Some((exit, judged))
}

/// After such a failure of an `fsync` nobody knows what storage has.
fn loses_what_it_held(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::InputOutput | FaultKind::Full)
}

/// The power goes right after a run that met such a failure, and takes everything that was not
/// synced.
fn cut_after(trial: &mut Trial<'_>, sim: &Sim, booted: &Booted, said: bool) -> Result<(), Bad> {
    let Trial { scenario, judge, tell, .. } = trial;
    let scenario = *scenario;
    let state = Replay::at(&sim.initial(), Order::Kept, &sim.log()).durable.swept();
    (judge.cuts, judge.copies_more) = (1, 1);
    tell("the power goes, and everything that was not synced");
    // A run without the operation did not say that anything is done.
    let stands = if booted.report.usable { judge.stands(scenario, &state) } else { Ok(()) };
    let mut album = Album::default();
    album.lost_page = sim.has_lost_page();
    let mut kept = || kept(scenario, &sim.initial(), booted.report.exit == 0, &state, &mut album);
    let judged = stands
        .and_then(|()| kept())
        .and_then(|()| judge.judge(scenario, &state, said, tell).map(|_| ()));
    (judge.cuts, judge.copies_more) = (0, 0);
    judged
}

/// The exit codes that a failure of this kind may have.
fn explains(kind: FaultKind, exit: u8) -> bool {
    match kind {
        FaultKind::InputOutput | FaultKind::ReadOnly | FaultKind::Denied => exit == 15,
        // SQLite reports a journal that cannot be made as "cannot open".
        FaultKind::Full | FaultKind::ShortWrite => exit == 14 || exit == 15,
        FaultKind::Kill => true,
    }
}

/// Shows one failing run and the boots after it.
///
/// # Errors
/// The name is not known.
pub fn replay(scenario: &Scenario, name: &str, out: &mut dyn FnMut(&str)) -> Result<bool, String> {
    let parts: Vec<&str> = name.split(':').collect();
    let kind = |text: &str| FaultKind::ALL.into_iter().find(|kind| format!("{kind:?}") == text);
    let ([effect, what, many], true) =
        (parts.as_slice().try_into().unwrap_or(["", "", ""]), parts.len() == 3)
    else {
        return Err(format!(
            "{name} is no failure; write EFFECT:KIND:once, call-NUMBER:KIND:for-ever, \
             EFFECT:filled:BYTES (no-inodes, no-quota) or file-NUMBER:lost:PAGE"
        ));
    };
    let whole = first_of(scenario);
    for (number, line) in whole.log.iter().enumerate() {
        out(&format!("{number:>4} {line}"));
    }
    let wrong = || format!("{name} names no effect, no call or no kind of failure");
    let (undisturbed, mut judge) = (whole.booted.report.exit, Judge::default().by_booting());
    let trial = &mut Trial { scenario, undisturbed, judge: &mut judge, tell: out };
    let outcome = match (effect.strip_prefix("call-"), what) {
        (None, what) if LEFT.iter().any(|(lack, _)| filled_with(*lack) == what) => {
            let (effect, room) =
                (effect.parse().map_err(|_| wrong())?, many.parse().map_err(|_| wrong())?);
            let lack = LEFT
                .iter()
                .find(|(lack, _)| filled_with(*lack) == what)
                .map_or(Lack::Bytes, |(lack, _)| *lack);
            filled(trial, effect, (lack, room))
        }
        (_, "lost") => {
            let file = effect
                .strip_prefix("file-")
                .and_then(|file| file.parse().ok())
                .ok_or_else(wrong)?;
            lost(trial, file, many.parse().map_err(|_| wrong())?)
        }
        (call, _) => {
            let at = call.unwrap_or(effect).parse().map_err(|_| wrong())?;
            let make = if call.is_some() { Fault::at_call } else { Fault::at_effect };
            let fault = make(at, kind(what).ok_or_else(wrong)?, many == "for-ever");
            one(trial, fault)
        }
    };
    match outcome {
        None => out("this run did not meet the failure"),
        Some((_, Ok(()))) => out("good"),
        Some((_, Err(bad))) => {
            out(&format!("bad: {}: {}", bad.rule, bad.what));
            return Ok(false);
        }
    }
    Ok(true)
}
