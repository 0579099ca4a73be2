//! What the fields of a JSON line are called: the style's names and the user's, put together once.

use std::collections::BTreeMap;

use super::fields::{Field, Place, Style};
use super::object::{Key, KeyTable};

/// Where a field stands, and its name there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The object in which it stands.
    pub place: Place,
    /// What it is called.
    pub text: String,
}

/// The names of all fields, as `logs.style` and `logs.fields` say.
#[derive(Debug)]
pub struct Names {
    style: Style,
    /// In the order of [`Field::ALL`].
    names: Vec<Name>,
    /// For lines that are objects already.
    keys: KeyTable,
}

/// The version of the Elastic Common Schema whose names the style `ecs` has.
pub const ECS_VERSION: &str = "8.10.0";

impl Names {
    /// `renames`: the word of a field, and what it is called instead. Such a field stands at the root.
    pub fn new(style: Style, renames: &BTreeMap<String, String>) -> Names {
        let name = |field: Field| match renames.get(field.word()) {
            Some(name) => Name {
                place: Place::Root,
                text: name.clone(),
            },
            None => {
                let (place, text) = style.name(field);
                Name {
                    place,
                    text: text.to_owned(),
                }
            }
        };
        let names: Vec<Name> = Field::ALL.into_iter().map(name).collect();
        let key = |field: Field, key: Key| (names[field as usize].text.as_str(), key);
        let mut keys = vec![
            ("_aws", Key::Emf),
            key(Field::Timestamp, Key::Timestamp),
            key(Field::Level, Key::Level),
            key(Field::Process, Key::Process),
            key(Field::Stream, Key::Stream),
            key(Field::Pid, Key::Pid),
        ];
        keys.extend(style.fixed().iter().map(|name| match *name {
            "attributes" => (*name, Key::Attributes),
            "resource" => (*name, Key::Resource),
            "severity_number" => (*name, Key::SeverityNumber),
            _ => (*name, Key::EcsVersion),
        }));
        Names {
            keys: KeyTable::new(&keys),
            style,
            names,
        }
    }

    /// The style they are of.
    pub fn style(&self) -> Style {
        self.style
    }

    pub(super) fn keys(&self) -> &KeyTable {
        &self.keys
    }

    /// What a field is called.
    pub fn of(&self, field: Field) -> &Name {
        &self.names[field as usize]
    }

    /// What a field of ours is called that other lines do not have. Those of the Elastic Common Schema
    /// are not to be taken for its own, and what the user called like one of them takes nothing away from it.
    pub fn of_other(&self, word: &str) -> Name {
        if let Some(field) = Field::ALL.into_iter().find(|field| field.word() == word) {
            return self.of(field).clone();
        }
        let is_taken = self.names.iter().any(|name| name.text == word);
        match self.style {
            Style::Lambda if !is_taken => Name {
                place: Place::Root,
                text: word.to_owned(),
            },
            Style::Lambda | Style::Ecs => Name {
                place: Place::Root,
                text: format!("runmate.{word}"),
            },
            Style::Otel => Name {
                place: Place::Attributes,
                text: word.to_owned(),
            },
        }
    }
}

impl Default for Names {
    fn default() -> Names {
        Names::new(Style::Lambda, &BTreeMap::new())
    }
}
