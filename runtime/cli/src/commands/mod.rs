//! One file per command: its arguments, and what it does.

pub(crate) mod api_resources;
pub(crate) mod apply;
mod audit;
pub(crate) mod completion;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod get;
pub(crate) mod label;
pub(crate) mod logs;
pub(crate) mod new;
pub(crate) mod rolling_update;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod wait;
