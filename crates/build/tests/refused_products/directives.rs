//! Owns the transcript of what is said about directives and ways back.
//! Promises: every sentence word for word, with its place.
//! Never looks into the reader: folders in, sentences out.

use super::{check, check_all, Case};

const DIRECTIVES: &[Case] = &[
    (
        &[("settings/V2__x.sql", "-- bootmigrate: no_transaction\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: there is no directive `no_transaction`; did you mean \
         `no-transaction`?",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: make-it-so\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: there is no directive `make-it-so`; there are \
         `no-transaction`, `foreign-keys`, `compatible-from`, `irreversible`, `expect`, `batch`, \
         `needs-space`, `code`, `allow`",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate no-transaction\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: a colon is missing; write `-- bootmigrate: \
         no-transaction`",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate runs this last\nSELECT 1;")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    ),
    (
        &[("settings/V2__x.sql", "/* bootmigrate: irreversible */\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: a directive is a comment of one line; write `-- \
         bootmigrate: irreversible`",
    ),
    (
        &[("settings/V2__x.sql", "-- Bootmigrate: irreversible\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `bootmigrate` is written in small letters; write `-- \
         bootmigrate: irreversible`",
    ),
    (
        &[("settings/V2__x.sql", "SELECT 1;\n-- bootmigrate: irreversible\n")],
        "migrations/settings/V2__x.sql:2:1: a directive stands at the head of the file, before the \
         first statement; move this line up",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: irreversible batch\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `irreversible` takes no value; write `-- bootmigrate: \
         irreversible`, and any other directive on a line of its own",
    ),
    (
        &[(
            "settings/V2__x.sql",
            "-- bootmigrate: irreversible\n-- bootmigrate: irreversible\nSELECT 1;",
        )],
        "migrations/settings/V2__x.sql:2:1: `irreversible` stands here twice; remove one of the \
         two",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: foreign-keys = yes\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `foreign-keys` takes on, deferred, enforced or off; \
         write for example `-- bootmigrate: foreign-keys = on`",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: compatible-from = 3\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `compatible-from` takes the oldest schema version \
         whose firmware can use the result, from 1 to 2; write for example `-- bootmigrate: \
         compatible-from = 1`",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: compatible-from\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `compatible-from` takes the oldest schema version \
         whose firmware can use the result, from 1 to 2; write for example `-- bootmigrate: \
         compatible-from = 1`",
    ),
    (&[("settings/V2__x.sql", "-- bootmigrate: needs-space = 2,0\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `needs-space` takes a multiple of the database's size, \
        from 0.01 to 100 with at most two decimals; write for example `-- bootmigrate: needs-space \
        = 2.0`"),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: code revision=0\n")],
        "migrations/settings/V2__x.sql:1:1: `code` takes the revision of the Rust code, from 1; \
         write for example `-- bootmigrate: code revision=1`",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: code revision = 1\n")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: expect =\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `expect` takes a query that must return no row; write \
         for example `-- bootmigrate: expect = SELECT * FROM network WHERE ssid IS NULL`",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: expect = DELETE FROM a\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `expect` takes a query that begins with SELECT, WITH \
         or VALUES; write for example `-- bootmigrate: expect = SELECT * FROM network WHERE ssid \
         IS NULL`",
    ),
    (&[("settings/V2__x.sql", "-- bootmigrate: expect = SELECT 1; SELECT 2\nSELECT 1;")], "migrations/settings/V2__x.sql:1:1: `expect` takes one query, and each further one its own \
        line; write for example `-- bootmigrate: expect = SELECT * FROM network WHERE ssid IS \
        NULL`"),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: expect = SELECT 'a\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: the query of this `expect` does not end on its line: \
         this text has no end; write the closing `'` (and `''` for one inside)",
    ),
    (
        &[("settings/V2__x.sql", "-- bootmigrate: batch\nSELECT 1;")],
        "migrations/settings/V2__x.sql:1:1: `batch` is for data migrations only; move this file \
         into the folder `data`, or remove this line",
    ),
    (
        &[("settings/data/V1__x.sql", "-- bootmigrate: batch\nSELECT 1;")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release",
    ),
    (
        &[(
            "settings/data/V1__x.sql",
            "-- bootmigrate: batch\n-- bootmigrate: no-transaction\nSELECT 1;",
        )],
        "migrations/settings/data/V1__x.sql:2:1: a data migration changes rows beside running \
         applications, and this is for migrations of the schema; remove this line",
    ),
    (
        &[("settings/data/V1__x.sql", "SELECT 1;\n DROP TABLE a;")],
        "migrations/settings/data/V1__x.sql:2:2: `DROP` is not allowed: a data migration changes \
         rows alone, beside running applications; write what changes the schema in a migration of \
         its own, outside `data`",
    ),
    (&[("settings/data/V1__x.sql", "SELECT 1;"), ("settings/data/V1__x.down.sql", "SELECT 1;")], "migrations/settings/data/V1__x.down.sql: a data migration is never gone back over; remove \
        this file, or write the way back as a new data migration"),
    (
        &[(
            "settings/V2__x.sql",
            "-- bootmigrate: code revision=1\n-- bootmigrate: no-transaction\n",
        )],
        "migrations/settings/V2__x.sql:1:1: the Rust code is given a transaction, so \
         `no-transaction` cannot be; remove one of the two lines",
    ),
];

#[test]
fn directives() {
    check_all(DIRECTIVES);
    let allow = "migrations/settings/V2__x.sql:1:1: `allow` takes the code of a lint and the \
                 reason; write for example `-- bootmigrate: allow = BM012 because the table has \
                 ten rows`";
    for wrong in [
        "BM012",
        "BM012 because ",
        "BM12 because of it",
        "012 because of it",
        "BM012 since it is so",
    ] {
        check(
            &[("settings/V2__x.sql", &format!("-- bootmigrate: allow = {wrong}\nSELECT 1;"))],
            allow,
        );
    }
}

#[test]
fn ways_back() {
    check(
        &[("settings/V2__x.down.sql", "SELECT 1;")],
        "migrations/settings/V2__x.down.sql: there is no `settings/V2__x.sql` for this way back; \
         write it, or remove this file",
    );
    check(
        &[("settings/V1__firts.down.sql", "SELECT 1;")],
        "migrations/settings/V1__firts.down.sql: this is the way back of `settings/V1__first.sql` \
         under another name; write `settings/V1__first.down.sql`",
    );
    check(
        &[
            ("settings/V2__x.sql", "-- bootmigrate: irreversible\nSELECT 1;"),
            ("settings/V2__x.down.sql", "SELECT 1;"),
        ],
        "migrations/settings/V2__x.sql:1:1: `irreversible` says that there is no way back, and a \
         `.down.sql` is one; remove this line or that file",
    );
    check(
        &[("settings/V1__first.down.sql", "-- bootmigrate: irreversible\nDROP TABLE a;")],
        "migrations/settings/V1__first.down.sql:1:1: a down file has no directives; write them at \
         the head of the migration itself",
    );
    check(
        &[("settings/V1__first.down.sql", "-- nothing\n")],
        "migrations/settings/V1__first.down.sql: there is no statement in this file; write the way \
         back, or remove the file",
    );
    check(&[("settings/V1__first.down.sql", "COMMIT;")], "migrations/settings/V1__first.down.sql:1:1: `COMMIT` is not allowed: bootmigrate runs all \
        pending migrations and their history in one transaction of its own; remove this statement");
}
