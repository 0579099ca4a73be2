//! From the pipes of the children to runmate's stdout.
//!
//! A line's way: [`Stream`] reads a chunk from a pipe → [`runmate_lines`] takes secrets out, cuts it into lines,
//! makes one of a traceback's and wraps each into its envelope → [`Sink`] puts the batch into the `queue` →
//! its thread, the only one that ever writes to stdout, writes it with one system call. Lines never pass through the machine.
//!
//! Runmate's own lines come as events of `tracing`, by way of `own`.
//!
//! Memory is bounded: a stream stops reading while the queue is full, which holds its process back
//! as an ordinary pipe would. Once stdout has taken nothing at all for the configured time, lines are
//! dropped and counted instead, and the count is reported as soon as there is room again.
//!
//! Lines that other processes take on their stdin leave the stream by a [`Fork`], into the [`Feed`] of each.

mod counts;
mod event;
mod feed;
mod fork;
mod own;
mod queue;
mod sink;
mod stream;

pub use counts::{Count, FeedCounts, StreamCounts};
pub use event::{Line, Look};
pub use feed::{Feed, FeedOptions, FeedSource};
pub use fork::Fork;
pub use runmate_lines::{Formatter, Level, Masks, Names, Origin};
pub use sink::{Sink, SinkOptions};
pub use stream::{Scratch, Stream, Watch};
