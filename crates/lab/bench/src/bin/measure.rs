//! Owns the measurement of scripts/bench: each row with each tool, interleaved, and what a run
//! costs beside time.
//! Promises: every run begins from a copy of the same state; times are medians and printed as
//! ratios of bare SQLite's; counts are of one run more, whose time does not count.
//! Never decides whether a figure is good.
//!
//!     measure PROGRAMS WORK QUIET LONG WORKBENCH [--quick]

use bootmigrate_bench::SETS;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of a row of `large`, with its entries in two indexes.
const ROW_BYTES: u64 = 164;

#[derive(Clone, Copy, PartialEq)]
enum Tool {
    Bare,
    BareChecked,
    Bootmigrate,
    RusqliteMigration,
    Refinery,
    RefineryGrouped,
    Diesel,
}

const TOOLS: [(Tool, &str); 7] = [
    (Tool::Bare, "bare SQLite"),
    (Tool::BareChecked, "bare SQLite, copied and checked"),
    (Tool::Bootmigrate, "bootmigrate"),
    (Tool::RusqliteMigration, "rusqlite_migration"),
    (Tool::Refinery, "refinery"),
    (Tool::RefineryGrouped, "refinery, grouped"),
    (Tool::Diesel, "diesel_migrations"),
];

/// Before the run that is measured.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    /// Everything is applied.
    Done,
    /// The first migration is, and there are so many rows.
    Rows(u64),
}

struct Row {
    name: String,
    set: &'static str,
    before: Before,
    runs: u32,
    rounds: usize,
    counts_instructions: bool,
}

struct Bench {
    programs: PathBuf,
    work: PathBuf,
    quiet: PathBuf,
    long: PathBuf,
    workbench: PathBuf,
    counts_instructions: bool,
}

#[derive(Default)]
struct Counts {
    calls: u64,
    syncs: u64,
    read: u64,
    written: u64,
    memory_kib: u64,
    instructions: Option<u64>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let path = |place: usize| PathBuf::from(&words[place]);
    let quick = words.get(5).is_some_and(|word| word == "--quick");
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    let bench = Bench {
        programs: path(0),
        work: path(1),
        quiet: path(2),
        long: path(3),
        workbench: path(4),
        counts_instructions: valgrind.is_ok_and(|status| status.success()),
    };
    println!(
        "| row | program | time | system calls | fsyncs | read | written | memory | instructions |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in rows(quick) {
        bench.measure(&row);
    }
}

fn rows(quick: bool) -> Vec<Row> {
    let rounds = if quick { 3 } else { 7 };
    let alter = |mib: u64| Row {
        name: format!("ALTER on {mib} MiB"),
        set: "alter",
        before: Before::Rows((mib << 20) / ROW_BYTES),
        runs: 1,
        rounds: rounds.min(5),
        counts_instructions: false,
    };
    let thousands = if quick { 200 } else { 1_000 };
    let quiet = |name: &str, set| Row {
        name: name.to_owned(),
        set,
        before: Before::Done,
        runs: if quick { 10 } else { 50 },
        rounds,
        counts_instructions: true,
    };
    vec![
        quiet("quiet boot, 14 migrations", "quiet"),
        quiet("quiet boot, 10,000 migrations", "long"),
        Row {
            name: "200 small migrations from zero".to_owned(),
            set: "small",
            before: Before::Nothing,
            runs: 1,
            rounds,
            counts_instructions: false,
        },
        alter(16),
        alter(64),
        Row {
            name: format!("rebuild of {thousands},000 rows"),
            set: "rebuild",
            before: Before::Rows(thousands * 1000),
            runs: 1,
            rounds: rounds.min(3),
            counts_instructions: false,
        },
    ]
}

