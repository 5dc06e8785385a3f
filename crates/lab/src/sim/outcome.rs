//! Owns the outcomes that unsynced changes meet at a cut, and the enumerator that makes a state of
//! each.
//! Promises: an outcome has a name that can be printed, read back and replayed; all cuts before,
//! between and after the effects.
//! Never judges a state: that is the scenario's oracle.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use super::content::SECTOR_BYTES;
use super::effect::Effect;
use super::hash::Random;
use super::replay::{apply_data, apply_names, DataChange, Order, PendingData, Replay};
use super::state::State;

/// What becomes of the data that is pending at a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Data {
    /// All lost.
    Lost,
    /// All kept.
    Kept,
    /// Files have their new sizes, and zeros where they grew.
    Sizes,
    /// All kept but the change with this place in the list.
    Without(u32),
    /// All lost but that one.
    Only(u32),
    /// All before it kept, this write torn: its first sectors are new.
    TornFirst(u32, u32),
    /// All before it kept, this write torn: its last sectors are new.
    TornLast(u32, u32),
    /// Each by a throw of the dice: kept, lost or torn.
    Random(u64),
    /// Exactly those whose bit is set.
    Bits(u32),
}

/// What becomes of the names that are pending at a cut, as far as their order lets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Names {
    /// The first this many are durable.
    First(u32),
    /// All durable.
    Kept,
    /// All durable but this one (and what depends on it).
    Without(u32),
    /// None durable but this one.
    Only(u32),
    /// Each by a throw of the dice.
    Random(u64),
    /// Exactly those whose bit is set.
    Bits(u32),
}

/// What a cut makes of all that is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrashOutcome {
    /// Of the data.
    pub data: Data,
    /// Of the names.
    pub names: Names,
}

/// One state: the cut comes before the effect `cut`, or after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrashPoint {
    /// This many effects were made.
    pub cut: usize,
    /// The file system.
    pub order: Order,
    /// The outcome.
    pub outcome: CrashOutcome,
}

/// How many outcomes are tried at each cut.
#[derive(Debug, Clone, Copy)]
pub struct OutcomePlan {
    /// Random outcomes at each cut.
    pub random: u64,
    /// Their seed.
    pub seed: u64,
    /// Each pending change alone lost and alone kept, each prefix of names; without it only the
    /// plain outcomes.
    pub single: bool,
    /// Every subset where at most this many changes are pending (at most 20).
    pub exhaustive_up_to: u32,
}

impl Default for OutcomePlan {
    fn default() -> Self {
        OutcomePlan { random: 6, seed: 1, single: true, exhaustive_up_to: 4 }
    }
}

impl OutcomePlan {
    /// Every outcome of this plan at one point, the plain ones first.
    pub fn outcomes(&self, replay: &Replay, cut: usize) -> Vec<CrashOutcome> {
        let data = replay.data.len() as u32;
        let names = replay.names.len() as u32;
        let mut outcomes = Vec::new();
        let mut add = |data, names| outcomes.push(CrashOutcome { data, names });
        add(Data::Lost, Names::First(0));
        if data + names == 0 {
            return outcomes;
        }
        add(Data::Kept, Names::Kept);
        add(Data::Kept, Names::First(0));
        add(Data::Lost, Names::Kept);
        add(Data::Sizes, Names::Kept);
        if let Some(last) = replay.data.last().filter(|pending| sectors(pending) > 1) {
            let sectors = sectors(last) as u32;
            for kept in [1, sectors / 2, sectors - 1] {
                add(Data::TornFirst(data - 1, kept), Names::Kept);
                add(Data::TornLast(data - 1, kept), Names::Kept);
                add(Data::TornFirst(data - 1, kept), Names::First(0));
            }
        }
        if self.single {
            for index in 0..data {
                add(Data::Without(index), Names::Kept);
                add(Data::Only(index), Names::Kept);
            }
            for index in 1..names {
                add(Data::Kept, Names::First(index));
                add(Data::Lost, Names::First(index));
            }
            for index in 0..names {
                add(Data::Kept, Names::Without(index));
                add(Data::Kept, Names::Only(index));
                add(Data::Lost, Names::Only(index));
            }
        }
        if data + names <= self.exhaustive_up_to {
            for bits in 0..1u32 << (data + names) {
                add(Data::Bits(bits & ((1 << data) - 1)), Names::Bits(bits >> data));
            }
        } else {
            let mut random = Random::new(self.seed ^ (cut as u64) << 20);
            for _ in 0..self.random {
                // 32 bits are enough, and a shorter name.
                add(Data::Random(random.draw() >> 32), Names::Random(random.draw() >> 32));
            }
        }
        outcomes
    }
}

/// Sectors that a pending write touches; a truncation is one.
fn sectors(pending: &PendingData) -> u64 {
    match &pending.change {
        DataChange::Truncate(_) => 1,
        DataChange::Write(offset, payload) => {
            (offset + payload.len()).div_ceil(SECTOR_BYTES) - offset / SECTOR_BYTES
        }
    }
}

