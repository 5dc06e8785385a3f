//! Owns the table of bad input: each command with each way to get it wrong.
//! Promises: one sentence on standard error, exit 2, and not one byte, time or name of the device
//! changed, `/run` included.
//! Never lists a command that the help does not.

use crate::device::TestDevice;
use crate::oracle;

/// What is typed, and what the one sentence must name.
const MISTAKES: &[(&str, &str)] = &[
    ("statsu", "`statsu` is not known; perhaps `status` is meant"),
    ("runn --help", "`runn` is not known; perhaps `run` is meant"),
    ("help statsu", "`statsu` is not known; perhaps `status` is meant"),
    ("help --all", "--all does not go with `help`"),
    ("run --db settings --db telemetry", "--db is given twice"),
    ("run now", "`now` is one word too many"),
    ("run --db nothing", "--db nothing is not configured; there is settings, telemetry"),
    ("run --json=yes", "--json takes no value"),
    ("run --retry --purge-and-retry", "exclude each other"),
    ("run --config /nowhere/b.toml", "/nowhere/b.toml cannot be read"),
    ("run --yes", "--yes does not go with `run`"),
    ("status --format xml", "--format xml is not known"),
    ("status -- true", "`-- PROGRAM` goes with `run`, not with `status`"),
    ("status --retry", "--retry does not go with `status`"),
    ("status --db nothing", "--db nothing is not configured"),
    ("plan --all", "--all does not go with `plan`"),
    ("plan --db nothing", "--db nothing is not configured"),
    ("ready", "`ready` needs --db NAME"),
    ("ready --db nothing", "--db nothing is not configured"),
    ("rehearse settings", "`settings` is one word too many"),
    ("rehearse --sql", "--sql does not go with `rehearse`"),
    ("migrate", "`migrate` needs one of --all"),
    ("migrate --all --to 41", "`migrate` takes only one of"),
    ("migrate --to forty", "--to forty is not a whole number"),
    ("migrate --to -1 --db settings", "--to -1 is not a whole number"),
    (
        "migrate --to 20991231235959 --db settings",
        "version 20991231235959 is not one of this firmware's; there is 10",
    ),
    ("migrate --to 99999999999999999999 --db settings", "is not a whole number"),
    ("migrate --step 0 --db settings", "--step 0 does nothing"),
    ("migrate --to 41", "--to is about one database; name it with --db NAME"),
    (
        "migrate --to 43 --db settings",
        "version 43 is not one of this firmware's; there is 10, 20, 30, 40, 41, 42",
    ),
    (
        "migrate --to 30 --db settings",
        "settings is at version 40, beyond 30; `bootmigrate rollback --db settings --to 30` goes \
         down",
    ),
    ("migrate --to-exclusive 40 --db settings", "settings is at version 40, beyond 30"),
    ("rollback --to 30", "`rollback` needs --db NAME"),
    ("rollback --db settings", "`rollback` needs one of --to V or --step N"),
    (
        "rollback --db settings --to 40",
        "settings is at version 40; below it this firmware knows 10, 20, 30",
    ),
    (
        "rollback --db settings --to 35",
        "settings is at version 40; below it this firmware knows 10, 20, 30",
    ),
    ("rollback --db settings --step 4", "--step 4 would leave nothing"),
    ("rollback --db settings --all", "--all does not go with `rollback`"),
    ("data", "`data` needs another word"),
    ("data status --all", "--all does not go with `data status`"),
    ("data run", "`data run` needs one of --all, --step N or --to V"),
    ("data run --step 1", "--step and --to are about one database; name it with --db NAME"),
    (
        "data run --db settings --to 7",
        "version 7 is not one of this firmware's data migrations of settings; there is none",
    ),
    ("data run --all --step 1", "`data run` takes only one of --all, --step N or --to V"),
    ("snapshot", "`snapshot` needs another word"),
    ("snapshot make", "`snapshot make` is not known"),
    ("snapshot create now", "`now` is one word too many"),
    ("snapshot list --yes", "--yes does not go with `snapshot list`"),
    ("snapshot verify --db nothing", "--db nothing is not configured"),
    ("snapshot prune --to 3", "--to does not go with `snapshot prune`"),
    ("snapshot restore v1-1 --yes", "`snapshot restore` needs --db NAME"),
    ("snapshot restore v1-1 --db settings", "say --yes"),
    (
        "snapshot restore v1-1 --db settings --yes",
        "v1-1 is neither a file nor a snapshot of settings; there is no snapshot",
    ),
    ("snapshot restore  --db settings --yes", "`snapshot restore` needs a SNAPSHOT"),
    ("snapshot restore --db settings --yes", "`snapshot restore` needs a SNAPSHOT"),
    ("quarantine", "`quarantine` needs another word"),
    ("quarantine list --yes", "--yes does not go with `quarantine list`"),
    ("quarantine list 2", "`2` is one word too many"),
    ("quarantine show 2", "`quarantine show` needs --db NAME"),
    ("quarantine show --db settings", "`quarantine show` needs a NUMBER"),
    (
        "quarantine show two --db settings",
        "`two` is not a number; `bootmigrate quarantine list` shows them",
    ),
    ("quarantine show 2 --db settings", "quarantine/2 is not there; of settings there is nothing"),
    ("quarantine export 2 --db settings", "`quarantine export` needs a NUMBER and a DIR"),
    ("quarantine export 2 /nowhere", "`quarantine export` needs --db NAME"),
    ("quarantine export 2 /nowhere --db settings", "quarantine/2 is not there"),
    ("quarantine delete 2 --yes", "`quarantine delete` needs --db NAME"),
    (
        "quarantine delete 2 --db settings",
        "`quarantine delete` removes these files for good; say --yes",
    ),
    ("quarantine delete 2 --db settings --yes", "quarantine/2 is not there"),
    ("quarantine restore 2 --yes", "`quarantine restore` needs --db NAME"),
    (
        "quarantine restore 2 --db settings",
        "takes the database that stands there out of use; say --yes",
    ),
    ("quarantine restore 2 --db settings --yes", "quarantine/2 is not there"),
    ("lost", "`lost` needs another word"),
    ("lost list --yes", "--yes does not go with `lost list`"),
    ("lost list lost_child", "`lost_child` is one word too many"),
    ("lost export lost_child --db settings", "`lost export` needs a TABLE and a FILE"),
    ("lost export lost_child /nowhere", "`lost export` needs --db NAME"),
    (
        "lost export lost_child /nowhere --db settings",
        "lost_child is no table of rows that were put aside; of settings there is none",
    ),
    ("lost drop lost_child --db settings", "`lost drop` removes these rows for good; say --yes"),
    ("lost drop lost_child --yes", "`lost drop` needs --db NAME"),
    ("lost drop parent --db settings --yes", "parent is no table of rows that were put aside"),
    (
        "lost drop refinery_schema_history --db settings --yes",
        "is no table of rows that were put aside",
    ),
    ("lost retry", "`lost retry` needs --db NAME"),
    ("lost retry child --db settings", "child is no table of rows that were put aside"),
    ("doctor settings", "`settings` is one word too many"),
    ("doctor --sql", "--sql does not go with `doctor`"),
    ("bundle", "`bundle` needs a FILE"),
    ("bundle /nowhere/at/all", "/nowhere/at/all"),
    ("bundle ", "`bundle` needs a FILE"),
    ("bundle a b", "`b` is one word too many"),
    ("baseline --from sqlx", "`baseline` needs --db NAME"),
    ("baseline --db settings --at twelve", "--at twelve is not a whole number"),
    (
        "baseline --db settings --at 99",
        "--at 99 is not one of this firmware's versions; there is 10, 20, 30, 40, 41, 42",
    ),
    ("baseline --db settings --at 0", "--at 0 is not one of this firmware's versions"),
    ("baseline --db settings --from sqlx --at 40", "--from and --at exclude each other"),
    ("baseline --db settings --from mysql", "--from mysql is no tool that is known"),
    ("mark-good now", "`now` is one word too many"),
    ("mark-good --yes", "--yes does not go with `mark-good`"),
    ("purge --db settings", "say --yes"),
    ("purge --yes", "`purge` needs --db NAME"),
    ("purge --db nothing --yes", "--db nothing is not configured"),
    ("scrub settings", "`settings` is one word too many"),
    ("scrub --db nothing", "--db nothing is not configured"),
    ("salvage --into /nowhere", "`salvage` needs --db NAME"),
    ("salvage --db settings", "`salvage` needs --into FILE, which must not be there yet"),
    ("salvage --db settings --into", "--into needs a value"),
    ("wipe --yes", "`wipe` needs --db NAME or --all: what goes must be named"),
    ("wipe --all --db settings --yes", "--db and --all exclude each other"),
    ("wipe --all --db settings", "--db and --all exclude each other"),
    ("wipe --db nothing --yes", "--db nothing is not configured"),
];

