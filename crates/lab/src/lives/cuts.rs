//! Owns power cuts in the middle of a life's boots: what storage may have kept is booted until it
//! is quiet.
//! Promises: the end is that of the boot without a cut, in each database; a loss is said by a boot
//! that has ended.
//! Never cuts a boot on files that were damaged.

use bootmigrate::Embedded;

use super::promise;
use super::reference::bad;
use super::rng::Rng;
use super::run::Run;
use super::simulated::{SimulatedDevice, Stands};
use crate::finding::Bad;
use crate::power_cuts::PLAIN;
use crate::sim::{CrashPoint, Enumerator, Order, OutcomePlan, Replay, State};

/// Boots after a cut, until one has nothing to do.
const BOOTS_MAX: u32 = 9;

/// How a run without a cut leaves a database.
struct End {
    name: String,
    path: String,
    snapshots: String,
    exit: u8,
    loss: bool,
    before: Option<String>,
    after: Option<String>,
}

fn dump(stands: &Stands) -> Result<Option<String>, String> {
    match stands {
        Stands::Absent => Ok(None),
        Stands::Whole(whole) => {
            let history: Vec<String> = whole
                .history
                .iter()
                .map(|(version, name, _)| format!("V{version}__{name}"))
                .collect();
            Ok(Some(format!("{}{}\n", whole.dump, history.join(" "))))
        }
        Stands::Broken(why) => Err(why.clone()),
    }
}

impl Run<'_> {
    /// Cuts the boot from this state some times.
    pub(super) fn cut_off(&mut self, embedded: &Embedded, state: &State) -> Result<(), Bad> {
        let mut rng = Rng::new(self.ended.boots ^ (self.cuts << 32));
        let mut whole = SimulatedDevice::with(state, true);
        let before = self.dumps(&whole)?;
        let ran = whole.command(embedded, &["run"]);
        let Some(report) = &ran.report else { return Ok(()) };
        if matches!(ran.exit, 1 | 2) || whole.log().is_empty() {
            return Ok(());
        }
        let after = self.dumps(&whole)?;
        let mut ends = Vec::new();
        for (number, database) in self.life.product.databases.iter().enumerate() {
            let Some(one) = report.databases.iter().find(|one| one.name == database.name) else {
                return Ok(());
            };
            ends.push(End {
                name: database.name.clone(),
                path: database.path(),
                snapshots: format!("{}/snapshots/", database.state()),
                exit: one.exit,
                loss: one.data_loss,
                before: before[number].clone(),
                after: after[number].clone(),
            });
        }
        for _ in 0..self.cuts {
            let point = drawn(&whole, &mut rng);
            let enumerator = Enumerator {
                initial: &whole.initial(),
                log: &whole.log(),
                order: point.order,
                plan: PLAIN,
            };
            let left = enumerator.state_at(point);
            (self.tell)(&format!("   the power goes at {point}, of {} effects", whole.log().len()));
            let ended = point.cut as u64 >= ran.until_said;
            self.after_cut(embedded, &left, &ends, ended).map_err(|found| Bad {
                what: format!("cut at {point}: {}", found.what),
                ..found
            })?;
        }
        Ok(())
    }

    fn dumps(&self, device: &SimulatedDevice) -> Result<Vec<Option<String>>, Bad> {
        let each = self.life.product.databases.iter();
        each.map(|database| {
            dump(&device.stands(&database.path())).or_else(|why| bad(promise::OLD_OR_NEW, why))
        })
        .collect()
    }

    fn after_cut(
        &mut self,
        embedded: &Embedded,
        left: &State,
        ends: &[End],
        ended: bool,
    ) -> Result<(), Bad> {
        let mut device = SimulatedDevice::with(left, false);
        let mut said: Vec<bool> = ends.iter().map(|_| ended).collect();
        for number in 0..BOOTS_MAX {
            if number > 0 {
                device.restart(|_| {}, false);
            }
            let ran = device.command(embedded, &["run"]);
            self.ended.boots += 1;
            (self.tell)(&format!("      exit {}, {} effects: {}", ran.exit, ran.effects, ran.said));
            let Some(report) = &ran.report else {
                return bad(promise::SAYS, format!("no report: {}", ran.said));
            };
            for (end, said) in ends.iter().zip(&mut said) {
                let Some(one) = report.databases.iter().find(|one| one.name == end.name) else {
                    continue;
                };
                let now = dump(&device.stands(&end.path))
                    .or_else(|why| bad(promise::OLD_OR_NEW, format!("{}: {why}", end.name)))?;
                if now != end.before && now != end.after {
                    return bad(
                        promise::OLD_OR_NEW,
                        format!("{} is neither old nor new: {}", end.name, one.sentence),
                    );
                }
                *said |= one.data_loss;
                if ran.effects == 0 {
                    at_rest(end, one.exit, now.as_ref(), *said, &one.sentence)?;
                }
            }
            if ran.effects == 0 {
                return snapshots(&device, ends);
            }
        }
        bad(promise::NO_LOOP, format!("boot {BOOTS_MAX} after a cut still writes"))
    }
}

/// Nothing more is done: the end is that of the boot without a cut.
fn at_rest(
    end: &End,
    exit: u8,
    now: Option<&String>,
    said: bool,
    sentence: &str,
) -> Result<(), Bad> {
    let expected: &[u8] = match end.exit {
        0 | 11 => &[0],
        10 => &[19],
        other => &[other, 19],
    };
    if !expected.contains(&exit) {
        return bad(
            promise::OLD_OR_NEW,
            format!("{}: exit {}, and after a cut {exit} at last: {sentence}", end.name, end.exit),
        );
    }
    if now != end.after.as_ref() {
        return bad(
            promise::OLD_OR_NEW,
            format!(
                "{}: exit {exit} at last, and it is not what the boot without a cut leaves: \
                 {sentence}",
                end.name
            ),
        );
    }
    if end.loss && !said {
        return bad(
            promise::NO_SILENT_LOSS,
            format!("{}: rows were lost, and no boot that ended has said so: {sentence}", end.name),
        );
    }
    Ok(())
}

/// Each snapshot that has its name is whole.
fn snapshots(device: &SimulatedDevice, ends: &[End]) -> Result<(), Bad> {
    for (path, _) in device.state().walk() {
        let of = ends
            .iter()
            .any(|end| path.strip_prefix(&end.snapshots).is_some_and(|name| name.starts_with('v')));
        if !of {
            continue;
        }
        if let Err(why) = dump(&device.stands(&path)) {
            return bad(promise::OLD_OR_NEW, format!("{path} is not whole: {why}"));
        }
    }
    Ok(())
}

fn drawn(device: &SimulatedDevice, rng: &mut Rng) -> CrashPoint {
    let (initial, log) = (device.initial(), device.log());
    let order = Order::ALL[rng.below(2)];
    let cut = rng.below(log.len() + 1);
    let replay = Replay::at(&initial, order, &log[..cut]);
    let plan = OutcomePlan { random: 6, seed: rng.draw(), ..OutcomePlan::default() };
    let outcomes = plan.outcomes(&replay, cut);
    CrashPoint { cut, order, outcome: *rng.pick(&outcomes) }
}
