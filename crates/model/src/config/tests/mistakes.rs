//! Owns the table of mistakes in a whole file: what is not TOML, the keys at the top, the tables,
//! and what a device's file cannot override, each with its place and whole sentence.
//! Promises: columns are characters, also behind letters of more than one byte.
//! Never holds a text that is right.

use super::{check, check_over};

#[track_caller]
fn check_all(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        check(text, expected);
    }
}

#[test]
fn text_that_is_not_toml() {
    check_all(&[
        (
            r#"slots = "ab"#,
            r#"1:12: not TOML: invalid basic string, expected `"`; write key = value, or a table header such as [databases.settings]"#,
        ),
        (
            "slots",
            "1:6: not TOML: key with no value, expected `=`; write key = value, or a table header \
             such as [databases.settings]",
        ),
        ("slots = ab", r#"1:9: this value has no quotes; write text between " and ""#),
        (
            "= 3",
            "1:1: not TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`; \
             write key = value, or a table header such as [databases.settings]",
        ),
        (
            "x = {",
            "1:6: not TOML: unclosed inline table, expected `}`; write key = value, or a table \
             header such as [databases.settings]",
        ),
        (
            "a = [1,,2]",
            "1:8: not TOML: extra comma in array, expected value; write key = value, or a table \
             header such as [databases.settings]",
        ),
        (
            r#""größe" = "x" y"#,
            "1:15: not TOML: unexpected key or value, expected newline, `#`; write key = value, or \
             a table header such as [databases.settings]",
        ),
        (
            "[databases.settings",
            "1:20: not TOML: unclosed table, expected `]`; write key = value, or a table header \
             such as [databases.settings]",
        ),
        (
            "[databases.Grüße]",
            "1:14: not TOML: invalid unquoted key, expected letters, numbers, `-`, `_`; write key \
             = value, or a table header such as [databases.settings]",
        ),
        ("[databases.a]\n[databases.a]", "2:12: this key is written twice; write it once"),
        (
            "marker = \"/x\" # größe \0",
            "1:23: not TOML: invalid comment character, expected printable characters; write key = \
             value, or a table header such as [databases.settings]",
        ),
        (
            "\u{feff}marker = \"/größe/\t\"\r x",
            "1:21: not TOML: carriage return must be followed by newline, expected newline; write \
             key = value, or a table header such as [databases.settings]",
        ),
    ]);
}

#[test]
fn keys_at_the_top() {
    check_all(&[
        ("", " no database is named; write a table such as [databases.settings]"),
        (r#"slot = "ab""#, "1:1: slot is not a known key here; write slots"),
        (
            "zzz = 1",
            "1:1: zzz is not a known key here; the keys known here are slots, mode, example, \
             marker, memory_mib, databases",
        ),
        (
            r#""größe" = 1"#,
            r#"1:1: "größe" is not a known key here; the keys known here are slots, mode, example, marker, memory_mib, databases"#,
        ),
        ("\u{feff}slot = 1", "1:1: slot is not a known key here; write slots"),
        (
            r#"kind = "precious""#,
            "1:1: kind is not a known key here; write kind below a header [databases.NAME]",
        ),
        ("[database.settings]", "1:2: database is not a known key here; write databases"),
        (r#"slots = "a""#, r#"1:9: slots = "a" is not known; write "ab" or "single""#),
        (
            "slots = 2",
            r#"1:9: slots is a whole number, not text in quotes; write slots = "single""#,
        ),
        (
            r#"mode = "0640""#,
            r#"1:8: mode = "0640" is the mode of a file; write it below a header [databases.NAME], and here "observe" or "normal""#,
        ),
        (r#"mode = "watch""#, r#"1:8: mode = "watch" is not known; write "observe" or "normal""#),
        (r#"example = "yes""#, "1:11: example is text, not true or false; write example = true"),
        (
            "example = 2024-01-01",
            "1:11: example is a date, not true or false; write example = true",
        ),
        (r#"marker = "boot""#, r#"1:10: marker = "boot" is not absolute; begin it with /"#),
        (
            r#"marker = "/boot/""#,
            r#"1:10: marker = "/boot/" is a folder; write the file's name after it"#,
        ),
        (
            "marker = \"/var/lib/a/a.db\"\n[databases.a]",
            "1:1: marker /var/lib/a/a.db is the database a; write another path",
        ),
    ]);
}

#[test]
fn tables_of_databases() {
    check_all(&[
        ("databases = 3", "1:1: databases is a whole number, not a table; write the header \
                           [databases.settings]"),
        ("[[databases]]", "1:3: databases is a list, not a table; write the header \
                           [databases.settings]"),
        ("[databases]\na = 3", "2:1: a is a whole number, not a table; write the header \
                                [databases.a]"),
        (
            "[databases.\"größe\"]\npfad = 1",
            r#"1:12: the database name "größe" has other characters than a-z, 0-9, _ and -; write a name such as settings"#,
        ),
        (r#"[databases."-x"]"#, "1:12: the database name -x would be taken for an option on the \
                                 command line; begin it with a letter"),
        (r#"[databases.""]"#, r#"1:12: the database name "" is empty; write a name such as settings"#),
        (
            "[databases.Settings]",
            "1:12: the database name Settings has other characters than a-z, 0-9, _ and -; write a \
             name such as settings",
        ),
        (
            "[databases.a]\npath = \"/x.db\"\n[databases.b]\npath = \"/x.db\"",
            "4:1: in [databases.b], path /x.db is the database a; write another path",
        ),
        (
            "[databases.a]\npath = \"/var/lib/b/b.db\"\n[databases.b]",
            "3:12: in [databases.b], path /var/lib/b/b.db is the database a; write another path",
        ),
    ]);
}

#[test]
fn what_a_device_cannot_override() {
    check_over(
        "example = false",
        "1:1: example is decided when the firmware is built; write it in the image's own \
         bootmigrate.toml",
    );
    check_over(
        "# ü\n[databases.settings]\nbaseline_version = 3",
        "3:1: baseline_version is decided when the firmware is built; write it in the image's own \
         bootmigrate.toml",
    );
    check_over(
        "[databases.settings]\nversions = 64",
        "2:1: versions is decided when the firmware is built; write it in the image's own \
         bootmigrate.toml",
    );
    check_over(r#"slots = "abc""#, r#"1:9: slots = "abc" is not known; write "ab" or "single""#);
    check_over(
        "[databases.settings]\non_newer = [\"trial-snapshot\"]",
        r#"2:1: in [databases.settings], on_newer has "trial-snapshot", which needs a second slot; write slots = "ab" at the top of the file, or leave it out"#,
    );
    check_over(
        "[databases.settings]\nquarantine_max = 0",
        r#"2:1: in [databases.settings], quarantine_max = 0 would let precious data go without a trace; write 1 or more, or kind = "rebuildable""#,
    );
    check_over("slots = ", "1:9: this key has no value; write one after =");
}
