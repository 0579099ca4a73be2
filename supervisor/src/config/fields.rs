//! The fields of a JSON log line: what the user calls them.

use std::collections::BTreeMap;

use runmate_lines::{Field, Style};

use super::reader::Value;
use super::suggest;

/// `logs.fields`: the words of fields, and what the user calls them.
pub(super) fn read(value: &Value, style: Style) -> BTreeMap<String, String> {
    let mut renames = BTreeMap::new();
    let Some(table) = value.table(None, "a table such as { level = \"severity\" }") else {
        return renames;
    };
    let words = Field::ALL.map(Field::word);
    let mut taken: Vec<(String, String)> = style
        .fixed()
        .iter()
        .map(|name| ((*name).to_owned(), format!("the style has a field {name}")))
        .collect();
    for field in Field::ALL
        .iter()
        .filter(|field| table.get(field.word()).is_none())
    {
        let name = style.name(*field).1.to_owned();
        taken.push((name, format!("{} has this name already", field.word())));
    }
    for (word, value) in table.entries() {
        if !words.contains(&word) {
            let hint = suggest::did_you_mean(word, words);
            let known = words.join(", ");
            value.error(format!("is no field of a log line; there are {known}{hint}"));
            continue;
        }
        let Some(name) = value.filled("another name, such as \"severity\"") else {
            continue;
        };
        if name == "_aws" {
            value.error("cannot be \"_aws\", which marks a metric of CloudWatch; write another name");
        } else if let Some((_, why)) = taken.iter().find(|(other, _)| *other == name) {
            value.error(format!("cannot be {name:?}: {why}; write another name"));
        } else {
            taken.push((name.clone(), format!("{word} has this name already")));
            renames.insert(word.to_owned(), name);
        }
    }
    renames
}
