//! The worker: runs work units and nothing else. It knows no batch system and no schedule.

pub mod comm;
pub mod dedup;
pub mod fasttext;
pub mod filters;
pub mod formats;
pub mod html;
pub mod language;
pub mod storage;
pub mod text;
