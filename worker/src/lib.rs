//! The worker: runs work units and nothing else. It knows no batch system and no schedule.

pub mod agent;
pub mod clean;
pub mod clock;
pub mod comm;
pub mod dedup;
pub mod document;
pub mod executor;
pub mod external;
pub mod fasttext;
pub mod filters;
pub mod formats;
pub mod gang;
pub mod html;
pub mod inspect;
pub mod language;
pub mod launch;
pub mod signals;
pub mod sources;
pub mod stages;
pub mod staging;
pub mod storage;
pub mod text;
