//! Owns every decision: facts and policy in, a plan out.
//! Promises: total functions over plain data, a reason beside every arm; the plan printed is the
//! plan done.
//! Never touches a file, SQLite, a clock or the log.

pub mod asked;
pub mod damage;
pub mod decision;
pub mod facts;
pub mod fallback;
pub mod limits;
pub mod newer;
pub mod pending;
pub mod plan;
pub mod policy;
pub mod record;
pub mod replacement;
pub mod rounds;
pub mod space;
