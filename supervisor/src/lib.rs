//! runmate, the running mate of a single-container app.
pub mod config;
pub mod lookup;
pub mod machine;
pub mod signal;
