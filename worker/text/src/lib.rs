//! Decisions about a text: its normal forms, its language and its scores.
//!
//! Everything here is a function of the text, the job file and the models; nothing is written, and
//! only models are read. The modules of CCNet's normal forms ([`ccnet_line`], [`ccnet_document`])
//! use no other module.

pub mod ccnet_document;
pub mod ccnet_line;
pub mod charset;
pub mod html;
pub mod language;
pub mod lines;
pub mod page_url;
pub mod perplexity;
pub mod python;
pub mod simhash;
pub mod undeclared;