impl Bench {
    fn measure(&self, row: &Row) {
        let states: Vec<PathBuf> = TOOLS.iter().map(|(tool, _)| self.state(*tool, row)).collect();
        let mut times = vec![Vec::new(); TOOLS.len()];
        for _ in 0..row.rounds {
            for (place, (tool, _)) in TOOLS.iter().enumerate() {
                times[place].push(self.time(*tool, row, &states[place]));
            }
        }
        let medians: Vec<f64> = times.iter_mut().map(|all| median(all)).collect();
        for (place, (tool, name)) in TOOLS.iter().enumerate() {
            let counts = self.counts(*tool, row, &states[place]);
            let ratio = medians[place] / medians[0];
            let instructions = counts
                .instructions
                .map_or_else(|| "–".to_owned(), |count| format!("{:.2} M", count as f64 / 1e6));
            println!(
                "| {} | {name} | {ratio:.2} | {} | {} | {} | {} | {:.1} MB | {instructions} |",
                row.name,
                counts.calls,
                counts.syncs,
                bytes(counts.read),
                bytes(counts.written),
                counts.memory_kib as f64 / 1024.0,
            );
        }
        states.iter().for_each(|state| fs::remove_dir_all(state).unwrap());
    }

    /// A folder with what is there before the run, made in memory where that is a file system.
    fn state(&self, tool: Tool, row: &Row) -> PathBuf {
        let made = Path::new("/dev/shm").join(format!("bootmigrate-bench-{}", std::process::id()));
        let made = if Path::new("/dev/shm").is_dir() { made } else { self.work.join("made") };
        fs::create_dir_all(&made).unwrap();
        let all = SETS.iter().find(|set| set.name == row.set).unwrap().migrations.len();
        // To group is refinery's quicker way to the same state.
        let by = if tool == Tool::Refinery { Tool::RefineryGrouped } else { tool };
        match row.before {
            Before::Nothing => self.lay_out(tool, row, all, &made),
            Before::Done => {
                self.lay_out(tool, row, all, &made);
                run(&mut self.command(by, row.set, all, &made));
                run(&mut self.command(by, row.set, all, &made));
            }
            Before::Rows(rows) => {
                self.lay_out(tool, row, 1, &made);
                run(&mut self.command(by, row.set, 1, &made));
                fill(&database(tool, &made), rows);
                self.lay_out(tool, row, all, &made);
            }
        }
        let state = self.work.join(format!("state-{}", tool as u8));
        copy(&made, &state);
        fs::remove_dir_all(&made).unwrap();
        state
    }

