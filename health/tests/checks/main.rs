//! The built-in checks against real servers: those that answer, refuse, hang, and come back.

mod certificate;
mod databases;
mod exec;
mod hostile;
mod lookup;
mod mysql;
mod postgres;
mod redis;
mod resumption;
mod shortage;
mod silent;
mod support;
mod web;
