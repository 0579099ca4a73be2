//! `runmate migrate` and `[migrate]` against real servers.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/programs.rs"]
mod programs;

mod commands;
mod compatible;
mod fleet;
mod frameworks;
mod in_run;
mod lab;
mod mariadb;
mod refused;
mod repair;
mod stop;
mod takeover;
mod waiting;
