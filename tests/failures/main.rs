//! Owns the rows of docs/failures.md: each is brought about on a device and compared with what the document says.
//! Promises: a real run of the real program; exit, sentence, database and changed names are all looked at.
//! Never accepts a row without an observation: `examples/failure_rows.rs` prints the table and says which are missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]
#![allow(dead_code)]

#[path = "../stories/application.rs"]
mod application;
mod catalogue;
mod counted;
mod cuts;
mod damage;
#[path = "../stories/device.rs"]
mod device;
#[path = "../stories/mount.rs"]
mod mount;
mod names;
mod neighbours;
mod objects;
#[path = "../stories/oracle.rs"]
mod oracle;
#[path = "../stories/product.rs"]
mod product;
#[path = "../stories/program.rs"]
mod program;
mod row;
mod space;
mod stale;
mod storage;
#[path = "../stories/strace.rs"]
mod strace;
mod table;
