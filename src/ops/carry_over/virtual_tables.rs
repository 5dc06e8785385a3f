//! Owns what becomes of the old database's virtual tables in the one that is built in its place.
//! Promises: text and boxes are brought as rows are; an index of another table's text is built
//! again; what has neither is said.
//! Never takes the tables in which a module keeps its content for ordinary ones.

use super::{counted, is_carried, lines, Filled, Rows, Way, OP};
use crate::device::sqlite::pour::Pour;
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::virtual_tables::{Content, VirtualTable};
use crate::device::{progress, Device};
use crate::error::Failure;
use crate::ops::virtual_tables::rebuild;

/// Those whose rows can go aside: for a migration that does not work on them they are tables like
/// others.
pub fn with_rows(all: Vec<VirtualTable>) -> impl Iterator<Item = Table> {
    let has_rows = |table: &VirtualTable| {
        matches!(table.content, Content::Own | Content::Boxes | Content::Shadows)
    };
    all.into_iter().filter(has_rows).map(|table| Table::named(table.name))
}

/// Brings all of them; the ordinary tables' rows are there already.
///
/// # Errors
/// As SQLite, but for what cannot be read and what is refused.
pub fn bring(device: &Device<'_>, pour: &Pour<'_>, rows: &Rows<'_>) -> Result<Filled, Failure> {
    let made = pour.into.virtual_tables(OP)?;
    let mut brought = Filled::default();
    for table in pour.from.virtual_tables(OP)? {
        progress::begin(&format!("{}: carrying over {}", device.settings.name, table.name));
        let same = made.iter().any(|one| one.is_made_as(&table));
        bring_one(pour, rows, &table, same, &mut brought)?;
    }
    // After the text of every one is there, of those too that the old database did not have.
    for table in &made {
        if let Content::External(text) = &table.content {
            let name = &table.name;
            match rebuild(pour.into, table)? {
                true => brought
                    .notes
                    .push(format!("the virtual table {name} was built again from {text}")),
                false => brought.lost.push(format!(
                    "the content of the virtual table {name}, which cannot be built again from \
                     {text}"
                )),
            }
        }
    }
    Ok(brought)
}

fn bring_one(
    pour: &Pour<'_>,
    rows: &Rows<'_>,
    table: &VirtualTable,
    same: bool,
    brought: &mut Filled,
) -> Result<(), Failure> {
    let name = &table.name;
    let known = pour.from.count_virtual_rows(OP, table)?;
    match &table.content {
        Content::Own | Content::Boxes | Content::Shadows if is_carried(rows, name) => {
            let keep = same && !rows.carry.all_aside && !rows.aside.contains(name);
            let aside = pour.into.aside(OP, &Table::named(name.clone()), rows.carry.version)?;
            let mut poured = pour.pour_virtual(table, keep, &aside)?;
            if keep && table.content == Content::Own && !rebuild(pour.into, table)? {
                brought.notes.push(format!(
                    "the index of the virtual table {name} could not be built again from its text"
                ));
            }
            if let (Content::Own, Some(text), Some(index)) =
                (&table.content, table.shadow("content"), table.shadow("docsize"))
            {
                let bare = pour.from.rows_without(OP, index, text)?.filter(|rows| *rows > 0);
                brought.lost.extend(
                    bare.map(|rows| {
                        format!("{} of {name} that its index alone knew", counted(rows))
                    }),
                );
            }
            poured.known = poured.known.or(known).filter(|_| poured.unread);
            brought.lost.extend(lines(&Way {
                table: &Table::named(name.clone()),
                keep,
                seeded: false,
                aside,
                poured,
                by_index: 0,
                lines: Vec::new(),
            }));
        }
        Content::Own | Content::Boxes => brought.lost.extend(
            known.filter(|rows| *rows > 0).map(|rows| format!("{} of {name}", counted(rows))),
        ),
        Content::None if known == Some(0) && same => {}
        Content::None => {
            let rows = known.map(|rows| format!(" ({})", counted(rows))).unwrap_or_default();
            brought.lost.push(format!(
                "the virtual table {name}, an index whose text is not in the database{rows}"
            ));
        }
        Content::External(text) if !same => {
            brought.lost.push(format!("the virtual table {name}, an index of {text}"))
        }
        Content::Unknown(module) => brought.lost.push(format!(
            "the virtual table {name}, whose module {module} is not in this firmware"
        )),
        Content::Shadows => brought.lost.push(format!("the virtual table {name}")),
        Content::External(_) | Content::Elsewhere => {}
    }
    Ok(())
}
