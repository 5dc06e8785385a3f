//! Owns the tests of a product's own name: help, usage, mistakes and advice can be typed as they
//! stand, and `--version` says whose it is.
//! Promises: the same program under another name; nothing that is on disk or in the configuration
//! is called by it.
//! Never looks at how the name is found.

use crate::device::TestDevice;
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::process::Command;

/// The firmware as a product's own program.
fn gateway(device: TestDevice) -> TestDevice {
    device.environment("BOOTMIGRATE_TEST_NAME", "gateway db")
}

#[test]
fn help_and_mistakes_call_the_program_by_its_name() {
    let device = gateway(TestDevice::booted_at(42));
    let help = device.run(&["--help"]);
    assert!(
        help.stdout.starts_with("gateway db: brings this device's SQLite databases"),
        "{}",
        help.stdout
    );
    assert!(
        help.stdout.contains("  2. gateway db run --retry")
            && help.stdout.contains("`gateway db help COMMAND`"),
        "{}",
        help.stdout
    );
    assert!(device.run(&["help", "purge"]).stdout.starts_with("gateway db purge --db NAME"));
    let mistake = device.run(&["stauts"]);
    assert!(
        mistake.stderr.starts_with("gateway db: ") && mistake.exit == "2",
        "{}",
        mistake.stderr
    );
    let several = device.run(&["status", "--no-such-option"]);
    assert!(several.stderr.contains("see `gateway db --help`"), "{}", several.stderr);
    for words in [
        &["--help"][..],
        &["help", "run"],
        &["help", "snapshot"],
        &["stauts"],
        &["status", "--no-such-option"],
    ] {
        let ran = device.run(words);
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            !text.contains("`bootmigrate ")
                && !text.lines().any(|line| line.starts_with("bootmigrate")),
            "{words:?}: {text}"
        );
    }
}

#[test]
fn advice_in_sentences_and_in_json_can_be_typed() {
    let device = gateway(TestDevice::at(40).firmware(40).file(crate::product::BROKEN));
    for _ in 0..3 {
        assert_eq!(device.run(&["run"]).exit, "10");
    }
    let refused = device.run(&["run", "--json"]);
    assert_eq!(refused.exit, "19");
    assert!(
        refused.stderr.contains("run `gateway db run --retry --db settings`"),
        "{}",
        refused.stderr
    );
    let report: Value = serde_json::from_str(&refused.stdout).unwrap();
    let next = report["databases"][0]["next"].as_str().unwrap();
    assert!(next.contains("`gateway db run --retry"), "{next}");
    let written =
        std::fs::read_to_string(device.root().join("run/bootmigrate/status.json")).unwrap();
    assert!(
        written.contains("`gateway db run --retry") && !written.contains("`bootmigrate "),
        "{written}"
    );
    let doctor = device.run(&["doctor"]);
    assert!(!doctor.stdout.contains("`bootmigrate "), "{}", doctor.stdout);
    assert!(device.root().join("run/bootmigrate").exists(), "the folder's name is no program's");
}

#[test]
fn the_version_is_the_products_own() {
    let stock = TestDevice::booted_at(42).run(&["--version"]);
    let ours = env!("CARGO_PKG_VERSION");
    assert_eq!(
        (stock.stdout.as_str(), stock.exit.as_str()),
        (format!("bootmigrate {ours}\n").as_str(), "0")
    );
    let product = gateway(TestDevice::booted_at(42)).run(&["--version"]);
    assert_eq!(product.stdout, format!("gateway db {ours} (bootmigrate {ours})\n"));
}

#[test]
fn a_program_is_called_as_it_was_started() {
    let device = TestDevice::booted_at(42);
    let link = device.root().join("gateway-migrate");
    let stock = crate::program::foreign().map_or_else(
        || env!("CARGO_BIN_EXE_bootmigrate").into(),
        |programs| programs.join("bootmigrate"),
    );
    let program = std::env::var_os("BOOTMIGRATE_UNDER_TEST").map_or(stock, Into::into);
    symlink(program, &link).unwrap();
    let mut words = crate::program::runner();
    words.push(link.into());
    let output = Command::new(&words[0]).args(&words[1..]).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.starts_with("gateway-migrate: brings"), "{help}");
}
