//! Decisions about a text: its normal forms, its language and how it scores.
//!
//! Everything here is a function of the text, the job file and the models; nothing is read or
//! written. The modules for CCNet's normal forms ([`ccnet_line`], [`ccnet_document`]) need no other.

pub mod ccnet_document;
pub mod ccnet_line;
pub mod html;
pub mod language;
pub mod lines;
pub mod page_url;
pub mod perplexity;
pub mod python;
pub mod simhash;
