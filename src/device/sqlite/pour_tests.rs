//! Owns the rows that must arrive as they were, and those that a table refuses.
//! Promises: values are compared byte for byte.
//! Never touches a file, but for one whose pages are damaged by hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use super::*;
use crate::device::sqlite::Sqlite;

const OP: Op = Op("test");
const SCHEMA: &str = "CREATE TABLE numbered(id INTEGER PRIMARY KEY, a UNIQUE, b TEXT NOT NULL, \
                      twice AS (a || a));
    CREATE TABLE plain(a);
    CREATE TABLE keyed(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT);
    CREATE TRIGGER more AFTER INSERT ON numbered BEGIN INSERT INTO plain VALUES ('by the \
                      trigger'); END;";

fn database(sql: &str) -> Database {
    let database = Sqlite::default().scratch(OP).unwrap();
    database.run(OP, sql).unwrap();
    database
}

fn brought(old: &str, new: &str) -> (Database, Vec<RowCounts>) {
    let (from, into) = (database(old), database(new));
    into.triggers(OP, false).unwrap();
    let pour = Pour { from: &from, into: &into, stop: &AtomicBool::new(false), op: OP };
    let pour_table =
        |table: &Table| pour.pour(table, true, &into.aside(OP, table, 1).unwrap()).unwrap();
    let poured = from.ordinary_tables(OP, "history").unwrap().iter().map(pour_table).collect();
    into.take_numbers_of(OP, &from, true).unwrap();
    (into, poured)
}

#[test]
fn values_and_row_numbers_arrive_as_they_were() {
    let old = format!(
        "{SCHEMA} DROP TRIGGER more; INSERT INTO numbered VALUES (-7, x'00ff', CAST(x'41ff42' AS \
         TEXT)), (9223372036854775807, 1.5, '');
         INSERT INTO plain(rowid, a) VALUES (5, NULL), (17, 'x'); INSERT INTO keyed VALUES ('k', 1);
         INSERT INTO counted VALUES (40), (41); DELETE FROM counted WHERE id = 41; PRAGMA \
         user_version = 8;"
    );
    let (into, poured) = brought(&old, SCHEMA);
    let kept: Vec<u64> = poured.iter().map(|table| table.kept).collect();
    assert_eq!((kept, poured.iter().map(|table| table.aside).sum()), (vec![1, 1, 2, 2], 0u64));
    let show = "SELECT id || quote(a) || hex(b) FROM numbered UNION ALL SELECT rowid || quote(a) \
                FROM plain UNION ALL SELECT k || v FROM keyed UNION ALL SELECT seq FROM \
                sqlite_sequence WHERE name = 'counted' UNION ALL SELECT user_version FROM \
                pragma_user_version";
    let all = into.texts(OP, show).unwrap();
    assert_eq!(all, ["-7X'00FF'41FF42", "92233720368547758071.5", "5NULL", "17'x'", "k1", "", ""]);
}

#[test]
fn what_a_table_refuses_goes_aside_and_takes_no_other_rows_place() {
    let old =
        "CREATE TABLE numbered(id INTEGER PRIMARY KEY, a, b); INSERT INTO numbered VALUES (1, 1, \
         'x'), (2, 1, 'same a'), (3, 3, NULL)";
    let (into, poured) = brought(old, &SCHEMA.replace("UNIQUE", "UNIQUE ON CONFLICT REPLACE"));
    assert_eq!(poured, [RowCounts { kept: 1, aside: 2, ..RowCounts::default() }]);
    assert_eq!(into.texts(OP, "SELECT b FROM numbered").unwrap(), ["x"]);
    assert_eq!(
        into.texts(OP, "SELECT id || quote(b) FROM lost_numbered").unwrap(),
        ["2'same a'", "3NULL"]
    );
}

#[test]
fn an_integer_key_with_an_index_of_its_own_is_no_row_number() {
    let schema = "CREATE TABLE falling(id INTEGER PRIMARY KEY DESC, a)";
    let (into, _) =
        brought(&format!("{schema}; INSERT INTO falling VALUES (70, 'x'), (7, 'y')"), schema);
    assert_eq!(
        into.texts(OP, "SELECT rowid || ':' || id || a FROM falling ORDER BY rowid").unwrap(),
        ["1:70x", "2:7y"]
    );
    let trees = into.known_trees(OP).unwrap();
    let shapes: Vec<_> = trees
        .iter()
        .filter(|tree| tree.table == "falling" && !tree.is_index)
        .map(|tree| tree.shape.alias)
        .collect();
    assert_eq!(shapes, [None], "its column is read from the page");
}

