//! The stages that find near-duplicates: documents of a job that say nearly the same.
//!
//! ```text
//! SIGN            documents of a unit ─────────────▶ band keys
//! GATHER-BANDS    band keys of a group ────────────▶ by key range, if there are several
//! RESOLVE-BANDS   all band keys of a range (gang) ─▶ pairs with a band in common
//! CONNECT         all pairs (gang) ────────────────▶ the component of each document in a pair
//! COLLECT         documents of a group, again ─────▶ what is compared, by part of the components
//! COMPARE         a part of the components ────────▶ who is removed because of whom
//! DECIDE          decisions about a group ─────────▶ by document, for LAYOUT and PUBLISH
//! ```
//! Documents of earlier outputs (`near.against`) take part from SIGN on, see `earlier`.
//!
//! A document may be removed only because of one in its component, so components are compared
//! independently of each other. They do not depend on who is to survive; that order matters in
//! COMPARE alone, where each document has its rank.
//!
//! **Invariant:** the decisions are a function of the documents and the job file, whatever the
//! number of ranks, key ranges, groups and parts, and the memory.

mod band_file;
mod bands;
mod collect;
mod compare;
mod connect;
mod decide;
mod decisions;
mod earlier;
mod errors;
mod gang;
mod index;
mod order;
pub(super) mod report;
mod rule;
mod sign;

use std::path::{Path, PathBuf};

pub(super) use bands::{rank_of_bands, resolve_bands};
pub(super) use collect::collect;
pub(super) use compare::compare;
pub(super) use connect::{connect, rank_of_connect};
pub(super) use decide::decide;
pub(super) use decisions::{DecisionFiles, Decisions};
pub(super) use earlier::{copy_index, unusable_outputs};
pub(super) use index::{IndexOutput, empty_index};
pub(super) use rule::near_threshold;
pub(super) use sign::sign;

/// Returns the folder for files without a name, beside the file that a unit writes.
fn scratch_folder(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).to_owned()
}
