//! What becomes of a line that a process of a container prints: bytes in, bytes out, no I/O and no clock.
//!
//! | module | does |
//! |---|---|
//! | `mask` | takes secrets out of a chunk |
//! | `frame` | cuts it into lines, and lines that are too long into parts |
//! | `join` | makes one event of a traceback's lines |
//! | `level` | how much a line matters, by its beginning |
//! | `object` | whether a line is a JSON object already, and what it has |
//! | `format` | wraps it into its envelope (`envelope`, `fields`, `names`, `json`, `time`) |
//!
//! A crate of its own because it is what each line pays for: it is compiled for speed, the rest of `runmate` for size.

mod envelope;
mod fields;
mod format;
mod frame;
mod join;
mod json;
mod level;
mod mask;
mod names;
mod object;
mod time;

pub use fields::{Field, Place, Style};
pub use format::{Formatter, LogFormat, Origin, Stamp};
pub use frame::{Framer, Piece};
pub use join::{Give, Joined, Joiner, Language, Multiline};
pub use level::Level;
pub use mask::{Masker, Masks};
pub use names::{ECS_VERSION, Name, Names};
pub use time::rfc3339_micros;
