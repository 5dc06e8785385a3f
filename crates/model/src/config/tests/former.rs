//! Owns the test of keys that have had another name.
//! Promises: a file with the former name means what it meant, on a device and in a build.
//! Never tests what a key does.

use super::*;

#[test]
fn a_former_name_is_read_with_a_warning() {
    let pairs = [
        ("adopt", "baseline", "\"sqlx\""),
        ("adopted_foreign_keys", "baseline_foreign_keys", "\"enforced\""),
        ("adopted_up_to", "baseline_version", "3"),
        ("changed_text", "on_checksum_mismatch", "\"warn\""),
        ("copy", "snapshot", "\"never\""),
        ("together", "group", "\"core\""),
    ];
    let other = "[databases.b]\ngroup = \"core\"\n[databases.c]\ngroup = \"core\"\n";
    let memory = "b.toml:1:1: memory_max_mib is now called memory_mib; write memory_mib";
    for (former, name, value) in pairs {
        let reading = |key: &str, unknown| {
            let text = format!("memory_max_mib = 64\n{other}[databases.a]\n{key} = {value}");
            read(source("b.toml", &text), &[], unknown).expect("it is known")
        };
        for unknown in [UnknownKey::Warn, UnknownKey::Refuse] {
            let (then, now) = (reading(former, unknown), reading(name, unknown));
            assert_eq!((then.databases, then.memory_mib), (now.databases, 64), "{former}");
            let sentence = format!("b.toml:7:1: {former} is now called {name}; write {name}");
            assert_eq!(then.warnings, [memory.to_owned(), sentence]);
            assert_eq!(now.warnings, [memory]);
        }
    }
}

/// A file for two firmwares may have both names; which of two values counts nobody could tell.
#[test]
fn a_former_and_a_new_name_that_contradict_each_other_are_an_error() {
    let reading = |keys: &str| {
        let text = format!("[databases.a]\n{keys}");
        read(source("b.toml", &text), &[], UnknownKey::Warn)
    };
    // However each is written.
    for (former, new) in [
        ("copy = \"never\"", "snapshot = \"never\""),
        ("copy = \"never\"", "snapshot = 'never' # not here"),
        ("adopted_up_to = 1_000", "baseline_version = 1000"),
        (
            "adopt = { from = \"sqlx\", versions = { 1=2 } }",
            "baseline = {from='sqlx',versions={1 = 2}}",
        ),
    ] {
        let baseline = "baseline = \"sqlx\"\n".repeat(usize::from(former.contains("up_to")));
        for keys in [format!("{baseline}{former}\n{new}"), format!("{baseline}{new}\n{former}")] {
            assert!(reading(&keys).is_ok(), "{keys}: {:?}", reading(&keys).err());
        }
    }
    for (keys, line) in [
        ("copy = \"always\"\nsnapshot = \"never\"", 2),
        ("snapshot = \"never\"\ncopy = \"always\"", 3),
    ] {
        let error = reading(keys).expect_err("they differ").to_string();
        let sentence = format!(
            "b.toml:{line}:1: copy is the former name of snapshot, which says something else; write \
             snapshot alone"
        );
        assert_eq!(error, sentence);
    }
}
