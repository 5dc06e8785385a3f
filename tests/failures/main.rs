//! Owns the rows of docs/failures.md: each is brought about on a device and compared with what the
//! document says.
//! Promises: a real run of the real program; exit, sentence, database and changed names are all
//! looked at.
//! Never accepts a row without an observation: `examples/failure_rows.rs` prints the table and says
//! which are missing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]
#![allow(dead_code)]

#[path = "../integration/application.rs"]
mod application;
mod catalogue;
mod concurrent;
mod counted;
mod cuts;
mod damage;
#[path = "../integration/device.rs"]
mod device;
#[path = "../integration/mount.rs"]
mod mount;
mod names;
mod objects;
#[path = "../integration/oracle.rs"]
mod oracle;
#[path = "../integration/product.rs"]
mod product;
#[path = "../integration/program.rs"]
mod program;
mod row;
mod space;
mod stale;
mod storage;
#[path = "../integration/strace.rs"]
mod strace;
mod table;
mod wiped;