#[test]
fn no_two_places_for_lost_rows_have_one_name() {
    let database =
        database("CREATE TABLE pages(a); CREATE TABLE lost_pages_2(a); CREATE TABLE other(a)");
    let tables = database.ordinary_tables(OP, "history").unwrap();
    let (mut names, pages) =
        database.aside_each(OP, &tables.iter().collect::<Vec<_>>(), 1, Vec::new()).unwrap();
    names.push(pages);
    let names: std::collections::BTreeSet<&str> =
        names.iter().map(|name| name.name.as_str()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

/// A second time does not forget of which time the rows are, nor take a table of the application's
/// for one of ours.
#[test]
fn what_was_put_aside_keeps_its_name_and_its_version() {
    let database =
        database("CREATE TABLE t(a); CREATE TABLE lost_t(a); CREATE TABLE \"lost_(\"(a)");
    let tables = database.ordinary_tables(OP, "history").unwrap();
    assert!(tables.iter().all(|table| !table.is_aside()));
    let first = |table: &Table| {
        let aside = database.aside(OP, table, 7).unwrap();
        database.make_aside(table, &aside).unwrap();
    };
    tables.iter().for_each(first);
    let tables = database.ordinary_tables(OP, "history").unwrap();
    let versions: Vec<_> =
        tables.iter().map(|table| (table.name.as_str(), table.aside_of)).collect();
    let expected = [
        ("lost_(", None),
        ("lost_lost_(", Some(7)),
        ("lost_lost_t", Some(7)),
        ("lost_t", None),
        ("lost_t_2", Some(7)),
        ("t", None),
    ];
    assert_eq!(versions, expected);
    let fresh = self::database("CREATE TABLE other(a)");
    for table in tables.iter().filter(|table| table.is_aside()) {
        fresh.make_aside(table, &fresh.aside(OP, table, 9).unwrap()).unwrap();
    }
    let again = fresh.ordinary_tables(OP, "history").unwrap();
    let again: Vec<_> = again.iter().map(|table| (table.name.as_str(), table.aside_of)).collect();
    let expected = [
        ("lost_lost_(", Some(7)),
        ("lost_lost_t", Some(7)),
        ("lost_t_2", Some(7)),
        ("other", None),
    ];
    assert_eq!(again, expected);
}

/// Every pointer of an interior page of a table leads to this page.
fn lead_all(page: &mut [u8], to: u32) {
    let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
    let at =
        |cell: usize| usize::from(u16::from_be_bytes([page[12 + 2 * cell], page[13 + 2 * cell]]));
    let pointers: Vec<usize> = (0..cells).map(at).chain([8]).collect();
    pointers
        .into_iter()
        .for_each(|pointer| page[pointer..pointer + 4].copy_from_slice(&to.to_be_bytes()));
}

#[test]
fn pages_that_lead_to_the_same_page_are_not_read_for_ever() {
    const PAGE: usize = 512;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let rows = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1500) INSERT INTO \
                numbered(id, a) SELECT i, i FROM n";
    let sql = format!(
        "PRAGMA page_size = {PAGE}; CREATE TABLE numbered(id INTEGER PRIMARY KEY, a, b); {rows}"
    );
    connection.execute_batch(&sql).unwrap();
    let root: u32 =
        connection.query_row("SELECT rootpage FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    let root = root as usize;
    drop(connection);
    let mut file = std::fs::read(&path).unwrap();
    let page = |number: usize| (number - 1) * PAGE..number * PAGE;
    assert_eq!(file[page(root)][0], 5, "the root is an interior page");
    let (leaf, shared) = (root + 1, root + 2);
    // The root leads to one page alone, by every pointer, and that one to one leaf.
    let above = file[page(root)].to_vec();
    file[page(shared)].copy_from_slice(&above);
    lead_all(&mut file[page(shared)], u32::try_from(leaf).unwrap());
    lead_all(&mut file[page(root)], u32::try_from(shared).unwrap());
    std::fs::write(&path, &file).unwrap();

    let (from, into) = (
        Sqlite::default().look_immutable(OP, &path).unwrap(),
        database("CREATE TABLE numbered(id INTEGER PRIMARY KEY, a, b)"),
    );
    let pour = Pour { from: &from, into: &into, stop: &AtomicBool::new(false), op: OP };
    let table = from.ordinary_tables(OP, "history").unwrap().remove(0);
    let poured = pour.pour(&table, true, &into.aside(OP, &table, 1).unwrap()).unwrap();
    assert!(
        poured.unread
            && poured.kept > 0
            && poured.kept + poured.aside <= file.len() as u64 / ROW_BYTES_MIN,
        "{poured:?}"
    );
}
