//! A stdout that is stuck, slow, full or gone. Nothing is lost in silence, and nobody waits for ever.

#[path = "../support/bare.rs"]
mod bare;
// The runs of these tests have a stdout of their own making, which its builder does not offer.
#[allow(unused_imports)]
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tally.rs"]
mod tally;

mod full_disk;
mod gone;
mod slow;
mod stopped;