#[test]
fn every_mistake_is_one_sentence_and_touches_nothing() {
    let device = TestDevice::at(40).firmware(42).with_telemetry(10);
    let rows = oracle::content(&device.main());
    let look = || (oracle::folder(&device.root()), oracle::folder(&device.root().join("run")));
    let before = look();
    for (typed, sentence) in MISTAKES {
        let words: Vec<&str> = typed.split(' ').collect();
        let ran = device.run(&words);
        assert_eq!(ran.exit, "2", "{typed}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(sentence), "{typed}: {}", ran.stderr);
        assert!(
            ran.stderr.starts_with("bootmigrate: ") && ran.stderr.ends_with(". [BM-2]\n"),
            "{typed}: {}",
            ran.stderr
        );
        assert_eq!((ran.stderr.lines().count(), ran.stdout.as_str()), (1, ""), "{typed}");
        let now = look();
        assert_eq!(oracle::touched(&before.0, &now.0), "nothing", "{typed}");
        assert_eq!(oracle::touched(&before.1, &now.1), "nothing", "{typed} under /run");
    }
    assert_eq!(oracle::content(&device.main()), rows);
}

#[test]
fn every_command_of_the_help_has_its_mistakes_here() {
    let help = TestDevice::at(40).run(&["--help"]).stdout;
    let commands = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands"))
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .map(|line| line.trim().split("  ").next().unwrap())
        .filter(|name| *name != "(none)")
        .collect();
    assert!(names.len() > 10, "{help}");
    for name in names {
        assert!(
            MISTAKES.iter().any(|(typed, _)| typed.starts_with(name)),
            "no mistake of `{name}` is tried"
        );
        assert!(
            RIGHT.iter().any(|right| right.starts_with(name)),
            "`{name}` is not among those that are right"
        );
        let own = TestDevice::at(40).run(&[name.split(' ').next().unwrap(), "--help"]);
        assert!(own.exit == "0" && own.stdout.contains(name), "{name} --help: {}", own.stdout);
    }
}

/// Each command of the help as it would be right.
pub const RIGHT: &[&str] = &[
    "run",
    "status",
    "plan",
    "rehearse",
    "ready --db settings",
    "migrate --all",
    "rollback --db settings --step 1",
    "data status",
    "data run --all",
    "snapshot list",
    "snapshot create",
    "snapshot verify",
    "snapshot restore --db settings --yes v1-1",
    "snapshot prune",
    "quarantine list",
    "quarantine show --db settings 2",
    "quarantine export --db settings 2 /nowhere",
    "quarantine delete --db settings --yes 2",
    "quarantine restore --db settings --yes 2",
    "lost list",
    "lost export --db settings lost_child /nowhere",
    "lost drop --db settings --yes lost_child",
    "lost retry --db settings lost_child",
    "doctor",
    "scrub",
    "bundle bundle.json",
    "mark-good",
    "baseline --db settings --at 40",
    "purge --db settings --yes",
    "salvage --db settings --into /nowhere",
    "wipe --db settings --yes",
];

/// The options that a help text has a line for, each with whether it takes a value.
fn options(help: &str) -> Vec<(String, bool)> {
    let lines = help.lines().filter(|line| line.starts_with("  -"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .map(|line| (line[0].to_owned(), line[1].chars().all(char::is_uppercase)))
        .collect()
}

/// Exit 2, one sentence, nothing touched.
struct Refusals {
    device: TestDevice,
    before: [std::collections::BTreeMap<String, oracle::Entry>; 2],
    count: usize,
}

impl Refusals {
    fn of(device: TestDevice) -> Refusals {
        let before = Refusals::look(&device);
        Refusals { device, before, count: 0 }
    }

    fn look(device: &TestDevice) -> [std::collections::BTreeMap<String, oracle::Entry>; 2] {
        [oracle::folder(&device.root()), oracle::folder(&device.root().join("run"))]
    }

    #[track_caller]
    fn refused(&mut self, typed: &[&str], sentence: &str) {
        let ran = self.device.run(typed);
        let said = format!("{typed:?}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(
            (ran.exit.as_str(), ran.stdout.as_str(), ran.stderr.lines().count()),
            ("2", "", 1),
            "{said}"
        );
        assert!(ran.stderr.contains(sentence) && ran.stderr.ends_with(". [BM-2]\n"), "{said}");
        let now = Refusals::look(&self.device);
        for (old, new) in self.before.iter().zip(&now) {
            assert_eq!(oracle::touched(old, new), "nothing", "{said}");
        }
        self.count += 1;
    }
}

#[test]
fn an_option_of_another_command_is_refused() {
    let device = TestDevice::at(40).firmware(42);
    let rows = oracle::content(&device.main());
    let general = options(&device.run(&["--help"]).stdout);
    let helps: Vec<(&str, Vec<(String, bool)>)> = RIGHT
        .iter()
        .map(|right| {
            (
                *right,
                options(
                    &device
                        .run(&[&right.split(' ').collect::<Vec<_>>()[..], &["--help"]].concat())
                        .stdout,
                ),
            )
        })
        .collect();
    let all: std::collections::BTreeSet<(String, bool)> =
        helps.iter().flat_map(|(_, own)| own.clone()).collect();
    assert!(general.len() > 5 && all.len() > 10, "{general:?} {all:?}");
    let mut refusals = Refusals::of(device);
    let mut untried: Vec<&(String, bool)> = all.iter().collect();
    for (right, own) in &helps {
        // Every pair of the two is the parser's own test; here each command, and each option, is
        // refused by the program once or more.
        let foreign = |one: &&(String, bool)| !own.contains(*one) && !general.contains(*one);
        let (option, value) =
            untried.iter().copied().find(foreign).or_else(|| all.iter().find(foreign)).unwrap();
        untried.retain(|(name, _)| name != option);
        let mut typed: Vec<&str> = right.split(' ').collect();
        typed.push(option);
        typed.extend(value.then_some("1"));
        refusals.refused(&typed, &format!("{option} does not go with `"));
    }
    assert_eq!((untried, refusals.count), (Vec::new(), RIGHT.len()));
    assert_eq!(oracle::content(&refusals.device.main()), rows);
}

#[test]
fn every_command_refuses_the_same_mistakes() {
    let device = TestDevice::at(40).firmware(42);
    let rows = oracle::content(&device.main());
    let mut refusals = Refusals::of(device);
    // What the parser alone refuses, every command refuses in its own test; here they take turns.
    let parsed = [
        (&["--nonsense"][..], "`--nonsense` is not known"),
        (&["one", "two"], "is one word too many"),
        (&["--config"], "--config needs a value"),
        (&["--db", ""], "--db needs a value"),
        (&["-q", "-v"], "-q and -v exclude each other"),
        (&["-v=2"], "`-v=2` is not known"),
        (&["--"], "`--` must be followed by a program"),
    ];
    for (right, wrong) in RIGHT.iter().zip(parsed.iter().cycle()) {
        let words: Vec<&str> = right.split(' ').collect();
        for (wrong, sentence) in
            [*wrong, (&["--config", "/nowhere/b.toml"], "/nowhere/b.toml cannot be read")]
        {
            refusals.refused(&[&words[..], wrong].concat(), sentence);
        }
        // Some must name a database, and nobody may name two.
        let unknown = format!("{} --db nothing", right.replace(" --db settings", ""));
        refusals.refused(&unknown.split(' ').collect::<Vec<_>>(), "--db nothing is not configured");
    }
    assert_eq!(oracle::content(&refusals.device.main()), rows);
}

#[test]
fn every_command_refuses_a_wrong_configuration() {
    for (text, sentence) in [
        ("[databases.settings\n", "/etc/bootmigrate.toml:1:20: not TOML"),
        (
            "[databases.settings]\nbusy_timeout_s = \"ten\"\n",
            "/etc/bootmigrate.toml:2:18: busy_timeout_s is text",
        ),
        ("[databases.settings]\nversions = 64\n", "/etc/bootmigrate.toml:2:1: versions is decided"),
    ] {
        let device = TestDevice::at(40).firmware(42);
        let rows = oracle::content(&device.main());
        std::fs::create_dir_all(device.root().join("etc")).unwrap();
        std::fs::write(device.root().join("etc/bootmigrate.toml"), text).unwrap();
        let mut refusals = Refusals::of(device);
        for right in RIGHT {
            refusals.refused(&right.split(' ').collect::<Vec<_>>(), sentence);
        }
        assert_eq!(oracle::content(&refusals.device.main()), rows);
    }
}
