//! tui
pub mod input;
pub mod keys;
pub mod model;
pub mod text;
pub mod theme;
pub mod update;
pub mod view;
