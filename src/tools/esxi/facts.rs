//! What a server's objects tell, as fields of an answer.
//!
//! The tables and their reader are the client's; this only gives them the form of a record. It knows
//! no tool and no type. Surprising: a fact that could not be read has no field, rather than an empty
//! one.

use crate::hv::places::Fact;
use crate::tools::reply::Record;
use crate::vsphere::facts::{Facts, Field, Told, facts};
use crate::vsphere::inventory::deep;
use crate::vsphere::props::Row;

/// Adds what the row has of these; what could not be read is left out.
pub fn add(record: Record, row: &Row, fields: &[Field]) -> Record {
    with_facts(record, facts(fields, &|path| deep(row, path)))
}

/// Facts as an answer's fields, behind those that are there.
pub fn with_facts(record: Record, facts: Facts) -> Record {
    facts.into_iter().fold(record, |record, (name, told)| match told {
        Told::Plain(fact) => plain(record, name, &fact),
        Told::Texts(texts) => record.texts(name, &texts),
        Told::Rows(rows) => {
            let row = |facts| with_facts(Record::new(), facts);
            record.records(name, rows.into_iter().map(row).collect())
        }
    })
}

/// One fact as a field.
pub fn plain(record: Record, name: &'static str, fact: &Fact) -> Record {
    match fact {
        Fact::Text(text) => record.text(name, text),
        Fact::Number(number) => record.int(name, *number),
        Fact::Flag(flag) => record.flag(name, *flag),
    }
}
