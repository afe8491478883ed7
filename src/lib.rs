#![doc = include_str!("README.md")]

pub mod cli;
pub mod cmd;
pub mod config;
pub mod error;

pub mod code;

pub mod call;
pub mod headless;
pub mod report;
pub mod share;
pub mod transport;

pub mod nat;

pub mod media;
pub mod picture;

pub mod tui;
