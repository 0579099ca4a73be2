//! `[health.check.*]`: what checks see, where they run, and what follows.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/programs.rs"]
mod programs;

mod commands;
mod flood;
mod gate;
mod helper;
mod lab;
mod outage;
mod restart;
mod secrecy;
mod stop;
mod system;
