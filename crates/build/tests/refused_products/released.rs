//! Owns the transcript of what is said about a release: its files, its number, and what the
//! firmware in the other slot needs.
//! Promises: every sentence word for word, with its place.
//! Never looks into the reader: folders in, sentences out.

use super::{check, check_all, Case};

const RELEASED_FILES: &[Case] = &[
    (
        &[
            ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"),
            ("settings/V1__first.sql", "CREATE TABLE a (c);\n"),
        ],
        "migrations/settings/V1__first.sql: this file was released and has been edited since \
         (migrations.lock line 1); take the released text back, and write the change as a new \
         migration",
    ),
    (
        &[
            ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"),
            ("settings/V1__first.sql", "CREATE TABLE a (b);\r\n"),
        ],
        "ok",
    ),
    (
        &[
            ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"),
            ("settings/V2__x.sql", "SELECT 1;"),
        ],
        "ok",
    ),
    (
        &[(
            "migrations.lock",
            "1 26b4a11f39a289a7 settings/V1__first.sql\n2 0123456789abcdef settings/V2__x.sql\n",
        )],
        "migrations/migrations.lock:2:1: `settings/V2__x.sql` was released and is not here any \
         more; take it back, for devices in the field have run it and new ones still must",
    ),
    (
        &[
            (
                "migrations.lock",
                "1 26b4a11f39a289a7 settings/V1__first.sql\n3 0123456789abcdef \
                 settings/V3__y.sql\n",
            ),
            ("settings/V2__x.sql", "SELECT 1;"),
            ("settings/V3__y.sql", "SELECT 1;"),
        ],
        "migrations/settings/V2__x.sql: version 2 is new and not above 3, the last released one, \
         so devices that have 3 would never run it; give it a number from 4 on\n\
         migrations/settings/V3__y.sql: this file was released and has been edited since \
         (migrations.lock line 2); take the released text back, and write the change as a new \
         migration",
    ),
    (
        &[
            (
                "migrations.lock",
                "1 26b4a11f39a289a7 settings/V1__first.sql\n2 0123456789abcdef \
                 settings/V2__old.sql\n",
            ),
            ("settings/V2__x.sql", "SELECT 1;"),
        ],
        "migrations/settings/V2__x.sql: version 2 was released as `settings/V2__old.sql` \
         (migrations.lock line 2); give this file the next free number, and take the released one \
         back",
    ),
    (
        &[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\ntwo\n")],
        "migrations/migrations.lock:2:1: this line is not `version checksum path`, for example `4 \
         00c0ffee00c0ffee settings/V4__wifi.sql`; take the line from the release that wrote it",
    ),
    (
        &[(
            "migrations.lock",
            "1 26b4a11f39a289a7 settings/V1__first.sql\n2 0123456789abcdef \
             settings/old/V2__x.sql\n",
        )],
        "migrations/migrations.lock:2:1: this line is not `version checksum path`, for example `4 \
         00c0ffee00c0ffee settings/V4__wifi.sql`; take the line from the release that wrote it",
    ),
    (
        &[("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n"), ("settings/V01__a.sql", "SELECT 1;")],
        "migrations/settings/V01__a.sql: version 1 is taken by `settings/V1__first.sql`; give this \
         file the next free number",
    ),
    (
        &[(
            "migrations.lock",
            "1 26b4a11f39a289a7 settings/V1__first.sql\n1 0123456789abcdef telemetry/V1__x.sql\n",
        )],
        "migrations/migrations.lock:2:1: `telemetry/V1__x.sql` was released and is not here any \
         more; take it back, for devices in the field have run it and new ones still must",
    ),
];

#[test]
fn released_files() {
    check_all(RELEASED_FILES);
}

const LOCK: (&str, &str) = ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n");
const AB: &str = "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n";

/// A product for two slots with these keys of `settings`, whose first migration is released.
#[track_caller]
fn check_other_slot(keys: &str, files: &[(&str, &str)], said: &str) {
    let keys = format!("{AB}{keys}");
    check(&[&[("bootmigrate.toml", keys.as_str()), LOCK], files].concat(), said);
}

#[test]
fn the_other_slot_must_be_able_to_start() {
    let would_not_start = |write: &str| {
        format!(
            "migrations/settings/V2__x.sql: the firmware released last (version 1) would not start \
             after this in the other slot; write {write}"
        )
    };
    let compatible = "`-- bootmigrate: compatible-from = 1` where the released firmware can use \
                      the result as it is";
    let compatible_or_back = format!("{compatible}, or `settings/V2__x.down.sql`");
    let select = ("settings/V2__x.sql", "SELECT 1;");
    let back = ("settings/V2__x.down.sql", "SELECT 1;");
    check_other_slot("", &[select], &would_not_start(&compatible_or_back));
    check_other_slot(
        "",
        &[("settings/V2__x.sql", "-- bootmigrate: irreversible\nSELECT 1;")],
        &would_not_start(&format!("{compatible_or_back} instead of `irreversible`")),
    );
    check_other_slot(
        "",
        &[("settings/V2__x.sql", "-- bootmigrate: compatible-from = 2\nSELECT 1;")],
        &would_not_start(&compatible_or_back),
    );
    check_other_slot(
        "",
        &[("settings/V2__x.sql", "-- bootmigrate: compatible-from = 1\nSELECT 1;")],
        "ok",
    );
    check_other_slot("", &[select, back], "ok");
    check_other_slot(
        "on_newer = [\"compatible\"]\n",
        &[select, back],
        &would_not_start(compatible),
    );
    check_other_slot(
        "on_newer = []\n",
        &[select],
        &would_not_start("\"downgrade\" into `on_newer` of bootmigrate.toml, and a `.down.sql`"),
    );
    check(
        &[("bootmigrate.toml", AB), select],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    );
    check_other_slot("kind = \"rebuildable\"\n", &[select], "ok");
    check_other_slot(
        "snapshot = \"always\"\non_newer = [\"compatible\", \"downgrade\", \"trial-snapshot\"]\n",
        &[select],
        "ok",
    );
}

#[test]
fn one_way_back_must_lead_over_all_new_migrations() {
    let ab = (
        "bootmigrate.toml",
        "slots = \"ab\"\n[databases.settings]\npath = \"/data/settings.db\"\n",
    );
    let lock = ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n");
    let compatible = ("settings/V2__x.sql", "-- bootmigrate: compatible-from = 1\nSELECT 1;");
    let (up, down) =
        (("settings/V3__y.sql", "SELECT 1;"), ("settings/V3__y.down.sql", "SELECT 1;"));
    check(
        &[ab, lock, compatible, up, down],
        "migrations/settings/V2__x.sql: the firmware released last (version 1) must go back by \
         down SQL over another new migration, and would stop at this one; write \
         `settings/V2__x.down.sql`",
    );
    check(&[ab, lock, compatible, ("settings/V2__x.down.sql", "SELECT 1;"), up, down], "ok");
    check(
        &[
            ab,
            lock,
            compatible,
            ("settings/V3__y.sql", "-- bootmigrate: compatible-from = 1\nSELECT 1;"),
        ],
        "ok",
    );
}
