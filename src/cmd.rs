//! cmd

pub mod code;
