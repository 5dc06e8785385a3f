//! Owns the sweep: each tool, each scenario, a cut after each effect, each outcome of what was not
//! durable; two boots; the judge.
//! Promises: a state that two cuts have in common counts once; the first bad state of each kind is
//! told.
//! Never goes on when the run that is cut does not do its work undisturbed.

use crate::disk::{CrashOutcome, Disk, State};
use crate::judge::{content, judge, Content, Verdict};
use crate::log::{read, TRACED};
use crate::scenario::{Scenario, ALL, POPULATE, ROWS};
use crate::tool::Tool;
use rusqlite::Connection;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use tempfile::TempDir;

const THREADS: usize = 2;
/// Random outcomes of each cut.
const SEEDS: u64 = 2;

#[derive(Default)]
struct Tally {
    effects: usize,
    states: usize,
    stuck: usize,
    torn: usize,
    lost: usize,
}

/// Sweeps every tool whose name has this in it, and prints a line of a table for each scenario.
pub fn all(tools: &[Tool], only: &str) {
    println!("| tool | scenario | effects | states | stuck | torn | rows lost |");
    println!("|---|---|---|---|---|---|---|");
    for tool in tools.iter().filter(|tool| tool.name.contains(only)) {
        let mut sum = Tally::default();
        for scenario in ALL {
            if scenario.needs_no_transaction && !tool.no_transaction {
                println!("| {} | {} | has no word for it | | | | |", tool.name, scenario.name);
                continue;
            }
            let tally = sweep(tool, scenario);
            print(tool.name, scenario.name, &tally);
            sum.effects += tally.effects;
            sum.states += tally.states;
            sum.stuck += tally.stuck;
            sum.torn += tally.torn;
            sum.lost += tally.lost;
        }
        print(&format!("**{}**", tool.name), "all", &sum);
    }
    println!();
    for tool in tools.iter().filter(|tool| tool.name.contains(only)) {
        println!("- {}: {}.", tool.name, tool.how);
    }
}

fn print(tool: &str, scenario: &str, tally: &Tally) {
    let Tally { effects, states, stuck, torn, lost } = tally;
    println!("| {tool} | {scenario} | {effects} | {states} | {stuck} | {torn} | {lost} |");
}

/// A folder that is no disk's: what is durable is the model's affair.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let home = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("peers-").tempdir_in(home).unwrap()
}

/// Folders of one scenario.
struct Situation {
    home: TempDir,
    device: PathBuf,
    run: PathBuf,
    after: PathBuf,
}

impl Situation {
    fn of(tool: &Tool, scenario: &Scenario) -> Situation {
        let home = folder();
        let make = |name: &str| {
            let path = home.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (device, before, run, after) =
            (make("device"), make("before"), make("run"), make("after"));
        tool.lay_out(&before, scenario.before);
        tool.lay_out(&run, scenario.run);
        tool.lay_out(&after, scenario.after);
        if !scenario.before.is_empty() {
            // The application wrote when version 1 was there; later versions came one by one.
            let first = make("first");
            tool.lay_out(&first, &scenario.before[..1]);
            must(tool, &device, &first);
            Connection::open(device.join("app.db")).unwrap().execute_batch(POPULATE).unwrap();
            must(tool, &device, &before);
            // One quiet boot, so that nothing of the tool's own is new.
            must(tool, &device, &before);
        }
        Situation { home, device, run, after }
    }
}

#[track_caller]
fn must(tool: &Tool, device: &Path, folder: &Path) {
    let boot = tool.boot(device, folder);
    assert!(boot.good, "{} does not work undisturbed: {}", tool.name, boot.said);
}

fn sweep(tool: &Tool, scenario: &Scenario) -> Tally {
    let situation = Situation::of(tool, scenario);
    let old = content(&situation.device);
    assert!(scenario.before.is_empty() || old.is_some(), "{ROWS} rows were there");
    let mut disk = Disk::of(&situation.device);
    let start = disk.cut(CrashOutcome::Kept);
    let log = situation.home.path().join("strace.log");
    let words = tool.command(&situation.device, &situation.run);
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-y", "-xx", "-s", "67108864", "-e", &format!("trace={TRACED}"), "-o"])
        .arg(&log)
        .arg("--")
        .args(&words);
    let ran = tool.prepared(&mut strace, &situation.device, &situation.run).output().unwrap();
    let fails = scenario.run.len() != scenario.after.len();
    assert_ne!(
        ran.status.success(),
        fails,
        "{}: {}",
        tool.name,
        String::from_utf8_lossy(&ran.stderr)
    );
    // The replayed log must end where the real run ended.
    let effects = read(&fs::read_to_string(&log).unwrap(), &situation.device);
    let mut states: Vec<(usize, CrashOutcome, State)> = vec![(0, CrashOutcome::Kept, start)];
    for (index, effect) in effects.iter().enumerate() {
        disk.apply(effect);
        let seeds = (0..SEEDS)
            .map(|seed| CrashOutcome::Some((index as u64 + 1) * 0x9E37_79B9 + seed * 0x85EB_CA6B));
        let outcomes = [CrashOutcome::Kept, CrashOutcome::Lost].into_iter().chain(seeds);
        states.extend(outcomes.map(|outcome| (index + 1, outcome, disk.cut(outcome))));
    }
    replayed(&situation, &disk);
    must(tool, &situation.device, &situation.after);
    let new = content(&situation.device).unwrap();
    let mut seen = HashSet::new();
    states.retain(|(_, _, state)| seen.insert(state.hash()));
    let tally =
        Mutex::new(Tally { effects: effects.len(), states: states.len(), ..Tally::default() });
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((index, outcome, state)) =
                    states.get(next.fetch_add(1, Ordering::SeqCst))
                {
                    let (verdict, said) = booted(tool, &situation, state, old.as_ref(), &new);
                    count(&mut tally.lock().unwrap(), verdict, || {
                        format!(
                            "{}, {}, after effect {index}, {outcome:?}: {verdict:?} {said}",
                            tool.name, scenario.name
                        )
                    });
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

fn count(tally: &mut Tally, verdict: Verdict, told: impl Fn() -> String) {
    let first = (verdict.stuck && tally.stuck == 0)
        || (verdict.torn && tally.torn == 0)
        || (verdict.lost && tally.lost == 0);
    if first {
        eprintln!("{}", told().replace('\n', " "));
    }
    tally.stuck += usize::from(verdict.stuck);
    tally.torn += usize::from(verdict.torn);
    tally.lost += usize::from(verdict.lost);
}

/// What the model says is there is what is there.
fn replayed(situation: &Situation, disk: &Disk) {
    let again = folder();
    disk.cut(CrashOutcome::Kept).lay_out(again.path());
    for name in ["app.db", "app.db-wal"] {
        let (real, model) =
            (fs::read(situation.device.join(name)).ok(), fs::read(again.path().join(name)).ok());
        assert!(real == model, "the replayed {name} is not the real one");
    }
}

/// Two boots after a cut.
fn booted(
    tool: &Tool,
    situation: &Situation,
    state: &State,
    old: Option<&Content>,
    new: &Content,
) -> (Verdict, String) {
    let device = folder();
    state.lay_out(device.path());
    tool.boot(device.path(), &situation.after);
    let second = tool.boot(device.path(), &situation.after);
    (judge(content(device.path()).as_ref(), old, new, second.good), second.said)
}