/// Keeps the sectors of one write for which `kept` says so, numbered from the write's first.
fn apply_sectors(state: &mut State, pending: &PendingData, mut kept: impl FnMut(u64) -> bool) {
    let DataChange::Write(offset, payload) = &pending.change else {
        return apply_data(state, pending);
    };
    let Some(content) = state.content_mut(pending.node) else { return };
    let first = offset / SECTOR_BYTES;
    for sector in 0..sectors(pending) {
        if kept(sector) {
            let start = (first + sector) * SECTOR_BYTES;
            content.write_part(*offset, payload, start..start + SECTOR_BYTES);
        }
    }
}

fn apply_all(state: &mut State, data: &[PendingData], kept: impl Fn(u32) -> bool) {
    for (index, pending) in data.iter().enumerate() {
        if kept(index as u32) {
            apply_data(state, pending);
        }
    }
}

impl Data {
    fn apply(self, state: &mut State, data: &[PendingData]) {
        match self {
            Data::Lost => {}
            Data::Kept => apply_all(state, data, |_| true),
            Data::Without(lost) => apply_all(state, data, |index| index != lost),
            Data::Only(kept) => apply_all(state, data, |index| index == kept),
            Data::Bits(bits) => apply_all(state, data, |index| bits >> index & 1 == 1),
            Data::TornFirst(torn, kept) => {
                apply_all(state, data, |index| index < torn);
                apply_sectors(state, &data[torn as usize], |sector| sector < u64::from(kept));
            }
            Data::TornLast(torn, kept) => {
                apply_all(state, data, |index| index < torn);
                let all = sectors(&data[torn as usize]);
                apply_sectors(state, &data[torn as usize], |sector| {
                    sector >= all - u64::from(kept)
                });
            }
            Data::Sizes => {
                for pending in data {
                    let Some(content) = state.content_mut(pending.node) else { continue };
                    match &pending.change {
                        DataChange::Truncate(size) => content.truncate(*size),
                        DataChange::Write(offset, payload) => {
                            content.truncate(content.size().max(offset + payload.len()));
                        }
                    }
                }
            }
            Data::Random(seed) => {
                let mut random = Random::new(seed);
                // Mostly lost, half and half, or mostly kept: of eight.
                let kept = [1, 4, 7][random.below(3) as usize];
                for pending in data {
                    if random.below(8) == 0 {
                        let mask = random.draw();
                        apply_sectors(state, pending, |sector| mask >> (sector % 64) & 1 == 1);
                    } else if random.below(8) < kept {
                        apply_data(state, pending);
                    }
                }
            }
        }
    }
}

impl Names {
    fn apply(self, state: &mut State, replay: &Replay) {
        let kept = match self {
            Names::Kept => replay.possible_names(|_| true),
            Names::First(count) => replay.possible_names(|index| index < count as usize),
            Names::Without(lost) => replay.possible_names(|index| index != lost as usize),
            Names::Only(kept) => replay.possible_names(|index| index == kept as usize),
            Names::Bits(bits) => replay.possible_names(|index| bits >> index & 1 == 1),
            Names::Random(seed) => {
                let random = Random::new(seed);
                replay.possible_names(|index| {
                    Random::new(random.clone().draw() ^ index as u64).below(3) > 0
                })
            }
        };
        for (pending, kept) in replay.names.iter().zip(kept) {
            if kept {
                apply_names(state, pending);
            }
        }
    }
}

impl CrashOutcome {
    /// What a device is switched on with after this outcome.
    pub fn materialise(self, replay: &Replay) -> State {
        let mut state = replay.durable.clone();
        self.names.apply(&mut state, replay);
        self.data.apply(&mut state, &replay.data);
        state.swept()
    }
}

/// Every crash state of one log.
pub struct Enumerator<'a> {
    /// What was durable before the first effect.
    pub initial: &'a State,
    /// The effects.
    pub log: &'a [Effect],
    /// The file system.
    pub order: Order,
    /// Which outcomes.
    pub plan: OutcomePlan,
}

impl Enumerator<'_> {
    /// Calls `visit` with each point and its state; a state can come more than once (see
    /// [`SeenStates`]).
    pub fn each(&self, mut visit: impl FnMut(CrashPoint, State) -> ControlFlow<()>) {
        let mut replay = Replay::new(self.initial, self.order);
        for cut in 0..=self.log.len() {
            for outcome in self.plan.outcomes(&replay, cut) {
                let point = CrashPoint { cut, order: self.order, outcome };
                if visit(point, outcome.materialise(&replay)).is_break() {
                    return;
                }
            }
            if let Some(effect) = self.log.get(cut) {
                replay.apply(effect);
            }
        }
    }

    /// The state of one point, for a replay.
    pub fn state_at(&self, point: CrashPoint) -> State {
        let effects = &self.log[..point.cut.min(self.log.len())];
        point.outcome.materialise(&Replay::at(self.initial, point.order, effects))
    }
}

