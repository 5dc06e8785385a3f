//! Owns the boot of databases that go `group`: each boots inside the one before it, between its
//! verification and its commit.
//! Promises: nothing is committed before everything is verified, and the last commits first;
//! nothing is begun before everybody was asked, by a boot that ends where an operation would begin.
//! A cut between two commits leaves the rest pending for the next boot.
//! Never decides about a database, and costs a quiet group nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::operation::leads_to_the_target;
use super::{booted, look, BootRequest, Done, PendingReport};
use crate::decide::facts::Request;
use crate::decide::plan::Plan;
use crate::device::disk::Op;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::group::{Alone, Others};
use crate::report::{version_of, DatabaseReport};

const GO_TOGETHER: Op = Op("go together");

/// One database of a group, and who asks for its run.
pub type Member<'g, 'd> = (&'d Device<'d>, &'g BootRequest);

/// How a member's boot ended.
pub type Booted<'d> = (DatabaseReport, Option<PendingReport<'d>>);

/// Boots the members of one group, in their order. A single one goes by itself.
pub fn boot_together<'d>(members: &[Member<'_, 'd>]) -> Vec<Booted<'d>> {
    let group = Group {
        members,
        begun: Cell::new(0),
        asked: Cell::new(false),
        done: RefCell::new(BTreeMap::new()),
        ended: RefCell::new(BTreeMap::new()),
    };
    group.boot_the_rest();
    group.ended.into_inner().into_values().collect()
}

struct Group<'g, 'd> {
    members: &'g [Member<'g, 'd>],
    /// This many members' boots have begun: the next one is this member's.
    begun: Cell<usize>,
    /// Everybody was asked whether it can go along.
    asked: Cell<bool>,
    /// What was done to those that were asked and can go along, by their place: repaired, taken
    /// over. Their reports tell it.
    done: RefCell<BTreeMap<usize, Done>>,
    /// How those ended that have, by their place.
    ended: RefCell<BTreeMap<usize, Booted<'d>>>,
}

/// Asked in a member's place: its boot goes as far as an operation would begin, and no further.
struct Willing(Cell<bool>);

impl Others for Willing {
    fn can_go(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn may_begin(&self) -> Result<(), Failure> {
        self.0.set(true);
        Err(Failure::new(Class::Waits, GO_TOGETHER, "it can go along"))
    }

    fn go_first(&self) -> Result<(), Failure> {
        self.may_begin()
    }
}

impl<'d> Group<'_, 'd> {
    fn boot_the_rest(&self) {
        while let Some((device, asked)) = self.members.get(self.begun.get()) {
            let place = self.begun.replace(self.begun.get().saturating_add(1));
            if self.ended.borrow().contains_key(&place) {
                continue;
            }
            let mut done = self.done.borrow_mut().remove(&place).unwrap_or_default();
            let booted = match self.in_vain(device, asked) {
                Some(report) => (done.told_by(report), None),
                None => {
                    booted(device, asked, if by_itself(asked) { &Alone } else { self }, &mut done)
                }
            };
            self.ended.borrow_mut().insert(place, booted);
        }
    }

    /// A member that cannot go along says so now, before the first begins anything; one that is
    /// there already is done.
    fn ask_the_rest(&self) {
        if self.asked.replace(true) {
            return;
        }
        let rest = || self.members.iter().enumerate().skip(self.begun.get());
        // A look tells without a write who refuses; to ask the others opens them as their operation
        // would, and a WAL is made for that.
        for (place, member) in rest() {
            let (device, asked) = member;
            if matches!(look(device, asked.request.clone()), Ok((_, Plan::Refuse(_)))) {
                self.ask(place, member);
                if self.missing().is_some() {
                    return;
                }
            }
        }
        let unasked = |(place, _): &(usize, _)| !self.ended.borrow().contains_key(place);
        rest().filter(unasked).for_each(|(place, member)| self.ask(place, member));
    }

    fn ask(&self, place: usize, (device, asked): &Member<'_, 'd>) {
        let (willing, mut done) = (Willing(Cell::new(false)), Done::default());
        let booted = booted(device, asked, &willing, &mut done);
        if willing.0.get() {
            self.done.borrow_mut().insert(place, done);
        } else {
            self.ended.borrow_mut().insert(place, booted);
        }
    }

