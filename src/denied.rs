//! Owns the PRAGMAs that a migration cannot or must not set, and what to write instead.
//! Promises: one list for the build's rules and for the device's authorizer.
//! Never lists what is merely unusual.

/// PRAGMAs that cannot work inside a migration or are dangerous there, and why. All others are allowed.
pub const DENIED_PRAGMAS: &[(&str, &str)] = &[
    ("busy_timeout", "the locks are bootmigrate's own; set `busy_timeout_s` in bootmigrate.toml"),
    ("checkpoint_fullfsync", "how data reaches the storage is bootmigrate's own; remove this statement"),
    ("data_store_directory", "it changes the whole process; remove this statement"),
    ("encoding", "it has no effect once a table exists; remove this statement"),
    (
        "foreign_keys",
        "it is silently ignored inside a transaction, and foreign keys are off while migrating; remove it, or write `-- bootmigrate: foreign-keys = on` at the head of the file to have them checked right after this migration",
    ),
    ("fullfsync", "how data reaches the storage is bootmigrate's own; remove this statement"),
    ("hard_heap_limit", "it changes the whole process; remove this statement"),
    ("ignore_check_constraints", "it lets rows in that the schema forbids; repair the rows instead"),
    ("journal_mode", "it cannot change inside a transaction; set `journal_mode` in bootmigrate.toml"),
    ("journal_size_limit", "how data reaches the storage is bootmigrate's own; remove this statement"),
    ("locking_mode", "the locks are bootmigrate's own; remove this statement"),
    ("query_only", "it would forbid writing the history; remove this statement"),
    ("schema_version", "it can corrupt the database; remove this statement"),
    ("soft_heap_limit", "it changes the whole process; remove this statement"),
    ("synchronous", "how data reaches the storage is bootmigrate's own; remove this statement"),
    ("temp_store_directory", "it changes the whole process; remove this statement"),
    ("trusted_schema", "a migration runs without trust in the schema; remove this statement"),
    ("wal_autocheckpoint", "checkpoints are bootmigrate's own; remove this statement"),
    ("wal_checkpoint", "it cannot work inside a transaction, and bootmigrate does it after the commit; remove this statement"),
    (
        "writable_schema",
        "an edited sqlite_schema can corrupt the database; make a new table, copy the rows, drop the old one and rename",
    ),
];
