//! Owns the proof that exit 0 hides no change of rows: by name the damaged files of which it once
//! did.
//! Promises: the same cases at every run; `compare-salvage --replay NAME` shows one step by step.
//! Never the whole sweep: `compare-salvage` is that.
#![allow(clippy::expect_used, missing_docs)]

use bootmigrate_lab::salvage::verdict;

/// Files that end on the boundary of a page: 98 of 809 rows came back, and nothing was lost.
const TOO_SHORT: [&str; 9] =
    ["1/160", "1/524", "1/538", "1/1098", "1/1406", "1/1434", "1/1504", "1/1546", "1/1630"];
/// What others showed.
const ONCE_BAD: [(&str, &str); 4] = [
    ("1/1012", "an index was built again, and a page of another stood in a table"),
    ("1/1181", "a check that stopped counted as one that found tables whole"),
    ("1/1992", "values that no column keeps as they are were taken for an application's"),
    (
        "20261130/425",
        "a page of an earlier time in a table without an index, of which nobody can tell",
    ),
];

#[test]
fn exit_0_hides_no_change_of_rows() {
    let too_short = TOO_SHORT.map(|name| (name, "it ends too early"));
    for (name, once) in too_short.into_iter().chain(ONCE_BAD) {
        let wrong = verdict(name).expect("the name of a case");
        assert_eq!(wrong, None, "{name}: {once}");
    }
}
