//! The members of an object that is written by hand, some of them within `attributes` and `resource`.

use super::fields::Place;

/// Members as JSON, by the place where they stand.
#[derive(Debug, Default)]
pub(super) struct Members {
    root: Vec<u8>,
    attributes: Vec<u8>,
    resource: Vec<u8>,
}

impl Members {
    /// Adds `"name":value`.
    pub fn add(&mut self, place: Place, member: &[u8]) {
        let list = match place {
            Place::Root => &mut self.root,
            Place::Attributes => &mut self.attributes,
            Place::Resource => &mut self.resource,
        };
        if !list.is_empty() {
            list.push(b',');
        }
        list.extend_from_slice(member);
    }

    /// Appends all of them, a comma before each: something stands before them.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        if !self.root.is_empty() {
            out.push(b',');
            out.extend_from_slice(&self.root);
        }
        for (name, list) in [("attributes", &self.attributes), ("resource", &self.resource)] {
            if !list.is_empty() {
                out.extend_from_slice(format!(",\"{name}\":{{").as_bytes());
                out.extend_from_slice(list);
                out.push(b'}');
            }
        }
    }
}