/// The states met so far, by hash, shared by all workers.
pub struct SeenStates {
    parts: Vec<Mutex<HashSet<u128, BuildHasherDefault<AlreadyHashed>>>>,
}

impl Default for SeenStates {
    fn default() -> Self {
        SeenStates { parts: (0..64).map(|_| Mutex::default()).collect() }
    }
}

impl SeenStates {
    /// `true` the first time.
    pub fn insert(&self, hash: u128) -> bool {
        let part = &self.parts[(hash >> 64) as usize % self.parts.len()];
        part.lock().unwrap_or_else(PoisonError::into_inner).insert(hash)
    }

    /// How many different ones.
    pub fn len(&self) -> usize {
        self.parts
            .iter()
            .map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// None yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A hasher for keys that are hashes.
#[derive(Default)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Data {
    /// The kind of outcome, for counts by outcome.
    pub fn kind(self) -> &'static str {
        match self {
            Data::Lost => "lost",
            Data::Kept => "kept",
            Data::Sizes => "sizes",
            Data::Without(_) => "without",
            Data::Only(_) => "only",
            Data::TornFirst(..) => "torn-first",
            Data::TornLast(..) => "torn-last",
            Data::Random(_) => "random",
            Data::Bits(_) => "bits",
        }
    }
}

impl Names {
    /// The kind of outcome, for counts by outcome.
    pub fn kind(self) -> &'static str {
        match self {
            Names::First(0) => "lost",
            Names::First(_) => "first",
            Names::Kept => "kept",
            Names::Without(_) => "without",
            Names::Only(_) => "only",
            Names::Random(_) => "random",
            Names::Bits(_) => "bits",
        }
    }
}

impl fmt::Display for CrashPoint {
    /// `12/kept/data=torn-first:3:1/names=kept`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.order == Order::Kept { "kept" } else { "free" };
        write!(f, "{}/{order}/data={}", self.cut, self.outcome.data.kind())?;
        match self.outcome.data {
            Data::Lost | Data::Kept | Data::Sizes => Ok(()),
            Data::Without(number) | Data::Only(number) | Data::Bits(number) => {
                write!(f, ":{number}")
            }
            Data::TornFirst(write, kept) | Data::TornLast(write, kept) => {
                write!(f, ":{write}:{kept}")
            }
            Data::Random(seed) => write!(f, ":{seed}"),
        }?;
        write!(f, "/names={}", self.outcome.names.kind())?;
        match self.outcome.names {
            Names::First(0) | Names::Kept => Ok(()),
            Names::First(n) | Names::Without(n) | Names::Only(n) | Names::Bits(n) => {
                write!(f, ":{n}")
            }
            Names::Random(seed) => write!(f, ":{seed}"),
        }
    }
}

impl FromStr for CrashPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            format!(
                "{text} is not the name of a crash state; write for example \
                 12/kept/data=torn-first:3:1/names=kept"
            )
        })
    }
}

fn parse(text: &str) -> Option<CrashPoint> {
    let parts: Vec<&str> = text.split('/').collect();
    let [cut, order, data, names] = parts[..] else { return None };
    let order = match order {
        "kept" => Order::Kept,
        "free" => Order::Free,
        _ => return None,
    };
    let data: Vec<&str> = data.strip_prefix("data=")?.split(':').collect();
    let data = match data[..] {
        ["lost"] => Data::Lost,
        ["kept"] => Data::Kept,
        ["sizes"] => Data::Sizes,
        ["without", n] => Data::Without(n.parse().ok()?),
        ["only", n] => Data::Only(n.parse().ok()?),
        ["bits", n] => Data::Bits(n.parse().ok()?),
        ["random", n] => Data::Random(n.parse().ok()?),
        ["torn-first", n, kept] => Data::TornFirst(n.parse().ok()?, kept.parse().ok()?),
        ["torn-last", n, kept] => Data::TornLast(n.parse().ok()?, kept.parse().ok()?),
        _ => return None,
    };
    let names: Vec<&str> = names.strip_prefix("names=")?.split(':').collect();
    let names = match names[..] {
        ["lost"] => Names::First(0),
        ["kept"] => Names::Kept,
        ["first", n] => Names::First(n.parse().ok()?),
        ["without", n] => Names::Without(n.parse().ok()?),
        ["only", n] => Names::Only(n.parse().ok()?),
        ["bits", n] => Names::Bits(n.parse().ok()?),
        ["random", n] => Names::Random(n.parse().ok()?),
        _ => return None,
    };
    Some(CrashPoint { cut: cut.parse().ok()?, order, outcome: CrashOutcome { data, names } })
}
