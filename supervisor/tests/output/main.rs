//! From the pipes of the children to stdout: whole lines, in order, none lost, all of them JSON.

#[path = "../support/bare.rs"]
mod bare;
// The runs of these tests have a stdout of their own making, which its builder does not offer.
#[allow(unused_imports)]
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tally.rs"]
mod tally;

mod crowd;
mod last_words;
mod lines;
mod masks;
mod parts;
mod random;
mod tracebacks;