    /// What bootmigrate's program finds in an image: its folders, and a packed catalogue where it
    /// does not embed the set.
    fn lay_out(&self, tool: Tool, row: &Row, many: usize, root: &Path) {
        if tool != Tool::Bootmigrate {
            return;
        }
        for folder in ["var/lib/gateway", "run", "etc", "usr/lib/bootmigrate"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        if matches!(row.set, "quiet" | "long") {
            return;
        }
        let folder = self.work.join(format!("{}-{many}", row.set));
        bootmigrate_bench::write_folder(row.set, many, &folder);
        let output = root.join("usr/lib/bootmigrate/bench.catalogue");
        let mut pack = Command::new(&self.workbench);
        pack.arg("--migrations").arg(&folder).arg("pack").arg("--output").arg(output);
        run(pack.stdout(Stdio::null()));
    }

    fn command(&self, tool: Tool, set: &str, many: usize, state: &Path) -> Command {
        let program = match tool {
            Tool::Bare | Tool::BareChecked => self.programs.join("bare"),
            Tool::Bootmigrate => if set == "long" { &self.long } else { &self.quiet }.clone(),
            Tool::RusqliteMigration => self.programs.join("rusqlite_migration"),
            Tool::Refinery | Tool::RefineryGrouped => self.programs.join("refinery"),
            Tool::Diesel => self.programs.join("diesel_migrations"),
        };
        let mut command = Command::new(program);
        if tool == Tool::Bootmigrate {
            command.args(["run", "-q", "--root"]).arg(state);
        } else {
            command.arg(format!("{set}:{many}")).arg(database(tool, state));
        }
        match tool {
            Tool::RefineryGrouped => {
                command.arg("grouped");
            }
            Tool::BareChecked => {
                command.arg("checked");
            }
            _ => {}
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// A copy of the state, and the command that works on it.
    fn fresh(&self, tool: Tool, row: &Row, state: &Path) -> Command {
        let now = self.work.join("now");
        let _ = fs::remove_dir_all(&now);
        copy(state, &now);
        self.command(tool, row.set, usize::MAX, &now)
    }

    fn time(&self, tool: Tool, row: &Row, state: &Path) -> Duration {
        let mut took = Duration::ZERO;
        let mut command = self.fresh(tool, row, state);
        for _ in 0..row.runs {
            let began = Instant::now();
            run(&mut command);
            took += began.elapsed();
        }
        took / row.runs
    }

    fn counts(&self, tool: Tool, row: &Row, state: &Path) -> Counts {
        let mut counts = Counts::default();
        let summary = self.work.join("calls");
        run(&mut under("strace", &["-f", "-c", "-o"], &summary, &self.fresh(tool, row, state)));
        for line in fs::read_to_string(&summary).unwrap().lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let number = || fields.get(3).and_then(|number| number.parse::<u64>().ok());
            match fields.last() {
                Some(&"total") => counts.calls = number().unwrap(),
                Some(&("fsync" | "fdatasync")) => counts.syncs += number().unwrap(),
                _ => {}
            }
        }
        account(self.fresh(tool, row, state), &mut counts);
        if self.counts_instructions && row.counts_instructions {
            let out = self.work.join("callgrind");
            let words = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
            let log = format!("--log-file={}", out.display());
            let command = self.fresh(tool, row, state);
            let mut valgrind = Command::new("valgrind");
            valgrind.args(words).arg(log).arg(command.get_program()).args(command.get_args());
            run(valgrind.stdout(Stdio::null()));
            let text = fs::read_to_string(&out).unwrap();
            let count = text.lines().find_map(|line| line.split_once("Collected :"));
            counts.instructions = count.and_then(|(_, count)| count.trim().parse().ok());
        }
        counts
    }
}

fn under(program: &str, words: &[&str], out: &Path, command: &Command) -> Command {
    let mut tracer = Command::new(program);
    tracer.args(words).arg(out).arg(command.get_program()).args(command.get_args());
    tracer.stdin(Stdio::null()).stdout(Stdio::null());
    tracer
}

/// What the kernel has counted of a program when it is about to end.
fn account(mut command: Command, counts: &mut Counts) {
    // SAFETY: one system call, between fork and exec.
    unsafe { command.pre_exec(|| traced(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0))) };
    let child = command.spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let wait = || {
        let mut status = 0;
        // SAFETY: the child is ours, and the number's place lives until the call is over.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::__WALL) }, pid);
        status
    };
    wait();
    // SAFETY: numbers alone, of a child that has stopped.
    unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, libc::PTRACE_O_TRACEEXIT) };
    let mut signal = 0;
    loop {
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, signal) };
        let status = wait();
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            assert_eq!(status, 0, "{command:?}");
            return;
        }
        signal = libc::WSTOPSIG(status);
        if status >> 8 == (libc::SIGTRAP | (libc::PTRACE_EVENT_EXIT << 8)) {
            let of = |file: &str, key: &str| -> u64 {
                let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
                let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
                line.split_whitespace().next().unwrap().parse().unwrap()
            };
            (counts.read, counts.written) = (of("io", "rchar:"), of("io", "wchar:"));
            counts.memory_kib = of("status", "VmHWM:");
            signal = 0;
        }
    }
}

fn traced(answer: libc::c_long) -> std::io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

fn database(tool: Tool, state: &Path) -> PathBuf {
    state.join(if tool == Tool::Bootmigrate { "var/lib/gateway/settings.db" } else { "a.db" })
}

/// Rows whose indexes are in another order than they are.
fn fill(database: &Path, rows: u64) {
    let sql = format!(
        "PRAGMA synchronous = OFF;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows})
         INSERT INTO large SELECT i, (i * 7919) % 1000003, hex((i * 104729) % 1000003), \
         printf('%0100d', i) FROM n"
    );
    rusqlite::Connection::open(database).unwrap().execute_batch(&sql).unwrap();
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to));
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn bytes(count: u64) -> String {
    match count {
        0..10_240 => format!("{count} B"),
        10_240..1_048_576 => format!("{} KiB", count >> 10),
        _ => format!("{:.1} MiB", count as f64 / f64::from(1 << 20)),
    }
}
