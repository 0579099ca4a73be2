//! The keys of an object that are looked for.

/// A key of a line's own object that decides what is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Timestamp = 1,
    Level = 2,
    Process = 4,
    Stream = 8,
    Pid = 16,
    /// `_aws`, the mark of CloudWatch's Embedded Metric Format.
    Emf = 32,
    EcsVersion = 64,
    SeverityNumber = 128,
    Attributes = 256,
    Resource = 512,
    /// Another common name of the time.
    OtherTime = 1024,
    /// Another common name of the level.
    OtherLevel = 2048,
}

/// What loggers call the time and the level.
const OTHERS: [(&str, Key); 13] = [
    ("timestamp", Key::OtherTime),
    ("@timestamp", Key::OtherTime),
    ("time", Key::OtherTime),
    ("ts", Key::OtherTime),
    ("level", Key::OtherLevel),
    ("severity", Key::OtherLevel),
    ("lvl", Key::OtherLevel),
    ("log.level", Key::OtherLevel),
    ("severity_text", Key::OtherLevel),
    ("severityText", Key::OtherLevel),
    ("levelname", Key::OtherLevel),
    ("loglevel", Key::OtherLevel),
    ("log_level", Key::OtherLevel),
];

/// The keys that are looked for.
#[derive(Debug)]
pub(crate) struct KeyTable {
    /// Shorter ones first.
    entries: Vec<(Box<[u8]>, Meaning)>,
    /// Where the entries of a length begin; the last for all that are longer. There are few of each.
    begins: [u8; LENGTHS + 1],
    /// A bit for each first letter of a length. Nearly every name of a line is told from ours by it.
    firsts: [u32; LENGTHS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Key(Key),
    /// What stands before the dot of a key that has one: `{"log":{"level":…}}` has `log.level`.
    Parent,
}

const LENGTHS: usize = 24;

impl KeyTable {
    /// `keys`: the names in use. They come before other names of the same.
    pub fn new(keys: &[(&str, Key)]) -> KeyTable {
        let all = || keys.iter().chain(&OTHERS);
        let parents = all().filter_map(|(name, _)| Some((name.split_once('.')?.0, Meaning::Parent)));
        let mut entries: Vec<(Box<[u8]>, Meaning)> = parents
            .chain(all().map(|(name, key)| (*name, Meaning::Key(*key))))
            .map(|(name, meaning)| (name.as_bytes().into(), meaning))
            .collect();
        entries.sort_by_key(|(name, _)| name.len());
        let mut begins = [entries.len() as u8; LENGTHS + 1];
        for (length, begin) in begins.iter_mut().take(LENGTHS).enumerate() {
            *begin = entries.partition_point(|(name, _)| name.len() < length) as u8;
        }
        let mut firsts = [0; LENGTHS];
        for (name, _) in &entries {
            firsts[name.len().min(LENGTHS - 1)] |= bit_of_first(name);
        }
        KeyTable {
            entries,
            begins,
            firsts,
        }
    }

    /// The meanings of a name: a parent first.
    #[inline(always)]
    pub(super) fn find(&self, name: &[u8]) -> Option<Meaning> {
        let length = name.len().min(LENGTHS - 1);
        match self.firsts[length] & bit_of_first(name) {
            0 => None,
            _ => self.search(name, length),
        }
    }

    fn search(&self, name: &[u8], length: usize) -> Option<Meaning> {
        let (begin, end) = (self.begins[length], self.begins[length + 1]);
        let mut candidates = self.entries[usize::from(begin)..usize::from(end)].iter();
        candidates
            .find(|(known, _)| known.first() == name.first() && **known == *name)
            .map(|(_, meaning)| *meaning)
    }

    pub(super) fn key(&self, name: &[u8]) -> Option<Key> {
        self.entries.iter().find_map(|(known, meaning)| match meaning {
            Meaning::Key(key) if **known == *name => Some(*key),
            _ => None,
        })
    }
}

/// The lowest five bits tell letters apart.
#[inline(always)]
fn bit_of_first(name: &[u8]) -> u32 {
    name.first().map_or(0, |first| 1 << (first & 31))
}
