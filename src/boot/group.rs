//! Owns the boot of databases that go `together`: each boots inside the one before it, between its verification and its commit.
//! Promises: nothing is committed before everything is verified, and the last commits first; what one cannot, none begins;
//!   each is booted once. A cut between two commits leaves the rest pending, and the next boot finishes.
//! Never decides about a database, and costs a quiet group nothing.

use std::cell::{Cell, RefCell};

use super::act::leads_to_the_target;
use super::{look, story, Asked, Unsaid};
use crate::decide::facts::Request;
use crate::decide::plan::{Plan, Refusal, RefusalClass};
use crate::device::disk::Step;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::report::DatabaseReport;
use crate::steps::together::Others;

const GO_TOGETHER: Step = Step("go together");

/// One database of a group, and who asks for its run.
pub type Member<'g, 'd> = (&'d Device<'d>, &'g Asked);

/// How a member's boot ended.
pub type Booted<'d> = (DatabaseReport, Option<Unsaid<'d>>);

/// Boots the members of one group, in their order. A single one goes by itself.
pub fn boot_together<'d>(members: &[Member<'_, 'd>]) -> Vec<Booted<'d>> {
    let group = Group { members, begun: Cell::new(0), culprit: RefCell::new(None), ended: RefCell::new(Vec::new()) };
    group.boot_the_rest();
    let mut ended = group.ended.into_inner();
    ended.sort_by_key(|(place, _)| *place);
    ended.into_iter().map(|(_, booted)| booted).collect()
}

struct Group<'g, 'd> {
    members: &'g [Member<'g, 'd>],
    /// So many members' boots have begun: the next one is this member's.
    begun: Cell<usize>,
    /// The first member that is known to keep the others waiting.
    culprit: RefCell<Option<Culprit>>,
    /// With each member's place.
    ended: RefCell<Vec<(usize, Booted<'d>)>>,
}

struct Culprit {
    name: String,
    /// What stood in the way when the others asked; it is its own to say.
    failure: Option<Failure>,
}

impl Group<'_, '_> {
    fn boot_the_rest(&self) {
        while let Some((device, asked)) = self.members.get(self.begun.get()) {
            let place = self.begun.replace(self.begun.get().saturating_add(1));
            let booted = match self.in_vain(device, asked) {
                Some(report) => (report, None),
                None => story(device, asked, self).unwrap_or_else(|failure| (DatabaseReport::failed(device, None, &failure), None)),
            };
            if !booted.0.usable {
                self.blame(device, None);
            }
            self.ended.borrow_mut().push((place, booted));
        }
    }

    /// Somebody is missing, and this one would have to wait: nothing is locked or written for it.
    fn in_vain(&self, device: &Device<'_>, asked: &Asked) -> Option<DatabaseReport> {
        let failure = match &*self.culprit.borrow() {
            Some(culprit) if culprit.name != device.settings.name => waits_for(&culprit.name),
            _ => return None,
        };
        match look(device, asked.request.clone()) {
            Ok((facts, plan)) if leads_to_the_target(&plan) => Some(DatabaseReport::failed(device, Some(&facts), &failure)),
            _ => None,
        }
    }

    fn blame(&self, device: &Device<'_>, failure: Option<Failure>) {
        self.culprit.borrow_mut().get_or_insert_with(|| Culprit { name: device.settings.name.clone(), failure });
    }

    fn nobody_is_missing(&self) -> Result<(), Failure> {
        match &*self.culprit.borrow() {
            None => Ok(()),
            Some(culprit) => Err(waits_for(&culprit.name)),
        }
    }
}

impl Others for Group<'_, '_> {
    fn may_begin(&self) -> Result<(), Failure> {
        // One that will refuse anyway would have the others migrate in vain, at every boot.
        if self.nobody_is_missing().is_ok() {
            for (device, asked) in self.members.iter().skip(self.begun.get()) {
                match look(device, asked.request.clone()) {
                    Ok((_, Plan::Refuse(refusal))) => self.blame(device, refused(&refusal)),
                    Ok(_) => {}
                    Err(failure) => self.blame(device, Some(failure)),
                }
            }
        }
        let asks = self.members.get(self.begun.get().saturating_sub(1)).map(|(device, _)| device.settings.name.as_str());
        let its_own = self.culprit.borrow_mut().as_mut().filter(|culprit| Some(&*culprit.name) == asks).and_then(|it| it.failure.take());
        match its_own {
            Some(failure) => Err(failure),
            None => self.nobody_is_missing(),
        }
    }

    fn go_first(&self) -> Result<(), Failure> {
        self.boot_the_rest();
        self.nobody_is_missing()
    }
}

/// One and the same, or members of one group.
pub fn go_together(one: &Device<'_>, other: &Device<'_>) -> bool {
    let same_group = one.settings.together.is_some() && one.settings.together == other.settings.together;
    one.settings.name == other.settings.name || same_group
}

/// What the next boot does to a database, whoever goes together with it among `all`.
pub fn plan_in_words(device: &Device<'_>, plan: &Plan, all: &[Device<'_>]) -> String {
    if !leads_to_the_target(plan) {
        return plan.to_string();
    }
    let others = all.iter().filter(|other| go_together(device, other) && other.settings.name != device.settings.name);
    let mut go = Vec::new();
    for other in others {
        let name = other.settings.name.as_str();
        match look(other, Request::Boot) {
            Err(_) | Ok((_, Plan::Refuse(_))) => return format!("wait for {name}, which it goes together with; then {plan}"),
            Ok((_, plan)) if leads_to_the_target(&plan) => go.push(name),
            // It is there, or is mended first.
            Ok(_) => {}
        }
    }
    if go.is_empty() {
        return plan.to_string();
    }
    format!("{plan}, together with {}", go.join(", "))
}

/// The same refusal for somebody who then finds no reason for it any more.
fn refused(refusal: &Refusal) -> Option<Failure> {
    match refusal.class {
        RefusalClass::As(class) => Some(Failure::new(class, GO_TOGETHER, refusal.what.clone())),
        RefusalClass::TriesUsedUp => None,
    }
}

fn waits_for(name: &str) -> Failure {
    Failure::new(Class::Waits, GO_TOGETHER, format!("it goes together with {name}, which is not ready"))
}