    /// A member is missing, and this one would have to wait: nothing is locked or written for it.
    fn in_vain(&self, device: &Device<'_>, asked: &BootRequest) -> Option<DatabaseReport> {
        // A member that is told to stop says that, and not which other it waits for.
        if device.must_stop() {
            return None;
        }
        let failure = waits_for(&self.missing().filter(|_| !by_itself(asked))?);
        match look(device, asked.request.clone()) {
            Ok((facts, plan)) if leads_to_the_target(&plan) => {
                Some(DatabaseReport::failed(device, Some(&facts), &failure))
            }
            _ => None,
        }
    }

    /// The first that keeps the others waiting.
    fn missing(&self) -> Option<String> {
        let ended = self.ended.borrow();
        ended
            .values()
            .map(|(report, _)| report)
            .find(|report| !report.usable && !report.waits())
            .map(|report| report.name.clone())
    }

    fn nobody_is_missing(&self) -> Result<(), Failure> {
        match self.missing() {
            None => Ok(()),
            Some(_) if self.members.first().is_some_and(|(device, _)| device.must_stop()) => {
                Err(Failure::new(Class::Interrupted, GO_TOGETHER, "a stop signal came"))
            }
            Some(name) => Err(waits_for(&name)),
        }
    }
}

impl Others for Group<'_, '_> {
    fn can_go(&self) -> Result<(), Failure> {
        self.nobody_is_missing()?;
        self.ask_the_rest();
        self.nobody_is_missing()
    }

    fn may_begin(&self) -> Result<(), Failure> {
        self.nobody_is_missing()
    }

    fn go_first(&self) -> Result<(), Failure> {
        self.boot_the_rest();
        self.nobody_is_missing()
    }
}

/// An operator named this one, and wants it whatever the others are.
fn by_itself(asked: &BootRequest) -> bool {
    matches!(asked.request, Request::Purge | Request::Restore(_))
}

/// One and the same, or members of one group.
pub fn go_together(one: &Device<'_>, other: &Device<'_>) -> bool {
    let same_group = one.settings.group.is_some() && one.settings.group == other.settings.group;
    one.settings.name == other.settings.name || same_group
}

/// The other members of its group.
pub fn others<'a, 'd>(
    device: &'a Device<'_>,
    all: &'a [Device<'d>],
) -> impl Iterator<Item = &'a Device<'d>> {
    all.iter()
        .filter(|other| other.settings.name != device.settings.name && go_together(device, other))
}

/// The version that an application may open, as far as this database alone says.
pub fn version_there(device: &Device<'_>) -> Option<i64> {
    match look(device, Request::Boot) {
        Ok((facts, Plan::Quiet { .. } | Plan::UseNewer { .. })) => version_of(&facts),
        _ => None,
    }
}

/// Which of its group are not there yet, as far as a look tells.
pub fn not_there<'a>(device: &'a Device<'_>, all: &'a [Device<'_>]) -> Option<&'a str> {
    others(device, all)
        .find(|other| version_there(other).is_none())
        .map(|other| other.settings.name.as_str())
}

/// What the next boot does to a database, whoever goes together with it among `all`.
pub fn plan_in_words(device: &Device<'_>, plan: &Plan, all: &[Device<'_>]) -> String {
    if !leads_to_the_target(plan) {
        return plan.to_string();
    }
    let mut go = Vec::new();
    for other in others(device, all) {
        let name = other.settings.name.as_str();
        match look(other, Request::Boot) {
            Err(_) | Ok((_, Plan::Refuse(_))) => {
                return format!("wait for {name}, which it goes together with; then {plan}")
            }
            Ok((_, plan)) if leads_to_the_target(&plan) => go.push(name),
            // It is there, or is repaired first.
            Ok(_) => {}
        }
    }
    if go.is_empty() {
        return plan.to_string();
    }
    format!("{plan}, together with {}", go.join(", "))
}

fn waits_for(name: &str) -> Failure {
    Failure::new(
        Class::Waits,
        GO_TOGETHER,
        format!("it goes together with {name}, which is not ready"),
    )
}
