//! The worker: runs work units and nothing else. It knows no batch system and no schedule.

pub mod formats;
pub mod storage;
pub mod comm;
pub mod dedup;
pub mod formats;
pub mod html;
pub mod fasttext;
pub mod language;
pub mod text;
